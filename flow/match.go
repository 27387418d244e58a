package flow

import (
	"slices"
	"time"
)

// window is for how long what enters and what leaves wait for one another, by the host's own clock alone.
const window = 10 * time.Second

// mostCandidates is how many of what left wait at once; the oldest give way.
const mostCandidates = 4096

// hop is where a flow passes on a host.
type hop struct {
	cookie    string
	side      string
	target    string
	hash      string // "": it has no key
	flow      string // "": not known, so far
	ambiguous bool
	began     time.Time
	arrived   time.Time
	rows      int64
	waiting   []Line // that nobody has been told of
	kept      []byte // the first lines, for its summary
	told      int    // what was counted and logged of it
	summary   bool   // the database is told of it
}

// What was told of a hop that leaves.
const (
	toldFlow      = 1
	toldAmbiguous = 2
)

// matcher finds which hops are of which flows, by the hashes of their keys.
type matcher struct {
	flows map[string][]entered // by hash
	hops  map[string][]*hop    // by hash, those that leave
	order []*hop               // by arrival
}

type entered struct {
	flow string
	at   time.Time
}

func newMatcher() *matcher {
	return &matcher{flows: map[string][]entered{}, hops: map[string][]*hop{}}
}

// expire forgets what waited for longer than the window.
func (m *matcher) expire(now time.Time) {
	n := 0
	for n < len(m.order) && (now.Sub(m.order[n].arrived) > window || len(m.order)-n > mostCandidates) {
		m.drop(m.order[n])
		n++
	}
	m.order = slices.Delete(m.order, 0, n)
	for hash, list := range m.flows {
		list = slices.DeleteFunc(list, func(e entered) bool { return now.Sub(e.at) > window })
		if m.flows[hash] = list; len(list) == 0 {
			delete(m.flows, hash)
		}
	}
}

func (m *matcher) drop(h *hop) {
	left := slices.DeleteFunc(m.hops[h.hash], func(o *hop) bool { return o == h })
	if m.hops[h.hash] = left; len(left) == 0 {
		delete(m.hops, h.hash)
	}
	h.waiting = nil // nobody will be told
}

// enter takes a flow that entered somewhere, and gives the hops of which something new is known by it.
func (m *matcher) enter(hash, flow string, now time.Time) []*hop {
	m.expire(now)
	if slices.ContainsFunc(m.flows[hash], func(e entered) bool { return e.flow == flow }) {
		return nil
	}
	m.flows[hash] = append(m.flows[hash], entered{flow, now})
	for _, h := range m.hops[hash] {
		m.decide(h)
	}
	return slices.Clone(m.hops[hash])
}

// leave takes a hop that leaves, and decides of which flow it is, if that is known already.
func (m *matcher) leave(h *hop, now time.Time) {
	h.arrived = now
	m.order = append(m.order, h)
	m.hops[h.hash] = append(m.hops[h.hash], h)
	m.expire(now)
	m.decide(h)
}

// decide: a hop is of the one flow that has its hash, or of nobody knows which.
func (m *matcher) decide(h *hop) {
	switch list := m.flows[h.hash]; {
	case len(list) == 1 && !h.ambiguous:
		h.flow = list[0].flow
	case len(list) > 1:
		h.ambiguous = true
	}
}
