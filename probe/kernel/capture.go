package kernel

import (
	"github.com/cilium/ebpf/asm"

	"ri/probe"
)

// capture makes the code that fills in the reads of a plan, in their order. Each says of itself how it went, so nothing
// of the ring's older events is ever taken for a capture.
func (g *generator) capture() {
	for i, r := range g.reads {
		g.read(g.pieces[i], r)
	}
}

func (g *generator) read(at int, r probe.Read) {
	next, null, unreadable := g.label(), g.label(), g.label()
	f := fails{null: null, unreadable: unreadable, absent: next}
	g.set(asm.R1, 0)
	g.store(event, at+pieceState, asm.R1)
	g.store(event, at+pieceAddr, asm.R1)
	g.store(event, at+pieceWant, asm.R1)
	for _, c := range r.When {
		g.guard(c, next)
	}
	var done label
	if r.Count != nil {
		done = g.count_(at, r, f)
	}
	g.address(r.At, f)
	g.store(event, at+pieceAddr, scratch)
	args := len(g.code)
	g.mov(asm.R1, event)
	g.plus(asm.R1, int64(at+sizePiece))
	if r.Count != nil {
		g.load(asm.R2, frame, g.slots.count)
		g.if_(asm.JGT, asm.R2, int32(r.Size), next) // for the verifier: it never is
	} else {
		g.set(asm.R2, int32(r.Size))
	}
	g.mov(asm.R3, scratch)
	g.copyUser(args, unreadable)
	if r.Count != nil {
		g.place(done)
		g.load(asm.R2, frame, g.slots.count)
		g.load(asm.R3, event, at+pieceWant)
		g.set(asm.R1, int32(probe.Truncated))
		short := g.label()
		g.ifReg(asm.JGT, asm.R3, asm.R2, short)
		g.set(asm.R1, int32(probe.Captured))
		g.place(short)
	} else {
		g.set(asm.R1, int32(probe.Captured))
		g.set(asm.R2, int32(r.Size))
	}
	g.add(asm.StoreMem(event, int16(at+pieceState), asm.R1, asm.Word))
	g.add(asm.StoreMem(event, int16(at+pieceLen), asm.R2, asm.Word))
	g.jump(next)
	g.place(null)
	g.storeImm32(event, at+pieceState, int32(probe.NilOnTheWay))
	g.jump(next)
	g.place(unreadable)
	g.storeImm32(event, at+pieceState, int32(probe.Unreadable))
	g.place(next)
}

// count_ works out how many bytes there are and how many of them are read. Where it is none, nothing is: the label is
// where that is noted.
func (g *generator) count_(at int, r probe.Read, f fails) label {
	each := max(r.Each, 1)
	none, some, fits := g.label(), g.label(), g.label()
	g.word(*r.Count, f)
	g.if_(asm.JSGT, scratch, 0, some)
	g.set(scratch, 0)
	g.place(some)
	// A length beyond any memory doesn't overflow.
	g.add(asm.LoadImm(asm.R1, 1<<40, asm.DWord))
	sane := g.label()
	g.ifReg(asm.JLE, scratch, asm.R1, sane)
	g.mov(scratch, asm.R1)
	g.place(sane)
	g.mov(asm.R1, scratch)
	if each <= 1<<20 {
		g.add(asm.Mul.Imm(asm.R1, int32(each)))
	} else {
		g.fail("elements of %d bytes", each)
	}
	g.store(event, at+pieceWant, asm.R1)
	whole := int32(r.Size / each * each)
	g.if_(asm.JLE, asm.R1, whole, fits)
	g.set(asm.R1, whole)
	g.place(fits)
	g.store(frame, g.slots.count, asm.R1)
	g.if_(asm.JEq, asm.R1, 0, none)
	return none
}

// guard jumps where a comparison doesn't hold, or isn't decided.
func (g *generator) guard(c probe.Compare, no label) {
	f := fails{null: no, unreadable: no, absent: no}
	if c.With != nil {
		g.word(*with(c), f)
		g.store(frame, g.slots.other, scratch)
	}
	g.word(c.Left, f)
	g.mov(asm.R1, scratch)
	if c.With != nil {
		g.load(asm.R2, frame, g.slots.other)
	} else {
		g.set64(asm.R2, constant(c))
	}
	yes := g.label()
	g.compare(c, yes, no)
	g.place(yes)
}

// returnAddresses follows frame pointers: the caller's first, then those of its callers. A function whose frame is made
// already has its own in BP, which is passed over.
func (g *generator) returnAddresses(at, most int) {
	done, unframed := g.label(), g.label()
	count, bp, low := g.slots.count, g.slots.word, g.slots.other
	pair := g.slots.key // two words; whoever needs the key has used it
	g.set(asm.R1, 0)
	g.store(frame, count, asm.R1)
	g.load(scratch, ctx, regsBP)
	g.load(asm.R3, frame, g.slots.cfa)
	g.store(frame, low, asm.R3)
	g.store(frame, bp, scratch)
	args := len(g.code)
	g.load(asm.R3, frame, g.slots.cfa)
	g.plus(asm.R3, -8)
	g.addr(asm.R1, pair)
	g.set(asm.R2, 8)
	g.copyUser(args, done)
	g.load(asm.R1, frame, pair)
	g.store(event, at, asm.R1)
	g.set(asm.R1, 1)
	g.store(frame, count, asm.R1)
	g.load(asm.R1, frame, g.slots.cfa)
	g.load(scratch, frame, bp)
	g.mov(asm.R2, scratch)
	g.add(asm.Add.Imm(asm.R2, 16))
	g.ifReg(asm.JNE, asm.R1, asm.R2, unframed)
	args = len(g.code)
	g.mov(asm.R3, scratch)
	g.addr(asm.R1, bp)
	g.set(asm.R2, 8)
	g.copyUser(args, done)
	g.place(unframed)
	loop := g.here()
	g.load(scratch, frame, bp)
	g.load(asm.R1, frame, low)
	g.ifReg(asm.JLT, scratch, asm.R1, done) // frames lie one above the other
	g.store(frame, low, scratch)
	args = len(g.code)
	g.mov(asm.R3, scratch)
	g.addr(asm.R1, pair)
	g.set(asm.R2, 16)
	g.copyUser(args, done)
	g.load(asm.R2, frame, count)
	g.if_(asm.JGE, asm.R2, int32(most), done)
	g.load(asm.R1, frame, pair)
	g.store(frame, bp, asm.R1)
	g.load(asm.R3, frame, pair+8)
	g.if_(asm.JEq, asm.R3, 0, done)
	g.mov(asm.R1, asm.R2)
	g.add(asm.LSh.Imm(asm.R1, 3), asm.Add.Reg(asm.R1, event))
	g.store(asm.R1, at, asm.R3)
	g.add(asm.Add.Imm(asm.R2, 1))
	g.store(frame, count, asm.R2)
	g.if_(asm.JLT, asm.R2, int32(most), loop)
	g.place(done)
	g.load(asm.R1, frame, count)
	g.add(asm.StoreMem(event, atFrames, asm.R1, asm.Word))
}
