package kernel

import (
	"github.com/cilium/ebpf/asm"

	"ri/probe"
)

// A probe that counts keeps a table in the kernel: the keys By to how often, and of calls how long they took.
//
//	key:   which were not read (32 bits unreadable, 32 bits behind a nil; both: isn't there), then of each its word, or
//	       the length of a text and its first bytes, padded with zeros
//	value: count, nanoseconds, and with a histogram 64 buckets
//	open:  by callKey, the time of the entry and the key
const (
	rowCount     = 0
	rowTotal     = 8
	rowBuckets   = 16
	rowSize      = 16
	rowHistogram = rowSize + 64*8
	maxBy        = 8
)

func keySize(p *probe.Probe) int {
	size := 8
	for _, k := range p.By {
		size += partSize(k)
	}
	return size
}

// partSize is what one of By takes of a key.
func partSize(k probe.Key) int { return 8 + k.Bytes }

func openSize(p *probe.Probe) int { return 8 + keySize(p) }
func rowSizeOf(p *probe.Probe) int {
	if p.Histogram {
		return rowHistogram
	}
	return rowSize
}

// tabled says whether a probe has a table: one without counts in its counters.
func tabled(p *probe.Probe) bool { return p.Histogram || p.Count && len(p.By) > 0 }

// by puts the key of the table onto the stack.
func (g *generator) by(at int) {
	g.set(asm.R1, 0)
	g.store(frame, at, asm.R1)
	place := at + 8
	for i, k := range g.probe.By {
		missing := func(bit int) {
			g.load(asm.R1, frame, at)
			g.add(asm.LoadImm(asm.R2, 1<<bit, asm.DWord), asm.Or.Reg(asm.R1, asm.R2))
			g.store(frame, at, asm.R1)
			g.set(scratch, 0)
		}
		g.set(asm.R1, 0)
		for off := 8; off <= k.Bytes; off += 8 {
			g.store(frame, place+off, asm.R1)
		}
		null, unreadable, have, absent := g.label(), g.label(), g.label(), g.label()
		for _, c := range k.When {
			g.guard(c, absent)
		}
		f := fails{null: null, unreadable: unreadable, absent: null}
		if k.Len != nil {
			g.textKey(k, place, f)
		} else {
			g.word(g.inline(k.Word), f)
		}
		g.jump(have)
		g.place(null)
		missing(32 + i)
		g.jump(have)
		g.place(absent)
		missing(32 + i)
		g.place(unreadable)
		missing(i)
		g.place(have)
		g.store(frame, place, scratch)
		place += partSize(k)
	}
}

// textKey puts the first bytes of a text behind its length's place, over zeros, and leaves the length in scratch. Bytes
// that could not be read are zeros: the helpers clear them.
func (g *generator) textKey(k probe.Key, place int, f fails) {
	none, whole := g.label(), g.label()
	length := *k.Len
	length.Signed = true
	g.word(g.inline(length), f)
	g.store(frame, place, scratch)
	g.if_(asm.JSLE, scratch, 0, none)
	g.if_(asm.JLE, scratch, int32(k.Bytes), whole)
	g.set(scratch, int32(k.Bytes))
	g.place(whole)
	g.store(frame, g.slots.count, scratch)
	g.word(g.inline(k.Word), f)
	g.if_(asm.JEq, scratch, 0, f.null)
	args := len(g.code)
	g.load(asm.R2, frame, g.slots.count)
	g.addr(asm.R1, place+8)
	g.mov(asm.R3, scratch)
	g.copyUser(args, f.unreadable)
	g.place(none)
	g.load(scratch, frame, place)
}

// row finds the row of a key on the stack, or makes it, and leaves its address in R0.
func (g *generator) row(key int, full label) {
	have := g.label()
	lookup := func() {
		g.add(asm.LoadMapPtr(asm.R1, g.maps.table))
		g.addr(asm.R2, key)
		g.call(asm.FnMapLookupElem)
	}
	lookup()
	g.if_(asm.JNE, asm.R0, 0, have)
	g.add(asm.LoadMapPtr(asm.R1, g.maps.table))
	g.addr(asm.R2, key)
	g.add(asm.LoadMapValue(asm.R3, g.maps.control, uint32(g.maps.layout.zeros())))
	g.set(asm.R4, 1) // BPF_NOEXIST: another thread may have made it
	g.call(asm.FnMapUpdateElem)
	lookup()
	g.if_(asm.JEq, asm.R0, 0, full)
	g.place(have)
}

// countNow counts a hit of an entry.
func (g *generator) countNow(full label) {
	if len(g.probe.By) > 0 {
		key := g.alloc(keySize(g.probe))
		g.by(key)
		g.row(key, full)
		g.set(asm.R1, 1)
		g.atomicAdd(asm.R0, rowCount, asm.R1)
	}
	g.countUndecided()
	g.measured(countTaken)
}

// keepTime notes when a call began, and by which words it is counted.
func (g *generator) keepTime(full label) {
	value := g.alloc(openSize(g.probe))
	g.by(value + 8)
	g.load(asm.R1, frame, g.slots.time)
	g.store(frame, value, asm.R1)
	g.callKey(full)
	g.add(asm.LoadMapPtr(asm.R1, g.maps.calls))
	g.addr(asm.R2, g.slots.key)
	g.addr(asm.R3, value)
	g.set(asm.R4, 0)
	g.call(asm.FnMapUpdateElem)
	g.if_(asm.JNE, asm.R0, 0, full)
	g.countUndecided()
	g.measured(countEntries)
}

// countBack counts a call at its return. Its entry in the table of calls is in event.
func (g *generator) countBack() {
	no, null, full := g.label(), g.label(), g.label()
	g.decided(g.probe.Back.When, no, null)
	key, took := g.alloc(keySize(g.probe)), g.alloc(8)
	for i := range keySize(g.probe) / 8 {
		g.load(asm.R1, event, 8+8*i)
		g.store(frame, key+8*i, asm.R1)
	}
	g.load(asm.R1, frame, g.slots.time)
	g.load(asm.R2, event, 0)
	g.add(asm.Sub.Reg(asm.R1, asm.R2))
	g.store(frame, took, asm.R1)
	g.calls(asm.FnMapDeleteElem)
	if tabled(g.probe) {
		g.row(key, full)
		g.set(asm.R1, 1)
		g.atomicAdd(asm.R0, rowCount, asm.R1)
		g.load(asm.R1, frame, took)
		g.atomicAdd(asm.R0, rowTotal, asm.R1)
		if g.probe.Histogram {
			g.logarithm(asm.R1, asm.R2)
			g.add(asm.And.Imm(asm.R2, 63), asm.LSh.Imm(asm.R2, 3), asm.Add.Reg(asm.R0, asm.R2))
			g.set(asm.R1, 1)
			g.atomicAdd(asm.R0, rowBuckets, asm.R1)
		}
	}
	g.countUndecided()
	g.measured(countTaken)
	for _, end := range []struct {
		at      label
		counter int
	}{{no, countFalse}, {null, countNil}} {
		g.place(end.at)
		g.calls(asm.FnMapDeleteElem)
		g.measured(end.counter)
	}
	g.place(full)
	g.measured(countLost)
}

// logarithm puts the power of two below r into to; r is lost.
func (g *generator) logarithm(r, to asm.Register) {
	g.set(to, 0)
	for bits := int32(32); bits > 0; bits /= 2 {
		small := g.label()
		g.mov(asm.R3, r)
		g.add(asm.RSh.Imm(asm.R3, bits))
		g.if_(asm.JEq, asm.R3, 0, small)
		g.add(asm.Add.Imm(to, bits))
		g.mov(r, asm.R3)
		g.place(small)
	}
}
