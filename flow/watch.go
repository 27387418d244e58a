package flow

import (
	"fmt"
	"time"

	"ri/fleet"
	"ri/ovsdb"
	"ri/ovsdb/client"
)

// watch follows what enters elsewhere, until the session ends.
func (s *session) watch() {
	for s.ctx.Err() == nil {
		err := s.watching()
		if s.ctx.Err() != nil {
			return
		}
		s.a.mu.Lock()
		s.a.sayOnce("watch", fmt.Sprintf("what enters elsewhere can't be read: %v; trying again", err))
		s.a.mu.Unlock()
		select {
		case <-s.ctx.Done():
		case <-time.After(min(s.a.Every, 2*time.Second)):
		}
	}
}

// watching follows what enters elsewhere, until something fails.
func (s *session) watching() error {
	m, err := s.a.client.Monitor(s.ctx, map[string]client.Watch{fleet.FlowTable: {Where: fleet.Is("trace", s.e.trace)}})
	if err != nil {
		return err
	}
	defer m.Close()
	for {
		list, err := m.Next(s.ctx)
		if err != nil {
			return err
		}
		for _, c := range list {
			if c.New != nil {
				s.elsewhere(c.New)
			}
		}
	}
}

// elsewhere takes a flow that entered at another host. What is read late, as by an agent that was started anew, has
// not entered now.
func (s *session) elsewhere(r ovsdb.Row) {
	id := r["id"].Text()
	age := s.a.now().Sub(time.UnixMilli(r["time"].Int()))
	if r["host"].Text() == s.a.ID || r["generation"].Int() != s.e.generation || age > window+fleet.Skew ||
		-age > fleet.Skew || s.told.has(id) {
		return
	}
	flow := flowOf(id)
	if flow == "" {
		s.a.mu.Lock()
		defer s.a.mu.Unlock()
		s.a.sayOnce("flow", fmt.Sprintf("a flow of the request %s has no id", s.e.trace))
		return
	}
	_, _, err := signedBy(s.a.Identity, fleet.FlowTable, r, agents)
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	if err != nil {
		s.a.sayOnce("flow", fmt.Sprintf("a flow of the request %s isn't believed: %v", s.e.trace, err))
		return
	}
	s.told.add(id)
	s.learn(s.match.enter(r["hash"].Text(), flow, time.Now()))
}

// recent are the last ids that were told of: at least mostEntered, twice as many at most.
type recent struct{ young, old map[string]bool }

func (r *recent) has(id string) bool { return r.young[id] || r.old[id] }

func (r *recent) add(id string) {
	if r.young == nil || len(r.young) >= mostEntered {
		r.young, r.old = map[string]bool{}, r.young
	}
	r.young[id] = true
}
