package kernel

import "github.com/cilium/ebpf/asm"

// leave is the program at sys_exit: what a call did is known there, and its bytes have just been touched, so that they
// can be read.
func (g *socketPrograms) leave() {
	g.moved = g.label()
	g.begin(false)
	g.known()
	g.writes()
	g.reads()
	g.opens()
	g.names()
	g.jump(g.out)
	g.place(g.moved)
	g.pieces()
	g.place(g.out)
	g.exit()
}

// known leaves calls that are none of ours, before anything else costs time.
func (g *socketPrograms) known() {
	wanted := g.label()
	list := []int32{sysRead, sysWrite, sysReadv, sysWritev, sysDup, sysDup2, sysSendfile, sysSocket, sysConnect, sysAccept,
		sysSendto, sysRecvfrom, sysSendmsg, sysRecvmsg, sysShutdown, sysBind, sysListen, sysGetsockname, sysSocketpair,
		sysGetsockopt, sysFcntl, sysSplice, sysAccept4, sysDup3, sysRecvmmsg, sysSendmmsg, sysIoUringSetup}
	if g.opt.Random {
		list = append(list, sysGetrandom)
	}
	for _, n := range list {
		g.if_(asm.JEq, asm.R8, n, wanted)
	}
	g.jump(g.out)
	g.place(wanted)
}

// when places the code for some calls, and goes past it for all others.
func (g *socketPrograms) when(code func(), calls ...int32) {
	here, past := g.label(), g.label()
	for _, n := range calls {
		g.if_(asm.JEq, asm.R8, n, here)
	}
	g.jump(past)
	g.place(here)
	code()
	g.jump(g.out)
	g.place(past)
}

// start begins a record of a connection whose entry is in R1.
func (g *socketPrograms) start(fd int) {
	g.store(frame, socketTemp, asm.R1)
	g.room()
	g.load(asm.R1, frame, socketTemp)
	g.add(asm.StoreMem(asm.R6, record+recConn, asm.R1, asm.Word), asm.RSh.Imm(asm.R1, 32),
		asm.StoreMem(asm.R6, record+recLosses, asm.R1, asm.Word))
	g.argument(asm.R1, fd)
	g.add(asm.StoreMem(asm.R6, record+recFD, asm.R1, asm.Word))
	g.store(asm.R6, record+recResult, asm.R7)
	g.storeImm32(asm.R6, record+recFlags, 0)
}

// end ends a record without bytes.
func (g *socketPrograms) end() {
	g.flags(recLast)
	g.goroutine()
	g.output()
}

// idle leaves where a call did nothing: it would have had to wait, or was interrupted.
func (g *socketPrograms) idle(l label) {
	g.if_(asm.JEq, asm.R7, errAgain, l)
	g.if_(asm.JEq, asm.R7, errInt, l)
}

// began has the place in the order that a call took when it began, in the record. R0 is what the thread began.
func (g *socketPrograms) began(fd int) {
	g.add(asm.StoreMem(frame, socketKey, asm.R9, asm.Word))
	g.addr(asm.R2, socketKey)
	g.add(asm.LoadMapPtr(asm.R1, g.maps.threads))
	g.call(asm.FnMapLookupElem)
	g.if_(asm.JEq, asm.R0, 0, g.out)
	g.load(asm.R1, asm.R0, 8)
	g.ifReg(asm.JNE, asm.R1, asm.R8, g.out)
	g.set(asm.R1, -1)
	g.store(asm.R0, 8, asm.R1) // once
	for _, i := range []int{0, 8, 16, 24} {
		g.load(asm.R1, asm.R0, i)
		g.store(frame, socketBegun+i, asm.R1)
	}
	g.load(asm.R1, frame, socketBegun+24)
	g.start(fd)
	g.load(asm.R1, frame, socketBegun)
	g.store(asm.R6, record+recSeq, asm.R1)
	g.load(asm.R1, frame, socketBegun+16)
	g.store(asm.R6, record+recTime, asm.R1)
}

// one has a call's bytes be those at an argument.
func (g *socketPrograms) one(reg int) {
	g.argument(asm.R1, reg)
	g.store(asm.R6, workBase, asm.R1)
	g.store(asm.R6, workLen, asm.R7)
}

// vector has a call's bytes be those of a vector.
func (g *socketPrograms) vector() {
	g.argument(asm.R1, regsSI)
	g.store(asm.R6, workVec, asm.R1)
	g.argument(asm.R1, regsDX)
	g.store(asm.R6, workVecs, asm.R1)
}

// bytes ends a record, with the call's bytes if there are any and they are wanted.
func (g *socketPrograms) bytes(wanted bool) {
	none := g.label()
	g.goroutine()
	if wanted {
		g.if_(asm.JSLE, asm.R7, 0, none)
		g.store(asm.R6, workLeft, asm.R7)
	}
	g.place(none)
}

// transfer is what reads and writes have in common: where the bytes are, by the call.
func (g *socketPrograms) transfer(one, vector, to, msg int32, wanted bool, toAddr func()) {
	ready := g.label()
	next := func(n int32, code func()) {
		past := g.label()
		g.if_(asm.JNE, asm.R8, n, past)
		code()
		g.jump(ready)
		g.place(past)
	}
	next(one, func() { g.one(regsSI) })
	next(vector, g.vector)
	next(to, func() { g.one(regsSI); toAddr() })
	next(msg, func() { g.message(regsSI) })
	g.place(ready)
	g.bytes(wanted)
	g.jump(g.moved)
}

func (g *socketPrograms) writes() {
	void := g.label()
	g.when(func() {
		g.began(regsDI)
		g.idle(void)
		g.transfer(sysWrite, sysWritev, sysSendto, sysSendmsg, g.opt.Out, func() {
			g.argument(asm.R3, regsR8)
			g.argument(asm.R2, regsR9)
			g.address()
		})
		g.jump(g.out)
		g.place(void)
		g.flags(recLast | recVoid)
		g.output()
	}, sysWrite, sysWritev, sysSendto, sysSendmsg)
	g.when(func() {
		g.began(regsDI)
		g.argument(asm.R1, regsSI)
		g.store(asm.R6, record+recArg, asm.R1) // of shutdown: which direction
		failed := g.label()
		g.if_(asm.JNE, asm.R8, sysConnect, failed)
		g.argument(asm.R3, regsSI)
		g.argument(asm.R2, regsDX)
		g.address()
		g.place(failed)
		g.end()
	}, sysConnect, sysShutdown, sysSendfile, sysSendmmsg)
	// A splice goes from one descriptor to another, and either may be a connection.
	g.when(func() {
		in := g.label()
		g.descriptor(regsDI, in)
		g.if_(asm.JSLE, asm.R7, 0, in)
		g.start(regsDI)
		g.next()
		g.end()
		g.place(in)
		g.began(regsDX)
		g.set(asm.R1, 1)
		g.store(asm.R6, record+recArg, asm.R1) // it is what went out
		g.end()
	}, sysSplice)
}

func (g *socketPrograms) reads() {
	g.when(func() {
		g.idle(g.out)
		past := g.label()
		g.if_(asm.JNE, asm.R8, sysRecvfrom, past)
		g.argument(asm.R1, regsR10)
		g.add(asm.And.Imm(asm.R1, msgPeek))
		g.if_(asm.JNE, asm.R1, 0, g.out)
		g.place(past)
		g.descriptor(regsDI, g.out)
		g.start(regsDI)
		g.argument(asm.R1, regsDX)
		g.store(asm.R6, record+recArg, asm.R1) // a read of 0 bytes is no end
		g.next()
		g.transfer(sysRead, sysReadv, sysRecvfrom, sysRecvmsg, g.opt.In, func() { g.addressResult(regsR8, regsR9) })
	}, sysRead, sysReadv, sysRecvfrom, sysRecvmsg)
	g.when(func() {
		g.if_(asm.JSLE, asm.R7, 0, g.out)
		g.descriptor(regsDI, g.out)
		g.start(regsDI)
		g.next()
		g.end()
	}, sysRecvmmsg)
	if g.opt.Random {
		g.when(func() {
			g.if_(asm.JSLE, asm.R7, 0, g.out)
			g.argument(asm.R1, regsDX)
			g.if_(asm.JNE, asm.R1, 0, g.out) // libc's malloc asks with GRND_NONBLOCK, crypto/rand without flags
			g.set(asm.R1, 0)
			g.start(regsDI)
			g.next()
			g.one(regsDI)
			g.bytes(g.opt.In)
			g.jump(g.moved)
		}, sysGetrandom)
	}
}

// opened gives the descriptor that a call gave a new connection, or another's: its entry is at R0 then.
func (g *socketPrograms) opened() {
	g.if_(asm.JSLT, asm.R7, 0, g.out)
	g.mov(asm.R1, asm.R7)
	g.slot(g.out)
}

// numbered numbers a new connection: R1 is its number. R2 is lost.
func (g *socketPrograms) numbered() {
	g.add(asm.LoadMapValue(asm.R2, g.maps.control, 0))
	g.set(asm.R1, 1)
	g.fetchAdd(asm.R2, sockConn, asm.R1)
	g.add(asm.Add.Imm(asm.R1, 1))
}

func (g *socketPrograms) opens() {
	g.when(func() {
		ours := g.label()
		g.argument(asm.R1, regsDI)
		for _, family := range []int32{afUnix, afInet, afInet6} {
			g.if_(asm.JEq, asm.R1, family, ours)
		}
		g.jump(g.out)
		g.place(ours)
		g.opened()
		g.numbered()
		g.store(asm.R0, 0, asm.R1)
		g.start(regsDI)
		g.add(asm.StoreMem(asm.R6, record+recFD, asm.R7, asm.Word))
		g.argument(asm.R1, regsDI)
		g.store(asm.R6, record+recArg, asm.R1) // family
		g.argument(asm.R1, regsSI)
		g.store(asm.R6, record+recArg2, asm.R1) // type
		g.next()
		g.end()
	}, sysSocket)
	g.when(func() {
		g.idle(g.out)
		g.descriptor(regsDI, g.out) // who listens
		g.store(frame, socketBegun, asm.R1)
		g.opened()
		g.numbered()
		g.store(asm.R0, 0, asm.R1)
		g.start(regsDI)
		g.load(asm.R1, frame, socketBegun)
		g.store(asm.R6, record+recArg, asm.R1)
		g.next()
		g.addressResult(regsSI, regsDX)
		g.end()
	}, sysAccept, sysAccept4)
	g.when(func() {
		past := g.label()
		g.if_(asm.JNE, asm.R8, sysFcntl, past)
		dup := g.label()
		g.argument(asm.R1, regsSI)
		g.if_(asm.JEq, asm.R1, fcntlDup, dup)
		g.if_(asm.JNE, asm.R1, fcntlDupCloexec, g.out)
		g.place(dup)
		g.place(past)
		g.if_(asm.JSLT, asm.R7, 0, g.out)
		none, have := g.label(), g.label()
		g.descriptor(regsDI, none)
		g.jump(have)
		g.place(none)
		g.set(asm.R1, 0)
		g.place(have)
		g.store(frame, socketBegun, asm.R1)
		g.mov(asm.R1, asm.R7)
		g.slot(g.out)
		g.load(asm.R2, asm.R0, 0)
		g.store(frame, socketBegun+8, asm.R2) // what it replaces
		g.load(asm.R1, frame, socketBegun)
		g.store(asm.R0, 0, asm.R1)
		g.add(asm.Or.Reg(asm.R2, asm.R1))
		g.if_(asm.JEq, asm.R2, 0, g.out)
		g.start(regsDI)
		g.load(asm.R1, frame, socketBegun+8)
		g.store(asm.R6, record+recArg, asm.R1)
		g.next()
		g.end()
	}, sysDup, sysDup2, sysDup3, sysFcntl)
	g.when(func() {
		g.if_(asm.JSLT, asm.R7, 0, g.out)
		g.set(asm.R1, 0)
		g.start(regsDI)
		g.next()
		g.end()
	}, sysIoUringSetup, sysSocketpair)
}

// names are calls that tell of a connection what it is.
func (g *socketPrograms) names() {
	g.when(func() {
		g.if_(asm.JNE, asm.R7, 0, g.out)
		past := g.label()
		g.if_(asm.JNE, asm.R8, sysGetsockopt, past)
		g.argument(asm.R1, regsSI)
		g.if_(asm.JNE, asm.R1, solSocket, g.out)
		g.argument(asm.R1, regsDX)
		g.if_(asm.JNE, asm.R1, soError, g.out)
		g.place(past)
		g.descriptor(regsDI, g.out)
		g.start(regsDI)
		g.next()
		name, bind, end := g.label(), g.label(), g.label()
		g.if_(asm.JEq, asm.R8, sysGetsockname, name)
		g.if_(asm.JEq, asm.R8, sysBind, bind)
		g.if_(asm.JEq, asm.R8, sysListen, end)
		g.argument(asm.R3, regsR10)
		g.mov(asm.R1, asm.R6)
		g.plus(asm.R1, record+recArg)
		g.set(asm.R2, 4)
		g.call(asm.FnProbeReadUser)
		g.jump(end)
		g.place(name)
		g.addressResult(regsSI, regsDX)
		g.jump(end)
		g.place(bind)
		g.argument(asm.R3, regsSI)
		g.argument(asm.R2, regsDX)
		g.address()
		g.place(end)
		g.end()
	}, sysGetsockname, sysGetsockopt, sysBind, sysListen)
}
