package main

import (
	"fmt"
	"net/http"
	"strconv"
)

// What Admin tells of objects: their names, cobs, extents and metadata.

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
