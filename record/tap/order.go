package tap

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"

	"ri/record/calls"
	"ri/trace"
)

// entry is where an event lies in the spool, and when it was.
type entry struct {
	at     time.Time
	off    int64
	size   int32
	number int32 // in the order in which they came
	call   int32 // of a return: the number of its call; else -1
	pass   *pass // of what was received or sent
	until  time.Time
}

func (t *tape) keep(ev *calls.Event, at time.Time, call int) error {
	ev.Wall, ev.At = at.UTC(), at.Sub(t.made)
	b, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	off, err := t.spool.add(b)
	if err != nil {
		return err
	}
	t.index = append(t.index, entry{at, off, int32(len(b)), int32(len(t.index)), int32(call), nil, time.Time{}})
	return nil
}

// write writes the recording, in order.
func (t *tape) write(w io.Writer, sum *trace.Summary) (*calls.End, error) {
	for _, s := range t.state {
		s.Value = t.enc.deny(s.Value)
	}
	t.pairs()
	t.sort()
	if err := t.ended(); err != nil {
		return nil, err
	}
	t.sort()
	out, err := calls.NewWriter(w, t.header())
	if err != nil {
		return nil, err
	}
	o := order{seq: map[int32]int64{}, open: map[uint64][]int32{}, returns: map[int32]bool{}}
	for _, e := range t.index {
		if e.call >= 0 {
			o.returns[e.call] = true
		}
	}
	for _, e := range t.index {
		b, err := t.spool.at(e.off, int(e.size))
		if err != nil {
			return nil, err
		}
		var ev calls.Event
		if err := json.NewDecoder(bytes.NewReader(b)).Decode(&ev); err != nil {
			return nil, err
		}
		if p := e.pass; p != nil {
			for _, number := range p.over {
				ev.Over = append(ev.Over, o.seq[number])
			}
			ev.Out = p.sent && !p.inside
		}
		if p := e.pass; p != nil && p.inside {
			ev.Channel = p.own
			ev.Inside, ev.Values, ev.Missing, ev.Tokens = true, nil, 0, 0
			ev.From = o.seq[p.from]
		}
		o.place(&ev, e)
		for i := range ev.Values {
			ev.Values[i] = t.enc.deny(ev.Values[i])
		}
		if err := out.Event(&ev); err != nil {
			return nil, err
		}
		o.seq[e.number] = ev.Seq
	}
	end := calls.End{Why: sum.Why, Short: t.short, Lost: sum.Counts.Lost, Refused: sum.Counts.Refused,
		Length: sum.Cost.Length, CPU: sum.Cost.CPU}
	for field := range t.enc.kept {
		end.Kept = append(end.Kept, field)
	}
	slices.Sort(end.Kept)
	return out.Close(end)
}

// sort puts events in the order of time.
func (t *tape) sort() {
	slices.SortStableFunc(t.index, func(a, b entry) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.number, b.number))
	})
}

// order finds what belongs to what, in the order of time.
type order struct {
	seq     map[int32]int64    // by number
	open    map[uint64][]int32 // calls that have not returned and will, by goroutine
	returns map[int32]bool     // calls that will
}

func (o *order) place(ev *calls.Event, e entry) {
	open := o.open[ev.Goroutine]
	if ev.Kind == calls.Return {
		ev.Call = o.seq[e.call]
		if i := slices.Index(open, e.call); i >= 0 {
			open = slices.Delete(open, i, i+1)
		}
	}
	if len(open) > 0 {
		ev.Parent = o.seq[open[len(open)-1]]
	}
	if ev.Kind == calls.Call && o.returns[e.number] {
		open = append(open, e.number)
	}
	o.open[ev.Goroutine] = open
}

func (t *tape) header() *calls.Header {
	file := t.process.File
	h := &calls.Header{By: t.opt.By, Made: t.made.UTC(), Boundary: t.Boundary(), FromStart: t.opt.FromStart,
		Budget: t.opt.Budget, Policy: calls.Policy{KeyKept: t.opt.KeyKept}}
	for _, id := range slices.Sorted(maps.Keys(t.state)) {
		h.State = append(h.State, t.state[id].Receiver)
	}
	for _, n := range slices.Sorted(maps.Keys(t.enc.crosses)) {
		h.Boundary.Receives = append(h.Boundary.Receives, t.enc.crosses[n])
	}
	for _, n := range slices.Sorted(maps.Keys(t.sends)) {
		h.Boundary.Sends = append(h.Boundary.Sends, t.sends[n])
	}
	if p := t.opt.Policy; p != nil {
		h.Policy.Rules, h.Policy.DenyNumbers = len(p.Rules), p.DenyNumbers
	}
	h.Program.Module, h.Program.Version = file.MainModule()
	h.Program.Go = file.GoVersion()
	h.Program.Modules = map[string]string{}
	for _, m := range file.Modules() {
		if m[0] == t.boundary.Module() {
			h.Program.Modules[m[0]] = m[1]
		}
	}
	return h
}
