package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"ri/probe"
)

// probed is what the self-test probes.
//
//go:noinline
func probed(n *uint64) { atomic.AddUint64(n, 1) }

const selfCalls = 64

func callProbed(n *uint64) {
	for range selfCalls {
		probed(n)
	}
}

// selfTest arms ri's own function and calls it from a thread that isn't the first: up to some Linux 6.9 the filter of a
// uprobe_multi link passed the hits of a process's first thread only.
func selfTest(how dialect) error {
	l := controlLayout{probes: 1, shards: 1}
	m, c, err := newControl(l)
	if err != nil {
		return err
	}
	defer m.Close()
	defer c.close()
	code, err := counting(l, m.FD(), how, 0)
	if err != nil {
		return err
	}
	program, err := ebpf.NewProgramWithOptions(programSpec(code, how, Multi), ebpf.ProgramOptions{LogDisabled: true})
	if err != nil {
		return fmt.Errorf("the program is refused (Linux 6.6 has them first): %w", err)
	}
	defer program.Close()
	offset, err := ownOffset(reflect.ValueOf(probed).Pointer())
	if err != nil {
		return err
	}
	ex, err := link.OpenExecutable("/proc/self/exe")
	if err != nil {
		return err
	}
	armed, err := multi(ex, program, []spot{{offset: offset}}, os.Getpid())
	if err != nil {
		return fmt.Errorf("the link is refused: %w", err)
	}
	defer armed.Close()
	var called uint64
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// The first thread is kept by this goroutine, so another one has another.
			inner := make(chan struct{})
			go func() {
				runtime.LockOSThread()
				callProbed(&called)
				close(inner)
			}()
			<-inner
			runtime.UnlockOSThread()
			close(done)
			return
		}
		callProbed(&called)
		close(done)
	}()
	<-done
	if got := c.count(0, countEntries); got != selfCalls {
		return fmt.Errorf("the filter by process doesn't hold: %d of %d hits of another thread came (mended in Linux 6.10)",
			got, selfCalls)
	}
	return nil
}

// ownOffset is where an instruction of ri lies in its file.
func ownOffset(pc uintptr) (uint64, error) {
	data, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		var lo, hi, off uint64
		var perm string
		if n, _ := fmt.Sscanf(line, "%x-%x %s %x", &lo, &hi, &perm, &off); n == 4 && uint64(pc) >= lo && uint64(pc) < hi {
			return uint64(pc) - lo + off, nil
		}
	}
	return 0, errors.New("ri's own code isn't mapped")
}

// traps are what a hit of a program that does nothing costs on this machine.
type traps struct{ emulated, stepped time.Duration }

// trap is what a hit costs where such an instruction stands.
func (t traps) of(i probe.Instruction) time.Duration {
	switch {
	case t.emulated == 0:
		return i.Cost()
	case i == probe.Stepped:
		return t.stepped
	}
	return t.emulated
}

// framed has a PUSHQ BP, and at its end what the kernel single-steps.
//
//go:noinline
func framed(n *uint64) {
	var b [64]byte
	fill(&b)
	*n += uint64(b[0]) + 1
}

//go:noinline
func fill(b *[64]byte) {}

// theTraps are measured once, when the first probes are armed.
var theTraps = sync.OnceValue(func() traps { return measureTraps(Able().how) })

// measureTraps measures what hits cost, on a function of ri's own: machines differ by a factor of three, virtual ones
// most.
func measureTraps(how dialect) traps {
	code := unsafe.Slice((*byte)(unsafe.Pointer(reflect.ValueOf(framed).Pointer())), 256)
	push := bytes.Index(code[:64], []byte{0x55, 0x48, 0x89, 0xe5}) // PUSHQ BP; MOVQ SP, BP
	pop := bytes.Index(code, []byte{0x5d, 0xc3})                   // POPQ BP; RET
	if push < 0 || pop < push {
		return traps{}
	}
	entry := reflect.ValueOf(framed).Pointer()
	return traps{emulated: measureTrap(how, entry+uintptr(push)), stepped: measureTrap(how, entry+uintptr(pop)+1)}
}

func measureTrap(how dialect, pc uintptr) time.Duration {
	arm := func() (end func(), err error) {
		program, err := ebpf.NewProgram(programSpec(asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}, how, Multi))
		if err != nil {
			return nil, err
		}
		defer program.Close()
		offset, err := ownOffset(pc)
		if err != nil {
			return nil, err
		}
		ex, err := link.OpenExecutable("/proc/self/exe")
		if err != nil {
			return nil, err
		}
		l, err := multi(ex, program, []spot{{offset: offset}}, os.Getpid())
		if err != nil {
			return nil, err
		}
		return func() { l.Close() }, nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	end, err := arm()
	if err != nil {
		return 0
	}
	defer end()
	var n uint64
	const rounds, calls = 5, 40
	best := time.Duration(math.MaxInt64)
	for range rounds {
		begin := threadTime()
		for range calls {
			framed(&n)
		}
		best = min(best, (threadTime()-begin)/calls)
	}
	return best
}

func threadTime() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}
