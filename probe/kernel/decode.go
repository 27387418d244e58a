package kernel

import (
	"errors"
	"slices"
	"time"

	"ri/probe"
)

var errEvent = errors.New("an event that no program of this session makes")

// decode makes an event of what a program wrote. It trusts nothing of it.
func (a *Armed) decode(b []byte) (probe.Event, error) {
	if len(b) < sizeHeader {
		return probe.Event{}, errEvent
	}
	index := int(b[atProbe]) | int(b[atProbe+1])<<8
	if index >= len(a.probes) {
		return probe.Event{}, errEvent
	}
	p, l := &a.probes[index], a.layouts[index]
	if len(b) < l.size {
		return probe.Event{}, errEvent
	}
	e := probe.Event{
		Probe: index, Site: int(le32(b[atSite:])), Time: time.Duration(le64(b[atTime:])),
		Goroutine: le64(b[atGoid:]), G: le64(b[atG:]), Thread: int(le32(b[atThread:])),
		Registers: registers(b[atRegisters:]), Undecided: b[atFlags]&flagUndecided != 0,
	}
	if e.Site >= len(p.Sites) {
		return probe.Event{}, errEvent
	}
	e.SP = e.Registers[7]
	e.Pieces = pieces(b, p.At.Reads, l.at)
	if a.options.Stack > 0 {
		n := min(int(le32(b[atFrames:])), a.options.Stack)
		for i := range n {
			e.Stack = append(e.Stack, le64(b[l.frames+sizeAddress*i:]))
		}
	}
	switch b[atKind] {
	case kindHit:
	case kindFlow + byte(probe.FlowEntered), kindFlow + byte(probe.FlowStep), kindFlow + byte(probe.FlowStarted),
		kindFlow + byte(probe.FlowLeft), kindFlow + byte(probe.FlowEnded):
		if p.Flow == probe.NoFlow {
			return probe.Event{}, errEvent
		}
		e.What = probe.FlowEvent(b[atKind] - kindFlow)
		e.Flow, e.Other = le64(b[atFlow:]), le64(b[atOther:])
		if e.What > probe.FlowStep { // nothing is captured there
			e.Pieces, e.Stack = nil, nil
		}
	case kindEntry:
		e.Ended = true
	case kindReturn:
		if len(p.Returns) == 0 || int(le32(b[backSite:])) >= len(p.Returns) {
			return probe.Event{}, errEvent
		}
		r := &probe.Returned{
			Site: int(le32(b[backSite:])), Time: time.Duration(le64(b[backTime:])), Registers: registers(b[backRegisters:]),
			Pieces: pieces(b, p.Back.Reads, l.back), Undecided: le32(b[backFlags:])&flagUndecided != 0,
		}
		r.SP = r.Registers[7]
		e.Return = r
	default:
		return probe.Event{}, errEvent
	}
	return e, nil
}

func registers(b []byte) map[int]uint64 {
	m := make(map[int]uint64, 16)
	for n := range 16 {
		m[n] = le64(b[8*n:])
	}
	return m
}

func pieces(b []byte, reads []probe.Read, at []int) []probe.Piece {
	out := make([]probe.Piece, len(reads))
	for i, r := range reads {
		piece := b[at[i]:]
		out[i] = probe.Piece{State: probe.State(le32(piece[pieceState:])), Addr: le64(piece[pieceAddr:])}
		switch out[i].State {
		case probe.Truncated:
			out[i].Want = le64(piece[pieceWant:])
			fallthrough
		case probe.Captured:
			out[i].Data = slices.Clone(piece[sizePiece:][:min(le32(piece[pieceLen:]), r.Size)])
		case probe.Unwanted, probe.NilOnTheWay, probe.Unreadable:
		default:
			out[i].State = probe.Unreadable
		}
	}
	return out
}
