package record

import (
	"slices"

	"ri/record/format"
)

// brush paints one window after the other, with things that come by address.
type brush struct {
	window
	numbers      []uint64 // of the windows that are left, in order
	opened       bool     // the first of them
	across       []typedAt
	kept, denied []extent
	out          *runs
}

func newBrush(p *painter, s *Sight) *brush {
	return &brush{window: window{painter: p, sight: s}, numbers: windows(s, p.kept), kept: p.kept, denied: p.denied,
		out: &runs{name: format.MemoryBlock(p.look), out: p.out}}
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
		b.begin()
		b.kept, b.denied = from(b.kept, b.start), from(b.denied, b.start)
		b.fill(b.kept, b.denied)
		b.cut(b.out)
		end := b.end()
		b.across = slices.DeleteFunc(b.across, func(t typedAt) bool { return t.addr+uint64(t.typ.Size) <= end })
		b.numbers, b.opened = b.numbers[1:], false
	}
}

// from leaves out the extents that end at an address or before it.
func from(list []extent, addr uint64) []extent {
	for len(list) > 0 && list[0].end() <= addr {
		list = list[1:]
	}
	return list
}
