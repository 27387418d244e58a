package recorded

import (
	"encoding/binary"
	"fmt"
	"sort"
	"sync"

	"ri/record/format"
)

// pair is the size of an origin: the address of a header, and the pointer that was there.
const pair = 16

// heldOrigins is how many bytes of blocks of origins are held.
const heldOrigins = 64 << 20

// origins are format.OriginsBlock, a block at a time. They are safe for concurrent use.
type origins struct {
	file *format.Reader

	mu     sync.Mutex
	blocks []originBlock // in order of address
	bound  bool          // the blocks are known
	held   int64
}

type originBlock struct {
	format.Block
	data []byte
}

// find lists the blocks. Those of older files don't say where they lie, and are read for it; what is out of order in
// them is not found.
func (o *origins) find() error {
	if o.bound {
		return nil
	}
	var found []originBlock
	last := uint64(0)
	for _, b := range o.file.Blocks() {
		if b.Name != format.OriginsBlock {
			continue
		}
		one, old := originBlock{Block: b}, b.Low == 0 && b.High == 0
		if old {
			data, err := o.file.Read(b)
			if err != nil {
				return err
			}
			if len(data) < pair {
				continue
			}
			one.Low = binary.LittleEndian.Uint64(data)
			one.High = binary.LittleEndian.Uint64(data[len(data)/pair*pair-pair:]) + 8
		}
		if !old && (one.Low < last || one.High <= one.Low) {
			return fmt.Errorf("blocks of origins at %#x: not in order: %w", one.Low, format.ErrMalformed)
		}
		last = max(last, one.High)
		found = append(found, one)
	}
	o.blocks, o.bound = found, true
	return nil
}

// put puts the pointers that were there into bytes from an address on.
func (o *origins) put(p []byte, addr uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.find(); err != nil {
		return err
	}
	end := addr + uint64(len(p))
	for i := sort.Search(len(o.blocks), func(i int) bool { return o.blocks[i].High > addr }); i < len(o.blocks) &&
		o.blocks[i].Low < end; i++ {
		list, err := o.load(i)
		if err != nil {
			return err
		}
		at := func(k int) uint64 { return binary.LittleEndian.Uint64(list[pair*k:]) }
		for k := sort.Search(len(list)/pair, func(k int) bool { return at(k) >= addr }); k < len(list)/pair; k++ {
			off := at(k) - addr
			if off >= uint64(len(p)) || uint64(len(p))-off < 8 {
				break
			}
			copy(p[off:], list[pair*k+8:pair*k+16])
		}
	}
	return nil
}

func (o *origins) load(i int) ([]byte, error) {
	b := &o.blocks[i]
	if b.data == nil {
		if o.held > heldOrigins {
			for k := range o.blocks {
				o.blocks[k].data = nil
			}
			o.held = 0
		}
		data, err := o.file.Read(b.Block)
		if err != nil {
			return nil, err
		}
		b.data = data[: len(data)/pair*pair : len(data)/pair*pair]
		o.held += int64(len(data))
	}
	return b.data, nil
}
