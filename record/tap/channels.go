package tap

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ri/probe/place"
	"ri/record/boundary"
	"ri/record/calls"
	"ri/symbols"
	"ri/trace"
)

// What the library receives crosses the boundary if the channel does, which is known once the recording is over. A
// channel crosses if it lies in a parameter, in a result of what goes out, or in what a receiver holds: there in
// exported fields, or where it is declared as one to receive from. Through its other fields a library sends to itself.

// maxChannelTypes bounds the types that channels may have, as each needs room in what a hit takes along.
const maxChannelTypes = 6

// crossing collects the elements' types of the channels that may cross.
type crossing struct {
	elems []*symbols.Type
	seen  map[*symbols.Type]bool
	over  map[string]bool // types that found no room
}

// add takes the channels that a value of a type may lead to.
func (c *crossing) add(t *symbols.Type, hidden bool, depth int) {
	if t == nil || depth > 5 || c.seen[t] && t.Kind != reflect.Chan || opaque[t.Name] {
		return
	}
	c.seen[t] = true
	switch t.Kind {
	case reflect.Chan:
		switch e := t.Elem(); {
		case e == nil || hidden && !receiveOnly(t) || slices.Contains(c.elems, e):
		case len(c.elems) == maxChannelTypes:
			c.over[e.Name] = true
		default:
			c.elems = append(c.elems, e)
		}
	case reflect.Struct:
		for _, f := range t.Fields() {
			c.add(f.Type, hidden || !isExported(f.Name), depth+1)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		c.add(t.Elem(), hidden, depth+1)
	}
}

func receiveOnly(t *symbols.Type) bool { return strings.HasPrefix(t.Name, "<-chan ") }

func isExported(field string) bool {
	r, _ := utf8.DecodeRuneInString(field)
	return unicode.IsUpper(r)
}

// receives asks for what the library receives, if a channel can cross.
func (r *Recorder) receives(functions map[string][]place.Var, b *boundary.Boundary) (trace.Probe, bool) {
	c := crossing{seen: map[*symbols.Type]bool{}, over: map[string]bool{}}
	for _, list := range [][]boundary.Method{b.In, b.Out} {
		for _, m := range list {
			for _, v := range functions[m.Func] {
				c.add(v.Type, false, 0)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.over)) {
		b.Missed = append(b.Missed, boundary.Missed{What: "channels of " + name, Why: fmt.Sprintf(
			"there are more than %d types of channels", maxChannelTypes)})
	}
	return trace.Probe{Receives: &trace.Receives{In: b.Inside, Elems: c.elems}, Returns: true, Optional: true},
		len(c.elems) > 0
}

// received takes what was received, or sent.
func (t *tape) received(h *trace.Hit) error {
	got := h.Received
	if got.Made {
		t.makes[got.Channel] = append(t.makes[got.Channel], h.Time.Add(h.Took))
		return nil
	}
	ev := calls.Event{Goroutine: h.Goroutine, Kind: calls.Received, Channel: t.enc.channels.of(got.Channel),
		Closed: got.Closed, Polled: got.Polled}
	if got.Sent {
		ev.Kind = calls.Sent
	}
	t.enc.begin(!got.Sent)
	switch v := got.Elem; {
	case v.Err != nil:
		ev.Values = append(ev.Values, t.enc.absent(v.Err))
	case v.Value.Type != nil:
		ev.Values = append(ev.Values, t.enc.encode(v.Value, "", "values[0]"))
	}
	if ev.Missing, ev.Tokens = t.enc.missing, t.enc.replaced; got.Unsure {
		ev.Missing++
	}
	if err := t.keep(&ev, h.Time.Add(h.Took), -1); err != nil {
		return err
	}
	e := &t.index[len(t.index)-1]
	e.pass = &pass{began: h.Time, channel: ev.Channel, address: got.Channel, sent: got.Sent, closed: got.Closed,
		word: got.Word, bytes: got.WordBytes, from: -1, others: got.Others}
	return nil
}

// pass is what passed through a channel.
type pass struct {
	began        time.Time
	channel      int
	address      uint64
	sent, closed bool
	others       []uint64
	over         []int32 // numbers of what could have been received instead
	word, bytes  uint64  // the first bytes of the element, and how many of these are known
	inside       bool
	own          int   // the channel's number, of those that lay at its address one after the other
	from         int32 // of what was received: the number of where what is inside sent it; else -1
}

// pairs finds what the library sent to itself: elements leave a channel in the order in which they came. Of those that
// came at the same time the first bytes tell which was which.
func (t *tape) pairs() {
	type instance struct { // of what lay at one address
		address uint64
		nth     int
	}
	sends := map[instance][]*entry{}
	for _, list := range t.makes {
		slices.SortFunc(list, time.Time.Compare)
	}
	order := make([]*entry, 0, len(t.index))
	for i := range t.index {
		if p := t.index[i].pass; p != nil {
			if p.sent {
				t.index[i].until, t.index[i].at = t.index[i].at, p.began
			}
			order = append(order, &t.index[i])
		}
	}
	slices.SortStableFunc(order, func(a, b *entry) int { return a.at.Compare(b.at) })
	for _, e := range order {
		p := e.pass
		at := func(address uint64) instance {
			nth, _ := slices.BinarySearchFunc(t.makes[address], e.at, time.Time.Compare)
			return instance{address, nth}
		}
		on := at(p.address)
		for _, address := range p.others {
			if list := sends[at(address)]; len(list) > 0 {
				p.over = append(p.over, list[0].number)
			}
		}
		nth := on.nth
		if p.own = p.channel; nth > 0 {
			p.own = t.enc.channels.of(p.address | uint64(nth)<<48) // no address of a process has so many bits
		}
		if p.sent {
			sends[on] = append(sends[on], e)
			continue
		}
		list := sends[on]
		i := slices.IndexFunc(list, func(s *entry) bool { return s.pass.closed == p.closed && p.same(s.pass) })
		if i >= 0 {
			p.from, p.inside, list[i].pass.inside = list[i].number, true, true
			if !p.closed { // each who receives is told of the end
				sends[on] = slices.Delete(list, i, i+1)
			}
		}
		if _, crosses := t.enc.crosses[p.channel]; !crosses {
			p.inside = true
		}
	}
	for _, e := range order {
		c, leaves := t.enc.leaves[e.pass.channel]
		switch {
		case !e.pass.sent || e.pass.inside:
		case leaves:
			e.at, t.sends[c.Number] = e.until, c
		default:
			e.pass.inside = true
		}
	}
}

// same tells whether an element may be another.
func (p *pass) same(q *pass) bool { return p.bytes == 0 || q.bytes == 0 || p.word == q.word }

func (e *encoder) channel(t *symbols.Type, word uint64, at spot) {
	n := e.channels.of(word)
	c := calls.Channel{Number: n, Where: at.path}
	if t.Elem() != nil {
		c.Elem = t.Elem().Name
	}
	note := func(in map[int]calls.Channel) {
		if _, known := in[n]; !known {
			in[n] = c
		}
	}
	if e.inward && (!at.hidden || receiveOnly(t)) {
		note(e.crosses)
	}
	if !at.hidden && (!receiveOnly(t) || !e.inward) {
		note(e.leaves)
	}
	e.out = fmt.Appendf(e.out, `{"$chan":%d}`, n)
}
