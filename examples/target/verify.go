package main

import "fmt"

const maxViolations = 1000

// Verdict is what a verification found.
type Verdict struct {
	Result     string   `json:"result"` // ok or violated
	Violations []string `json:"violations"`
	Truncated  bool     `json:"truncated"` // there are more violations
	Objects    int      `json:"objects"`
	Cobs       int      `json:"cobs"`
	Nodes      int      `json:"nodes"`
	Blocks     int64    `json:"blocks"` // on the devices of this process
}

func (v *Verdict) report(format string, args ...interface{}) {
	v.Result = "violated"
	if len(v.Violations) == maxViolations {
		v.Truncated = true
		return
	}
	v.Violations = append(v.Violations, fmt.Sprintf(format, args...))
}

// verify checks everything the store promises. Nothing changes meanwhile.
func (s *Store) verify() *Verdict {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := &Verdict{Result: "ok", Violations: []string{}}
	v.Objects, v.Cobs, v.Nodes = len(s.objects), len(s.cobs), len(s.tree.nodes)
	s.tree.check(v.report)
	s.verifyNames(v)
	s.tree.scan("", func(_ string, fid Fid) bool {
		if object := s.objects[fid]; object != nil {
			s.verifyObject(v, object)
		}
		return true
	})
	for _, cob := range s.cobs {
		if s.objects[cob.object] == nil {
			s.verifyCob(v, cob)
		}
	}
	s.verifySpace(v)
	return v
}

// verifyNames checks that names, objects and metadata belong to each other.
func (s *Store) verifyNames(v *Verdict) {
	s.tree.scan("", func(name string, fid Fid) bool {
		if object := s.objects[fid]; object == nil || object.name != name {
			v.report("name %q: no object %v of that name", name, fid)
		}
		return true
	})
	if s.tree.size != len(s.objects) || len(s.metadata) != len(s.objects) {
		v.report("%d names, %d objects, %d metadata records", s.tree.size, len(s.objects), len(s.metadata))
	}
	for fid, m := range s.metadata {
		object := s.objects[fid]
		switch {
		case object == nil || m.fid != fid:
			v.report("metadata %v: no such object", fid)
		case m.checksum != m.sum():
			v.report("metadata %v: checksum is %08x, want %08x", fid, m.checksum, m.sum())
		case m.size != object.size:
			v.report("metadata %v: size is %d, the object's %d", fid, m.size, object.size)
		}
	}
}

// verifyObject checks the parity and, where the contents are in this process,
// the checksums of an object.
func (s *Store) verifyObject(v *Verdict, object *Object) {
	groups := groupsFor(object.size, s.units, s.blockSize)
	contents := make([][]byte, len(object.cobs))
	for u, cob := range object.cobs {
		if s.cobs[cob.fid] != cob || cob.fid != cobFid(object.fid, u) || cob.unit != u || cob.object != object.fid {
			v.report("object %v: cob %v of unit %d is not its own", object.fid, cob.fid, u)
		}
		data := s.verifyCob(v, cob)
		if data == nil {
			return
		}
		if int64(len(data)) != groups*int64(s.blockSize) {
			v.report("object %v: cob %v has %d bytes, want %d", object.fid, cob.fid, len(data), groups*int64(s.blockSize))
			return
		}
		contents[u] = data
	}
	for g := int64(0); g < groups; g++ {
		if !consistent(contents, g, s.blockSize) {
			v.report("object %v: group %d: parity doesn't match", object.fid, g)
		}
	}
}

// verifyCob checks the checksums of a component object's blocks, and returns
// its contents unless they can't be read.
func (s *Store) verifyCob(v *Verdict, cob *Cob) []byte {
	data, bad, err := cob.service.volume.read(cob)
	if err != nil {
		v.report("object %v: cob %v: %v", cob.object, cob.fid, err)
		return nil
	}
	for _, block := range bad {
		at, _ := cob.deviceBlock(block)
		v.report("object %v: cob %v: block %d (%s block %d): checksum doesn't match", cob.object, cob.fid, block,
			cob.device.name, at)
	}
	if data == nil {
		data = []byte{}
	}
	return data
}

// verifySpace checks that each block of each device of this process is free,
// in quarantine or in one component object, and only one of these.
func (s *Store) verifySpace(v *Verdict) {
	used := make(map[*Device][]bool)
	claim := func(d *Device, start, length int64, by string) {
		for b := start; b < start+length; b++ {
			if b < 0 || b >= d.capacity {
				v.report("%s: %s has block %d, beyond the end", d.name, by, b)
				return
			}
			if used[d][b] {
				v.report("%s: block %d is used twice, once by %s", d.name, b, by)
			}
			used[d][b] = true
		}
	}
	for _, d := range s.devices {
		if d.capacity == 0 {
			continue // the blocks are elsewhere
		}
		used[d] = make([]bool, d.capacity)
		v.Blocks += d.capacity
		d.mu.Lock()
		free, last := int64(0), int64(-1)
		for f := d.free; f != nil; f = f.next {
			if f.start <= last || f.length < 1 {
				v.report("%s: free extent at block %d is out of order", d.name, f.start)
				break
			}
			claim(d, f.start, f.length, "the free list")
			free += f.length
			last = f.start + f.length
		}
		if free != d.freeBlocks {
			v.report("%s: %d blocks in the free list, counted %d", d.name, free, d.freeBlocks)
		}
		d.mu.Unlock()
	}
	bad, damage := s.quarantine.walk()
	if damage != "" {
		v.report("quarantine: %s", damage)
	}
	for _, b := range bad {
		claim(b.device, b.block, 1, "the quarantine")
	}
	for _, cob := range s.cobs {
		offset := int64(0)
		for e := cob.extents; e != nil; e = e.next {
			if e.offset != offset {
				v.report("cob %v: extent at %d, want one at %d", cob.fid, e.offset, offset)
			}
			offset = e.offset + e.length
			claim(cob.device, e.start, e.length, "cob "+cob.fid.String())
		}
	}
	for _, d := range s.devices {
		for b, in := range used[d] {
			if !in && damage == "" {
				v.report("%s: block %d is neither used nor free", d.name, b)
			}
		}
	}
}
