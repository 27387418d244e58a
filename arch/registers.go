package arch

import "encoding/binary"

// most is how many registers a processor may have: 31, SP and PC of arm64.
const most = 33

// Registers of a stopped thread, by DWARF number. The zero value has none.
type Registers struct {
	arch  *Arch
	words [most]uint64
	tls   uint64
	lacks uint64 // a bit a register that isn't known
}

// Place are the registers of a thread of which only PC and SP are known.
func (a *Arch) Place(pc, sp uint64) Registers {
	r := Registers{arch: a, lacks: ^(1<<a.pc | 1<<a.sp)}
	r.words[a.pc], r.words[a.sp] = pc, sp
	return r
}

// Get gives a register by its DWARF number; false where that names none, or one that isn't known.
func (r *Registers) Get(n uint64) (uint64, bool) {
	if r.arch == nil || n >= uint64(len(r.arch.registers)) || r.lacks>>n&1 != 0 {
		return 0, false
	}
	return r.words[n], true
}

// Frame is what a stack is followed by, and nothing else of a thread's registers.
type Frame struct{ PC, SP, FP, TLS uint64 }

// Frame gives these registers.
func (r *Registers) Frame() Frame {
	if r.arch == nil {
		return Frame{}
	}
	return Frame{r.words[r.arch.pc], r.words[r.arch.sp], r.words[r.arch.fp], r.tls}
}

// FrameRegisters has the registers of a frame. The others are not known.
func (a *Arch) FrameRegisters(f Frame) Registers {
	r := Registers{arch: a, tls: f.TLS, lacks: ^(1<<a.pc | 1<<a.sp | 1<<a.fp)}
	r.words[a.pc], r.words[a.sp], r.words[a.fp] = f.PC, f.SP, f.FP
	return r
}

// PreemptedBytes is how much of runtime.asyncPreempt's frame, from its SP on, Preempted reads.
func (a *Arch) PreemptedBytes() int { return 8 * len(a.preempted) }

// Preempted gives the registers that a goroutine had when a signal took its processor away, as runtime.asyncPreempt has
// saved them: the words at the beginning of its frame, and where the goroutine goes on. Others are not known.
func (a *Arch) Preempted(frame []byte, pc, sp uint64) Registers {
	r := a.Place(pc, sp)
	for i, n := range a.preempted {
		r.words[n] = binary.LittleEndian.Uint64(frame[8*i:])
		r.lacks &^= 1 << n
	}
	return r
}

// PC is the address of the next instruction.
func (r *Registers) PC() uint64 {
	if r.arch == nil {
		return 0
	}
	return r.words[r.arch.pc]
}

// SP is the stack pointer.
func (r *Registers) SP() uint64 {
	if r.arch == nil {
		return 0
	}
	return r.words[r.arch.sp]
}

// TLS is the thread pointer, from which thread-local variables are counted; 0 where it isn't known.
func (r *Registers) TLS() uint64 { return r.tls }

// Pointers are the registers that may hold pointers; 0 stands for one that isn't known.
func (r *Registers) Pointers() []uint64 {
	if r.arch == nil {
		return nil
	}
	return r.words[:r.arch.pointers]
}

// UserRegisters reads a struct user_regs_struct, of UserSize bytes or more.
func (a *Arch) UserRegisters(b []byte) Registers {
	r := Registers{arch: a}
	for n, at := range a.user {
		r.words[n] = binary.LittleEndian.Uint64(b[8*at:])
	}
	r.tls = binary.LittleEndian.Uint64(b[8*a.userTLS:])
	return r
}

// User gives the registers as a struct user_regs_struct, in which those that Registers doesn't have are 0. nil where
// not all are known.
func (r *Registers) User() []byte {
	if r.arch == nil || r.lacks != 0 {
		return nil
	}
	return r.UserKnown()
}

// UserKnown is User, with 0 for what isn't known.
func (r *Registers) UserKnown() []byte {
	if r.arch == nil {
		return nil
	}
	b := make([]byte, r.arch.UserSize)
	for n, at := range r.arch.user {
		binary.LittleEndian.PutUint64(b[8*at:], r.words[n])
	}
	binary.LittleEndian.PutUint64(b[8*r.arch.userTLS:], r.tls)
	return b
}

// SignalRegisters reads what the kernel saved for a signal's handler, out of Signal.Size bytes. It doesn't have the
// thread pointer, which is given.
func (a *Arch) SignalRegisters(b []byte, tls uint64) Registers {
	r := Registers{arch: a, tls: tls}
	for n, at := range a.Signal.Registers {
		r.words[n] = binary.LittleEndian.Uint64(b[at:])
	}
	return r
}
