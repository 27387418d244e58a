//go:build amd64

package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/core"
	"ri/attach/proc"
)

// A system call is injected by having a stopped thread of the target make it. ri may be killed after any instruction of
// that, and the thread must go on as if nothing had happened. So the way back is laid before the way in is taken:
//
//  1. All of the thread's state (registers, XSAVE area, signal mask) is written as a signal frame into memory that
//     nothing uses: the page far below what the main thread's stack has ever reached.
//  2. One PTRACE_SETREGS sends the thread to a `syscall; ret` of the Go runtime (runtime.osyield), with SP at that
//     frame.
//
// From here on the thread needs nobody: it makes the call, `ret` takes it to runtime.sigreturn, and rt_sigreturn puts
// its old state back. A thread that was stopped inside a system call which the kernel would restart goes back to the
// `syscall` instruction, as the kernel does it.
//
//  3. Signals are blocked (the frame has the thread's own mask), so that no handler comes in between.
//  4. PTRACE_SYSCALL lets it run from stop to stop: into the call, out of it (there is the result), into
//     rt_sigreturn, out of it. Then it stands where it stood.
//
// What stays: the page, which says what it is, and which the next injection uses again.

// ErrInject: no system call can be injected. It is wrapped with the reason.
var ErrInject = errors.New("no system call can be made in the process")

const (
	// of the frames, down to the end of the stack's mapping: for a handler that runs on this stack
	frameBelow = 16 << 10
	frameRoom  = 12 << 10 // the largest frame
	frameSlots = 4        // places for one
	frameAbove = 16 << 10 // up to what the stack has reached
	redZone    = 128
	frameText  = "ri: signal frame of an injected system call, " // and one of:
	frameTaken = "in use"
	frameDone  = "unused"

	injectionStep = time.Second // the longest wait for a stop: the calls that are injected don't sleep
)

// Of ptrace, not in x/sys/unix (uapi/linux/ptrace.h, uapi/linux/elf.h).
const (
	ptraceGetSigmask = 0x420a
	ptraceSetSigmask = 0x420b
	noteXstate       = 0x202 // NT_X86_XSTATE
)

// What the kernel leaves in RAX of a thread that it stopped in a system call, to be restarted (linux/errno.h).
const (
	restartSys      = 512 // ERESTARTSYS
	restartNoIntr   = 513 // ERESTARTNOINTR
	restartNoHand   = 514 // ERESTARTNOHAND
	restartBlock    = 516 // ERESTART_RESTARTBLOCK: with a state of the kernel's own, which rt_sigreturn forgets
	userCodeSegment = 0x33
)

var (
	// runtime.osyield: MOVL $SYS_sched_yield, AX; SYSCALL; RET
	yieldCode = []byte{0xb8, 24, 0, 0, 0, 0x0f, 0x05, 0xc3}
	// runtime.sigreturn: MOVQ $SYS_rt_sigreturn, AX; SYSCALL
	sigreturnCode = []byte{0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05}
)

// injectionCode is where the pieces of the Go runtime lie that an injection needs.
type injectionCode struct {
	syscall   uint64 // address of `syscall; ret`
	sigreturn uint64
}

// injectionCode finds the pieces in the executable, once.
func (p *Process) injectionCode() (injectionCode, error) {
	p.injectOnce.Do(func() { p.injectCode, p.injectErr = p.findInjectionCode() })
	return p.injectCode, p.injectErr
}

func (p *Process) findInjectionCode() (code injectionCode, err error) {
	segments, entry, err := core.ReadExecutable(p.exe)
	if err != nil {
		return code, err
	}
	const piece = 1 << 20
	buffer := make([]byte, piece+len(sigreturnCode))
	for _, s := range segments {
		for at := uint64(0); !s.Write && at < s.FileSize; at += piece {
			n, _ := p.exe.ReadAt(buffer[:min(uint64(len(buffer)), s.FileSize-at)], int64(s.Offset+at))
			find := func(to *uint64, code []byte, skip int) {
				if i := bytes.Index(buffer[:n], code); i >= 0 && *to == 0 {
					*to = s.Addr + at + uint64(i+skip) + p.entry - entry
				}
			}
			find(&code.syscall, yieldCode, 5)
			find(&code.sigreturn, sigreturnCode, 0)
			if code.syscall != 0 && code.sigreturn != 0 {
				return code, nil
			}
		}
	}
	return code, fmt.Errorf("%s: its executable has no runtime.osyield and runtime.sigreturn as Go has them: %w",
		p.Describe(), ErrInject)
}

// injector makes injections in one stop, on the thread that owns ptrace.
type injector struct {
	injectionCode
	process   *Process
	residency *proc.Residency
	step      func() // tests: called after each ptrace call
	userFirst bool   // tests: threads that run user code first
}

// newInjector readies what can be before the stop.
func newInjector(p *Process) (*injector, error) {
	code, err := p.injectionCode()
	if err != nil {
		return nil, err
	}
	in := &injector{injectionCode: code, process: p, step: func() {}}
	if in.residency, err = proc.OpenResidency(p.proc("pagemap")); err != nil {
		return nil, p.exited(err)
	}
	return in, nil
}

func (in *injector) close() { in.residency.Close() }

// check refuses processes for which an injection isn't safe, or wouldn't work.
func (in *injector) check(tid int) error {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", in.process.pid, tid))
	if err != nil {
		return in.process.exited(err)
	}
	if st := proc.ParseStatus(data); st.Seccomp > 0 {
		return fmt.Errorf("%s runs under a seccomp filter, which may end it for a system call that it doesn't make "+
			"itself: %w", in.process.Describe(), ErrInject)
	}
	if bytes.Contains(data, []byte("x86_Thread_features:")) {
		_, features, _ := strings.Cut(string(data), "x86_Thread_features:")
		features, _, _ = strings.Cut(features, "\n")
		if strings.Contains(features, "shstk") {
			return fmt.Errorf("%s has a shadow stack, which guards returns: %w", in.process.Describe(), ErrInject)
		}
	}
	for addr, code := range map[uint64][]byte{in.syscall: yieldCode[5:], in.sigreturn: sigreturnCode} {
		got := make([]byte, len(code))
		mem := in.process.memory()
		_, err := mem.ReadMemory(got, addr)
		mem.close()
		if err != nil || !bytes.Equal(got, code) {
			return fmt.Errorf("%s: the code at %#x is not that of its executable (a breakpoint?): %w",
				in.process.Describe(), addr, ErrInject)
		}
	}
	return nil
}

// place finds memory for the frame: part of the main thread's stack that has never been used or, for the main thread
// itself, that lies below its stack pointer.
//
// A thread whose injection was cut off by a kill may not have come back yet, since it had no CPU. Its frame must last:
// a place that was left in use is taken last, and only if no thread's stack pointer lies there.
func (in *injector) place(t *tracer, tid int, sp uint64) (uint64, error) {
	maps, err := in.process.Mappings()
	if err != nil {
		return 0, err
	}
	for _, m := range maps {
		if m.Path != "[stack]" || !m.Read || !m.Write {
			continue
		}
		first := m.Start + frameBelow
		slots := first + frameSlots*frameRoom
		var resident [frameSlots]bool
		free := slots+frameAbove <= m.End
		if err := in.residency.Each(m.Start, min(slots+frameAbove, m.End), func(r proc.PageRegion) {
			for page := r.Start; page < r.End; page += attach.PageSize {
				if page < first || page >= slots {
					free = false
					return
				}
				resident[(page-first)/frameRoom] = true
			}
		}); err != nil {
			return 0, err
		}
		var best uint64
		bestState := 0
		for i := range resident {
			at := first + uint64(i)*frameRoom
			state := 1 + in.stateOf(at, resident[i]) // 0: not ours at all
			if state == 0 {
				free = false
			}
			if state > bestState && !standsIn(t, at-redZone, at+frameRoom) {
				best, bestState = at, state
			}
		}
		if free {
			if best == 0 {
				return 0, fmt.Errorf("%s: a system call that was made in it before has not come back yet; run ri "+
					"again: %w", in.process.Describe(), ErrInject)
			}
			return best, nil
		}
		at := (sp - redZone - frameRoom) &^ (attach.PageSize - 1)
		if tid == in.process.pid && m.Start <= sp && sp < m.End && at > m.Start+frameBelow {
			return at, nil
		}
	}
	return 0, fmt.Errorf("%s: the stack of its main thread has no part that has never been used: %w",
		in.process.Describe(), ErrInject)
}

// stateOf says what an earlier injection has left at a place: 2 done, 1 nothing, 0 one that was cut off, -1 it isn't of
// an injection.
func (in *injector) stateOf(at uint64, resident bool) int {
	if !resident {
		return 1
	}
	var b [frameMark + len(frameText) + len(frameDone)]byte
	mem := in.process.memory()
	defer mem.close()
	if n, _ := mem.ReadMemory(b[:], at); n < len(b) {
		return -1
	}
	switch text := string(b[frameMark:]); {
	case text == frameText+frameDone:
		return 2
	case text == frameText+frameTaken:
		return 0
	}
	return -1
}

// standsIn says whether some thread's stack pointer lies in a range.
func standsIn(t *tracer, start, end uint64) bool {
	for i := range t.threads {
		if sp := t.threads[i].Regs.SP(); start <= sp && sp < end {
			return true
		}
	}
	return false
}

// inject has some stopped thread of the process make a system call, and gives its result: of an error, the errno.
func (in *injector) inject(t *tracer, number uint64, args ...uint64) (uint64, error) {
	if len(args) > 6 {
		return 0, fmt.Errorf("%d arguments of a system call: %w", len(args), attach.ErrNotSupported)
	}
	if len(t.forking()) > 0 {
		return 0, fmt.Errorf("%w: %w", errForking(in.process.Describe()), ErrInject)
	}
	tr, state, err := in.choose(t)
	if err != nil {
		return 0, err
	}
	if err := in.check(tr.tid); err != nil {
		return 0, err
	}
	at, err := in.place(t, tr.tid, state.regs.Rsp)
	if err != nil {
		return 0, err
	}
	frame, err := state.signalFrame(at, in.sigreturn)
	if err != nil {
		return 0, err
	}
	if len(frame) > frameRoom {
		return 0, fmt.Errorf("the floating-point state of a thread takes %d bytes: %w", len(frame), ErrInject)
	}
	copy(frame[frameMark:], frameText+frameTaken)
	if err := writeMemory(in.process.tid, at, frame); err != nil {
		return 0, fmt.Errorf("%s: laying the way back of a system call: %w", in.process.Describe(), err)
	}
	result, err := in.run(t, tr, state, at, number, args)
	if err != nil {
		return 0, err
	}
	_ = writeMemory(in.process.tid, at+frameMark, []byte(frameText+frameDone)) // else the next one takes another place
	if n := -int64(result); n > 0 && n < 4096 {
		return 0, unix.Errno(n)
	}
	return result, nil
}

// choose takes a thread that stands where it can be sent away from and brought back.
func (in *injector) choose(t *tracer) (*tracee, *threadState, error) {
	for pass := range 2 {
		for i := range t.tracees {
			tr := &t.tracees[i]
			if tr.state != traceeStopped || tr.signal != 0 {
				continue
			}
			s := &threadState{}
			if e := ptrace(unix.PTRACE_GETREGS, tr.tid, 0, uintptr(unsafe.Pointer(&s.regs))); e != 0 {
				continue
			}
			in.step()
			r := &s.regs
			inCall := int64(r.Orig_rax) >= 0
			// first those that wait in the kernel: they are in the middle of nothing
			if r.Cs != userCodeSegment || pass == 0 && inCall == in.userFirst {
				continue
			}
			if inCall {
				switch -int64(r.Rax) {
				// As the kernel restarts it: the instruction has two bytes.
				case restartSys, restartNoIntr, restartNoHand:
					r.Rax, r.Rip = r.Orig_rax, r.Rip-2
				case restartBlock:
					continue
				}
			} else if inSequence(in.process, tr.tid, r.Rip) {
				continue
			}
			if err := in.readState(tr.tid, s); err != nil {
				return nil, nil, err
			}
			return tr, s, nil
		}
	}
	return nil, nil, fmt.Errorf("%s: none of its threads stands where it may be sent away from, in this moment; run "+
		"ri again: %w", in.process.Describe(), ErrInject)
}

// run sends the thread through the call and back, and gives what it left in RAX.
func (in *injector) run(t *tracer, tr *tracee, state *threadState, at, number uint64, args []uint64) (uint64, error) {
	failed := func(what string, cause error) (uint64, error) {
		if errors.Is(cause, attach.ErrExited) {
			return 0, in.process.exited(nil)
		}
		return 0, fmt.Errorf("%s: a system call made by thread %d: %s: %v: %w", in.process.Describe(), tr.tid, what,
			cause, ErrInject)
	}
	if e := ptrace(unix.PTRACE_SETOPTIONS, tr.tid, 0, unix.PTRACE_O_TRACESYSGOOD); e != 0 {
		return failed("PTRACE_SETOPTIONS", e)
	}
	in.step()
	regs := state.regs
	regs.Rip, regs.Rsp, regs.Rax, regs.Orig_rax = in.syscall, at, number, ^uint64(0)
	regs.Eflags &^= 1 << 8 // TF
	for i, to := range []*uint64{&regs.Rdi, &regs.Rsi, &regs.Rdx, &regs.R10, &regs.R8, &regs.R9} {
		if *to = 0; i < len(args) {
			*to = args[i]
		}
	}
	if e := ptrace(unix.PTRACE_SETREGS, tr.tid, 0, uintptr(unsafe.Pointer(&regs))); e != 0 {
		return failed("PTRACE_SETREGS", e)
	}
	in.step()
	blocked := ^uint64(0)
	if e := ptrace(ptraceSetSigmask, tr.tid, 8, uintptr(unsafe.Pointer(&blocked))); e != 0 {
		return failed("PTRACE_SETSIGMASK", e)
	}
	in.step()
	var result uint64
	for stop := range 4 {
		if err := in.next(t, tr); err != nil {
			return failed([]string{"entering it", "leaving it", "on its way back", "restoring its registers"}[stop],
				err)
		}
		if stop != 1 && stop != 3 {
			continue
		}
		if e := ptrace(unix.PTRACE_GETREGS, tr.tid, 0, uintptr(unsafe.Pointer(&t.regs))); e != 0 {
			return failed("its result", e)
		}
		in.step()
		if stop == 1 {
			result = t.regs.Rax
		} else if t.regs.Rip != state.regs.Rip || t.regs.Rsp != state.regs.Rsp || t.regs.Rax != state.regs.Rax {
			return failed("its registers", fmt.Errorf("it stands at %#x and stood at %#x: %w", t.regs.Rip,
				state.regs.Rip, ErrInject))
		}
	}
	return result, nil
}

// next lets the thread run to its next entry to or exit from a system call.
func (in *injector) next(t *tracer, tr *tracee) error {
	for {
		if e := ptrace(unix.PTRACE_SYSCALL, tr.tid, 0, 0); e != 0 {
			return e
		}
		in.step()
		tr.state = traceeSeized // until it stops, it can't be detached by name
		var nap backoff
		for began := time.Now(); ; nap.wait(false, 0) {
			err := t.wait(tr.tid, unix.WEXITED|unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT|unix.WALL)
			if err != nil || t.info.dead() {
				tr.state = traceeGone
				return attach.ErrExited
			}
			if t.info.pid != 0 {
				break
			}
			if time.Since(began) > injectionStep {
				return fmt.Errorf("it takes longer than %v: %w", injectionStep, ErrInject)
			}
		}
		in.step()
		tr.state = traceeStopped
		if t.info.status == int32(unix.SIGTRAP)|0x80 {
			return nil
		}
		// A stop of the whole process by job control, which goes on when the tracer has gone: pass it by.
		if t.info.status>>8 == 0 {
			tr.signal = int(t.info.status & 0x7f)
			return fmt.Errorf("signal %d came in between: %w", tr.signal, ErrInject)
		}
	}
}

// PrepareInject says beforehand, without a stop, why no system call could be injected as far as that can be known, and
// readies the rest.
func (p *Process) PrepareInject() error {
	in, err := newInjector(p)
	if err != nil {
		return err
	}
	defer in.close()
	return in.check(p.tid)
}

// injection is one asked of the thread that owns ptrace.
type injection struct {
	number uint64
	args   []uint64
	result uint64
	err    error
	done   chan struct{}
}

// Inject implements Injector.
func (v *stoppedView) Inject(number uint64, args ...uint64) (uint64, error) {
	call := &injection{number: number, args: args, done: make(chan struct{})}
	select {
	case v.injections <- call:
		v.wake.signal()
	case <-v.finished:
		return 0, v.Err()
	}
	select {
	case <-call.done:
		return call.result, call.err
	case <-v.finished:
		select {
		case <-call.done: // it was the last thing done
			return call.result, call.err
		default:
			return 0, v.Err()
		}
	}
}

// injectAsked makes what was asked for.
func (v *stoppedView) injectAsked(t *tracer) {
	select {
	case call := <-v.injections:
		in, err := newInjector(t.process)
		if call.err = err; err == nil {
			call.result, call.err = in.inject(t, call.number, call.args...)
			in.close()
		}
		close(call.done)
	default:
	}
}
