package kit

import (
	"encoding/json"
	"maps"
	"slices"
)

// riGroups joins what has to do with each other: receivers are even, channels odd.
type riGroups map[int]int

func (g riGroups) of(n int) int {
	for {
		p, ok := g[n]
		if !ok || p == n {
			return n
		}
		if pp, ok := g[p]; ok {
			g[n] = pp
		}
		n = p
	}
}

func (g riGroups) join(a, b int) { g[g.of(a)] = g.of(b) }

// mention joins a receiver, or a channel, with all that a value has.
func (g riGroups) mention(n int, v json.RawMessage) {
	riMentions(v, riOn, func(on int) { g.join(n, 2*on) })
	riMentions(v, riChan, func(c int) { g.join(n, 2*c+1) })
}

// groups tells which group an event belongs to: receivers of which none is mentioned with another are replayed by
// themselves, one group after the other. Where a function without a receiver is called there is one group only, since
// what it leads to isn't known.
func (rec *riRecording) groups() func(e *riEvent) int {
	g := riGroups{}
	for _, s := range rec.header.State {
		g.mention(2*s.On, s.Value)
	}
	one := false
	for _, e := range rec.events {
		n := 2 * e.On
		switch {
		case e.Kind == "receive" || e.Kind == "send":
			n = 2*e.Chan + 1
		case e.own:
			continue
		case e.Kind == "call":
			one = one || e.On == 0 || e.On == riFunction
		}
		for _, v := range e.Values {
			g.mention(n, v)
		}
		if p := e.parent; p != nil && !p.own {
			g.join(n, 2*p.On)
		}
	}
	return func(e *riEvent) int {
		switch {
		case one:
			return 0
		case e.Kind == "receive" || e.Kind == "send":
			return g.of(2*e.Chan + 1)
		}
		return g.of(2 * e.On)
	}
}

// grouped are the steps of each group, that which begins first first.
func (rec *riRecording) grouped() (out [][]*riStep) {
	rec.of, rec.logs = rec.groups(), map[string][]*riEvent{}
	for _, e := range rec.events {
		if e.note {
			key := riKey(e.Func, e.On)
			rec.logs[key] = append(rec.logs[key], e)
		}
	}
	lists := map[int][]*riStep{}
	for _, s := range rec.steps() {
		n := rec.of(s.e)
		lists[n] = append(lists[n], s)
	}
	return slices.SortedFunc(maps.Values(lists), func(a, b []*riStep) int { return int(a[0].pos - b[0].pos) })
}
