package flow

import (
	"slices"
	"time"
)

// window is for how long what enters and what leaves wait for one another, by the host's own clock alone.
const window = 10 * time.Second

// Limits of what waits at once: hops that leave, flows that entered, and lines. The oldest give way.
const (
	mostCandidates = 1 << 16
	mostEntered    = 1 << 16
	mostLines      = 1 << 16
)

// hop is where a flow passes on a host.
type hop struct {
	cookie    string
	side      string
	target    string
	hash      string   // "": it has no key
	flow      string   // "": not known, so far
	onward    []string // hashes of what it sent on; until its flow is known, they wait
	sentOn    int      // how many of them were published
	ambiguous bool
	began     time.Time
	arrived   time.Time
	last      time.Time // of its rows
	gone      bool      // it waited for too long: of what comes nobody will be told
	rows      int64
	goroutine int64  // that opened it
	waiting   []Line // that nobody has been told of
	kept      []byte // the first lines, for its summary
	told      int    // what was counted and logged of it
	summary   bool   // the database is told of it
	sent      bool   // it may have been
}

// What was told of a hop that leaves.
const (
	toldFlow      = 1
	toldAmbiguous = 2
)

// matcher finds which hops are of which flows, by the hashes of their keys.
type matcher struct {
	flows   map[string][]string // by hash
	entered []entered           // by arrival
	hops    map[string][]*hop   // by hash, those that leave
	left    []*hop              // by arrival
	lines   int                 // that wait
}

type entered struct {
	hash string
	at   time.Time
}

func newMatcher() *matcher {
	return &matcher{flows: map[string][]string{}, hops: map[string][]*hop{}}
}

// expire forgets what waited for longer than the window.
func (m *matcher) expire(now time.Time) {
	for len(m.left) > 0 && (now.Sub(m.left[0].arrived) > window || len(m.left) > mostCandidates) {
		h := m.left[0]
		m.left = m.left[1:]
		if m.hops[h.hash] = m.hops[h.hash][1:]; len(m.hops[h.hash]) == 0 { // it is the oldest of those, too
			delete(m.hops, h.hash)
		}
		h.gone = true
		m.release(h) // nobody will be told
	}
	for len(m.entered) > 0 && (now.Sub(m.entered[0].at) > window || len(m.entered) > mostEntered) {
		hash := m.entered[0].hash
		m.entered = m.entered[1:]
		if m.flows[hash] = m.flows[hash][1:]; len(m.flows[hash]) == 0 {
			delete(m.flows, hash)
		}
	}
}

// wait keeps a line until it is known whose it is, if there is room.
func (m *matcher) wait(h *hop, l Line) {
	if h.gone && !h.ambiguous {
		return
	}
	if len(h.waiting) < mostWaiting && m.lines < mostLines {
		h.waiting = append(h.waiting, l)
		m.lines++
	}
}

// release gives the lines that waited.
func (m *matcher) release(h *hop) []Line {
	list := h.waiting
	m.lines -= len(list)
	h.waiting = nil
	return list
}

// has tells whether a flow is known by a hash already.
func (m *matcher) has(hash, flow string, now time.Time) bool {
	m.expire(now)
	return slices.Contains(m.flows[hash], flow)
}

// enter takes a flow that entered somewhere, and gives the hops of which something new is known by it.
func (m *matcher) enter(hash, flow string, now time.Time) []*hop {
	m.expire(now)
	if len(m.flows[hash]) <= 2 && slices.Contains(m.flows[hash], flow) {
		return nil
	}
	m.flows[hash] = append(m.flows[hash], flow)
	m.entered = append(m.entered, entered{hash, now})
	if len(m.flows[hash]) > 2 { // all that leave with it are ambiguous already
		return nil
	}
	for _, h := range m.hops[hash] {
		m.decide(h)
	}
	return slices.Clone(m.hops[hash])
}

// leave takes a hop that leaves, and decides of which flow it is, if that is known already.
func (m *matcher) leave(h *hop, now time.Time) {
	h.arrived = now
	m.left = append(m.left, h)
	m.hops[h.hash] = append(m.hops[h.hash], h)
	m.expire(now)
	m.decide(h)
}

// decide: a hop is of the one flow that has its hash, or of nobody knows which.
func (m *matcher) decide(h *hop) {
	switch list := m.flows[h.hash]; {
	case len(list) == 1 && !h.ambiguous && (h.flow == "" || h.flow == list[0]):
		h.flow = list[0]
	case len(list) > 0: // also where the first has been forgotten since
		h.ambiguous = true
	}
}
