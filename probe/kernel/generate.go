package kernel

import (
	"fmt"

	"github.com/cilium/ebpf/asm"

	"ri/probe"
)

// A generator makes the part of a program that serves one probe.
type generator struct {
	*assembler
	probe  *probe.Probe
	index  int
	layout layout
	maps   mapsOf
	how    dialect
	opts   Options

	atReturn  bool
	entryTime int          // where an entry in the table of calls has its time
	reads     []probe.Read // of the plan that is made
	pieces    []int        // where they lie
	depth     int          // bytes of stack in use
	deepest   int
	slots     slots
	take      label // of a probe that opens flows: where a hit in a flow goes on, whatever the condition says
	err       error
}

// slots are the places on the stack that all programs have: offsets from the frame pointer.
type slots struct {
	cookie, time, cfa, flags, word, other, count, key int

	flow, value int // of probes of flows: what is known of the flow of the hit; a value of the table
}

// mapsOf are the descriptors of the maps that a program uses.
type mapsOf struct {
	control, ring int
	flows         int
	calls, blank  int // of the probe's size class: the table of calls, and a value of it that says nothing
	table         int
	layout        controlLayout
}

// dialect is what a kernel's programs can say.
type dialect struct {
	sleepable bool // since 6.0
	cookies   bool // since 5.15
}

const stackSize = 512

func newGenerator(a *assembler, p *probe.Probe, index int, l layout, m mapsOf, how dialect, o Options) *generator {
	g := &generator{assembler: a, probe: p, index: index, layout: l, entryTime: atTime, maps: m, how: how, opts: o}
	g.slots = slots{cookie: g.alloc(8), time: g.alloc(8), cfa: g.alloc(8), flags: g.alloc(8), word: g.alloc(8),
		other: g.alloc(8), count: g.alloc(16), key: g.alloc(24)}
	if p.Flow != probe.NoFlow {
		g.slots.flow, g.slots.value = g.alloc(sizeFlowSlot), g.alloc(sizeFlowValue)
	}
	return g
}

// alloc takes bytes of the stack.
func (g *generator) alloc(size int) int {
	g.depth += (size + 7) &^ 7
	g.deepest = max(g.deepest, g.depth)
	if g.depth > stackSize && g.err == nil {
		g.err = fmt.Errorf("%s: its condition needs more than the %d bytes of stack that a program has: %w",
			g.probe.Name, stackSize, ErrTooComplex)
	}
	return -g.depth
}

// fails are where a load ends that gives nothing.
type fails struct {
	null, unreadable label // a nil pointer; memory that can't be read
	absent           label // what it depends on was not captured
}

// copyUser reads user memory at the address in R3 to the address in R1, as many bytes as R2 says, and jumps where it
// can't. The code from args on sets these registers, from what outlasts a call. Nearly all memory is there, and the
// helper that doesn't wait for a page is the faster one; where it fails the other one tells.
func (g *generator) copyUser(args int, bad label) {
	if !g.how.sleepable {
		g.call(asm.FnProbeReadUser)
		g.if_(asm.JNE, asm.R0, 0, bad)
		return
	}
	end := len(g.code)
	done := g.label()
	g.call(asm.FnProbeReadUser)
	g.if_(asm.JEq, asm.R0, 0, done)
	for i := args; i < end; i++ {
		if l, ok := g.jumps[i]; ok {
			g.jumps[len(g.code)] = l
		}
		g.add(g.code[i])
	}
	g.call(asm.FnCopyFromUser)
	g.if_(asm.JNE, asm.R0, 0, bad)
	g.place(done)
}

// base puts the word that a path starts with into a register.
func (g *generator) base(b probe.Base, to asm.Register, f fails) {
	if counts(g.probe) && (b.Kind == probe.EntryRegister || b.Kind == probe.EntryItem) {
		g.fail("what was at the entry isn't kept where calls are counted only")
		return
	}
	switch b.Kind {
	case probe.Constant:
		g.add(asm.LoadImm(to, int64(b.Word), asm.DWord))
	case probe.Register:
		g.load(to, ctx, g.register(b.N))
	case probe.CFA:
		g.load(to, frame, g.slots.cfa)
	case probe.EntryRegister:
		g.load(to, event, atRegisters+8*g.registerNumber(b.N))
	case probe.Item:
		g.item(b, to, g.reads, g.pieces, f)
	case probe.EntryItem:
		g.item(b, to, g.probe.At.Reads, g.layout.at, f)
	case probe.Nth:
		g.load(to, ctx, g.register(b.N))
		g.add(asm.Mul.Imm(to, int32(b.Word)))
		g.load(asm.R2, frame, g.slots.cfa)
		g.add(asm.Add.Reg(to, asm.R2))
		g.plus(to, b.Off)
	case probe.Element:
		g.element(b.Elem, f)
		if to != scratch {
			g.mov(to, scratch)
		}
	}
}

func (g *generator) registerNumber(n int) int {
	if n < 0 || n > 15 {
		g.fail("register %d isn't a general one", n)
		return 0
	}
	return n
}

func (g *generator) register(n int) int { return ptRegs[g.registerNumber(n)] }

func (g *generator) fail(format string, args ...any) {
	if g.err == nil {
		g.err = fmt.Errorf("probe %s: "+format, append([]any{g.probe.Name}, args...)...)
	}
}

// item loads eight bytes of what another read captured.
func (g *generator) item(b probe.Base, to asm.Register, reads []probe.Read, pieces []int, f fails) {
	if b.N < 0 || b.N >= len(pieces) || b.Off < 0 || b.Off+8 > int64(reads[b.N].Size) {
		g.fail("read %d has no word at %d", b.N, b.Off)
		return
	}
	at := pieces[b.N]
	g.loadSize(to, event, at+pieceState, 4)
	held := g.label()
	g.if_(asm.JEq, to, int32(probe.Captured), held)
	g.if_(asm.JEq, to, int32(probe.Truncated), held)
	if f.absent != f.null {
		g.jump(f.absent)
	} else {
		g.if_(asm.JEq, to, int32(probe.NilOnTheWay), f.null)
		g.jump(f.unreadable)
	}
	g.place(held)
	if reads[b.N].Count != nil {
		g.loadSize(to, event, at+pieceLen, 4)
		g.if_(asm.JLT, to, int32(b.Off+8), f.absent)
	}
	g.load(to, event, at+sizePiece+int(b.Off))
}

// address puts the address that a path leads to into scratch.
func (g *generator) address(p probe.Path, f fails) {
	g.base(p.Base, scratch, f)
	for _, step := range p.Steps {
		g.notNil(p.Base, f)
		args := len(g.code)
		g.mov(asm.R3, scratch)
		g.plus(asm.R3, step)
		g.addr(asm.R1, g.slots.word)
		g.set(asm.R2, 8)
		g.copyUser(args, f.unreadable)
		g.load(scratch, frame, g.slots.word)
		p.Base.Kind = probe.Register // what was loaded may be nil
	}
	g.notNil(p.Base, f)
	g.plus(scratch, p.Last)
}

// notNil jumps where scratch is 0. Frames and package variables never are.
func (g *generator) notNil(b probe.Base, f fails) {
	if b.Kind != probe.CFA && b.Kind != probe.Constant {
		g.if_(asm.JEq, scratch, 0, f.null)
	}
}

// word puts a number into scratch.
func (g *generator) word(w probe.Word, f fails) {
	if !g.sized(w) {
		return
	}
	if w.InPlace {
		g.base(w.Path.Base, scratch, f)
		if w.Shift > 0 {
			g.add(asm.RSh.Imm(scratch, int32(w.Shift)))
		}
	} else {
		g.address(w.Path, f)
		args := len(g.code)
		g.addr(asm.R1, g.slots.word)
		g.set(asm.R2, int32(w.Size))
		g.mov(asm.R3, scratch)
		g.copyUser(args, f.unreadable)
		g.loadSize(scratch, frame, g.slots.word, int(w.Size))
	}
	g.extend(scratch, int(w.Size), w.Signed)
}

func (g *generator) sized(w probe.Word) bool {
	if _, ok := sizes[int(w.Size)]; !ok || w.InPlace && w.Shift > 63 {
		g.fail("a number of %d bytes", w.Size)
		return false
	}
	return true
}

// extend makes a register's low bytes a number.
func (g *generator) extend(r asm.Register, size int, signed bool) {
	if size == 8 {
		return
	}
	bits := int32(64 - 8*size)
	g.add(asm.LSh.Imm(r, bits))
	if signed {
		g.add(asm.ArSh.Imm(r, bits))
	} else {
		g.add(asm.RSh.Imm(r, bits))
	}
}

// compare jumps to yes where the number in R1 compares to that in R2, and to no otherwise.
func (g *generator) compare(c probe.Compare, yes, no label) {
	if c.Float {
		g.ordered(asm.R1, int(c.Left.Size), c.Op, yes, no)
		g.ordered(asm.R2, int(c.Left.Size), c.Op, yes, no)
	}
	signed := c.Left.Signed || c.Float
	ops := map[probe.Op][2]asm.JumpOp{
		probe.Equal: {asm.JEq, asm.JEq}, probe.NotEqual: {asm.JNE, asm.JNE},
		probe.Less: {asm.JLT, asm.JSLT}, probe.LessEqual: {asm.JLE, asm.JSLE},
		probe.Greater: {asm.JGT, asm.JSGT}, probe.GreaterEqual: {asm.JGE, asm.JSGE}}
	op, ok := ops[c.Op]
	if !ok {
		g.fail("comparison %d", c.Op)
		return
	}
	if signed {
		g.ifReg(op[1], asm.R1, asm.R2, yes)
	} else {
		g.ifReg(op[0], asm.R1, asm.R2, yes)
	}
	g.jump(no)
}

// ordered turns the bits of a float into an integer of the same order (IEEE 754, totalOrder, with both zeros equal). A
// NaN compares to nothing, and is unequal to all.
func (g *generator) ordered(r asm.Register, size int, op probe.Op, yes, no label) {
	infinity := uint64(0x7ff0000000000000)
	if size == 4 {
		g.add(asm.LSh.Imm(r, 32))
		infinity = 0x7f800000 << 32
	}
	nan := no
	if op == probe.NotEqual {
		nan = yes
	}
	g.mov(asm.R3, r)
	g.add(asm.LSh.Imm(asm.R3, 1), asm.RSh.Imm(asm.R3, 1)) // the magnitude
	g.add(asm.LoadImm(asm.R4, int64(infinity), asm.DWord))
	g.ifReg(asm.JGT, asm.R3, asm.R4, nan)
	done := g.label()
	g.if_(asm.JSGE, r, 0, done)
	g.mov(r, asm.R3)
	g.add(asm.Neg.Imm(r, 0)) // -magnitude: of -0 it is 0
	g.place(done)
}

// since puts the time since the entry into R1.
func (g *generator) since() {
	g.load(asm.R1, frame, g.slots.time)
	g.load(asm.R2, event, g.entryTime)
	g.add(asm.Sub.Reg(asm.R1, asm.R2))
}
