package process

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// A signal frame is what the kernel lays on the stack before it calls a handler, and what rt_sigreturn(2) takes all
// registers back from (arch/x86/kernel/signal_64.c). Who makes one by hand can have a thread return to any state.

// cpuid is the processor's instruction.
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// Offsets in struct rt_sigframe (arch/x86/include/asm/sigframe.h), struct ucontext and struct sigcontext_64
// (uapi/asm/sigcontext.h).
const (
	frameReturn   = 0 // pretcode: where the handler returns to
	frameContext  = 8
	contextFlags  = frameContext + 0
	contextStack  = frameContext + 16 // stack_t: sp, flags, size
	contextRegs   = frameContext + 40
	contextFP     = contextRegs + 184
	contextMask   = frameContext + 296
	frameMark     = frameContext + 304 // siginfo_t, which rt_sigreturn doesn't read: ours
	frameRegsSize = frameMark + 128
)

// uc_flags (uapi/asm/ucontext.h): UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS.
const contextFlagsValue = 1 | 2 | 4

// keepStack in stack_t.ss_flags is a mode that there isn't: do_sigaltstack refuses it, restore_altstack doesn't care,
// and the thread's alternate stack, which a tracer can't know, stays as it is (kernel/signal.c).
const keepStack = 0x7fff

// struct _fpx_sw_bytes, in the legacy area of an XSAVE area (uapi/asm/sigcontext.h).
const (
	softwareBytes = 464
	xstateMagic1  = 0x46505853
	xstateMagic2  = 0x46505845
	xsaveHeader   = 512 // XSTATE_BV first
	xsaveLeast    = 576
)

// threadState is all of a stopped thread that a system call could change.
type threadState struct {
	regs   unix.PtraceRegs
	xstate []byte // NT_X86_XSTATE: an XSAVE area in standard format
	mask   uint64
}

// signalFrame lays out a frame for address at, which must be divisible by 64, so that rt_sigreturn with SP at+8 gives
// the thread the state s. What is at `at` is where the handler would return to.
func (s *threadState) signalFrame(at, returnTo uint64) ([]byte, error) {
	size, features, err := xsaveSize(s.xstate)
	if err != nil {
		return nil, err
	}
	fp := (frameRegsSize + 63) &^ 63
	frame := make([]byte, fp+size+4)
	le := binary.LittleEndian
	le.PutUint64(frame[frameReturn:], returnTo)
	le.PutUint64(frame[contextFlags:], contextFlagsValue)
	le.PutUint32(frame[contextStack+8:], keepStack)
	r := &s.regs
	for i, v := range []uint64{r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15, r.Rdi, r.Rsi, r.Rbp, r.Rbx, r.Rdx,
		r.Rax, r.Rcx, r.Rsp, r.Rip, r.Eflags} {
		le.PutUint64(frame[contextRegs+8*i:], v)
	}
	for i, v := range []uint64{r.Cs, r.Gs, r.Fs, r.Ss} {
		le.PutUint16(frame[contextRegs+144+2*i:], uint16(v))
	}
	le.PutUint64(frame[contextFP:], at+uint64(fp))
	le.PutUint64(frame[contextMask:], s.mask)

	area := frame[fp : fp+size]
	copy(area, s.xstate)
	software := area[softwareBytes:]
	clear(software[:48])
	le.PutUint32(software[0:], xstateMagic1)
	le.PutUint32(software[4:], uint32(size+4)) // extended_size, with the second magic
	le.PutUint64(software[8:], features)
	le.PutUint32(software[16:], uint32(size))
	le.PutUint32(frame[fp+size:], xstateMagic2)
	return frame, nil
}

// xsaveSize is how much of an XSAVE area has something in it, and the components that it is of. Those that aren't in
// use are in their initial state, to which the kernel puts all that a frame doesn't have. Where a component lies says
// CPUID leaf 0xd (Intel SDM volume 1, 13.2).
func xsaveSize(area []byte) (size int, features uint64, err error) {
	if len(area) < xsaveLeast {
		return 0, 0, fmt.Errorf("the thread's floating-point state has %d bytes, fewer than XSAVE's: %w", len(area),
			attach.ErrNotSupported)
	}
	used := binary.LittleEndian.Uint64(area[xsaveHeader:])
	size, features = xsaveLeast, used|3 // x87 and SSE are always there
	for i := uint32(2); i < 64; i++ {
		if used>>i&1 == 0 {
			continue
		}
		length, offset, _, _ := cpuid(0xd, i)
		end := int(offset) + int(length)
		if offset < xsaveLeast || end > len(area) {
			return 0, 0, fmt.Errorf("component %d of the thread's floating-point state lies at %d, of %d bytes: %w", i,
				offset, len(area), attach.ErrNotSupported)
		}
		size = max(size, end)
	}
	return size, features, nil
}

// A restartable sequence (rseq(2), uapi/linux/rseq.h) is a piece of user code that the kernel begins anew when its
// thread was interrupted in it. It sees that by where the thread stands as it goes on. One that is sent elsewhere and
// comes back by rt_sigreturn would go on in mid-sequence, as if nothing had happened: such a thread is left alone.

const (
	ptraceGetRseq = 0x420f // PTRACE_GET_RSEQ_CONFIGURATION, Linux 5.13
	rseqSequence  = 8      // struct rseq: rseq_cs, the address of a struct rseq_cs
	sequenceStart = 8      // struct rseq_cs: start_ip, post_commit_offset
)

// inSequence says whether a stopped thread stands in a restartable sequence. Where the kernel doesn't tell (5.12 and
// older), it is not known, and taken for no.
func inSequence(p *Process, tid int, pc uint64) bool {
	var registered struct { // struct ptrace_rseq_configuration
		address                uint64
		size, signature, flags uint32
		_                      uint32
	}
	if e := ptrace(ptraceGetRseq, tid, unsafe.Sizeof(registered), uintptr(unsafe.Pointer(&registered))); e != 0 ||
		registered.address == 0 {
		return false
	}
	mem := p.memory()
	defer mem.close()
	var word [8]byte
	if n, _ := mem.ReadMemory(word[:], registered.address+rseqSequence); n < len(word) {
		return false
	}
	sequence := binary.LittleEndian.Uint64(word[:])
	if sequence == 0 {
		return false
	}
	var where [16]byte
	if n, _ := mem.ReadMemory(where[:], sequence+sequenceStart); n < len(where) {
		return true // the kernel can't read it either, and ends the process for it
	}
	start, length := binary.LittleEndian.Uint64(where[:]), binary.LittleEndian.Uint64(where[8:])
	return pc-start < length
}

// readState reads what GETREGS doesn't give.
func (in *injector) readState(tid int, s *threadState) error {
	s.xstate = make([]byte, 16<<10)
	iov := unix.Iovec{Base: &s.xstate[0], Len: uint64(len(s.xstate))}
	if e := ptrace(unix.PTRACE_GETREGSET, tid, noteXstate, uintptr(unsafe.Pointer(&iov))); e != 0 {
		return fmt.Errorf("%s: the floating-point state of thread %d (%v): %w", in.process.Describe(), tid, e,
			ErrInject)
	}
	in.step()
	s.xstate = s.xstate[:iov.Len]
	if e := ptrace(ptraceGetSigmask, tid, 8, uintptr(unsafe.Pointer(&s.mask))); e != 0 {
		return fmt.Errorf("%s: the signal mask of thread %d (%v): %w", in.process.Describe(), tid, e, ErrInject)
	}
	in.step()
	return nil
}
