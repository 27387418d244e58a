package dwarf

import (
	"encoding/binary"

	"ri/symbols/sparse"
)

// buf reads little-endian data and remembers running out.
type buf struct {
	data []byte
	off  uint64
	base uint64 // where data begins in its section
	bad  bool
}

// at begins to read at an offset of a section. What isn't there is as if the section ended before it.
func at(b *sparse.Bytes, off uint64) buf {
	data, base := b.Window(off)
	return buf{data: data, off: off - base, base: base}
}

// pos is the offset in the section.
func (b *buf) pos() uint64 { return b.base + b.off }

func (b *buf) take(n uint64) []byte {
	if b.bad || n > uint64(len(b.data)) || b.off > uint64(len(b.data))-n {
		b.bad = true
		return nil
	}
	p := b.data[b.off : b.off+n]
	b.off += n
	return p
}

func (b *buf) u8() uint8 {
	if b.off >= uint64(len(b.data)) {
		b.bad = true
		return 0
	}
	v := b.data[b.off]
	b.off++
	return v
}

func (b *buf) u16() uint16 {
	if p := b.take(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

func (b *buf) u32() uint32 {
	if p := b.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (b *buf) u64() uint64 {
	if p := b.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (b *buf) uleb() uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		c := b.u8()
		if b.bad {
			return 0
		}
		if shift < 64 {
			v |= uint64(c&0x7f) << shift
		}
		if c&0x80 == 0 {
			return v
		}
	}
}

func (b *buf) sleb() int64 {
	var v int64
	for shift := uint(0); ; {
		c := b.u8()
		if b.bad {
			return 0
		}
		if shift < 64 {
			v |= int64(c&0x7f) << shift
		}
		shift += 7
		if c&0x80 == 0 {
			if c&0x40 != 0 && shift < 64 {
				v |= -1 << shift
			}
			return v
		}
	}
}

func (b *buf) cstring() []byte {
	for i := b.off; i < uint64(len(b.data)); i++ {
		if b.data[i] == 0 {
			s := b.data[b.off:i]
			b.off = i + 1
			return s
		}
	}
	b.bad = true
	return nil
}

// maxText bounds a text that entries share, in bytes: many may be of one long text.
const maxText = 1 << 12

func cstringAt(data *sparse.Bytes, off uint64) []byte {
	b := at(data, off)
	b.data = b.data[:min(uint64(len(b.data)), b.off+maxText)]
	s := b.cstring()
	data.Note(off, b.pos())
	return s
}
