package place

import (
	"golang.org/x/arch/x86/x86asm"

	"ri/probe"
	"ri/symbols"
)

// Receive is a place at which code receives from a channel, sends into one, closes it or makes it: where it calls the
// runtime for it, and where that has returned. Both are in the frame of who receives, so what the runtime was given to
// fill is found again, whatever moves the stack meanwhile.
type Receive struct {
	At, Back probe.Site
	Kind     ReceiveKind
	// Into is where in the frame, from the CFA on, the element comes to, or a select's list of cases lies. Thrown: the
	// element is thrown away.
	Into   int64
	Thrown bool
	// Closed: at Back, the low byte of the register Open is 0 if the channel was closed.
	Closed bool
}

// ReceiveKind is how it receives.
type ReceiveKind uint8

const (
	Plain   ReceiveKind = iota // chanrecv1, chanrecv2
	Polled                     // selectnbrecv
	Select                     // selectgo: the cases that send come first in the list
	Sent                       // chansend1
	Offered                    // selectnbsend: a select with a default
	Closing                    // closechan
	Made                       // makechan
)

// Registers say where things are, by DWARF's numbers of general registers. At At: the channel, how many cases send and
// receive, and whether a select waits. At Back: which case it was, or whether a look received something, and whether
// the channel is open; of Made the channel. Into is where what is sent lies, at At. What a kind doesn't have is -1.
type Registers struct{ Channel, Into, Sends, Receives, Waits, Which, Got, Open int }

// Registers are those of amd64 (Go's ABIInternal: AX, BX, CX, DI, SI, R8).
func (k ReceiveKind) Registers() Registers {
	const ax, bx, si, di, r8 = 0, 3, 4, 5, 8
	switch k {
	case Polled:
		return Registers{Channel: bx, Into: -1, Sends: -1, Receives: -1, Waits: -1, Which: -1, Got: ax, Open: bx}
	case Select:
		return Registers{Channel: -1, Into: -1, Sends: di, Receives: si, Waits: r8, Which: ax, Got: -1, Open: bx}
	case Made:
		return Registers{Channel: ax, Into: -1, Sends: -1, Receives: -1, Waits: -1, Which: -1, Got: -1, Open: -1}
	case Sent, Offered, Closing:
		return Registers{Channel: ax, Into: bx, Sends: -1, Receives: -1, Waits: -1, Which: -1, Got: ax, Open: -1}
	}
	return Registers{Channel: ax, Into: -1, Sends: -1, Receives: -1, Waits: -1, Which: -1, Got: -1, Open: bx}
}

// receivers are the runtime's functions (runtime/chan.go, select.go; Go 1.18 to 1.27), and which register has the
// address of what they fill, or of the cases.
var receivers = map[string]struct {
	kind ReceiveKind
	into x86asm.Reg
}{"runtime.chanrecv1": {Plain, x86asm.RBX}, "runtime.chanrecv2": {Plain, x86asm.RBX},
	"runtime.selectnbrecv": {Polled, x86asm.RAX}, "runtime.selectgo": {Select, x86asm.RAX},
	"runtime.chansend1": {kind: Sent}, "runtime.selectnbsend": {kind: Offered}, "runtime.closechan": {kind: Closing},
	"runtime.makechan": {kind: Made}}

// Sends tells whether nothing is received at such a place.
func (k ReceiveKind) Sends() bool { return k >= Sent }

// Receives finds where functions receive, send or close. What can't be probed, or isn't understood, is refused.
func Receives(f *symbols.File, in func(function string) bool) (out []Receive, refused []Refused) {
	at := map[uint64]string{}
	for name := range receivers {
		for _, entry := range namesOf(f).bodies[name] {
			at[entry] = name
		}
	}
	told := tellsClosed(f)
	for _, e := range f.FuncEntries() {
		if !in(e.Name) {
			continue
		}
		b := read(f, e.Entry)
		if b == nil || !b.isGo() {
			continue
		}
		for i, instruction := range b.list {
			name := at[instruction.target]
			if instruction.flow != call || name == "" {
				continue
			}
			r, why := b.receive(i, name)
			if why != "" {
				file, line := b.place(instruction.pc)
				refused = append(refused, Refused{Func: e.Name, File: file, Line: line, PC: instruction.pc, Why: why})
				continue
			}
			r.Closed = told || name != "runtime.chanrecv1"
			out = append(out, r)
		}
	}
	return out, refused
}

func (b *body) receive(i int, name string) (r Receive, why string) {
	if i+1 >= len(b.list) {
		return r, "what follows it can't be read"
	}
	is, behind := receivers[name], b.list[i+1]
	if b.list[i].refuse != "" || behind.refuse != "" {
		return r, b.list[i].refuse + behind.refuse
	}
	r = Receive{At: b.site(b.list[i], probe.Receive), Back: b.site(behind, probe.Receive), Kind: is.kind}
	if is.kind.Sends() {
		return r, ""
	}
	for j := i - 1; j >= 0 && j > i-maxPrologue; j-- {
		in := b.list[j]
		if in.flow != next || !in.known {
			break
		}
		to, ok := in.inst.Args[0].(x86asm.Reg)
		if !ok || to != is.into && to != is.into-x86asm.RAX+x86asm.EAX {
			continue
		}
		if m, ok := in.inst.Args[1].(x86asm.Mem); ok && in.inst.Op == x86asm.LEA && m.Base == x86asm.RSP && m.Index == 0 {
			r.Into = m.Disp - r.At.CFA
			return r, ""
		}
		if in.inst.Op == x86asm.XOR && in.inst.Args[1] == x86asm.Arg(to) {
			r.Thrown = true
			return r, ""
		}
		break
	}
	return r, "where the element comes to can't be told from the code"
}

// tellsClosed tells whether chanrecv1, which has no results, leaves what chanrecv gave it where it is.
func tellsClosed(f *symbols.File) bool {
	for _, entry := range namesOf(f).bodies["runtime.chanrecv1"] {
		b := read(f, entry)
		if b == nil {
			return false
		}
		called := false
		for _, in := range b.list {
			switch {
			case in.flow == call && b.name(in.target) == "runtime.chanrecv":
				called = true
			case called && in.flow == ret:
				return true
			case called && in.inst.Op != x86asm.ADD && in.inst.Op != x86asm.POP && in.inst.Op != x86asm.NOP:
				return false
			}
		}
	}
	return false
}
