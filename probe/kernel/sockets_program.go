package kernel

import (
	"github.com/cilium/ebpf/asm"
)

// Numbers of system calls (arch/x86/entry/syscalls/syscall_64.tbl, Linux 6.18).
const (
	sysRead, sysWrite, sysClose, sysReadv, sysWritev   = 0, 1, 3, 19, 20
	sysDup, sysDup2, sysSendfile, sysSocket            = 32, 33, 40, 41
	sysConnect, sysAccept, sysSendto, sysRecvfrom      = 42, 43, 44, 45
	sysSendmsg, sysRecvmsg, sysShutdown, sysBind       = 46, 47, 48, 49
	sysListen, sysGetsockname, sysSocketpair           = 50, 51, 53
	sysGetsockopt, sysFcntl, sysSplice, sysAccept4     = 55, 72, 275, 288
	sysDup3, sysRecvmmsg, sysSendmmsg, sysGetrandom    = 292, 299, 307, 318
	sysIoUringSetup                                    = 425
	fcntlDup, fcntlDupCloexec, solSocket, soError      = 0, 1030, 1, 4
	afUnix, afInet, afInet6, msgPeek, errAgain, errInt = 1, 2, 10, 2, -11, -4
)

// pt_regs (arch/x86/include/asm/ptrace.h): what user space had in its registers. The kernel leaves the arguments of a
// system call there until it returns.
const (
	regsR14, regsR10, regsR9, regsR8, regsDX, regsSI, regsDI = 8, 56, 64, 72, 96, 104, 112
	regsOrigAX, regsStack, regsSize                          = 120, 152, 168
)

// The control map of sockets.
const (
	sockSeq   = 0  // the next place in the order
	sockConn  = 8  // the last connection's number
	sockLost  = 16 // records that the ring had no room for
	sockCalls = 24 // records that were written
	sockBytes = 32 // bytes in them
	sockSize  = 64
)

// The scratch memory of a processor: what a program works with, a record's head, its bytes. A program that runs at a
// tracepoint of system calls isn't preempted (__BPF_DECLARE_TRACE_SYSCALL, include/trace/bpf_probe.h): one is enough.
const (
	workLeft, workBase, workLen, workVec, workVecs = 0, 8, 16, 24, 32
	workPiece, workOff, workStep, workMsg          = 40, 56, 64, 72 // a struct msghdr has 56 bytes
	record                                         = 192            // the record begins here

	chunkSize   = 64 << 10
	scratchSize = record + recordHead + 2*chunkSize
	// mostPieces bounds a call's pieces: an iovec has up to 1,024, and each 64 KiB end one.
	mostPieces = 1100
)

// A record's head.
const (
	recSeq, recTime, recGoid, recThread, recCall = 0, 8, 16, 24, 28
	recFD, recConn, recResult, recArg, recArg2   = 32, 36, 40, 48, 56
	recOffset, recSize, recFlags, recAddrSize    = 64, 72, 76, 80
	recLosses, recAddr, addrRoom                 = 84, 88, 112
	recordHead                                   = recAddr + addrRoom
)

// Flags of a record.
const (
	recLast   = 1 << iota // of a call's records
	recFailed             // some bytes could not be read
	recVoid               // the call did nothing: only its place in the order is taken
	recEntry              // made when the call began
)

// Places on the stack.
const (
	socketRegs  = -regsSize           // pt_regs
	socketKey   = socketRegs - 8      // of a map
	socketBegun = socketKey - 8 - 32  // what a thread began: sequence, the call's number, time, the connection's entry
	socketTemp  = socketBegun - 8 - 8 // 8 bytes
)

// socketMaps are the maps that programs for sockets use.
type socketMaps struct {
	control, fds, threads, scratch, ring int
	most                                 int // of descriptors
}

// socketPrograms generates both programs.
type socketPrograms struct {
	*assembler
	maps  socketMaps
	opt   SocketOptions
	out   label
	calls int   // the map of functions' calls that go on
	moved label // where the bytes of a call are given, one place for all: the verifier goes through it once
}

// begin leaves who isn't the target, reads the registers to the stack, and has R6 the scratch memory, R9 pid and tid.
// What is left is in R8: the number of the call.
func (g *socketPrograms) begin(entry bool) {
	g.out = g.label()
	g.mov(asm.R6, asm.R1)
	g.call(asm.FnGetCurrentPidTgid)
	g.mov(asm.R9, asm.R0)
	g.add(asm.RSh.Imm(asm.R0, 32))
	g.set64(asm.R1, uint64(g.opt.PID))
	g.ifReg(asm.JNE, asm.R0, asm.R1, g.out)
	read := func() {
		g.load(asm.R3, asm.R6, 0)
		g.addr(asm.R1, socketRegs)
		g.set(asm.R2, regsSize)
		g.call(asm.FnProbeReadKernel)
		g.if_(asm.JNE, asm.R0, 0, g.out)
	}
	if entry {
		g.load(asm.R8, asm.R6, 8)
		wanted := g.label()
		for _, n := range []int32{sysWrite, sysClose, sysWritev, sysSendto, sysSendmsg, sysConnect, sysShutdown,
			sysSendfile, sysSplice, sysSendmmsg} {
			g.if_(asm.JEq, asm.R8, n, wanted)
		}
		g.jump(g.out)
		g.place(wanted)
		read()
	} else {
		read()
		g.load(asm.R8, frame, socketRegs+regsOrigAX)
		g.load(asm.R7, asm.R6, 8) // the result, until the scratch memory has it
	}
}

// room has R6 the scratch memory, with an empty record in it.
func (g *socketPrograms) room() {
	g.call(asm.FnGetSmpProcessorId)
	g.add(asm.StoreMem(frame, socketKey, asm.R0, asm.Word))
	g.addr(asm.R2, socketKey)
	g.add(asm.LoadMapPtr(asm.R1, g.maps.scratch))
	g.call(asm.FnMapLookupElem)
	g.if_(asm.JEq, asm.R0, 0, g.out)
	g.mov(asm.R6, asm.R0)
	g.empty()
}

// empty empties the record in the scratch memory.
func (g *socketPrograms) empty() {
	g.set(asm.R1, 0)
	for _, off := range []int{workLeft, workBase, workLen, workVec, workVecs, workOff, record + recGoid, record + recArg,
		record + recArg2, record + recOffset, record + recSize, record + recAddrSize} {
		g.store(asm.R6, off, asm.R1)
	}
	g.add(asm.StoreMem(asm.R6, record+recThread, asm.R9, asm.Word), asm.StoreMem(asm.R6, record+recCall, asm.R8, asm.Word))
	g.call(asm.FnKtimeGetNs)
	g.store(asm.R6, record+recTime, asm.R0)
}

// argument loads an argument of the call.
func (g *socketPrograms) argument(to asm.Register, reg int) { g.load(to, frame, socketRegs+reg) }

// descriptor has R0 the place of the descriptor's entry, or jumps away where it is none that is followed. The entry
// itself is in R1.
func (g *socketPrograms) descriptor(reg int, none label) {
	g.argument(asm.R1, reg)
	g.slot(none)
	g.load(asm.R1, asm.R0, 0)
	g.if_(asm.JEq, asm.R1, 0, none)
}

// slot has R0 the place of the entry of the descriptor in R1.
func (g *socketPrograms) slot(none label) {
	g.add(asm.StoreMem(frame, socketKey, asm.R1, asm.Word))
	g.addr(asm.R2, socketKey)
	g.add(asm.LoadMapPtr(asm.R1, g.maps.fds))
	g.call(asm.FnMapLookupElem)
	g.if_(asm.JEq, asm.R0, 0, none)
}

// next takes a place in the order, into the record. R1 and R2 are lost.
func (g *socketPrograms) next() {
	g.add(asm.LoadMapValue(asm.R2, g.maps.control, 0))
	g.set(asm.R1, 1)
	g.fetchAdd(asm.R2, sockSeq, asm.R1)
	g.store(asm.R6, record+recSeq, asm.R1)
}

// goroutine notes which one it is: R14 of Go code is its runtime.g, and it is believed if the stack pointer is in the
// stack that it has.
func (g *socketPrograms) goroutine() {
	if g.opt.Goid <= 0 {
		return
	}
	not := g.label()
	g.argument(asm.R3, regsR14)
	g.mov(asm.R1, asm.R6)
	g.plus(asm.R1, workPiece)
	g.set(asm.R2, 16) // stack.lo, stack.hi: the first field of runtime.g
	g.call(asm.FnProbeReadUser)
	g.if_(asm.JNE, asm.R0, 0, not)
	g.argument(asm.R1, regsStack)
	g.load(asm.R2, asm.R6, workPiece)
	g.ifReg(asm.JLT, asm.R1, asm.R2, not)
	g.load(asm.R2, asm.R6, workPiece+8)
	g.ifReg(asm.JGT, asm.R1, asm.R2, not)
	g.argument(asm.R3, regsR14)
	g.plus(asm.R3, g.opt.Goid)
	g.mov(asm.R1, asm.R6)
	g.plus(asm.R1, record+recGoid)
	g.set(asm.R2, 8)
	g.call(asm.FnProbeReadUser)
	g.place(not)
}

// output gives what is in the scratch memory to the ring. R0 to R5 are lost.
func (g *socketPrograms) output() {
	full, done := g.label(), g.label()
	g.load(asm.R3, asm.R6, workOff)
	g.if_(asm.JGT, asm.R3, chunkSize, done)
	g.add(asm.StoreMem(asm.R6, record+recSize, asm.R3, asm.Word))
	g.plus(asm.R3, recordHead)
	g.mov(asm.R2, asm.R6)
	g.plus(asm.R2, record)
	g.add(asm.LoadMapPtr(asm.R1, g.maps.ring))
	g.set(asm.R4, 1) // BPF_RB_NO_WAKEUP: who reads looks by the clock
	g.call(asm.FnRingbufOutput)
	g.add(asm.LoadMapValue(asm.R2, g.maps.control, 0))
	g.set(asm.R1, 1)
	g.if_(asm.JNE, asm.R0, 0, full)
	g.atomicAdd(asm.R2, sockCalls, asm.R1)
	g.load(asm.R1, asm.R6, workOff)
	g.atomicAdd(asm.R2, sockBytes, asm.R1)
	g.jump(done)
	g.place(full)
	g.atomicAdd(asm.R2, sockLost, asm.R1)
	// The connection's entry has the losses in its upper half: whoever reads has to know which stream has a hole.
	g.loadSize(asm.R1, asm.R6, record+recFD, 4)
	g.slot(done)
	g.load(asm.R1, asm.R0, 0)
	g.loadSize(asm.R2, asm.R6, record+recConn, 4)
	g.add(asm.LSh.Imm(asm.R1, 32), asm.RSh.Imm(asm.R1, 32))
	g.ifReg(asm.JNE, asm.R1, asm.R2, done)
	g.set64(asm.R1, 1<<32)
	g.atomicAdd(asm.R0, 0, asm.R1)
	g.place(done)
}

// flags sets flags of the record. R1 is lost.
func (g *socketPrograms) flags(v int32) {
	g.loadSize(asm.R1, asm.R6, record+recFlags, 4)
	g.add(asm.Or.Imm(asm.R1, v))
	g.add(asm.StoreMem(asm.R6, record+recFlags, asm.R1, asm.Word))
}

// address takes a socket's address along: that at R3, of a size in R2.
func (g *socketPrograms) address() {
	none, fits := g.label(), g.label()
	g.add(asm.LSh.Imm(asm.R2, 32), asm.RSh.Imm(asm.R2, 32))
	g.if_(asm.JEq, asm.R3, 0, none)
	g.if_(asm.JEq, asm.R2, 0, none)
	g.if_(asm.JLE, asm.R2, addrRoom, fits)
	g.set(asm.R2, addrRoom)
	g.place(fits)
	g.add(asm.StoreMem(asm.R6, record+recAddrSize, asm.R2, asm.Word))
	g.mov(asm.R1, asm.R6)
	g.plus(asm.R1, record+recAddr)
	g.call(asm.FnProbeReadUser)
	g.place(none)
}

// addressResult takes an address along that the kernel gave: that at R3, its size at R2.
func (g *socketPrograms) addressResult(addr, size int) {
	none := g.label()
	g.argument(asm.R3, size)
	g.if_(asm.JEq, asm.R3, 0, none)
	g.addr(asm.R1, socketTemp)
	g.set(asm.R2, 4)
	g.call(asm.FnProbeReadUser)
	g.if_(asm.JNE, asm.R0, 0, none)
	g.loadSize(asm.R2, frame, socketTemp, 4)
	g.argument(asm.R3, addr)
	g.address()
	g.place(none)
}

// message reads a struct msghdr: its name becomes the address, its pieces those of the call.
func (g *socketPrograms) message(reg int) {
	failed := g.label()
	g.argument(asm.R3, reg)
	g.mov(asm.R1, asm.R6)
	g.plus(asm.R1, workMsg)
	g.set(asm.R2, 56)
	g.call(asm.FnProbeReadUser)
	g.if_(asm.JNE, asm.R0, 0, failed)
	g.load(asm.R1, asm.R6, workMsg+16)
	g.store(asm.R6, workVec, asm.R1)
	g.load(asm.R1, asm.R6, workMsg+24)
	g.store(asm.R6, workVecs, asm.R1)
	g.load(asm.R3, asm.R6, workMsg)
	g.loadSize(asm.R2, asm.R6, workMsg+8, 4)
	g.address()
	g.place(failed)
}

// pieces gives the call's bytes to the ring, in records of up to chunkSize. Sizes and offsets are read from memory in
// each turn: what the verifier knows of them would be another state in each. R8 and R9 count.
func (g *socketPrograms) pieces() {
	loop, have, next, done := g.label(), g.label(), g.label(), g.label()
	g.set(asm.R8, 0)
	g.place(loop)
	g.load(asm.R1, asm.R6, workLeft)
	g.if_(asm.JEq, asm.R1, 0, done)
	g.load(asm.R2, asm.R6, workLen)
	g.if_(asm.JNE, asm.R2, 0, have)
	g.load(asm.R3, asm.R6, workVecs)
	g.if_(asm.JEq, asm.R3, 0, done)
	g.add(asm.Sub.Imm(asm.R3, 1))
	g.store(asm.R6, workVecs, asm.R3)
	g.load(asm.R3, asm.R6, workVec)
	g.mov(asm.R1, asm.R3)
	g.plus(asm.R1, 16)
	g.store(asm.R6, workVec, asm.R1)
	g.mov(asm.R1, asm.R6)
	g.plus(asm.R1, workPiece)
	g.set(asm.R2, 16)
	g.call(asm.FnProbeReadUser)
	g.if_(asm.JNE, asm.R0, 0, done)
	g.load(asm.R1, asm.R6, workPiece)
	g.store(asm.R6, workBase, asm.R1)
	g.load(asm.R2, asm.R6, workPiece+8)
	g.store(asm.R6, workLen, asm.R2)
	g.jump(next)

	g.place(have) // the step is the least of what is left, of this piece, of the record
	least := func(with asm.Register) {
		l := g.label()
		g.ifReg(asm.JLE, asm.R2, with, l)
		g.mov(asm.R2, with)
		g.place(l)
	}
	least(asm.R1)
	g.load(asm.R4, asm.R6, workOff)
	g.if_(asm.JGT, asm.R4, chunkSize, done)
	g.set(asm.R3, chunkSize)
	g.add(asm.Sub.Reg(asm.R3, asm.R4))
	least(asm.R3)
	g.if_(asm.JGT, asm.R2, chunkSize, done)
	g.store(asm.R6, workStep, asm.R2)
	g.mov(asm.R1, asm.R6)
	g.add(asm.Add.Reg(asm.R1, asm.R4))
	g.plus(asm.R1, record+recordHead)
	g.load(asm.R3, asm.R6, workBase)
	g.call(asm.FnProbeReadUser)
	read := g.label()
	g.if_(asm.JEq, asm.R0, 0, read)
	g.flags(recFailed)
	g.place(read)
	g.load(asm.R2, asm.R6, workStep)
	step := func(work int, op asm.ALUOp) {
		g.load(asm.R1, asm.R6, work)
		g.add(op.Reg(asm.R1, asm.R2))
		g.store(asm.R6, work, asm.R1)
	}
	step(workLeft, asm.Sub)
	step(workLen, asm.Sub)
	step(workBase, asm.Add)
	step(workOff, asm.Add)
	g.if_(asm.JLT, asm.R1, chunkSize, next)
	g.load(asm.R1, asm.R6, workLeft)
	g.if_(asm.JEq, asm.R1, 0, done)
	g.output()
	g.load(asm.R2, asm.R6, workOff)
	step(record+recOffset, asm.Add)
	g.set(asm.R1, 0)
	g.store(asm.R6, workOff, asm.R1)
	g.place(next)
	g.add(asm.Add.Imm(asm.R8, 1))
	g.if_(asm.JLT, asm.R8, mostPieces, loop)
	g.place(done)
	g.flags(recLast)
	g.output()
}

// entry is the program at sys_enter: it gives writes their place in the order, and forgets what is closed before the
// descriptor can be another's.
func (g *socketPrograms) entry() {
	g.begin(true)
	second, have, closing := g.label(), g.label(), g.label()
	g.if_(asm.JEq, asm.R8, sysSplice, second)
	g.descriptor(regsDI, g.out)
	g.jump(have)
	g.place(second)
	g.descriptor(regsDX, g.out)
	g.place(have)
	g.if_(asm.JEq, asm.R8, sysClose, closing)
	g.mov(asm.R7, asm.R1)
	g.add(asm.LoadMapValue(asm.R2, g.maps.control, 0))
	g.set(asm.R1, 1)
	g.fetchAdd(asm.R2, sockSeq, asm.R1)
	g.store(frame, socketBegun, asm.R1)
	g.store(frame, socketBegun+8, asm.R8)
	g.store(frame, socketBegun+24, asm.R7)
	g.call(asm.FnKtimeGetNs)
	g.store(frame, socketBegun+16, asm.R0)
	g.add(asm.StoreMem(frame, socketKey, asm.R9, asm.Word))
	g.addr(asm.R2, socketKey)
	g.addr(asm.R3, socketBegun)
	g.add(asm.LoadMapPtr(asm.R1, g.maps.threads))
	g.set(asm.R4, 0)
	g.call(asm.FnMapUpdateElem)
	g.jump(g.out)

	g.place(closing)
	g.mov(asm.R7, asm.R1)
	g.set(asm.R1, 0)
	g.store(asm.R0, 0, asm.R1)
	g.room()
	g.add(asm.StoreMem(asm.R6, record+recConn, asm.R7, asm.Word), asm.RSh.Imm(asm.R7, 32),
		asm.StoreMem(asm.R6, record+recLosses, asm.R7, asm.Word))
	g.argument(asm.R1, regsDI)
	g.add(asm.StoreMem(asm.R6, record+recFD, asm.R1, asm.Word))
	g.storeImm32(asm.R6, record+recFlags, recLast|recEntry)
	g.set(asm.R1, 0)
	g.store(asm.R6, record+recResult, asm.R1)
	g.next()
	g.goroutine()
	g.output()
	g.place(g.out)
	g.exit()
}
