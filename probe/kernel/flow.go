package kernel

import (
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"ri/probe"
)

// Flows are known in one table, by runtime.g: which one, the goroutine's id, since a g is used again, the g of the call
// that opened it, and how deep that call's frame is in the goroutine's stack. Of a goroutine that was started in a flow
// the last is 0, and it is in it as long as the table has the opener's. An opener whose frame is gone, as after a
// panic, is told by the depth of what comes next.
//
// While runtime.newproc1 runs, the flow of who starts a goroutine lies in the table by the thread's g0, whose id, 0, is
// never the one that is written there.
const (
	flowID = 8 * iota
	flowGoid
	flowOpener
	flowDepth
	sizeFlowValue

	// Of a hit, on the stack: flowID to flowOpener as above; whether it is in a flow already, or who was started.
	flowMore     = flowDepth
	sizeFlowSlot = sizeFlowValue
)

const (
	maxFlows  = 8192             // goroutines that are in flows at once
	flowGrace = 10 * time.Second // for flows that are open when the limit is reached
)

// Registers of runtime.newproc1 (runtime/proc.go, Go 1.20 to 1.27): func newproc1(fn *funcval, callergp *g, ...) *g.
const (
	newprocCaller = 3 // RBX
	newprocGiven  = 0 // RAX
)

func (a *Armed) makeFlows() (err error) {
	for i := range a.probes {
		if a.probes[i].Flow != probe.NoFlow && a.flows == nil {
			a.flows, err = ebpf.NewMap(&ebpf.MapSpec{Name: "ri_flows", Type: ebpf.Hash, KeySize: 8, ValueSize: sizeFlowValue,
				MaxEntries: maxFlows})
			if err != nil {
				return mapError("the table of flows", err)
			}
		}
	}
	return nil
}

// reached tells whether the limit is, and the session may end: all flows are over, or were given their time.
func (a *Armed) reached(now time.Time) bool {
	if atomic.LoadUint64(a.control.at(controlTaken)) < a.options.Limit {
		a.limited = time.Time{} // what found no room gives back what it took
		return false
	}
	if a.flows == nil {
		return true
	}
	// A hit takes its part of the limit before it opens its flow.
	opened := atomic.LoadUint64(a.control.at(controlFlows))
	if opened >= a.options.Limit && atomic.LoadUint64(a.control.at(controlOver)) >= opened {
		return true
	}
	if a.limited.IsZero() {
		a.limited = now
	}
	return now.Sub(a.limited) >= flowGrace
}

// inTable calls a helper on the table of flows, with the key.
func (g *generator) inTable(f asm.BuiltinFunc) {
	g.add(asm.LoadMapPtr(asm.R1, g.maps.flows))
	g.addr(asm.R2, g.slots.key)
	g.call(f)
}

// keyed makes the word in R1 the key, a g.
func (g *generator) keyed() { g.store(frame, g.slots.key, asm.R1) }

func (g *generator) keyedByHit() {
	g.load(asm.R1, ctx, regsG)
	g.keyed()
}

// ofG reads a word of the g that is the key into R1.
func (g *generator) ofG(offset int64, bad label) {
	args := len(g.code)
	g.load(asm.R3, frame, g.slots.key)
	g.plus(asm.R3, offset)
	g.addr(asm.R1, g.slots.word)
	g.set(asm.R2, 8)
	g.copyUser(args, bad)
	g.load(asm.R1, frame, g.slots.word)
}

// found looks the key up, and copies what there is of its flow to the slot. scratch is the value; where there is none,
// or one of another goroutine, it jumps.
func (g *generator) found(none label) {
	g.inTable(asm.FnMapLookupElem)
	g.if_(asm.JEq, asm.R0, 0, none)
	g.mov(scratch, asm.R0)
	for _, at := range []int{flowID, flowGoid, flowOpener} {
		g.load(asm.R1, scratch, at)
		g.store(frame, g.slots.flow+at, asm.R1)
	}
}

// own jumps where the key's goroutine isn't the one that was found.
func (g *generator) own(none label) {
	g.ofG(g.opts.Goid, none)
	g.load(asm.R2, frame, g.slots.flow+flowGoid)
	g.ifReg(asm.JNE, asm.R1, asm.R2, none)
}

// deep puts into R1 how deep the hit's frame is in the stack of the key's goroutine; of one that is on the system stack
// (parked), where that is.
func (g *generator) deep(parked bool, bad label) {
	g.ofG(g.opts.StackHi, bad)
	if !parked {
		g.load(asm.R2, frame, g.slots.cfa)
		g.add(asm.Sub.Reg(asm.R1, asm.R2))
		return
	}
	g.store(frame, g.slots.other, asm.R1)
	g.ofG(g.opts.SP, bad)
	g.mov(asm.R2, asm.R1)
	g.load(asm.R1, frame, g.slots.other)
	g.add(asm.Sub.Reg(asm.R1, asm.R2))
}

// inFlow jumps to none where the key's goroutine is in no flow; else the slot says in which. over compares the hit's
// depth with the opener's: where that holds the opener's frame is gone without a return, and it jumps to past.
func (g *generator) inFlow(parked bool, over asm.JumpOp, past, none label) {
	child, in := g.label(), g.label()
	g.found(none)
	g.own(none)
	g.load(asm.R1, scratch, flowDepth)
	g.if_(asm.JEq, asm.R1, 0, child)
	g.deep(parked, none)
	g.load(asm.R2, scratch, flowDepth)
	g.ifReg(over, asm.R1, asm.R2, past)
	g.jump(in)
	g.place(child)
	g.load(asm.R1, frame, g.slots.flow+flowOpener)
	g.keyed()
	g.inTable(asm.FnMapLookupElem)
	g.if_(asm.JEq, asm.R0, 0, none)
	g.load(asm.R1, asm.R0, flowID)
	g.load(asm.R2, frame, g.slots.flow+flowID)
	g.ifReg(asm.JNE, asm.R1, asm.R2, none)
	g.place(in)
}

// gate decides for whom a hit of a probe of flows is one at all.
func (g *generator) gate() {
	past, aside := g.label(), g.label()
	switch g.probe.Flow {
	case probe.Within:
		g.keyedByHit()
		g.inFlow(false, asm.JLT, past, aside)
	case probe.Opens:
		g.take = g.label()
		g.set(asm.R1, 0)
		g.store(frame, g.slots.flow+flowMore, asm.R1)
		g.keyedByHit()
		g.inFlow(false, asm.JLE, past, aside)
		g.set(asm.R1, 1)
		g.store(frame, g.slots.flow+flowMore, asm.R1)
		g.jump(g.take)
		g.place(past)
		g.endPast(aside)
		g.place(aside)
		return
	case probe.Starts:
		g.load(asm.R1, ctx, g.register(newprocCaller))
		g.keyed()
		g.inFlow(true, asm.JLT, past, aside)
	case probe.Ends:
		g.keyedByHit()
		g.found(aside)
	default:
		return
	}
	on := g.label()
	g.jump(on)
	g.place(past)
	g.endPast(aside)
	g.place(aside)
	g.measured(countAside)
	g.place(on)
}

// endPast ends a flow whose opener's frame is gone, as after a panic: what its goroutine does now is another's.
func (g *generator) endPast(aside label) {
	g.inTable(asm.FnMapDeleteElem)
	g.isOver()
	g.tell(probe.FlowEnded, aside)
	g.load(asm.R1, frame, g.slots.flow+flowGoid) // of newproc1 the hit is on the system stack
	g.store(event, atGoid, asm.R1)
	g.submit()
}

// flowHit is what is done where a probe of flows is hit.
func (g *generator) flowHit(refused, over, full label) {
	switch g.probe.Flow {
	case probe.Starts:
		g.keepStarter(full)
		return
	case probe.Ends:
		g.endOf(full)
		return
	}
	got := g.label()
	if g.probe.Flow == probe.Opens {
		in := g.label()
		g.place(g.take)
		g.load(asm.R1, frame, g.slots.flow+flowMore)
		g.if_(asm.JNE, asm.R1, 0, in)
		g.openFlow(refused, over, got)
		g.place(in)
	}
	g.add(asm.LoadMapValue(scratch, g.maps.control, uint32(g.maps.layout.tokens(g.index))))
	g.set(asm.R1, -1)
	g.fetchAdd(scratch, 0, asm.R1)
	g.if_(asm.JSLE, asm.R1, 0, refused)
	g.reserve(event, full)
	g.place(got)
	g.flowHeader(probe.FlowStep)
	if g.probe.Flow == probe.Opens {
		in := g.label()
		g.load(asm.R1, frame, g.slots.flow+flowMore)
		g.if_(asm.JNE, asm.R1, 0, in)
		g.add(asm.StoreImm(event, atKind, int64(kindFlow+probe.FlowEntered), asm.Byte))
		g.place(in)
	}
	g.capture()
	g.frames()
	g.submit()
	g.countUndecided()
	g.count(countTaken)
	g.time(countNanos)
	g.exit()
}

// openFlow has the hit open a flow, with room for its event.
func (g *generator) openFlow(refused, over, got label) {
	none, bad, full := g.label(), g.label(), g.label()
	v := g.slots.value
	g.admit(refused, over)
	g.reserve(event, none)
	g.keyedByHit()
	g.store(frame, v+flowOpener, asm.R1)
	g.ofG(g.opts.Goid, bad)
	g.store(frame, v+flowGoid, asm.R1)
	g.deep(false, bad)
	g.store(frame, v+flowDepth, asm.R1)
	g.add(asm.LoadMapValue(scratch, g.maps.control, 0))
	g.set(asm.R1, 1)
	g.fetchAdd(scratch, controlFlows, asm.R1)
	g.add(asm.Add.Imm(asm.R1, 1))
	g.store(frame, v+flowID, asm.R1)
	g.store(frame, g.slots.flow+flowID, asm.R1)
	g.putFlow(full)
	g.jump(got)
	g.place(full)
	g.isOver()
	g.place(bad)
	g.discard()
	g.place(none)
	g.giveBack()
	g.measured(countLost)
}

// putFlow puts the value into the table.
func (g *generator) putFlow(full label) {
	g.add(asm.LoadMapPtr(asm.R1, g.maps.flows))
	g.addr(asm.R2, g.slots.key)
	g.addr(asm.R3, g.slots.value)
	g.set(asm.R4, 0)
	g.call(asm.FnMapUpdateElem)
	g.if_(asm.JNE, asm.R0, 0, full)
}

// isOver counts a flow that is over.
func (g *generator) isOver() {
	g.add(asm.LoadMapValue(scratch, g.maps.control, 0))
	g.set(asm.R1, 1)
	g.atomicAdd(scratch, controlOver, asm.R1)
}

func (g *generator) flowHeader(what probe.FlowEvent) {
	g.header(kindFlow + int32(what))
	g.load(asm.R1, frame, g.slots.flow+flowID)
	g.store(event, atFlow, asm.R1)
	g.set(asm.R1, 0)
	g.store(event, atOther, asm.R1)
}

// tell gives an event that captures nothing.
func (g *generator) tell(what probe.FlowEvent, full label) {
	g.reserve(event, full)
	g.flowHeader(what)
	g.storeImm32(event, atSite, 0)
}

// keepStarter keeps the flow of who starts a goroutine until runtime.newproc1 gives it.
func (g *generator) keepStarter(full label) {
	v := g.slots.value
	for _, at := range []int{flowID, flowGoid, flowOpener} {
		g.load(asm.R1, frame, g.slots.flow+at)
		g.store(frame, v+at, asm.R1)
	}
	g.set(asm.R1, 1)
	g.store(frame, v+flowDepth, asm.R1)
	g.keyedByHit()
	g.putFlow(full)
	g.measured(countAside)
}

// endOf takes a goroutine that ends out of its flow.
func (g *generator) endOf(full label) {
	alive, stale := g.label(), g.label()
	g.own(stale)
	g.inTable(asm.FnMapDeleteElem)
	g.load(asm.R1, ctx, regsG)
	g.load(asm.R2, frame, g.slots.flow+flowOpener)
	g.ifReg(asm.JNE, asm.R1, asm.R2, alive)
	g.isOver()
	g.place(alive)
	g.tell(probe.FlowEnded, full)
	g.submit()
	g.measured(countAside)
	g.place(stale)
	g.inTable(asm.FnMapDeleteElem)
	g.measured(countAside)
}

// flowBack is what is done where a function returns: of a call that opened a flow it ends it.
func (g *generator) flowBack() {
	aside, full := g.label(), g.label()
	g.keyedByHit()
	g.found(aside)
	if g.probe.Flow == probe.Starts {
		g.started(aside, full)
	} else {
		g.own(aside)
		g.load(asm.R1, ctx, regsG)
		g.load(asm.R2, frame, g.slots.flow+flowOpener)
		g.ifReg(asm.JNE, asm.R1, asm.R2, aside)
		g.deep(false, aside)
		g.load(asm.R2, scratch, flowDepth)
		g.ifReg(asm.JNE, asm.R1, asm.R2, aside)
		g.inTable(asm.FnMapDeleteElem)
		g.isOver()
		g.tell(probe.FlowLeft, full)
	}
	g.submit()
	g.place(aside)
	g.measured(countStray)
	g.place(full)
	g.measured(countLost)
}

// started takes the goroutine that runtime.newproc1 gives into the flow of who starts it.
func (g *generator) started(aside, full label) {
	v := g.slots.value
	g.inTable(asm.FnMapDeleteElem)
	g.load(asm.R1, ctx, g.register(newprocGiven))
	g.if_(asm.JEq, asm.R1, 0, aside)
	g.keyed()
	g.ofG(g.opts.Goid, aside)
	g.store(frame, v+flowGoid, asm.R1)
	g.store(frame, g.slots.flow+flowMore, asm.R1)
	for _, at := range []int{flowID, flowOpener} {
		g.load(asm.R1, frame, g.slots.flow+at)
		g.store(frame, v+at, asm.R1)
	}
	g.set(asm.R1, 0)
	g.store(frame, v+flowDepth, asm.R1)
	g.putFlow(full)
	g.tell(probe.FlowStarted, full)
	g.load(asm.R1, frame, g.slots.flow+flowGoid)
	g.store(event, atGoid, asm.R1)
	g.load(asm.R1, frame, g.slots.flow+flowMore)
	g.store(event, atOther, asm.R1)
}
