package main

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The shapes of what Admin tells of each structure.

type cobShape struct {
	Fid        Fid    `json:"fid"`
	Object     Fid    `json:"object"`
	Unit       int    `json:"unit"`
	Parity     bool   `json:"parity"`
	Service    int    `json:"service"`
	ServiceIs  string `json:"service_name"`
	Device     int    `json:"device"`
	DeviceIs   string `json:"device_name"`
	Blocks     int64  `json:"blocks"`
	StoreIs    string `json:"store"` // where its blocks are; empty: here
	ExtentsNum int    `json:"extents"`
}

func (a *Admin) cobShape(c *Cob) cobShape {
	extents := 0
	for e := c.extents; e != nil; e = e.next {
		extents++
	}
	return cobShape{
		c.fid, c.object, c.unit, c.unit == a.store.units, c.service.id, c.service.name,
		c.device.id, c.device.name, c.blocks, c.service.address, extents,
	}
}

func (a *Admin) getObject(r *http.Request) (interface{}, error) {
	a.store.mu.RLock()
	defer a.store.mu.RUnlock()
	object, err := a.object(r)
	if err != nil {
		return nil, err
	}
	cobs := []Fid{}
	for _, c := range object.cobs {
		cobs = append(cobs, c.fid)
	}
	return map[string]interface{}{
		"name": object.name, "fid": object.fid, "size": object.size, "cobs": cobs,
	}, nil
}

func (a *Admin) getCobs(r *http.Request) (interface{}, error) {
	a.store.mu.RLock()
	defer a.store.mu.RUnlock()
	object, err := a.object(r)
	if err != nil {
		return nil, err
	}
	cobs := []cobShape{}
	for _, c := range object.cobs {
		cobs = append(cobs, a.cobShape(c))
	}
	return map[string]interface{}{
		"name": object.name, "fid": object.fid, "units": a.store.units,
		"groups": groupsFor(object.size, a.store.units, a.store.blockSize), "cobs": cobs,
	}, nil
}

func (a *Admin) getCob(r *http.Request) (interface{}, error) {
	a.store.mu.RLock()
	defer a.store.mu.RUnlock()
	cob, err := a.cob(r, "fid")
	if err != nil {
		return nil, err
	}
	return a.cobShape(cob), nil
}

func (a *Admin) getExtents(r *http.Request) (interface{}, error) {
	a.store.mu.RLock()
	defer a.store.mu.RUnlock()
	cob, err := a.cob(r, "cob")
	if err != nil {
		return nil, err
	}
	type extentShape struct {
		Offset int64 `json:"offset"`
		Start  int64 `json:"start"`
		Length int64 `json:"length"`
	}
	type blockShape struct {
		Block    int64  `json:"block"` // on the device
		Checksum string `json:"checksum"`
		Intact   bool   `json:"intact"`
	}
	extents, blocks := []extentShape{}, []blockShape{}
	d := cob.device
	d.mu.Lock()
	defer d.mu.Unlock()
	for e := cob.extents; e != nil; e = e.next {
		extents = append(extents, extentShape{e.offset, e.start, e.length})
		for b := e.start; b < e.start+e.length; b++ {
			blocks = append(blocks, blockShape{b, fmt.Sprintf("%08x", d.checksums[b]), d.intact(b)})
		}
	}
	return map[string]interface{}{
		"cob": cob.fid, "device": d.id, "device_name": d.name, "store": cob.service.address,
		"extents": extents, "blocks": blocks,
	}, nil
}

type nodeShape struct {
	ID       uint64   `json:"id"`
	Level    int      `json:"level"`
	Keys     []string `json:"keys"`
	Children []uint64 `json:"children"` // empty in a leaf
	Fids     []Fid    `json:"fids"`     // empty above the leaves
	Next     uint64   `json:"next"`     // 0: none
}

func shapeNode(n *Node) nodeShape {
	shape := nodeShape{
		ID: n.id, Level: n.level,
		Keys: append([]string{}, n.keys...), Children: []uint64{}, Fids: append([]Fid{}, n.fids...),
	}
	for _, c := range n.children {
		shape.Children = append(shape.Children, c.id)
	}
	if n.next != nil {
		shape.Next = n.next.id
	}
	return shape
}

func (a *Admin) getNode(r *http.Request) (interface{}, error) {
	text, err := parameter(r, "id")
	if err != nil {
		return nil, err
	}
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, err
	}
	a.store.mu.RLock()
	defer a.store.mu.RUnlock()
	n := a.store.tree.nodes[id]
	if n == nil {
		return nil, fmt.Errorf("node %d: %w", id, errNotFound)
	}
	return shapeNode(n), nil
}

func (a *Admin) getPath(r *http.Request) (interface{}, error) {
	name, err := parameter(r, "name")
	if err != nil {
		return nil, err
	}
	a.store.mu.RLock()
	defer a.store.mu.RUnlock()
	nodes := []nodeShape{}
	for _, n := range a.store.tree.path(name) {
		nodes = append(nodes, shapeNode(n))
	}
	_, found := a.store.tree.lookup(name)
	return map[string]interface{}{"name": name, "found": found, "path": nodes}, nil
}

func (a *Admin) getTree(*http.Request) (interface{}, error) {
	a.store.mu.RLock()
	defer a.store.mu.RUnlock()
	t := a.store.tree
	return map[string]interface{}{
		"root": t.root.id, "height": t.height, "nodes": len(t.nodes), "size": t.size, "fanout": t.fanout,
	}, nil
}

func (a *Admin) getMetadata(r *http.Request) (interface{}, error) {
	a.store.mu.RLock()
	defer a.store.mu.RUnlock()
	object, err := a.object(r)
	if err != nil {
		return nil, err
	}
	m := a.store.metadata[object.fid]
	attrs := make(map[string]string, len(m.attrs))
	for key, value := range m.attrs {
		attrs[key] = value
	}
	return map[string]interface{}{
		"name": object.name, "fid": m.fid, "version": m.version,
		"checksum": fmt.Sprintf("%08x", m.checksum), "valid": m.checksum == m.sum(), "dirty": m.dirty,
		"owner": m.owner, "size": m.size, "mtime": m.mtime, "mtime_ns": m.mtime.UnixNano(), "attrs": attrs,
	}, nil
}

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
