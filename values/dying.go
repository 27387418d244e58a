package values

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"ri/attach"
)

// A process that is held in its last moment (attach.Process.Dying), or a core written of it, has no threads any more,
// so no registers. What its end was is still in memory:
//
//   - who called for it on its own stack, a panic or runtime.throw, went on to the system stack by systemstack, which
//     saves PC and SP in g.sched and clears them when it returns (runtime/asm_amd64.s);
//   - runtime.throw on a system stack, and exit on a goroutine's, are functions that don't return: a word that is a
//     return address into one of them was put there by the call that goes on to this moment;
//   - for a signal's handler the kernel saved the registers on m.gsignal's stack, with that stack's bounds beside them
//     (uc_stack, by which it is found). Handlers of earlier signals left the same there, so it is asked last, and
//     signals that don't end a program don't count.
//
// lastPlace finds one of them. All are the same in Go 1.20 to 1.27.

// maxScan bounds how much of a stack is searched, in bytes.
const maxScan = 1 << 20

// endsHere names functions on whose behalf the runtime ends the program.
var endsHere = []string{"runtime.throw", "runtime.fatal", "runtime.gopanic", "runtime.fatalpanic", "runtime.fatalthrow"}

// threadless tells whether the space is of a process none of whose threads is left.
func (s *Space) threadless() bool { return s.threads != nil && len(s.threads) == 0 }

// lastPlace says where the thread of a process without threads was when it ended the program; ok is false for a thread
// that didn't.
func (t *OSThread) lastPlace() (w *threadWalk, ok bool) {
	if !t.s.threadless() || t.Dying == 0 {
		return nil, false
	}
	l := t.s.gs
	saved := &threadWalk{t: t, pc: t.word(t.curg, l.PC), sp: t.word(t.curg, l.SP)}
	onStack := t.on(t.curg, saved.sp)
	if onStack {
		from := *saved
		part, _, _ := from.part()
		for _, f := range part.Frames[:min(len(part.Frames), 16)] {
			if slices.Contains(endsHere, f.Func) {
				return saved, true
			}
		}
	}
	for _, g := range []uint64{t.g0, t.gsignal} {
		if pc, sp, ok := t.s.returnInto(t.word(g, l.Lo), t.word(g, l.Hi), "", "runtime.throw", "runtime.fatal"); ok {
			return &threadWalk{t: t, pc: pc, sp: sp}, true
		}
	}
	if regs, signal, ok := t.handled(); ok {
		return &threadWalk{t: t, pc: regs.PC(), sp: regs.SP(), regs: regs, signal: signal}, true
	}
	return saved, onStack
}

// returnInto finds the innermost return address into one of some functions on a stack, and gives it with the SP that it
// returns to. called is what the function must have called, "" for anything.
func (s *Space) returnInto(lo, hi uint64, called string, functions ...string) (pc, sp uint64, ok bool) {
	if hi <= lo || lo == 0 {
		return 0, 0, false
	}
	type span struct{ begin, size uint64 }
	var spans []span
	for _, name := range functions {
		if begin, size, err := s.file.FuncRange(name); err == nil {
			spans = append(spans, span{begin + s.bias, size})
		}
	}
	const chunk = 4096
	for at := max(lo, hi-min(hi, maxScan)); at < hi && len(spans) > 0; at += chunk - at%chunk {
		b, err := s.Slice(at, int(min(chunk-at%chunk, hi-at)))
		if err != nil {
			continue // never touched
		}
		for i := 0; i+8 <= len(b); i += 8 {
			word := binary.LittleEndian.Uint64(b[i:])
			for _, f := range spans {
				if word-f.begin-s.arch.CallSize < f.size && s.afterCall(word, called) && s.called(word, at+uint64(i)+8, hi) {
					return word, at + uint64(i) + 8, true
				}
			}
		}
	}
	return 0, 0, false
}

// called tells whether a PC and SP begin a way up a stack that ends at hi. A traceback that the runtime printed leaves
// PCs on the stack that are no return addresses.
func (s *Space) called(pc, sp, hi uint64) bool {
	for range 3 {
		info, ok := s.PC(pc - 1)
		if !ok || info.FrameSize < 0 {
			return false
		}
		if info.TopFrame || info.Func == "runtime.goexit" || info.Func == "runtime.systemstack" ||
			info.Func == "runtime.morestack" || info.Func == "runtime.mcall" {
			return true
		}
		sp = s.arch.CFA(sp, info.FrameSize)
		if sp > hi {
			return false
		}
		ret, err := s.Uint64(s.arch.ReturnSlot(sp))
		if err != nil {
			return false
		}
		pc = ret
	}
	return true
}

// afterCall tells whether the instruction in front of a PC is a direct call, as compilers make of those to known
// functions.
func (s *Space) afterCall(pc uint64, called string) bool {
	b, err := s.Slice(pc-s.arch.CallSize, int(s.arch.CallSize))
	if err != nil {
		return false
	}
	target, ok := s.arch.CallTarget(b, pc)
	if !ok {
		return false
	}
	info, ok := s.PC(target)
	return called == "" || ok && info.Func == called
}

// handled gives what the kernel saved of the thread for the handler of its last signal, if that is one by which a Go
// program ends.
func (t *OSThread) handled() (*attach.Registers, *attach.Signal, bool) {
	lo, hi := t.word(t.gsignal, t.s.gs.Lo), t.word(t.gsignal, t.s.gs.Hi)
	if lo == 0 || hi <= lo || hi-lo > maxScan {
		return nil, nil, false
	}
	b, err := t.s.Slice(lo, int(hi-lo))
	if err != nil {
		return nil, nil, false
	}
	frame := &t.s.arch.Signal
	for at := len(b)&^7 - signalFrameSize(frame); at >= 0; at -= 8 {
		word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[at+i:]) }
		if word(frame.Stack) != lo || word(frame.Stack+16) != hi-lo || uint32(word(frame.Stack+8))&^1 != 0 {
			continue // not ss_sp, ss_size, or ss_flags
		}
		w := &threadWalk{t: t}
		if w.interrupted(lo+uint64(at)) != nil || w.signal == nil || !ends(w.signal) {
			return nil, nil, false
		}
		return w.regs, w.signal, true
	}
	return nil, nil, false
}

// ends tells whether a signal ends a Go program that doesn't ask for it (runtime/sigtab_linux_generic.go, _SigThrow and
// _SigPanic; the others that end one are left to the kernel, and have no handler).
func ends(s *attach.Signal) bool {
	switch s.Number {
	case 3, 4, 5, 6, 7, 8, 11, 16, 31: // SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSTKFLT, SIGSYS
		return true
	}
	return false
}

// exiting gives where a goroutine that ended the program by os.Exit, or by its return from main.main, went into the
// runtime.
func (g *Goroutine) exiting() (pc, sp uint64, ok bool) {
	if !g.s.threadless() || g.status != statusRunning {
		return 0, 0, false
	}
	return g.s.returnInto(g.StackLo, g.StackHi, "runtime.exit", "syscall.Exit", "runtime.main")
}

// lastPlace says where a goroutine that ran was left when its process ended.
func (g *Goroutine) lastPlace() (pc, sp uint64, regs *attach.Registers, ok bool) {
	if pc, sp, ok := g.exiting(); ok {
		return pc, sp, nil, true
	}
	if m, err := g.s.osThread(g.m); err == nil && m.curg == g.Addr {
		if w, ok := m.lastPlace(); ok && w.goroutineStart() == nil {
			return w.pc, w.sp, w.regs, true
		}
	}
	// What systemstack saved, of one that didn't end the program.
	if g.SP > g.StackLo && g.SP <= g.StackHi {
		return g.PC, g.SP, nil, true
	}
	return 0, 0, nil, false
}

// maxFatalText bounds the text of a fatal error, in bytes.
const maxFatalText = 1024

// FatalText gives the text that a frame of runtime.throw or runtime.fatal was called with; ok is false for other frames
// and where it is lost.
//
// Both hand it to a closure that prints it, and which lies in their frame: the closure's function, the text's address,
// its length. That is found by its looks, since optimised code doesn't say where an argument is after the call that it
// was needed for.
func (s *Space) FatalText(f *Frame) (text string, ok bool) {
	if f.Func != "runtime.throw" && f.Func != "runtime.fatal" || f.Inlined {
		return "", false
	}
	info, known := s.PC(f.PC)
	if !known || info.FrameSize < 0 || info.FrameSize > 1<<12 {
		return "", false
	}
	// The frame itself, and behind the return address the slots where the argument may have been saved.
	size := s.arch.FrameBytes(info.FrameSize)
	words, err := s.Slice(f.CFA-uint64(size), int(size)+16)
	if err != nil {
		return "", false
	}
	for at := 0; at+16 <= len(words); at += 8 {
		data, n := binary.LittleEndian.Uint64(words[at:]), binary.LittleEndian.Uint64(words[at+8:])
		if data < 1<<16 || n < 3 || n > maxFatalText {
			continue
		}
		b, err := s.Slice(data, int(n))
		if err == nil && utf8.Valid(b) &&
			bytes.IndexFunc(b, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) < 0 {
			return string(b), true
		}
	}
	return "", false
}
