package kernel

import (
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"ri/probe"
)

// Flags of the ring's helpers: whoever reads it polls, since a wake-up costs the target's thread some 300 ns.
const noWakeup = 1

// prologue is what a program does before it knows which of its probes was hit. known is the cookie where the kernel has
// none.
func prologue(a *assembler, s slots, how dialect, known uint64) {
	a.mov(ctx, asm.R1)
	if how.cookies {
		a.call(asm.FnGetAttachCookie)
	} else {
		a.add(asm.LoadImm(asm.R0, int64(known), asm.DWord))
	}
	a.store(frame, s.cookie, asm.R0)
}

// dispatch jumps to the part of the probe in the cookie, by halves.
func dispatch(a *assembler, s slots, probes []int, parts []label) {
	if len(probes) > 1 {
		a.load(asm.R1, frame, s.cookie)
		a.add(asm.And.Imm(asm.R1, maxProbes-1))
	}
	var half func(lo, hi int)
	half = func(lo, hi int) {
		if hi-lo == 1 {
			a.jump(parts[lo])
			return
		}
		mid := (lo + hi) / 2
		upper := a.label()
		a.if_(asm.JGE, asm.R1, int32(probes[mid]), upper)
		half(lo, mid)
		a.place(upper)
		half(mid, hi)
	}
	half(0, len(probes))
}

// start is the beginning of a probe's part: what all hits need.
func (g *generator) start() {
	g.load(asm.R1, frame, g.slots.cookie)
	sites := g.probe.Sites
	if g.atReturn {
		sites = g.probe.Returns
	}
	if hasAgain(sites) {
		g.mov(asm.R2, asm.R1)
		g.add(asm.RSh.Imm(asm.R2, cookieAgain), asm.And.Imm(asm.R2, 1))
		once := g.label()
		g.if_(asm.JEq, asm.R2, 0, once)
		g.load(asm.R2, ctx, regsFlags)
		out := g.label()
		g.if_(asm.JSet, asm.R2, 0x41, out) // CF, ZF
		g.jump(once)
		g.place(out)
		g.exit()
		g.place(once)
	}
	g.add(asm.ArSh.Imm(asm.R1, cookieCFA))
	g.load(asm.R2, ctx, regsSP)
	g.add(asm.Add.Reg(asm.R1, asm.R2))
	g.store(frame, g.slots.cfa, asm.R1)
	g.set(asm.R1, 0)
	g.store(frame, g.slots.flags, asm.R1)
	if g.maps.layout.shards > 1 {
		g.call(asm.FnGetSmpProcessorId)
		g.add(asm.And.Imm(asm.R0, int32(g.maps.layout.shards-1)), asm.Mul.Imm(asm.R0, int32(g.maps.layout.stride())))
	}
	g.add(asm.LoadMapValue(counters, g.maps.control, uint32(g.maps.layout.counters(g.index, 0))))
	if g.maps.layout.shards > 1 {
		g.add(asm.Add.Reg(counters, asm.R0))
	}
	g.call(asm.FnKtimeGetNs)
	g.store(frame, g.slots.time, asm.R0)
}

// counts says whether a probe counts, and makes no events.
func counts(p *probe.Probe) bool { return p.Count || p.Histogram }

func hasAgain(sites []probe.Site) bool {
	for _, s := range sites {
		if s.Again {
			return true
		}
	}
	return false
}

// decided makes the code for a plan's condition; what it makes goes on where an event is to be taken.
func (g *generator) decided(c probe.Condition, no, null label) {
	e := ends{yes: g.label(), no: no, null: null, unreadable: g.label()}
	g.condition(c, e)
	g.place(e.unreadable)
	g.set(asm.R1, flagUndecided)
	g.store(frame, g.slots.flags, asm.R1)
	g.place(e.yes)
}

// measured ends a program of a hit that takes nothing, counts it, and on one of some notes how long it took.
func (g *generator) measured(counter int) {
	g.set(asm.R1, 1)
	g.fetchAdd(counters, counter, asm.R1)
	out := g.label()
	g.if_(asm.JSet, asm.R1, sampled-1, out)
	g.time(countSampled)
	g.place(out)
	g.exit()
}

func (g *generator) time(counter int) {
	g.call(asm.FnKtimeGetNs)
	g.load(asm.R1, frame, g.slots.time)
	g.add(asm.Sub.Reg(asm.R0, asm.R1))
	g.atomicAdd(counters, counter, asm.R0)
}

// admit asks the budget and the limit. Both are of the whole session or probe, not of a processor.
func (g *generator) admit(refused, over label) {
	g.add(asm.LoadMapValue(scratch, g.maps.control, uint32(g.maps.layout.tokens(g.index))))
	g.set(asm.R1, -1)
	g.fetchAdd(scratch, 0, asm.R1)
	g.if_(asm.JSLE, asm.R1, 0, refused)
	g.add(asm.LoadMapValue(scratch, g.maps.control, 0))
	g.load(asm.R2, scratch, controlLimit)
	g.load(asm.R1, scratch, controlTaken)
	g.ifReg(asm.JGE, asm.R1, asm.R2, over)
	g.set(asm.R1, 1)
	g.fetchAdd(scratch, controlTaken, asm.R1)
	g.ifReg(asm.JGE, asm.R1, asm.R2, over)
}

// reserve makes room in the ring, and puts its address into a register.
func (g *generator) reserve(to asm.Register, full label) {
	g.add(asm.LoadMapPtr(asm.R1, g.maps.ring))
	g.set(asm.R2, int32(g.layout.size))
	g.set(asm.R3, 0)
	g.call(asm.FnRingbufReserve)
	g.if_(asm.JEq, asm.R0, 0, full)
	g.mov(to, asm.R0)
}

func (g *generator) submit() {
	g.mov(asm.R1, event)
	g.set(asm.R2, noWakeup)
	g.call(asm.FnRingbufSubmit)
}

func (g *generator) discard() {
	g.mov(asm.R1, event)
	g.set(asm.R2, noWakeup)
	g.call(asm.FnRingbufDiscard)
}

// header fills in what an event says of the hit.
func (g *generator) header(kind int32) {
	g.load(asm.R1, frame, g.slots.flags)
	g.add(asm.LSh.Imm(asm.R1, 8), asm.Or.Imm(asm.R1, kind|int32(g.index)<<16))
	if g.index >= 1<<15 {
		g.add(asm.LSh.Imm(asm.R1, 32), asm.RSh.Imm(asm.R1, 32)) // the immediate was sign-extended
	}
	g.load(asm.R2, frame, g.slots.cookie)
	g.add(asm.RSh.Imm(asm.R2, cookieSite), asm.And.Imm(asm.R2, maxSites-1), asm.LSh.Imm(asm.R2, 32),
		asm.Or.Reg(asm.R1, asm.R2))
	g.store(event, atKind, asm.R1)
	g.load(asm.R1, frame, g.slots.time)
	g.store(event, atTime, asm.R1)
	g.load(asm.R1, frame, g.slots.cfa)
	g.store(event, atCFA, asm.R1)
	g.registersTo(atRegisters)
	g.set(asm.R1, 0)
	g.store(event, atGoid, asm.R1)
	g.store(event, atG, asm.R1)
	g.call(asm.FnGetCurrentPidTgid)
	g.add(asm.LSh.Imm(asm.R0, 32), asm.RSh.Imm(asm.R0, 32))
	g.store(event, atThread, asm.R0)
	none := g.label()
	g.load(asm.R1, frame, g.slots.cookie)
	g.add(asm.RSh.Imm(asm.R1, cookieG), asm.And.Imm(asm.R1, 1))
	g.if_(asm.JEq, asm.R1, 0, none)
	g.load(asm.R3, ctx, regsG)
	g.store(event, atG, asm.R3)
	if g.opts.Goid > 0 {
		args := len(g.code)
		g.load(asm.R3, ctx, regsG)
		g.plus(asm.R3, g.opts.Goid)
		g.addr(asm.R1, g.slots.word)
		g.set(asm.R2, 8)
		g.copyUser(args, none)
		g.load(asm.R1, frame, g.slots.word)
		g.store(event, atGoid, asm.R1)
	}
	g.place(none)
}

func (g *generator) registersTo(at int) {
	for n := range 16 {
		g.load(asm.R1, ctx, ptRegs[n])
		g.store(event, at+8*n, asm.R1)
	}
}

// entry makes the part of a probe at the sites where it begins.
func (g *generator) entry() {
	g.reads, g.pieces = g.probe.At.Reads, g.layout.at
	g.start()
	no, null, refused, over, full := g.label(), g.label(), g.label(), g.label(), g.label()
	g.gate()
	g.decided(g.probe.At.When, no, null)
	switch {
	case g.probe.Flow != probe.NoFlow:
		g.flowHit(refused, over, full)
	case counts(g.probe) && len(g.probe.Returns) > 0:
		g.keepTime(full)
	case counts(g.probe):
		g.countNow(full)
	case len(g.probe.Returns) > 0:
		g.keepEntry(refused, full)
	default:
		g.admit(refused, over)
		lost := g.label()
		g.reserve(event, lost)
		g.header(kindHit)
		g.capture()
		g.frames()
		g.submit()
		g.countUndecided()
		g.count(countTaken)
		g.time(countNanos)
		g.exit()
		g.place(lost)
		g.giveBack()
		g.measured(countLost)
	}
	for _, end := range []struct {
		at      label
		counter int
	}{{no, countFalse}, {null, countNil}, {refused, countRefused}, {over, countOver}, {full, countLost}} {
		g.place(end.at)
		g.measured(end.counter)
	}
}

func (g *generator) frames() {
	if g.opts.Stack > 0 {
		g.returnAddresses(g.layout.frames, g.opts.Stack)
	}
}

// giveBack takes back what admit took of the limit, for an event that couldn't be kept.
func (g *generator) giveBack() {
	g.add(asm.LoadMapValue(scratch, g.maps.control, 0))
	g.set(asm.R1, -1)
	g.atomicAdd(scratch, controlTaken, asm.R1)
}

func (g *generator) countUndecided() {
	none := g.label()
	g.load(asm.R1, frame, g.slots.flags)
	g.if_(asm.JEq, asm.R1, 0, none)
	g.count(countUndecided)
	g.place(none)
}

// callKey makes the key by which a call's entry is found at its return: g, how deep its frame is in the goroutine's
// stack, which stays when the stack moves, and the probe.
func (g *generator) callKey(bad label) {
	g.load(asm.R3, ctx, regsG)
	g.store(frame, g.slots.key, asm.R3)
	args := len(g.code)
	g.load(asm.R3, ctx, regsG)
	g.plus(asm.R3, g.opts.StackHi)
	g.addr(asm.R1, g.slots.word)
	g.set(asm.R2, 8)
	g.copyUser(args, bad)
	g.load(asm.R1, frame, g.slots.word)
	g.load(asm.R2, frame, g.slots.cfa)
	g.add(asm.Sub.Reg(asm.R1, asm.R2))
	g.store(frame, g.slots.key+8, asm.R1)
	g.set(asm.R1, int32(g.index))
	g.store(frame, g.slots.key+16, asm.R1)
}

// calls calls a helper on the entry of the call in the table of calls.
func (g *generator) calls(f asm.BuiltinFunc) {
	g.add(asm.LoadMapPtr(asm.R1, g.maps.calls))
	g.addr(asm.R2, g.slots.key)
	g.call(f)
}

// keepEntry captures the entry of a call where it is kept, in the table of calls: it is put there blank, and filled in.
// The key has the goroutine and the frame, so no other hit uses it meanwhile. (The ring's memory can't be put into a
// table before some Linux 6.3: its verifier takes that for no value.)
func (g *generator) keepEntry(refused, full label) {
	g.add(asm.LoadMapValue(scratch, g.maps.control, uint32(g.maps.layout.tokens(g.index))))
	g.load(asm.R1, scratch, 0)
	g.if_(asm.JSLE, asm.R1, 0, refused)
	g.callKey(full)
	key := g.slots.key
	update := func(flags int32) {
		g.add(asm.LoadMapPtr(asm.R1, g.maps.calls))
		g.addr(asm.R2, key)
		g.add(asm.LoadMapValue(asm.R3, g.maps.blank, 0))
		g.set(asm.R4, flags)
		g.call(asm.FnMapUpdateElem)
	}
	kept := g.label()
	const any, noExist = 0, 1
	update(noExist)
	g.if_(asm.JEq, asm.R0, 0, kept)
	g.if_(asm.JNE, asm.R0, -int32(unix.EEXIST), full)
	g.gone()
	update(any)
	g.if_(asm.JNE, asm.R0, 0, full)
	g.place(kept)
	g.calls(asm.FnMapLookupElem)
	g.if_(asm.JEq, asm.R0, 0, full)
	g.mov(event, asm.R0)
	g.header(kindEntry)
	g.capture()
	if g.opts.Stack > 0 {
		// The walk of the stack uses the place of the key.
		g.slots.key = g.alloc(16)
		g.returnAddresses(g.layout.frames, g.opts.Stack)
		g.slots.key = key
	}
	g.measured(countEntries)
}

// gone gives the call that stands where another begins: it never returned.
func (g *generator) gone() {
	fresh, full := g.alloc(8), g.label()
	after := g.label()
	g.calls(asm.FnMapLookupElem)
	g.if_(asm.JEq, asm.R0, 0, after)
	g.mov(scratch, asm.R0)
	g.add(asm.LoadMapPtr(asm.R1, g.maps.ring))
	g.set(asm.R2, int32(g.layout.size))
	g.set(asm.R3, 0)
	g.call(asm.FnRingbufReserve)
	g.if_(asm.JEq, asm.R0, 0, full)
	g.store(frame, fresh, asm.R0)
	g.mov(asm.R1, asm.R0)
	g.set(asm.R2, int32(g.layout.size))
	g.mov(asm.R3, scratch)
	g.call(asm.FnProbeReadKernel)
	g.load(asm.R1, frame, fresh)
	g.set(asm.R2, noWakeup)
	g.call(asm.FnRingbufSubmit)
	g.count(countGone)
	g.jump(after)
	g.place(full)
	g.count(countLost)
	g.place(after)
}

// back makes the part of a probe at its returns.
func (g *generator) back() {
	g.atReturn = true
	g.reads, g.pieces = g.probe.Back.Reads, g.layout.back
	g.start()
	g.count(countReturns)
	if g.probe.Flow != probe.NoFlow {
		g.flowBack()
		return
	}
	stray := g.label()
	g.callKey(stray)
	g.calls(asm.FnMapLookupElem)
	g.if_(asm.JEq, asm.R0, 0, stray)
	g.mov(event, asm.R0)
	if counts(g.probe) {
		g.entryTime = 0
		g.countBack()
		g.place(stray)
		g.measured(countStray)
		return
	}
	no, null, refused, over, full, lost := g.label(), g.label(), g.label(), g.label(), g.label(), g.label()
	g.decided(g.probe.Back.When, no, null)
	g.admit(refused, over)
	g.reserve(scratch, full)
	g.mov(asm.R1, scratch)
	g.set(asm.R2, int32(g.layout.size))
	g.mov(asm.R3, event)
	g.call(asm.FnProbeReadKernel)
	g.mov(event, scratch)
	g.if_(asm.JNE, asm.R0, 0, lost)
	g.add(asm.StoreImm(event, atKind, kindReturn, asm.Byte))
	g.load(asm.R1, frame, g.slots.time)
	g.store(event, backTime, asm.R1)
	g.load(asm.R1, frame, g.slots.cookie)
	g.add(asm.RSh.Imm(asm.R1, cookieSite), asm.And.Imm(asm.R1, maxSites-1))
	g.load(asm.R2, frame, g.slots.flags)
	g.add(asm.LSh.Imm(asm.R2, 32), asm.Or.Reg(asm.R1, asm.R2))
	g.store(event, backSite, asm.R1)
	g.registersTo(backRegisters)
	g.capture()
	g.submit()
	g.calls(asm.FnMapDeleteElem)
	g.countUndecided()
	g.count(countTaken)
	g.time(countNanos)
	g.exit()
	g.place(lost)
	g.discard()
	g.place(full)
	g.giveBack()
	g.calls(asm.FnMapDeleteElem)
	g.measured(countLost)
	for _, end := range []struct {
		at      label
		counter int
	}{{no, countFalse}, {null, countNil}, {refused, countRefused}, {over, countOver}} {
		g.place(end.at)
		g.calls(asm.FnMapDeleteElem)
		g.measured(end.counter)
	}
	g.place(stray)
	g.measured(countStray)
}
