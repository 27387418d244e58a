package tap

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
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

// received takes what was received.
func (t *tape) received(h *trace.Hit) error {
	got := h.Received
	ev := calls.Event{Goroutine: h.Goroutine, Kind: calls.Received, Channel: t.enc.channels.of(got.Channel),
		Closed: got.Closed, Polled: got.Polled}
	t.enc.begin(true)
	switch v := got.Elem; {
	case v.Err != nil:
		ev.Values = append(ev.Values, t.enc.absent(v.Err))
	case v.Value.Type != nil:
		ev.Values = append(ev.Values, t.enc.encode(v.Value, "", "values[0]"))
	}
	if ev.Missing, ev.Tokens = t.enc.missing, t.enc.replaced; got.Unsure {
		ev.Missing++
	}
	return t.keep(&ev, h.Time.Add(h.Took), -1)
}

func (e *encoder) channel(t *symbols.Type, word uint64, at spot) {
	n := e.channels.of(word)
	if _, known := e.crosses[n]; !known && e.inward && (!at.hidden || receiveOnly(t)) {
		name := ""
		if t.Elem() != nil {
			name = t.Elem().Name
		}
		e.crosses[n] = calls.Channel{Number: n, Elem: name, Where: at.path}
	}
	e.out = fmt.Appendf(e.out, `{"$chan":%d}`, n)
}
