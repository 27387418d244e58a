package values

import (
	"fmt"

	"ri/arch"
	"ri/attach"
	"ri/symbols"
	"ri/values/layout"
)

// A thread of a Go program runs on up to three stacks. In this one, which got a signal in the runtime's own code:
//
//	signal     sigtramp, sigtrampgo, sighandler, dieFromSignal   m.gsignal's stack, or the thread's alternate one
//	system     systemstack, mallocgc.func1, ...                  m.g0's stack: the thread's own
//	goroutine  mallocgc, main.f, main.main, goexit               m.curg's stack
//
// Below sigtramp the kernel left the registers of what was interrupted (struct rt_sigframe). Below systemstack, mcall,
// morestack and asmcgocall, all of which note in g.sched where they left the goroutine's stack, it goes on there.

// OSThread is a thread of the operating system as the runtime has it: a runtime.m.
type OSThread struct {
	ID        int // ri's number for it
	Addr      uint64
	Goroutine int64 // number of the goroutine that it runs, 0 if none
	Dying     int   // m.dying: not 0 while it prints why the program ends
	Throwing  bool  // the end is a fatal error or a signal, not a panic
	Signal    *attach.Signal

	s           *Space
	g0, gsignal uint64
	curg        uint64
	regs        *attach.Registers
}

// StackPart is what a thread does on one of its stacks.
type StackPart struct {
	Stack  string // "goroutine", "system", "signal"
	Frames []Frame
	// Signal is what interrupted this part, if one did: the part before it in the list is its handler.
	Signal *attach.Signal
	PC     uint64 // where the part was left, or is
}

// maxThreadParts and maxThreadFrames bound a walk: signals may interrupt handlers.
const (
	maxThreads      = 1 << 16
	maxThreadParts  = 8
	maxThreadFrames = 512
)

// OSThreads gives the threads that the runtime knows, from runtime.allm. The error says where the list broke off.
func (s *Space) OSThreads() ([]*OSThread, error) {
	l, err := s.threadLayout()
	if err != nil {
		return nil, err
	}
	at, err := s.Uint64(l.All.Addr + s.bias)
	if err != nil {
		return nil, err
	}
	var all []*OSThread
	for n := 0; at != 0; n++ {
		if n >= maxThreads {
			return all, fmt.Errorf("runtime.allm has more than %d threads, or is a circle: %w", maxThreads, ErrCorrupt)
		}
		t, err := s.osThread(at)
		if err != nil {
			return all, fmt.Errorf("runtime.m at %#x: %w", at, err)
		}
		all = append(all, t)
		if at, err = s.Field(at, l.Next); err != nil {
			return all, err
		}
	}
	return all, nil
}

// threadLayout is where the program keeps its threads; its goroutines are known then, too.
func (s *Space) threadLayout() (*layout.Thread, error) {
	if _, err := s.goroutineLayout(); err != nil {
		return nil, err
	}
	l := &s.Layouts().Thread
	return l, l.Err()
}

// osThread reads the runtime.m at an address.
func (s *Space) osThread(addr uint64) (*OSThread, error) {
	m, err := s.threadLayout()
	if err != nil {
		return nil, err
	}
	l := s.gs
	t := &OSThread{Addr: addr, s: s}
	b, err := s.Structure(addr, &m.Structure)
	if err != nil {
		return nil, err
	}
	t.ID = int(m.ID.Uint(b))
	if known := s.threads[t.ID]; known != nil {
		t.ID, t.regs, t.Signal = known.ID, &known.Regs, known.Signal
	}
	t.g0, t.gsignal, t.curg = m.G0.Uint(b), m.SignalG.Uint(b), m.CurG.Uint(b)
	t.Dying, t.Throwing = int(int32(m.Dying.Uint(b))), m.Throwing.Uint(b) != 0
	// A thread that C began borrows an m, whose goroutine lives only during a call of Go.
	if status := uint32(t.word(t.curg, l.Status)) &^ statusScan; t.curg != 0 && statusNames[status] != "dead" {
		t.Goroutine = int64(t.word(t.curg, l.ID))
	}
	return t, nil
}

// word reads a field; 0 where there is no structure or it can't be read.
func (t *OSThread) word(base uint64, f layout.Field) uint64 {
	if base == 0 {
		return 0
	}
	w, err := t.s.Field(base, f)
	if err != nil {
		return 0
	}
	return w
}

// on tells whether an SP lies on the stack of a runtime.g.
func (t *OSThread) on(g, sp uint64) bool {
	l := t.s.gs
	return g != 0 && sp > t.word(g, l.Lo) && sp <= t.word(g, l.Hi)
}

// Stack gives what the thread does on its stacks, the innermost part first. The error says where and why it broke off;
// the parts before it are good. Without registers (a live view) it is ErrNoStack.
func (t *OSThread) Stack() ([]StackPart, error) {
	w, ok := t.lastPlace()
	if ok {
		return w.stack()
	}
	if t.regs == nil {
		return nil, fmt.Errorf("thread %d was not stopped, so its registers are not known: %w", t.ID, ErrNoStack)
	}
	w = &threadWalk{t: t, pc: t.regs.PC(), sp: t.regs.SP(), regs: t.regs}
	return w.stack()
}

// stack gives all parts from a place on.
func (w *threadWalk) stack() ([]StackPart, error) {
	var parts []StackPart
	for range maxThreadParts {
		part, more, err := w.part()
		if len(part.Frames) > 0 || part.Signal != nil || err != nil {
			parts = append(parts, part)
		}
		if err != nil || !more {
			return parts, err
		}
	}
	return parts, fmt.Errorf("thread %d: more than %d stacks: %w", w.t.ID, maxThreadParts, ErrCorrupt)
}

// threadWalk is a way down a thread's stacks. regs are known where a stack was left by a signal, or is that of the
// stopped thread.
type threadWalk struct {
	t      *OSThread
	pc, sp uint64
	regs   *attach.Registers
	signal *attach.Signal // that led away from here
	frames int
}

// goroutineStart goes down to the goroutine's stack and says where unwinding begins there.
func (w *threadWalk) goroutineStart() error {
	for range maxThreadParts {
		if w.t.on(w.t.curg, w.sp) {
			return nil
		}
		_, more, err := w.part()
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	return fmt.Errorf("thread %d is in the runtime, on the system stack: %w", w.t.ID, ErrNoStack)
}

// part unwinds what was done on one stack and moves on to where that was left for it. more is false at the end.
func (w *threadWalk) part() (part StackPart, more bool, err error) {
	t, s := w.t, w.t.s
	part = StackPart{Signal: w.signal, PC: w.pc, Stack: "system"}
	switch {
	case t.on(t.curg, w.sp):
		part.Stack = "goroutine"
	case t.on(t.gsignal, w.sp):
		part.Stack = "signal"
	}
	// A caller of the vDSO (time.Now) is on the system stack already while it notes where it came from,
	// runtime/sys_linux_amd64.s.
	if sp := t.word(t.Addr, t.s.Layouts().Thread.VDSOSP); part.Stack == "system" && t.on(t.curg, sp) {
		return w.foreign(part)
	}
	exact := w.regs != nil
	for slot := uint64(0); ; {
		if w.frames++; w.frames > maxThreadFrames && part.Stack != "goroutine" || len(part.Frames) > maxThreadFrames {
			return part, false, fmt.Errorf("thread %d: stack deeper than the limit of %d functions: %w", t.ID,
				maxThreadFrames, ErrRange)
		}
		info, ok := s.PC(w.pc)
		if !ok {
			return w.foreign(part)
		}
		s.returns(slot)
		if info.Err != nil {
			return part, false, fmt.Errorf("thread %d: %w", t.ID, info.Err)
		}
		if info.FrameSize < 0 {
			return part, false, fmt.Errorf("thread %d: the frame size of %s at %#x is not known: %w", t.ID, info.Func,
				w.pc, ErrNoStack)
		}
		cfa := s.arch.CFA(w.sp, info.FrameSize)
		if cfa <= w.sp {
			return part, false, fmt.Errorf("thread %d: SP %#x: %w", t.ID, w.sp, ErrCorrupt)
		}
		for _, f := range s.FramesAt(w.pc, exact) {
			f.CFA, f.Regs = cfa, w.regs
			part.Frames = append(part.Frames, f)
		}
		w.regs, w.signal = nil, nil
		switch info.Func {
		case "runtime.sigtramp", "runtime.cgoSigtramp":
			return part, true, w.interrupted(cfa)
		case "runtime.systemstack", "runtime.mcall", "runtime.morestack", "runtime.asmcgocall":
			if part.Stack != "goroutine" {
				return part, w.scheduled(), nil
			}
		}
		if info.TopFrame || info.Func == "runtime.goexit" {
			return part, false, nil
		}
		slot = s.arch.ReturnSlot(cfa)
		ret, err := s.Uint64(slot)
		if err != nil {
			return part, false, fmt.Errorf("thread %d: return address of %s: %w", t.ID, info.Func, err)
		}
		exact = EntersBySignal(info.Func)
		w.pc, w.sp = ret, cfa
	}
}

// signalFrameSize is how much of a signal's frame is read: it ends with the beginning of its siginfo_t.
func signalFrameSize(frame *arch.SignalFrame) int {
	const siginfo = 24 // as much as attach.ReadSiginfo needs
	return max(frame.Size, frame.Info+siginfo)
}

// interrupted goes to what a signal interrupted, whose ucontext lies at an address.
func (w *threadWalk) interrupted(ucontext uint64) error {
	processor := w.t.s.arch
	frame := &processor.Signal
	b, err := w.t.s.Slice(ucontext, signalFrameSize(frame))
	if err != nil {
		return fmt.Errorf("thread %d: registers that the kernel saved for a signal handler: %w", w.t.ID, err)
	}
	tls := uint64(0)
	if w.t.regs != nil {
		tls = w.t.regs.TLS()
	}
	regs := processor.SignalRegisters(b, tls)
	w.pc, w.sp, w.regs = regs.PC(), regs.SP(), &regs
	w.signal = attach.ReadSiginfo(b[frame.Info:])
	return nil
}

// scheduled goes to where the goroutine's stack was left for the system stack.
func (w *threadWalk) scheduled() bool {
	t, l := w.t, w.t.s.gs
	pc, sp := t.word(t.curg, l.PC), t.word(t.curg, l.SP)
	if t.curg == 0 || pc == 0 || !t.on(t.curg, sp) {
		return false // the goroutine was let go: the thread looks for another one
	}
	w.pc, w.sp = pc, sp
	return true
}

// foreign goes on from code that is not Go's: the vDSO notes where it was called from, and so does a call of C.
func (w *threadWalk) foreign(part StackPart) (StackPart, bool, error) {
	t, l, m := w.t, w.t.s.gs, &w.t.s.Layouts().Thread
	if _, isGo := t.s.PC(w.pc); !isGo {
		part.Frames = append(part.Frames,
			Frame{Line: symbols.Line{Func: t.s.foreignName(w.pc)}, PC: w.pc, At: w.pc, Regs: w.regs})
	}
	w.regs, w.signal = nil, nil
	// The scheduler asks the time, too, on the system stack.
	sp := t.word(t.Addr, m.VDSOSP)
	if part.Stack != "signal" && (t.on(t.curg, sp) || part.Stack == "system" && t.on(t.g0, sp)) {
		w.pc, w.sp = t.word(t.Addr, m.VDSOPC), sp
		return part, true, nil
	}
	if t.curg == 0 || part.Stack == "signal" {
		return part, false, nil
	}
	if uint32(t.word(t.curg, l.Status))&^statusScan != statusSyscall {
		return part, false, nil
	}
	if sp := t.word(t.curg, l.SyscallSP); t.on(t.curg, sp) {
		w.pc, w.sp = t.word(t.curg, l.SyscallPC), sp
		return part, true, nil
	}
	return part, false, nil
}

// foreignName names code that is not Go's by the executable's symbol table.
func (s *Space) foreignName(pc uint64) string {
	if name, off, ok := s.file.LinkerSymbol(pc - s.bias); ok {
		return fmt.Sprintf("%s+%#x (C)", name, off)
	}
	return fmt.Sprintf("?%#x (not Go code)", pc)
}
