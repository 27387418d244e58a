package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
)

var errNoSpace = errors.New("no space left on the device")

// Device is a simulated disk: an array of blocks, each with the checksum of
// its contents, and the list of the extents that are free.
type Device struct {
	id      int
	name    string
	service *Service

	mu         sync.Mutex
	blockSize  int
	capacity   int64       // number of blocks
	data       []byte      // contents; block n is data[n*blockSize : (n+1)*blockSize]
	checksums  []uint32    // crc32 (IEEE) of each block's contents
	free       *FreeExtent // free extents in the order of their blocks
	freeBlocks int64       // number of blocks in them

	Counters
}

// FreeExtent is a run of free blocks of a device.
type FreeExtent struct {
	start  int64
	length int64
	next   *FreeExtent
}

// Extent says which blocks of a device hold a range of a component object.
// All three numbers count blocks.
type Extent struct {
	offset int64 // in the component object
	start  int64 // on the device
	length int64
	next   *Extent
}

// newDevice makes a device of which all blocks are free but those listed in
// bad, in ascending order.
func newDevice(id int, service *Service, capacity int64, blockSize int, bad []int64) *Device {
	d := &Device{
		id:        id,
		name:      fmt.Sprintf("disk-%d", id),
		service:   service,
		blockSize: blockSize,
		capacity:  capacity,
		data:      make([]byte, capacity*int64(blockSize)),
		checksums: make([]uint32, capacity),
	}
	zero := crc32.ChecksumIEEE(make([]byte, blockSize))
	for i := range d.checksums {
		d.checksums[i] = zero
	}
	link := &d.free
	start := int64(0)
	for _, end := range append(append([]int64(nil), bad...), capacity) {
		if end > start {
			*link = &FreeExtent{start: start, length: end - start}
			link = &(*link).next
			d.freeBlocks += end - start
		}
		start = end + 1
	}
	return d
}

// block is the contents of block n.
func (d *Device) block(n int64) []byte {
	size := int64(d.blockSize)
	return d.data[n*size : (n+1)*size : (n+1)*size]
}

// writeBlock stores one block and its checksum. The caller holds d.mu.
func (d *Device) writeBlock(n int64, contents []byte) {
	b := d.block(n)
	copy(b, contents)
	d.checksums[n] = crc32.ChecksumIEEE(b)
	d.writes.Add(1)
}

// intact says whether block n still is what was written. The caller holds d.mu.
func (d *Device) intact(n int64) bool {
	return crc32.ChecksumIEEE(d.block(n)) == d.checksums[n]
}

// allocate takes blocks from the front of the free list, in as many extents
// as it needs. The caller holds d.mu.
func (d *Device) allocate(blocks int64) (*Extent, error) {
	if blocks > d.freeBlocks {
		return nil, fmt.Errorf("%s: %w", d.name, errNoSpace)
	}
	var first *Extent
	link := &first
	for offset := int64(0); offset < blocks; {
		f := d.free
		n := blocks - offset
		if f.length < n {
			n = f.length
		}
		*link = &Extent{offset: offset, start: f.start, length: n}
		link = &(*link).next
		offset += n
		f.start += n
		f.length -= n
		d.freeBlocks -= n
		if f.length == 0 {
			d.free = f.next
		}
	}
	return first, nil
}

// release puts extents back into the free list, joining neighbours. The
// caller holds d.mu.
func (d *Device) release(extents *Extent) {
	for e := extents; e != nil; e = e.next {
		var left *FreeExtent
		right := d.free
		for right != nil && right.start < e.start {
			left, right = right, right.next
		}
		d.freeBlocks += e.length
		joinsLeft := left != nil && left.start+left.length == e.start
		joinsRight := right != nil && e.start+e.length == right.start
		switch {
		case joinsLeft && joinsRight:
			left.length += e.length + right.length
			left.next = right.next
		case joinsLeft:
			left.length += e.length
		case joinsRight:
			right.start = e.start
			right.length += e.length
		default:
			f := &FreeExtent{start: e.start, length: e.length, next: right}
			if left == nil {
				d.free = f
			} else {
				left.next = f
			}
		}
	}
}

// freeExtents counts the elements of the free list. The caller holds d.mu.
func (d *Device) freeExtents() int {
	count := 0
	for f := d.free; f != nil; f = f.next {
		count++
	}
	return count
}
