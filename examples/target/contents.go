package main

import (
	"fmt"
	"log"
)

// writeContents replaces the contents of an object in all its units or, if
// one of them fails, in none. The caller holds mu.
func (s *Store) writeContents(object *Object, data []byte) error {
	for _, cob := range object.cobs {
		if err := cob.service.available(); err != nil {
			return err
		}
	}
	contents := stripe(data, s.units, s.blockSize)
	previous := make([][]byte, 0, len(contents))
	for u, cob := range object.cobs {
		var old []byte
		var err error
		if cob.blocks > 0 {
			old, _, err = cob.service.volume.read(cob)
		}
		if err == nil {
			previous = append(previous, old)
			err = cob.service.volume.write(cob, contents[u])
		}
		if err == nil {
			continue
		}
		cob.service.errors.Add(1)
		s.rolledBack.Add(1)
		for v := range previous {
			back := object.cobs[v]
			if e := back.service.volume.write(back, previous[v]); e != nil {
				log.Printf("cob %v: could not be rolled back: %v", back.fid, e)
			}
		}
		return err
	}
	for _, cob := range object.cobs {
		cob.service.writes.Add(1)
	}
	object.size = int64(len(data))
	object.dirty = true
	return nil
}

// readContents reads an object. What one unit can't deliver is computed from
// the others. The caller holds mu.
func (s *Store) readContents(object *Object) ([]byte, error) {
	groups := groupsFor(object.size, s.units, s.blockSize)
	contents := make([][]byte, len(object.cobs))
	lost := make([]int, groups) // the unit that is lost in each group, plus one
	for u, cob := range object.cobs {
		var bad []int64
		err := cob.service.available()
		if err == nil {
			contents[u], bad, err = cob.service.volume.read(cob)
		}
		if err == nil && int64(len(contents[u])) != groups*int64(s.blockSize) {
			err = fmt.Errorf("%d bytes, want %d", len(contents[u]), groups*int64(s.blockSize))
		}
		if err != nil {
			cob.service.errors.Add(1)
			contents[u] = make([]byte, groups*int64(s.blockSize))
			bad = bad[:0]
			for g := int64(0); g < groups; g++ {
				bad = append(bad, g)
			}
		}
		cob.service.reads.Add(1)
		for _, g := range bad {
			if lost[g] != 0 {
				return nil, fmt.Errorf("object %v: units %d and %d of group %d are lost", object.fid, lost[g]-1, u, g)
			}
			lost[g] = u + 1
		}
	}
	for g := range lost {
		if lost[g] == 0 {
			continue
		}
		s.degraded.Add(1)
		block := reconstruct(contents, lost[g]-1, int64(g), s.blockSize)
		copy(contents[lost[g]-1][g*s.blockSize:], block)
	}
	return unstripe(contents, object.size, s.units, s.blockSize), nil
}
