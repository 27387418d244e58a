//go:build amd64

package sample

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
)

// CPU time is sampled by the kernel (perf_event_open(2)), which interrupts a thread after some CPU time and follows its
// frame pointers; Go keeps them on amd64. Nothing is stopped, and nothing of the process is touched. A thread that
// waits uses no CPU time and gives no samples.

const (
	maxSampledThreads = 4096
	perfLook          = 50 * time.Millisecond // how often the rings are emptied and new threads looked for
	// bytes of the stack beside a sample: enough for the return address of most functions
	stackDump = 256

	registerSP = 7 // PERF_REG_X86_SP, asm/perf_regs.h
	// Markers among the addresses of a call chain: what follows is of the kernel, or of the program
	// (linux/perf_event.h).
	contextKernel = ^uint64(128) + 1
	contextUser   = ^uint64(512) + 1
	contextMax    = ^uint64(4095) + 1
)

// Process says of which process samples are taken.
type Process struct {
	PID    int
	Thread int    // that isn't dead
	Folder string // of that thread under /proc
	Name   string // for messages
}

// CPU samples the CPU time of all threads of a process, those that begin meanwhile too.
//
// Errors: ErrPermission (kernel.perf_event_paranoid, or a container's seccomp profile, and what to do about it),
// ErrNotSupported, ErrExited, the cause with which ctx ended; wrapped.
func CPU(ctx context.Context, p Process, opt attach.CPUOptions) (*attach.CPUProfile, error) {
	s := &sampler{p: p, opt: opt, rings: map[int]*perfRing{}, byStack: map[string]*attach.CPUStack{}}
	defer s.close()
	if err := s.choose(); err != nil {
		return nil, err
	}
	began := time.Now()
	for {
		if err := s.follow(); err != nil {
			return nil, err
		}
		passed := time.Since(began)
		if opt.Progress != nil {
			opt.Progress(min(passed, opt.Time), opt.Time)
		}
		if passed >= opt.Time {
			break
		}
		select {
		case <-time.After(min(perfLook, opt.Time-passed)):
		case <-opt.Until:
			opt.Time = passed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		s.read()
		if !proc.Alive(p.PID) {
			break // what it did until then is what was asked for
		}
	}
	s.result.Time, s.result.Hz, s.result.Threads = time.Since(began), opt.Hz, s.threads
	for _, stack := range s.byStack {
		s.result.Stacks = append(s.result.Stacks, *stack)
	}
	return &s.result, nil
}

type sampler struct {
	p       Process
	opt     attach.CPUOptions
	attr    unix.PerfEventAttr
	pages   int // of a ring, a power of two
	rings   map[int]*perfRing
	threads int
	byStack map[string]*attach.CPUStack
	key     []byte
	result  attach.CPUProfile
}

// perfRing is an event of one thread, and the memory in which the kernel puts its samples.
type perfRing struct {
	fd   int
	mem  []byte
	page *unix.PerfEventMmapPage
	data []byte
	tail uint64
}

// choose finds what this machine and this user may sample: cycles of the CPU before the clock, the kernel's time before
// the program's alone.
func (s *sampler) choose() error {
	s.pages = 8
	var first error
	for _, event := range []struct {
		name         string
		kind, config uint64
	}{{"cpu-cycles", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES}, {"cpu-clock", unix.PERF_TYPE_SOFTWARE,
		unix.PERF_COUNT_SW_CPU_CLOCK}} {
		for _, kernel := range []bool{true, false} {
			bits := uint64(unix.PerfBitFreq | unix.PerfBitExcludeHv | unix.PerfBitExcludeCallchainKernel)
			if !kernel {
				bits |= unix.PerfBitExcludeKernel
			}
			s.attr = unix.PerfEventAttr{
				Type: uint32(event.kind), Config: event.config, Sample: uint64(s.opt.Hz), Bits: bits, Wakeup: 1,
				Sample_type: unix.PERF_SAMPLE_IP | unix.PERF_SAMPLE_CALLCHAIN |
					unix.PERF_SAMPLE_REGS_USER | unix.PERF_SAMPLE_STACK_USER,
				Sample_regs_user:  1 << registerSP,
				Sample_stack_user: stackDump,
			}
			s.attr.Size = uint32(unsafe.Sizeof(s.attr))
			ring, err := s.open(s.p.Thread)
			if err == nil {
				s.rings[s.p.Thread] = ring
				s.threads++
				s.result.Event, s.result.Kernel = event.name, kernel
				return nil
			}
			if first == nil || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
				first = err
			}
			if errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("%s has ended: %w", s.p.Name, attach.ErrExited)
			}
		}
	}
	return s.explain(first)
}

// explain says why nothing may be sampled, and what to do.
func (s *sampler) explain(err error) error {
	who := s.p.Name
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		level := -2
		if data, err := os.ReadFile("/proc/sys/kernel/perf_event_paranoid"); err == nil {
			level, _ = strconv.Atoi(strings.TrimSpace(string(data)))
		}
		if level > 2 {
			return fmt.Errorf("the CPU time of %s can't be sampled: kernel.perf_event_paranoid is %d, which keeps it "+
				"for the privileged: run ri as root, give it the right (sudo setcap cap_perfmon+ep $(command -v "+
				"ri)), or sysctl kernel.perf_event_paranoid=2: %w", who, level, attach.ErrPermission)
		}
		return fmt.Errorf("the CPU time of %s can't be sampled: perf_event_open: %v. Either the process is another "+
			"user's (run ri as root), or a container's seccomp profile forbids it (start the container with "+
			"--cap-add PERFMON, or run ri on the host): %w", who, err, attach.ErrPermission)
	}
	return fmt.Errorf("the CPU time of %s can't be sampled on this kernel: perf_event_open: %v: %w", who, err,
		attach.ErrNotSupported)
}

// open begins to sample a thread. A user may lock little memory for rings: a smaller one is tried then.
func (s *sampler) open(tid int) (*perfRing, error) {
	fd, err := unix.PerfEventOpen(&s.attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	for {
		size := (1 + s.pages) * attach.PageSize
		mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err == nil {
			return &perfRing{fd: fd, mem: mem, page: (*unix.PerfEventMmapPage)(unsafe.Pointer(&mem[0])),
				data: mem[attach.PageSize:]}, nil
		}
		if s.pages > 1 && errors.Is(err, unix.EPERM) {
			s.pages /= 2
			continue
		}
		unix.Close(fd)
		return nil, fmt.Errorf("memory for the samples of thread %d (kernel.perf_event_mlock_kb is what a user may "+
			"have): %w", tid, err)
	}
}

// follow begins to sample threads that are new.
func (s *sampler) follow() error {
	entries, err := os.ReadDir(s.p.Folder + "/task")
	if err != nil {
		return nil // it has ended
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil || s.rings[tid] != nil || len(s.rings) >= maxSampledThreads {
			continue
		}
		ring, err := s.open(tid)
		switch {
		case errors.Is(err, unix.ESRCH): // it has ended
		case err != nil:
			return s.explain(err)
		default:
			s.rings[tid] = ring
			s.threads++
		}
	}
	return nil
}

func (s *sampler) read() {
	for _, ring := range s.rings {
		ring.Each(func(kind uint32, record []byte) {
			switch kind {
			case unix.PERF_RECORD_LOST:
				if len(record) >= 16 {
					s.result.Lost += int64(binary.NativeEndian.Uint64(record[8:]))
				}
			case unix.PERF_RECORD_SAMPLE:
				s.add(parseSample(record))
			}
		})
	}
}

// Each gives the records that have come, and lets the kernel have their room again.
func (r *perfRing) Each(f func(kind uint32, record []byte)) {
	head := atomic.LoadUint64(&r.page.Data_head)
	size := uint64(len(r.data))
	var record []byte
	for head-r.tail >= 8 && head-r.tail <= size {
		var header [8]byte
		r.copy(header[:], r.tail)
		n := uint64(binary.NativeEndian.Uint16(header[6:]))
		if n < 8 || n > head-r.tail {
			break
		}
		record = append(record[:0], make([]byte, n-8)...)
		r.copy(record, r.tail+8)
		f(binary.NativeEndian.Uint32(header[:]), record)
		r.tail += n
	}
	r.tail = head
	atomic.StoreUint64(&r.page.Data_tail, head)
}

func (r *perfRing) copy(to []byte, from uint64) {
	at := from % uint64(len(r.data))
	n := copy(to, r.data[at:])
	copy(to[n:], r.data)
}

// perfSample is what a record says.
type perfSample struct {
	pcs    []uint64 // of the program, innermost first
	kernel bool
	sp     uint64
	stack  []byte // from sp
}

// parseSample reads a PERF_RECORD_SAMPLE with IP, CALLCHAIN, REGS_USER (SP) and STACK_USER, without its header.
func parseSample(b []byte) (s perfSample) {
	word := func() uint64 {
		if len(b) < 8 {
			b = nil
			return 0
		}
		w := binary.NativeEndian.Uint64(b)
		b = b[8:]
		return w
	}
	ip := word()
	n := word()
	if n > uint64(len(b)/8) {
		return perfSample{}
	}
	s.kernel = ip >= 1<<63
	user := true
	for range n {
		switch pc := word(); {
		case pc == contextUser:
			user = true
		case pc >= contextMax:
			user = false
		case user && pc < 1<<63:
			s.pcs = append(s.pcs, pc)
		}
	}
	if abi := word(); abi != 0 {
		s.sp = word()
	}
	if size := word(); size > 0 && size+8 <= uint64(len(b)) {
		used := min(binary.NativeEndian.Uint64(b[size:]), size)
		s.stack = b[:used]
	}
	return s
}

// add counts a sample. A function that has no frame of its own yet, or never has one, hides its caller from the chain
// of frame pointers: the caller is found where the function's table says that the return address is.
func (s *sampler) add(sample perfSample) {
	s.result.Samples++
	pcs := sample.pcs
	if s.opt.FrameEnd != nil && len(pcs) > 0 {
		if size, ok := s.opt.FrameEnd(pcs[0]); ok && size >= 0 && uint64(size)+8 <= uint64(len(sample.stack)) {
			caller := binary.NativeEndian.Uint64(sample.stack[size:])
			if len(pcs) == 1 || pcs[1] != caller {
				if _, ok := s.opt.FrameEnd(caller); ok {
					pcs = append([]uint64{pcs[0], caller}, pcs[1:]...)
				}
			}
		}
	}
	s.key = s.key[:0]
	if sample.kernel {
		s.key = append(s.key, 'k')
	}
	for _, pc := range pcs {
		s.key = binary.NativeEndian.AppendUint64(s.key, pc)
	}
	stack := s.byStack[string(s.key)]
	if stack == nil {
		stack = &attach.CPUStack{PCs: pcs, Kernel: sample.kernel}
		s.byStack[string(s.key)] = stack
	}
	stack.Count++
}

func (s *sampler) close() {
	for _, r := range s.rings {
		unix.Munmap(r.mem)
		unix.Close(r.fd)
	}
}
