// Package arch has what ri must know of processors: registers, pages, how calls and frames are made, and the
// disassembler. All of it stands in one value, [Arch], of which there is one for each processor.
//
// It is the lowest room: attach, symbols and values see it, and nothing above them names a register, or counts the
// bytes of a return address.
//
// What may not come in: files, processes, Go types. What follows machine code through functions is symbols/flow.
package arch

import (
	"debug/elf"
	"errors"
)

// ErrInstruction: some bytes are no instruction.
var ErrInstruction = errors.New("no instruction")

// Arch is a processor, with the conventions of Linux and Go on it.
type Arch struct {
	Name     string      // as GOARCH has it
	Machine  elf.Machine // as ELF files have it
	PageSize uint64      // in bytes: the smallest unit that is mapped

	// ArenaBase is added to an address before the Go heap counts its arenas (runtime.arenaBaseOffset, negated), and
	// addresses of user space have AddressBits.
	ArenaBase   uint64
	AddressBits int

	// Breakpoint is what debuggers write over an instruction. Syscall is the instruction that enters the kernel, Result
	// the register, by DWARF number, in which the kernel gives its answer.
	Breakpoint []byte
	Syscall    []byte
	Result     uint64
	// CallSize is the size of a direct call, as compilers make it of one to a known function.
	CallSize uint64
	// LongestInstruction is in bytes.
	LongestInstruction int

	// Signal is what the kernel lays on a stack for a handler.
	Signal SignalFrame
	// UserSize is the size of struct user_regs_struct, which ptrace gives and cores hold (pr_reg), in bytes.
	UserSize int

	registers []string // names, by DWARF number
	pointers  int      // those before this one may hold pointers
	pc, sp    int
	fp        int   // the frame pointer
	user      []int // where in struct user_regs_struct each register is, in words
	userTLS   int   // where the thread pointer is there
	pushed    uint64
	saved     int64 // of a frame that isn't empty, between its locals and the return address
	preempted []int // the registers at the beginning of runtime.asyncPreempt's frame, a word each

	callTarget func(code []byte, pc uint64) (uint64, bool)
	reference  func(code []byte, pc uint64) (target uint64, length int, ok bool)
	decode     func(code []byte) (Instruction, error)
	text       func(code []byte, pc uint64) string
}

// SignalFrame is where in struct ucontext (uapi/asm-generic/ucontext.h) a signal's handler finds what was interrupted,
// in bytes from its beginning.
type SignalFrame struct {
	Size      int   // of it
	Stack     int   // of uc_stack: ss_sp, ss_flags, ss_size
	Info      int   // of the siginfo_t that lies in the frame, too
	Registers []int // of each register, by DWARF number
}

// Of gives what ri knows of a machine; false for one that it can't read.
func Of(machine elf.Machine) (*Arch, bool) {
	for _, a := range all {
		if a.Machine == machine {
			return a, true
		}
	}
	return nil, false
}

var all = []*Arch{AMD64}

// Instruction is one machine instruction.
type Instruction struct {
	Length int
	Access string // what it does with memory: "read", "write" or ""
	Base   string // the register that holds the address, "" if none does
	Index  string
	Offset int64 // added to it
	Size   int   // bytes that it accesses
}

// Decode reads the instruction at the beginning of code. It is ErrInstruction if there is none; bytes that are no code
// harm nothing.
func (a *Arch) Decode(code []byte) (Instruction, error) { return a.decode(code) }

// Text is that instruction in Go's assembly syntax; empty if there is none.
func (a *Arch) Text(code []byte, pc uint64) string { return a.text(code, pc) }

// Reference gives the address that the instruction at the beginning of code refers to relative to its own, if there is
// one. length is that of the instruction, and 1 of what is none.
func (a *Arch) Reference(code []byte, pc uint64) (target uint64, length int, ok bool) {
	return a.reference(code, pc)
}

// CallTarget gives what is called by the direct call whose CallSize bytes are code, and behind which pc is; false if
// they are no such call.
func (a *Arch) CallTarget(code []byte, pc uint64) (uint64, bool) { return a.callTarget(code, pc) }

// A frame lies like this; SP is where it is in the body of the function, the frame's size is from there to the return
// address, as pclntab has it:
//
//	SP    locals, and arguments of calls
//	      what is saved of the caller's, if the frame has any size
//	      return address
//	CFA   arguments on the stack. Here the caller's SP was before the call.

// CFA is the canonical frame address of a frame of size bytes.
func (a *Arch) CFA(sp uint64, size int64) uint64 { return sp + uint64(size) + a.pushed }

// FrameBytes is how far the CFA is from SP.
func (a *Arch) FrameBytes(size int64) int64 { return size + int64(a.pushed) }

// ReturnSlot is where the return address is.
func (a *Arch) ReturnSlot(cfa uint64) uint64 { return cfa - a.pushed }

// LocalsEnd is where the locals end, from the CFA.
func (a *Arch) LocalsEnd(size int64) int64 {
	end := -int64(a.pushed)
	if size > 0 {
		end -= a.saved
	}
	return end
}
