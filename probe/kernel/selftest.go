package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
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
	defer closeLater(armed)
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

// closeLater closes a link of ri's own code without waiting: the kernel takes some 30 ms to, for its readers.
func closeLater(l link.Link) { go l.Close() }

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

// framed has a PUSHQ BP, and at its end what the kernel single-steps. leaving is another one: the breakpoint of the
// first measurement is still there when the second is taken.
//
//go:noinline
func framed(n *uint64) {
	var b [64]byte
	fill(&b)
	*n += uint64(b[0]) + 1
}

//go:noinline
func leaving(n *uint64) {
	var b [64]byte
	fill(&b)
	*n += uint64(b[0]) + 2
}

//go:noinline
func fill(b *[64]byte) {}

// theTraps are measured once, when the first probes are armed.
var theTraps = sync.OnceValue(func() traps { return measureTraps(Able().how) })

// measureTraps measures what hits cost, on a function of ri's own: machines differ by a factor of three, virtual ones
// most.
func measureTraps(how dialect) traps {
	push := []byte{0x55, 0x48, 0x89, 0xe5} // PUSHQ BP; MOVQ SP, BP
	pop := []byte{0x5d, 0xc3}              // POPQ BP; RET
	entry := measureTrap(how, framed, func(code []byte) int { return bytes.Index(code[:64], push) })
	back := measureTrap(how, leaving, func(code []byte) int {
		if i := bytes.Index(code, pop); i >= 0 {
			return i + 1
		}
		return -1
	})
	if entry == 0 || back == 0 {
		return traps{}
	}
	return traps{emulated: entry, stepped: back}
}

// measureTrap measures what a hit costs at an instruction of a function, which where finds in its code.
func measureTrap(how dialect, f func(*uint64), where func(code []byte) int) time.Duration {
	at := where(unsafe.Slice((*byte)(unsafe.Pointer(reflect.ValueOf(f).Pointer())), 192))
	if at < 0 {
		return 0
	}
	pc := reflect.ValueOf(f).Pointer() + uintptr(at)
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
		return func() { closeLater(l) }, nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	end, err := arm()
	if err != nil {
		return 0
	}
	defer end()
	var n uint64
	// The median: the best of them is less than what a program feels that does other things in between.
	const rounds, calls = 9, 24
	var took []time.Duration
	for range rounds {
		begin := threadTime()
		for range calls {
			f(&n)
		}
		took = append(took, (threadTime()-begin)/calls)
	}
	slices.Sort(took)
	return took[rounds/2]
}

func threadTime() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}
