package attach

import "unsafe"

// Warm brings the byte at addr nearer to the processor if the cache has it at hand, and does nothing else. Who will read from many unrelated
// addresses asks this of some of them first: the processor fetches them at the same time, not one after the other.
func (c *Cache) Warm(addr uint64) byte {
	key := addr>>chunkShift + 1
	e := &c.look[key%lookasides]
	if off := addr&chunkMask - e.low; e.key == key && off < e.size {
		return *(*byte)(unsafe.Add(e.base, addr&chunkMask))
	}
	return 0
}
