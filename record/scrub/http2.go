package scrub

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// HTTP/2 (RFC 9113): a client begins with preface, and all else is frames: a length of 3 bytes, a type, flags, a
// stream's number of 4 bytes, and the payload. A server begins with a frame of settings.
const (
	preface   = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	frameHead = 9

	frameData     = 0
	frameHeaders  = 1
	framePriority = 2
	frameReset    = 3
	frameSettings = 4
	framePush     = 5
	framePing     = 6
	frameWindow   = 8
	frameContinue = 9

	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Bounds of what is followed.
const (
	mostBodies = 4096    // streams of HTTP/2 with data at once
	mostBlock  = 1 << 20 // bytes of a header block
)

// frames is a direction of HTTP/2. Header blocks are replaced field by field, and wait until they are whole. Data goes
// through a stream of its own for each of HTTP/2's, as frames of others lie between.
type frames struct {
	s        *Scrubber
	client   bool
	skip     int // bytes of the preface to come
	begun    bool
	at       int64
	head     []byte   // of a frame
	heads    [][]byte // where it lies
	out      bool     // some of it couldn't wait, and can't be changed any more
	left     int      // bytes of the payload to come
	pad      int      // of these, padding; below 0: its length comes first
	block    []part   // a header block; nil: there is none
	size     int      // of it
	blind    bool     // some of it couldn't wait, and was blanked
	fields   *fields
	lost     bool // frames can't be told apart any more: all is blanked
	bodies   map[uint32]*Stream
	segments []segment // what isn't decided
}

// part is a frame of a header block: its head, and where that and its payload lie. A head that couldn't wait isn't
// anywhere.
type part struct {
	head    []byte
	heads   [][]byte
	payload [][]byte
}

// segment is what isn't decided before a header block is whole, or so many bytes of a body are decided.
type segment struct {
	from int64 // where it begins
	done bool
	body *Stream
	need int64
}

// Blanked is how often something of HTTP/2 was blanked, as it couldn't be read.
func (s *Scrubber) Blanked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blanks
}

func (s *Scrubber) blanked() {
	s.mu.Lock()
	s.blanks++
	s.mu.Unlock()
}

// switches finds where HTTP/2 begins in what isn't decided of a stream of text: at its beginning, behind an upgrade, or
// behind what a proxy says. Below 0: nowhere. From hold on it may begin.
func (x *Stream) switches(b []byte) (at, hold int) {
	if x.client {
		if at := bytes.Index(b, []byte(preface)); at >= 0 {
			return at, at
		}
		for n := min(len(preface)-1, len(b)); n > 0; n-- {
			if bytes.HasSuffix(b, []byte(preface[:n])) {
				return -1, len(b) - n
			}
		}
		return -1, len(b)
	}
	if x.decided == 0 {
		if is, may := beginsServer(b); is || may {
			return truth(is) - 1, 0
		}
	}
	const emptyLine = "\r\n\r\n"
	before := x.tail[max(0, len(x.tail)-len(emptyLine)):]
	all := slices.Concat(before, b)
	for at := 0; ; {
		n := bytes.Index(all[at:], []byte(emptyLine))
		if n < 0 {
			return -1, len(b)
		}
		at += n + len(emptyLine)
		if is, may := beginsServer(all[at:]); is {
			return at - len(before), at - len(before)
		} else if may {
			return -1, at - len(before)
		}
	}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// beginsServer tells whether b begins with a frame of settings, as a server of HTTP/2 does, or may.
func beginsServer(b []byte) (is, may bool) {
	for i, c := range b[:min(len(b), frameHead)] {
		switch {
		case i == 0 && c != 0, i == 1 && c > 1, i == 3 && c != frameSettings, i > 3 && c != 0:
			return false, false
		case i == 2 && (int(b[1])<<8|int(c))%6 != 0:
			return false, false
		}
	}
	return len(b) >= frameHead, len(b) > 0 && len(b) < frameHead
}

// partOfBeginning is how much of what HTTP/2 begins with is taken for it where no more can be waited for.
const partOfBeginning = 6

// become2 has the stream be HTTP/2 from what isn't decided on.
func (x *Stream) become2() {
	x.begun, x.value = true, value{}
	x.frames = &frames{s: x.s, client: x.client, fields: newFields(x.s), bodies: map[uint32]*Stream{}}
	if x.client {
		x.frames.skip = len(preface)
	}
	pieces := x.pieces
	x.buf, x.pieces = nil, nil
	if p := x.pair; p != nil && p.frames == nil && x.decided+p.decided == 0 && len(p.buf) == 0 {
		p.become2()
	}
	for _, piece := range pieces {
		x.frames.write(piece)
	}
}

// write takes the next bytes.
func (x *frames) write(b []byte) {
	for len(b) > 0 {
		n := 0
		switch {
		case x.lost:
			clear(b)
			x.at += int64(len(b))
			return
		case x.skip > 0:
			n = min(x.skip, len(b))
			if !strings.HasPrefix(preface[len(preface)-x.skip:], string(b[:n])) {
				x.lose()
				continue
			}
			x.skip -= n
			x.at += int64(n)
		case len(x.head) < frameHead:
			n = min(frameHead-len(x.head), len(b))
			x.head, x.heads = append(x.head, b[:n]...), append(x.heads, b[:n])
			if x.at += int64(n); len(x.head) == frameHead {
				x.begin()
			}
		default:
			n = min(x.left, len(b))
			x.payload(b[:n])
			x.left -= n
			x.at += int64(n)
		}
		if b = b[n:]; len(x.head) == frameHead && x.left == 0 && !x.lost {
			x.end()
		}
	}
}

func (x *frames) typ() byte          { return x.head[3] }
func (x *frames) has(flag byte) bool { return x.head[4]&flag != 0 }
func (x *frames) stream() uint32     { return binary.BigEndian.Uint32(x.head[5:]) &^ (1 << 31) }

func isHeaders(typ byte) bool { return typ == frameHeaders || typ == framePush || typ == frameContinue }

func frameSize(head []byte) int { return int(head[0])<<16 | int(head[1])<<8 | int(head[2]) }

// begin begins a frame whose head is there.
func (x *frames) begin() {
	x.left, x.pad = frameSize(x.head), 0
	if x.typ() == frameData && x.has(flagPadded) {
		x.pad = -1
	}
	// Settings are the first, and nothing comes between the frames of a header block (RFC 9113, 3.4 and 4.3).
	if !x.begun && x.typ() != frameSettings || (x.block != nil) != (x.typ() == frameContinue) {
		x.lose()
		return
	}
	x.begun = true
	if !isHeaders(x.typ()) {
		return
	}
	if x.block == nil {
		x.segments = append(x.segments, segment{from: x.at - frameHead})
	}
	one := part{head: bytes.Clone(x.head), heads: x.heads}
	if x.out {
		one.heads = nil
	}
	x.block = append(x.block, one)
}

// payload takes some of a frame's payload.
func (x *frames) payload(b []byte) {
	switch x.typ() {
	case frameHeaders, framePush, frameContinue:
		last := &x.block[len(x.block)-1]
		last.payload = append(last.payload, b)
		if x.size += len(b); x.size > mostBlock {
			x.lose()
		} else if x.blind {
			clear(b)
		}
	case frameData:
		left, from := x.left, x.at
		if x.pad < 0 {
			x.pad = int(b[0])
			b, left, from = b[1:], left-1, from+1
		}
		x.data(b[:max(0, min(len(b), left-x.pad))], from)
	case framePriority, frameReset, frameSettings, framePing, frameWindow: // numbers
	default: // texts of GOAWAY, and what isn't known
		x.s.Bytes(b)
	}
}

// data takes bytes of a body.
func (x *frames) data(b []byte, from int64) {
	if len(b) == 0 {
		return
	}
	body := x.bodies[x.stream()]
	if body == nil {
		x.forget()
		body = x.s.Stream(x.client)
		body.begun, body.inner = true, true
		x.bodies[x.stream()] = body
	}
	body.Write(b)
	if need := body.decided + int64(len(body.buf)); body.decided < need {
		x.segments = append(x.segments, segment{from: from, body: body, need: need})
	}
}

// forget ends the oldest bodies where there are too many: they may have been given up by the other side.
func (x *frames) forget() {
	if len(x.bodies) < mostBodies {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(x.bodies))[:mostBodies/2] {
		x.bodies[id].End()
		delete(x.bodies, id)
	}
}

// end ends a frame.
func (x *frames) end() {
	if isHeaders(x.typ()) && x.has(flagEndHeaders) {
		x.finish()
	}
	if x.typ() == frameReset || x.has(flagEndStream) && (x.typ() == frameData || x.typ() == frameHeaders) {
		if body := x.bodies[x.stream()]; body != nil {
			body.End()
			delete(x.bodies, x.stream())
		}
	}
	x.head, x.heads, x.out = x.head[:0], nil, false
}

// finish has the fields of a header block that is whole be replaced, or blanks it.
func (x *frames) finish() {
	if x.blind {
		x.fields.lost = true // what it had in it counts for those that follow
	} else if !x.fields.rewrite(x.block) {
		x.blank()
	}
	x.settle()
}

// settle has a header block be decided as it is.
func (x *frames) settle() {
	if x.block != nil {
		x.segments[len(x.segments)-1].done = true
	}
	x.block, x.size, x.blind = nil, 0, false
}

// blank blanks what there is of a header block.
func (x *frames) blank() {
	for _, one := range x.block {
		for _, piece := range one.payload {
			clear(piece)
		}
	}
	x.s.blanked()
}

// lose gives up: where the next frame begins isn't known.
func (x *frames) lose() {
	if !x.lost {
		x.blank()
		x.settle()
		x.lost = true
	}
}

// decided is how many bytes won't change any more.
func (x *frames) decided() int64 {
	for len(x.segments) > 0 {
		s := x.segments[0]
		if !s.done && (s.body == nil || s.body.decided < s.need) {
			return s.from
		}
		x.segments = x.segments[1:]
	}
	if !x.out && len(x.head) < frameHead {
		return x.at - int64(len(x.head))
	}
	return x.at
}

// force has all be decided.
func (x *frames) force() {
	for _, s := range x.segments {
		if s.body != nil {
			s.body.Force()
		}
	}
	if x.block != nil && !x.blind {
		x.blank()
		x.blind = true
		x.segments[len(x.segments)-1].done = true
	}
	x.out = len(x.head) > 0 && len(x.head) < frameHead
}
