package kernel

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"ri/probe"
)

// SocketFunction is a function of the program through whose argument, a slice of bytes, goes what system calls don't
// show: plaintext inside of TLS, and random bytes that no system call gives. Its calls are records as those of system
// calls are, in the same order.
type SocketFunction struct {
	Kind    SocketKind // SocketPlainRead, SocketPlainWrite or SocketRandom
	Entry   probe.Site
	Returns []probe.Site
}

// Numbers of calls that are none of the system's.
const (
	plainRead = 1<<16 + iota
	plainWrite
	sysRand
)

// Registers beside those of socketPrograms, as Go's ABI has arguments and results: AX, BX, CX.
const regsAX, regsBX, regsCX = 80, 40, 88

// cookieAgainBit marks a site at the stack check.
const cookieAgainBit = 1 << 32

// Where net's structures have the descriptor (net/net.go: conn, fd_unix.go: netFD; internal/poll/fd_unix.go: FD; Go
// 1.20 to 1.27): a *net.TCPConn leads to a netFD, which begins with a poll.FD: fdMutex of 16 bytes, Sysfd.
const sysfdOffset = 16

// slotsOfFunctions is how much scratch memory there is for calls at once. Programs at functions may be preempted, so a
// processor's alone isn't enough.
const slotsOfFunctions = 64

// workBusy is how many use a scratch memory; above 1 all but the first look for another.
const workBusy = 144

// A call of a function that began, by goroutine and number.
const openCallSize = 48 // sequence, time, the slice's address and length, the connection's entry, descriptor

// functions makes what is needed to follow functions, and arms them.
func (s *Sockets) functions(target Target, list []SocketFunction) error {
	if way := Able().Way; way != Multi {
		return fmt.Errorf("functions can be followed with uprobe_multi links only (Linux 6.10): %w", ErrUnable)
	}
	specs := []ebpf.MapSpec{
		{Name: "ri_opencalls", Type: ebpf.LRUHash, KeySize: 16, ValueSize: openCallSize, MaxEntries: 16384},
		{Name: "ri_slots", Type: ebpf.Array, KeySize: 4, ValueSize: scratchSize, MaxEntries: slotsOfFunctions},
	}
	var maps []*ebpf.Map
	for i := range specs {
		m, err := ebpf.NewMap(&specs[i])
		if err != nil {
			return mapError("a map of "+specs[i].Name, err)
		}
		s.maps, maps = append(s.maps, m), append(maps, m)
	}
	file, err := os.Open(fmt.Sprintf("/proc/%d/exe", s.opt.PID))
	if err != nil {
		return fmt.Errorf("the file of the code: %w", err)
	}
	defer file.Close()
	if s.keeper, err = newKeeper(); err != nil {
		return err
	}
	for _, back := range []bool{true, false} { // returns first, as an entry without would look like one that goes on
		o := order{Way: Multi, PID: s.opt.PID}
		for _, f := range list {
			sites := f.Returns
			if !back {
				sites = []probe.Site{f.Entry}
			}
			for _, site := range sites {
				offset, ok := target.offset(site.PC)
				if !ok {
					return fmt.Errorf("%s: %w", site.Func, errNowhere)
				}
				var b [16]byte
				file.ReadAt(b[:], int64(offset)) // into the page cache: see touch
				c := uint64(functionNumber(f.Kind))
				if site.Again {
					c |= cookieAgainBit
				}
				o.Offsets, o.Cookies = append(o.Offsets, offset), append(o.Cookies, c)
			}
		}
		p, err := s.functionProgram(maps[0].FD(), maps[1].FD(), back)
		if err != nil {
			return err
		}
		s.programs = append(s.programs, p)
		n, err := s.keeper.arm(p, file, o)
		if err != nil {
			return fmt.Errorf("the kernel doesn't arm %d places: %w", len(o.Offsets), err)
		}
		s.kept = append(s.kept, n)
	}
	return nil
}

func functionNumber(k SocketKind) uint32 {
	switch k {
	case SocketPlainRead:
		return plainRead
	case SocketPlainWrite:
		return plainWrite
	}
	return sysRand
}

func (s *Sockets) functionProgram(calls, slots int, back bool) (*ebpf.Program, error) {
	g := s.generator()
	g.calls, g.maps.scratch = calls, slots
	name := "ri_call_enter"
	if back {
		name = "ri_call_exit"
		g.functionReturn()
	} else {
		g.functionEntry()
	}
	code, err := g.finish()
	if err != nil {
		return nil, err
	}
	return loadSocketProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.Kprobe, License: "GPL", Instructions: code,
		KernelVersion: anyKernel, AttachType: ebpf.AttachTraceUprobeMulti})
}

// functionBegin copies registers to where those of system calls are, and has R8 the call's number, R9 pid and tid, and
// the key of the call on the stack.
func (g *socketPrograms) functionBegin() {
	g.out, g.moved = g.label(), g.label()
	g.mov(asm.R6, asm.R1)
	for _, reg := range []int{regsAX, regsBX, regsCX, regsR14, regsStack} {
		g.load(asm.R1, asm.R6, reg)
		g.store(frame, socketRegs+reg, asm.R1)
	}
	g.mov(asm.R1, asm.R6)
	g.call(asm.FnGetAttachCookie)
	g.mov(asm.R8, asm.R0)
	g.mov(asm.R1, asm.R0)
	sure := g.label()
	g.add(asm.RSh.Imm(asm.R1, 32))
	g.if_(asm.JEq, asm.R1, 0, sure)
	g.load(asm.R1, asm.R6, regsFlags)
	g.add(asm.And.Imm(asm.R1, 0x41)) // carry or zero: the call begins anew with a larger stack
	g.if_(asm.JNE, asm.R1, 0, g.out)
	g.place(sure)
	g.add(asm.LSh.Imm(asm.R8, 32), asm.RSh.Imm(asm.R8, 32))
	g.call(asm.FnGetCurrentPidTgid)
	g.mov(asm.R9, asm.R0)
	g.argument(asm.R1, regsR14)
	g.store(frame, callKey, asm.R1)
	g.store(frame, callKey+8, asm.R8)
}

// Places on the stack, beside those of system calls. socketTemp and socketBegun are free where functions begin.
const (
	callKey  = socketTemp - 16
	callOpen = callKey - openCallSize
)

// functionEntry keeps where a call's bytes are, and of a write its place in the order.
func (g *socketPrograms) functionEntry() {
	g.functionBegin()
	random, known, ready := g.label(), g.label(), g.label()
	g.set(asm.R1, 0)
	for off := 0; off < openCallSize; off += 8 {
		g.store(frame, callOpen+off, asm.R1)
	}
	g.if_(asm.JEq, asm.R8, sysRand, random)
	g.argument(asm.R1, regsBX)
	g.store(frame, callOpen+16, asm.R1)
	g.argument(asm.R1, regsCX)
	g.store(frame, callOpen+24, asm.R1)
	// tls.Conn begins with a net.Conn: its second word leads to the connection, or to what has one as its first field.
	g.argument(asm.R7, regsAX)
	for range 2 {
		g.readWord(asm.R7, 8)
		g.load(asm.R7, frame, socketTemp)
		g.readWord(asm.R7, 0) // conn.fd
		g.load(asm.R1, frame, socketTemp)
		g.readWord(asm.R1, sysfdOffset)
		g.load(asm.R1, frame, socketTemp)
		other := g.label()
		g.if_(asm.JGE, asm.R1, int32(g.maps.most), other)
		g.store(frame, callOpen+40, asm.R1)
		g.slot(other)
		g.load(asm.R1, asm.R0, 0)
		g.if_(asm.JEq, asm.R1, 0, other)
		g.store(frame, callOpen+32, asm.R1)
		g.jump(known)
		g.place(other)
	}
	g.place(known)
	g.if_(asm.JNE, asm.R8, plainWrite, ready)
	g.add(asm.LoadMapValue(asm.R2, g.maps.control, 0))
	g.set(asm.R1, 1)
	g.fetchAdd(asm.R2, sockSeq, asm.R1)
	g.store(frame, callOpen, asm.R1)
	g.jump(ready)
	g.place(random)
	g.argument(asm.R1, regsAX)
	g.store(frame, callOpen+16, asm.R1)
	g.argument(asm.R1, regsBX)
	g.store(frame, callOpen+24, asm.R1)
	g.place(ready)
	g.call(asm.FnKtimeGetNs)
	g.store(frame, callOpen+8, asm.R0)
	g.addr(asm.R2, callKey)
	g.addr(asm.R3, callOpen)
	g.add(asm.LoadMapPtr(asm.R1, g.calls))
	g.set(asm.R4, 0)
	g.call(asm.FnMapUpdateElem)
	g.place(g.out)
	g.exit()
}

// readWord reads a word of the program's to socketTemp; 0 if it can't be read.
func (g *socketPrograms) readWord(from asm.Register, off int64) {
	g.mov(asm.R3, from)
	g.plus(asm.R3, off)
	g.addr(asm.R1, socketTemp)
	g.set(asm.R2, 8)
	g.call(asm.FnProbeReadUser)
}

// functionReturn gives a call that ends, with its bytes.
func (g *socketPrograms) functionReturn() {
	g.functionBegin()
	g.addr(asm.R2, callKey)
	g.add(asm.LoadMapPtr(asm.R1, g.calls))
	g.call(asm.FnMapLookupElem)
	g.if_(asm.JEq, asm.R0, 0, g.out)
	for off := 0; off < openCallSize; off += 8 {
		g.load(asm.R1, asm.R0, off)
		g.store(frame, callOpen+off, asm.R1)
	}
	g.addr(asm.R2, callKey)
	g.add(asm.LoadMapPtr(asm.R1, g.calls))
	g.call(asm.FnMapDeleteElem)
	none := g.label()
	// The result: how many bytes, which isn't more than there is room for.
	g.argument(asm.R7, regsAX)
	counted, fits := g.label(), g.label()
	g.if_(asm.JNE, asm.R8, sysRand, counted)
	g.load(asm.R7, frame, callOpen+24)
	g.place(counted)
	g.load(asm.R1, frame, callOpen+24)
	g.ifReg(asm.JLE, asm.R7, asm.R1, fits)
	g.set(asm.R7, 0)
	g.place(fits)
	past := g.label()
	g.if_(asm.JNE, asm.R8, plainRead, past)
	g.if_(asm.JEq, asm.R7, 0, g.out) // deadlines, and the end that a system call tells, too
	g.place(past)
	g.acquire(none)
	g.load(asm.R1, frame, callOpen+32)
	g.add(asm.StoreMem(asm.R6, record+recConn, asm.R1, asm.Word), asm.RSh.Imm(asm.R1, 32),
		asm.StoreMem(asm.R6, record+recLosses, asm.R1, asm.Word))
	g.load(asm.R1, frame, callOpen+40)
	g.add(asm.StoreMem(asm.R6, record+recFD, asm.R1, asm.Word))
	g.store(asm.R6, record+recResult, asm.R7)
	g.storeImm32(asm.R6, record+recFlags, 0)
	entry, placed := g.label(), g.label()
	g.if_(asm.JEq, asm.R8, plainWrite, entry)
	g.next()
	g.jump(placed)
	g.place(entry)
	g.load(asm.R1, frame, callOpen)
	g.store(asm.R6, record+recSeq, asm.R1)
	g.load(asm.R1, frame, callOpen+8)
	g.store(asm.R6, record+recTime, asm.R1)
	g.place(placed)
	g.goroutine()
	g.load(asm.R1, frame, callOpen+16)
	g.store(asm.R6, workBase, asm.R1)
	g.store(asm.R6, workLen, asm.R7)
	g.store(asm.R6, workLeft, asm.R7)
	g.pieces()
	g.set(asm.R1, -1)
	g.atomicAdd(asm.R6, workBusy, asm.R1)
	g.jump(g.out)
	g.place(none)
	g.add(asm.LoadMapValue(asm.R2, g.maps.control, 0))
	g.set(asm.R1, 1)
	g.atomicAdd(asm.R2, sockLost, asm.R1)
	g.place(g.out)
	g.exit()
}

// acquire has R6 a scratch memory that nobody else uses, with an empty record in it.
func (g *socketPrograms) acquire(none label) {
	got := g.label()
	for try := range 4 {
		g.mov(asm.R1, asm.R9)
		g.plus(asm.R1, int64(17*try))
		g.add(asm.And.Imm(asm.R1, slotsOfFunctions-1))
		g.add(asm.StoreMem(frame, socketKey, asm.R1, asm.Word))
		g.addr(asm.R2, socketKey)
		g.add(asm.LoadMapPtr(asm.R1, g.maps.scratch))
		g.call(asm.FnMapLookupElem)
		g.if_(asm.JEq, asm.R0, 0, none)
		g.mov(asm.R6, asm.R0)
		g.set(asm.R1, 1)
		g.fetchAdd(asm.R6, workBusy, asm.R1)
		g.if_(asm.JEq, asm.R1, 0, got)
		g.set(asm.R1, -1)
		g.atomicAdd(asm.R6, workBusy, asm.R1)
	}
	g.jump(none)
	g.place(got)
	g.empty()
}
