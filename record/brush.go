package record

import (
	"cmp"
	"encoding/binary"
	"slices"

	"ri/record/format"
)

// brush paints one window after the other, with things that come by address.
type brush struct {
	window
	numbers      []uint64 // of the windows that are left, in order
	total        int
	opened       bool // the first of them
	across       []typedAt
	kept, denied []extent
	out          *runs
	led          []byte // the origins that were not written yet
}

func newBrush(p *painter, s *Sight) *brush {
	numbers := windows(s, p.kept)
	b := &brush{window: window{painter: p, sight: s}, numbers: numbers, total: len(numbers), kept: p.kept,
		denied: p.denied, out: &runs{name: format.MemoryBlock(p.look), out: p.out}}
	b.out.ahead = b.writeLed
	return b
}

// windows are the numbers of all of which something was read, or is kept.
func windows(s *Sight, kept []extent) (out []uint64) {
	add := func(n uint64) {
		if k := len(out) - 1; k < 0 || out[k] != n {
			out = append(out, n)
		}
	}
	for page := range s.words {
		add(page * pageSize >> windowShift)
	}
	for _, e := range kept {
		for n := e.addr >> windowShift; n <= (e.end()-1)>>windowShift; n++ {
			add(n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// take paints a thing, as far as it lies in the window that is open. What goes on behind it waits for the next one.
func (b *brush) take(t typedAt) {
	b.upTo(t.addr)
	end := t.addr + uint64(t.typ.Size)
	if len(b.numbers) == 0 || end <= b.numbers[0]<<windowShift {
		return
	}
	b.begin()
	b.thing(t)
	if end > b.end() {
		b.across = append(b.across, t)
	}
}

func (b *brush) thing(t typedAt) {
	plan := b.of(t)
	b.runtime = plan.runtime
	b.paint(plan, t.addr)
}

// begin opens the first window that is left.
func (b *brush) begin() {
	if b.opened {
		return
	}
	b.opened = true
	b.open(b.numbers[0] << windowShift)
	for _, t := range b.across {
		b.thing(t)
	}
}

// upTo writes the windows that end at an address or before it.
func (b *brush) upTo(addr uint64) {
	for len(b.numbers) > 0 && b.numbers[0]<<windowShift+windowSize <= addr {
		if done := b.total - len(b.numbers); done%64 == 0 {
			b.step(int64(done)>>4, int64(b.total)>>4, "writing the recording, MiB of memory")
		}
		if b.over {
			b.numbers = nil
			return
		}
		b.begin()
		b.kept, b.denied = from(b.kept, b.start), from(b.denied, b.start)
		b.fill(b.kept, b.denied)
		b.lead()
		b.cut(b.out)
		end := b.end()
		b.across = slices.DeleteFunc(b.across, func(t typedAt) bool { return t.addr+uint64(t.typ.Size) <= end })
		b.numbers, b.opened = b.numbers[1:], false
	}
}

// lead writes where the window's headers led. Memory is the same at later looks, or isn't walked by what was there.
func (b *brush) lead() {
	if b.look == 1 {
		slices.SortFunc(b.origins, func(x, y [2]uint64) int { return cmp.Compare(x[0], y[0]) })
		for i, o := range b.origins {
			if i > 0 && o[0] == b.origins[i-1][0] {
				continue // two things say that it is a header
			}
			if b.led == nil {
				b.led = b.painter.out.buffer()
			}
			b.led = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b.led, o[0]), o[1])
		}
		if len(b.led) >= blockBytes {
			b.writeLed()
		}
	}
	b.origins = b.origins[:0]
}

func (b *brush) writeLed() {
	if len(b.led) > 0 {
		low := binary.LittleEndian.Uint64(b.led)
		high := binary.LittleEndian.Uint64(b.led[len(b.led)-16:]) + 8
		b.painter.out.block(job{format.OriginsBlock, b.led, low, high})
		b.led = nil
	}
}

// close writes what is left.
func (b *brush) close() {
	b.upTo(1<<64 - 1)
	b.out.flush()
	b.writeLed()
}

// from leaves out the extents that end at an address or before it.
func from(list []extent, addr uint64) []extent {
	for len(list) > 0 && list[0].end() <= addr {
		list = list[1:]
	}
	return list
}
