package kernel

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
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
	armed, err := ownMulti(ex, program, []spot{{offset: offset}})
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

// ownMulti arms a program in ri's own code. No keeper is needed: what a killed ri left would go with it.
func ownMulti(ex *link.Executable, program *ebpf.Program, places []spot) (link.Link, error) {
	o := &link.UprobeMultiOptions{PID: uint32(os.Getpid())}
	for _, p := range places {
		o.Addresses, o.Cookies = append(o.Addresses, p.offset), append(o.Cookies, p.cookie)
	}
	return ex.UprobeMulti(nil, program, o)
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
