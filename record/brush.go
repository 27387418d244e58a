package record

import (
	"cmp"
	"encoding/binary"
	"slices"

	"ri/record/format"
)

// stretch is windows that one brush paints, and what came of it.
type stretch struct {
	numbers []uint64 // of the windows, in order
	things  []things // that lie in them, by address
	blocks  []format.Encoded
	counts  Counts
}

func (s *stretch) start() uint64 { return s.numbers[0] << windowShift }
func (s *stretch) end() uint64   { return s.numbers[len(s.numbers)-1]<<windowShift + windowSize }

// stretchWindows is how many windows a stretch has at most: 2 MiB.
const stretchWindows = 32

// divider divides things into stretches. Those that lie in several are in each.
type divider struct {
	numbers []uint64 // of the windows that are left
	now     *stretch // nil: all are over
	over    []things // that go on behind it
	to      func(*stretch)
}

// next begins the next stretch.
func (d *divider) next() {
	if d.now != nil {
		d.to(d.now)
	}
	n := min(len(d.numbers), stretchWindows)
	if n == 0 {
		d.now = nil
		return
	}
	d.now = &stretch{numbers: d.numbers[:n:n]}
	d.numbers = d.numbers[n:]
	d.over = slices.DeleteFunc(d.over, func(t things) bool { return t.last()+uint64(t.typ.Size) <= d.now.start() })
	d.now.things = append(d.now.things, d.over...)
	d.over = slices.DeleteFunc(d.over, func(t things) bool { return t.last()+uint64(t.typ.Size) <= d.now.end() })
}

func (d *divider) take(t things) {
	for t.n > 0 && d.now != nil {
		end := d.now.end()
		if t.addr >= end {
			d.next()
			continue
		}
		part := t
		if t.n > 1 && t.last() >= end {
			part.n = uint32((end-1-t.addr)/uint64(t.step)) + 1
		}
		d.now.things = append(d.now.things, part)
		if part.last()+uint64(t.typ.Size) > end {
			d.over = append(d.over, things{rank{part.last(), t.typ, 1, t.step}, t.plan})
		}
		t.addr, t.n = t.at(part.n), t.n-part.n
	}
}

// spread paints all memory, and writes it.
func (p *painter) spread(s *Sight, single []typedAt) {
	numbers := windows(s, p.kept)
	done, total := int64(0), int64(len(numbers))
	lines := newLine(func() func(*stretch) { return newBrush(p, s).do }, func(st *stretch) {
		for _, e := range st.blocks {
			p.out.put(&job{encoded: e, ok: true})
		}
		p.counts.add(&st.counts)
		done += int64(len(st.numbers))
		p.step(done>>4, total>>4, "writing the recording, MiB of memory")
	}, p.out.fail)
	d := divider{numbers: numbers, to: lines.add}
	d.next()
	s.all(single, p.view, func(r rank) {
		if d.now != nil && !p.over() {
			d.take(things{r, p.of(r.typ, r.addr)})
		}
	})
	for d.now != nil && !p.over() {
		d.next()
	}
	lines.close()
}

func (c *Counts) add(more *Counts) {
	c.Kept += more.Kept
	c.Denied += more.Denied
	c.Unknown += more.Unknown
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

// brush paints one window after the other, with things that come by address. It is for one goroutine.
type brush struct {
	window
	numbers      []uint64 // of the windows that are left, in order
	opened       bool     // the first of them
	across       []things // each is one
	kept, denied []extent
	memory       *runs
	led          []byte // the origins that were not written yet
	scratch      []byte
	to           *stretch
}

func newBrush(p *painter, s *Sight) *brush {
	b := &brush{window: window{painter: p, glance: glance{sight: s}}}
	b.memory = &runs{name: format.MemoryBlock(p.look), take: b.block, buffer: func() []byte { return b.scratch[:0] }}
	return b
}

// do paints a stretch.
func (b *brush) do(s *stretch) {
	if b.painter.over() {
		return
	}
	b.to, b.numbers, b.opened, b.across, b.counts = s, s.numbers, false, b.across[:0], Counts{}
	b.kept, b.denied = from(b.painter.kept, s.start()), from(b.painter.denied, s.start())
	for i := range s.things {
		t := &s.things[i]
		for k := range t.n {
			b.take(t, t.at(k))
		}
	}
	b.upTo(1<<64 - 1)
	b.memory.flush()
	b.writeLed()
	s.things, s.counts = nil, b.counts
}

// block makes a block ready.
func (b *brush) block(j job) {
	if j.name == format.MemoryBlock(b.look) {
		b.scratch = j.data
		b.writeLed() // which belongs before it
	}
	e, err := b.out.to.Encode(j.name, j.data, j.low, j.high)
	if err != nil {
		b.out.fail(err)
		return
	}
	b.to.blocks = append(b.to.blocks, e)
}

// take paints a thing, as far as it lies in the window that is open. What goes on behind it waits for the next one.
func (b *brush) take(t *things, addr uint64) {
	b.upTo(addr)
	end := addr + uint64(t.typ.Size)
	if len(b.numbers) == 0 || end <= b.numbers[0]<<windowShift {
		return
	}
	b.begin()
	b.thing(t.plan, addr)
	if end > b.end() {
		b.across = append(b.across, things{rank{addr, t.typ, 1, t.step}, t.plan})
	}
}

func (b *brush) thing(plan *plan, addr uint64) {
	b.runtime = plan.runtime
	b.paint(plan, addr)
}

// begin opens the first window that is left.
func (b *brush) begin() {
	if b.opened {
		return
	}
	b.opened = true
	b.open(b.numbers[0] << windowShift)
	for _, t := range b.across {
		b.thing(t.plan, t.addr)
	}
}

// upTo writes the windows that end at an address or before it.
func (b *brush) upTo(addr uint64) {
	for len(b.numbers) > 0 && b.numbers[0]<<windowShift+windowSize <= addr {
		b.begin()
		b.kept, b.denied = from(b.kept, b.start), from(b.denied, b.start)
		b.fill(b.kept, b.denied)
		b.lead()
		b.cut(b.memory)
		end := b.end()
		b.across = slices.DeleteFunc(b.across, func(t things) bool { return t.addr+uint64(t.typ.Size) <= end })
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
		b.block(job{name: format.OriginsBlock, data: b.led, low: low, high: high})
		b.led = b.led[:0]
	}
}

// from leaves out the extents that end at an address or before it. They are sorted, and don't overlap.
func from(list []extent, addr uint64) []extent {
	if len(list) == 0 || list[0].end() > addr {
		return list
	}
	n, _ := slices.BinarySearchFunc(list, addr, func(e extent, addr uint64) int {
		if e.end() <= addr {
			return -1
		}
		return 1
	})
	return list[n:]
}
