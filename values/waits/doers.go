package waits

import (
	"fmt"
	"slices"

	"ri/symbols/flow"
	"ri/values"
)

// This file tells which of the functions that may be called do what is wanted, for all channels of a type at once.

// laterDoers are the functions that do one kind of thing to channels of one type.
type laterDoers struct {
	any   map[uint64]bool     // to one that can't be told: those from which calls lead to one that does
	some  map[uint64]bool     // those that do themselves
	to    map[uint64][]uint64 // to a certain one, by its address
	sends map[*laterNode]laterSends
	slots bool
}

// laterSends are where a function sends, and to where it comes around that.
type laterSends struct {
	at     []uint64
	around func(at uint64) bool
}

// calls tells whether a function comes to a place without having sent.
func (d *laterDoers) calls(at uint64, n *laterNode) bool {
	s, ok := d.sends[n]
	return !ok || s.around(at)
}

// receives tells whether a function itself receives at a place without having sent. A select that sends, too, receives
// from another channel.
func (d *laterDoers) receives(at uint64, n *laterNode) bool {
	return !n.calledAt(at) && d.calls(at, n) && !slices.Contains(d.sends[n].at, at)
}

// does gives the functions from which calls lead to a use that may be what is wanted. A channel with slots is one that
// may be a semaphore: who sends before it receives is no receiver.
func (l *laterSearch) does(w Wanted, elem string, slots bool) map[uint64]bool {
	key := fmt.Sprint(w.Kind, elem, slots)
	d := l.doers[key]
	if d == nil {
		d = &laterDoers{some: map[uint64]bool{}, to: map[uint64][]uint64{}, sends: map[*laterNode]laterSends{}, slots: slots}
		for _, entry := range l.list {
			n := l.nodes[entry]
			if slots {
				l.noteSends(d, n, entry, elem)
			}
			l.note(d, n, entry, w.Kind, elem)
		}
		d.any = l.backwards(func(_ *laterNode, entry uint64) bool { return d.some[entry] }, d.calls)
		l.doers[key] = d
	}
	to := d.to[w.Addr]
	if len(to) == 0 {
		return d.any
	}
	return l.backwards(func(_ *laterNode, entry uint64) bool { return d.some[entry] || slices.Contains(to, entry) },
		d.calls)
}

// calledAt tells whether a function of the program's own is called, or made a func value of, at a place: then what that
// does is told with it.
func (n *laterNode) calledAt(at uint64) bool {
	for _, sites := range n.calls {
		if slices.Contains(sites, at) {
			return true
		}
	}
	return false
}

// noteSends notes where a function sends to what may be the semaphore.
func (l *laterSearch) noteSends(d *laterDoers, n *laterNode, entry uint64, elem string) {
	if !n.sends {
		n.sends = true
		n.sent, _, _ = l.p.EntryUses(entry)
	}
	var sends []uint64
	for _, use := range n.sent {
		if use.Kind == flow.Sends && !use.Tries && !use.Later && !use.Library && use.At != 0 &&
			(n.at == nil || l.fits("send", elem, entry, n.at, use.What)) {
			sends = append(sends, use.At)
		}
	}
	if len(sends) > 0 {
		d.sends[n] = laterSends{sends, l.p.Around(entry, true, sends)}
	}
}

// note notes what one function does.
func (l *laterSearch) note(d *laterDoers, n *laterNode, entry uint64, kind, elem string) {
	if use, ok := l.p.UseOf(entry); ok {
		if wants[kind][use] {
			d.some[entry] = true
		}
		return
	}
	if !n.known || n.at == nil && len(n.uses) > 0 {
		d.some[entry] = true
		return
	}
	for _, use := range n.uses {
		if !wants[kind][use.Kind] || d.slots && use.Kind == flow.Receives && !d.receives(use.At, n) {
			continue
		}
		c := codeFrame{s: l.s, frame: &values.Frame{}, state: n.at}
		if word, ok := c.value(use.What); ok {
			d.to[word] = append(d.to[word], entry)
		} else if !use.Library && l.fits(kind, elem, entry, n.at, use.What) {
			d.some[entry] = true
		}
	}
}
