package main

import (
	"fmt"
	"net/http"
	"time"
)

// What Admin tells of requests, sessions, services and devices.

type requestShape struct {
	ID        uint64    `json:"id"`
	Op        string    `json:"op"`
	State     string    `json:"state"`
	AgeMS     float64   `json:"age_ms"`
	Arrival   time.Time `json:"arrival"`
	Object    string    `json:"object"`
	Session   uint64    `json:"session"` // 0: it came over HTTP
	Client    string    `json:"client"`
	Worker    int       `json:"worker"`    // -1: none yet
	Goroutine uint64    `json:"goroutine"` // the worker's; 0: none yet
}

func shapeRequest(r *Request, now time.Time) requestShape {
	shape := requestShape{
		ID: r.id, Op: r.op.String(), State: r.state.String(), AgeMS: milliseconds(now.Sub(r.arrival)),
		Arrival: r.arrival, Object: r.object, Worker: -1,
	}
	if r.session != nil {
		shape.Session, shape.Client = r.session.id, r.session.client
	}
	if r.worker != nil {
		shape.Worker, shape.Goroutine = r.worker.id, r.worker.goroutine
	}
	return shape
}

func (a *Admin) getRequests(*http.Request) (interface{}, error) {
	h := a.store.handler
	if h == nil {
		return nil, errNoHandler
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	running, queued, waiting := []requestShape{}, []requestShape{}, []requestShape{}
	for _, w := range h.workers {
		if w.current != nil {
			running = append(running, shapeRequest(w.current, now))
		}
	}
	for r := h.runQueue.head; r != nil; r = r.next {
		queued = append(queued, shapeRequest(r, now))
	}
	for e := h.waitQueue.Front(); e != nil; e = e.Next() {
		waiting = append(waiting, shapeRequest(e.Value.(*Request), now))
	}
	return map[string]interface{}{
		"admitting": h.admitting, "stalled": h.stalled,
		"running": running, "queued": queued, "waiting": waiting,
	}, nil
}

func (a *Admin) getSessions(*http.Request) (interface{}, error) {
	type sessionShape struct {
		ID      uint64    `json:"id"`
		Client  string    `json:"client"`
		State   string    `json:"state"`
		Local   string    `json:"local"`
		Remote  string    `json:"remote"`
		Opened  time.Time `json:"opened"`
		Reads   int64     `json:"reads"`
		Writes  int64     `json:"writes"`
		Errors  int64     `json:"errors"`
		Pending int64     `json:"pending"`
	}
	sessions := []sessionShape{}
	if a.store.sessions == nil {
		return sessions, nil
	}
	for _, s := range a.store.sessions.all() {
		s.mu.Lock()
		sessions = append(sessions, sessionShape{
			s.id, s.client, s.state.String(), s.conn.LocalAddr().String(), s.conn.RemoteAddr().String(),
			s.opened, s.reads.Load(), s.writes.Load(), s.errors.Load(), s.pending.Load(),
		})
		s.mu.Unlock()
	}
	return sessions, nil
}

type serviceView struct {
	ID          int      `json:"id"`
	Name        string   `json:"name"`
	State       string   `json:"state"`
	Next        []string `json:"next"` // the states that may follow
	Transitions int      `json:"transitions"`
	Store       string   `json:"store"` // address; empty: this process
	Devices     []int    `json:"devices"`
	Reads       int64    `json:"reads"`
	Writes      int64    `json:"writes"`
	Errors      int64    `json:"errors"`
}

func serviceShape(s *Service) *serviceView {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &serviceView{
		ID: s.id, Name: s.name, State: s.state.String(), Next: []string{}, Transitions: s.transitions,
		Store: s.address, Devices: []int{}, Reads: s.reads.Load(), Writes: s.writes.Load(), Errors: s.errors.Load(),
	}
	for _, next := range serviceTransitions[s.state] {
		v.Next = append(v.Next, next.String())
	}
	for _, d := range s.devices {
		v.Devices = append(v.Devices, d.id)
	}
	return v
}

func (a *Admin) getServices(*http.Request) (interface{}, error) {
	services := []*serviceView{}
	for _, s := range a.store.services {
		services = append(services, serviceShape(s))
	}
	return services, nil
}

func (a *Admin) getDevices(*http.Request) (interface{}, error) {
	type deviceShape struct {
		ID          int    `json:"id"`
		Name        string `json:"name"`
		Service     int    `json:"service"`
		BlockSize   int    `json:"block_size"`
		Capacity    int64  `json:"capacity"`
		FreeBlocks  int64  `json:"free_blocks"`
		FreeExtents int    `json:"free_extents"`
		Reads       int64  `json:"reads"`
		Writes      int64  `json:"writes"`
	}
	devices := []deviceShape{}
	for _, s := range a.store.services {
		for _, d := range s.devices {
			d.mu.Lock()
			devices = append(devices, deviceShape{
				d.id, d.name, s.id, d.blockSize, d.capacity, d.freeBlocks, d.freeExtents(),
				d.reads.Load(), d.writes.Load(),
			})
			d.mu.Unlock()
		}
	}
	return devices, nil
}

func (a *Admin) getFree(r *http.Request) (interface{}, error) {
	id, err := intParameter(r, "device", -1)
	if err != nil {
		return nil, err
	}
	d := a.store.device(int(id))
	if d == nil {
		return nil, fmt.Errorf("device %d: %w", id, errNotFound)
	}
	type freeShape struct {
		Start  int64 `json:"start"`
		Length int64 `json:"length"`
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	free := []freeShape{}
	for f := d.free; f != nil; f = f.next {
		free = append(free, freeShape{f.start, f.length})
	}
	return map[string]interface{}{"device": d.id, "free_blocks": d.freeBlocks, "free": free}, nil
}

func (a *Admin) getQuarantine(*http.Request) (interface{}, error) {
	type badShape struct {
		Device int    `json:"device"`
		Block  int64  `json:"block"`
		Reason string `json:"reason"`
	}
	blocks, damage := a.store.quarantine.walk()
	bad := []badShape{}
	for _, b := range blocks {
		bad = append(bad, badShape{b.device.id, b.block, b.reason})
	}
	a.store.quarantine.mu.Lock()
	defer a.store.quarantine.mu.Unlock()
	return map[string]interface{}{"length": a.store.quarantine.length, "damage": damage, "blocks": bad}, nil
}
