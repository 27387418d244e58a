package main

import "fmt"

// Cob is a component object: one unit of an object in all its parity groups,
// kept on one device of one service.
type Cob struct {
	fid     Fid
	object  Fid // the object that it is part of
	unit    int // 0 to N-1 data, N parity
	service *Service
	device  *Device
	blocks  int64   // size in blocks
	extents *Extent // its blocks on the device; nil if the device is elsewhere
}

// Volume is how the contents of component objects are reached. What is read
// and written is always a whole component object.
type Volume interface {
	// write replaces the contents, whose length is a multiple of the block size.
	write(cob *Cob, contents []byte) error
	// read returns the contents and which of its blocks fail their checksum.
	read(cob *Cob) (contents []byte, bad []int64, err error)
	// remove frees what the component object occupies.
	remove(cob *Cob) error
}

// localVolume reaches devices in this process.
type localVolume struct {
	blockSize int
}

func (v localVolume) write(cob *Cob, contents []byte) error {
	d := cob.device
	d.mu.Lock()
	defer d.mu.Unlock()
	blocks := int64(len(contents) / v.blockSize)
	if blocks != cob.blocks {
		extents, err := d.allocate(blocks)
		if err != nil {
			return err
		}
		d.release(cob.extents)
		cob.extents, cob.blocks = extents, blocks
	}
	for e := cob.extents; e != nil; e = e.next {
		for i := int64(0); i < e.length; i++ {
			at := (e.offset + i) * int64(v.blockSize)
			d.writeBlock(e.start+i, contents[at:at+int64(v.blockSize)])
		}
	}
	return nil
}

func (v localVolume) read(cob *Cob) (contents []byte, bad []int64, err error) {
	d := cob.device
	d.mu.Lock()
	defer d.mu.Unlock()
	contents = make([]byte, 0, cob.blocks*int64(v.blockSize))
	for e := cob.extents; e != nil; e = e.next {
		for i := int64(0); i < e.length; i++ {
			if !d.intact(e.start + i) {
				bad = append(bad, e.offset+i)
			}
			contents = append(contents, d.block(e.start+i)...)
			d.reads.Add(1)
		}
	}
	if int64(len(contents)) != cob.blocks*int64(v.blockSize) {
		return nil, nil, fmt.Errorf("cob %v: %d blocks in extents, want %d", cob.fid, len(contents)/v.blockSize, cob.blocks)
	}
	return contents, bad, nil
}

func (v localVolume) remove(cob *Cob) error {
	d := cob.device
	d.mu.Lock()
	defer d.mu.Unlock()
	d.release(cob.extents)
	cob.extents, cob.blocks = nil, 0
	return nil
}

// deviceBlock finds the device block that holds a block of the component
// object. The caller holds Store.mu.
func (c *Cob) deviceBlock(block int64) (int64, bool) {
	for e := c.extents; e != nil; e = e.next {
		if block >= e.offset && block < e.offset+e.length {
			return e.start + block - e.offset, true
		}
	}
	return 0, false
}
