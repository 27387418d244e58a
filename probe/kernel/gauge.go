package kernel

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"ri/probe"
)

// traps are what a hit of a program that does nothing costs.
type traps struct{ emulated, stepped time.Duration }

// of is what a hit costs where such an instruction stands.
func (t traps) of(i probe.Instruction) time.Duration {
	switch {
	case t.emulated == 0:
		return i.Cost()
	case i == probe.Stepped:
		return t.stepped
	}
	return t.emulated
}

// gauge measures what traps cost while a session runs, on functions of ri's own that are armed as long. Machines differ
// by a factor of ten, virtual ones most, and one that gets busy makes them two to three times dearer.
type gauge struct {
	armed             link.Link
	emulated, stepped series
	n                 uint64
}

const (
	gaugeFirst = 9                      // samples before anything else is armed
	gaugeEvery = 100 * time.Millisecond // one more, while a session runs
	// Calls of a sample: the first of them find the caches cold, as some of a program's hits do, and more cost more CPU.
	gaugeEmulated = 24
	gaugeStepped  = 6
)

// ownSpots are where ri's own functions are probed. It is found once: while they are probed, other code stands there.
var ownSpots = sync.OnceValues(func() (out []spot, err error) {
	for _, own := range []struct {
		f    func(*uint64)
		code []byte
		at   int
	}{
		{framed, []byte{0x55, 0x48, 0x89, 0xe5}, 0}, // PUSHQ BP; MOVQ SP, BP
		{leaving, []byte{0x5d, 0xc3}, 1},            // POPQ BP; RET
	} {
		pc := reflect.ValueOf(own.f).Pointer()
		at := bytes.Index(unsafe.Slice((*byte)(unsafe.Pointer(reflect.ValueOf(own.f).Pointer())), 192), own.code)
		if at < 0 {
			return nil, errors.New("ri's own functions aren't as they were compiled")
		}
		offset, err := ownOffset(pc + uintptr(at+own.at))
		if err != nil {
			return nil, err
		}
		out = append(out, spot{offset: offset})
	}
	return out, nil
})

// newGauge arms ri's own functions, and measures for the first time. Where that can't be, it is nil.
func newGauge(how dialect) *gauge {
	spots, err := ownSpots()
	if err != nil {
		return nil
	}
	program, err := ebpf.NewProgram(programSpec(asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}, how, Multi))
	if err != nil {
		return nil
	}
	defer program.Close() // the link holds it
	ex, err := link.OpenExecutable("/proc/self/exe")
	if err != nil {
		return nil
	}
	g := &gauge{}
	if g.armed, err = ownMulti(ex, program, spots); err != nil {
		return nil
	}
	for range gaugeFirst {
		g.sample()
	}
	return g
}

func (g *gauge) close() {
	if g != nil {
		closeLater(g.armed)
	}
}

// sample measures once more.
func (g *gauge) sample() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g.emulated.add(g.measure(framed, gaugeEmulated))
	g.stepped.add(g.measure(leaving, gaugeStepped))
}

// measure is what a call costs the thread. What it would cost without a trap, some nanoseconds, is left in.
func (g *gauge) measure(f func(*uint64), calls int) time.Duration {
	begin := threadTime()
	for range calls {
		f(&g.n)
	}
	return (threadTime() - begin) / time.Duration(calls)
}

// traps are what was measured of late.
func (g *gauge) traps() traps {
	if g == nil {
		return traps{}
	}
	return traps{emulated: g.emulated.mean(), stepped: g.stepped.mean()}
}

// series is the last samples of something.
type series struct {
	last [16]time.Duration
	n    int
}

func (s *series) add(d time.Duration) {
	s.last[s.n%len(s.last)] = d
	s.n++
}

// mean is that of the samples. It is no median, since a program that is interrupted between two hits pays for cold
// caches; a sample that was interrupted itself counts as at most three times the median.
func (s *series) mean() time.Duration {
	sorted := slices.Sorted(slices.Values(s.last[:min(s.n, len(s.last))]))
	if len(sorted) == 0 {
		return 0
	}
	var sum time.Duration
	for _, d := range sorted {
		sum += min(d, 3*sorted[len(sorted)/2])
	}
	return sum / time.Duration(len(sorted))
}

// framed has a PUSHQ BP, which the kernel emulates, and leaving at its end what it single-steps. They are two, so that
// each has one breakpoint.
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

func threadTime() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

// ledger adds up what traps cost: each at what one cost when it was counted.
type ledger struct {
	mu      sync.Mutex
	share   [][2]float64 // of each probe's sites and returns, how many are stepped: which of them is hit isn't known
	now     traps
	counted [][2]uint64
	cost    []time.Duration
}

// open has an account for one more probe.
func (l *ledger) open(p *probe.Probe) {
	var share [2]float64
	for i, sites := range [][]probe.Site{p.Sites, p.Returns} {
		for _, s := range sites {
			if s.Instruction == probe.Stepped {
				share[i] += 1 / float64(len(sites))
			}
		}
	}
	l.share, l.counted = append(l.share, share), append(l.counted, [2]uint64{})
	l.cost = append(l.cost, 0)
}

// price sets what traps cost from now on.
func (l *ledger) price(t traps) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = t
}

// trap is what a hit of a probe's sites, or of its returns, costs now without its program.
func (l *ledger) trap(probed int, back bool) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.each(probed)[side(back)]
}

func side(back bool) int {
	if back {
		return 1
	}
	return 0
}

func (l *ledger) each(probed int) (out [2]time.Duration) {
	emulated, stepped := l.now.of(probe.Emulated), l.now.of(probe.Stepped)
	for i, share := range l.share[probed] {
		out[i] = emulated + time.Duration(share*float64(stepped-emulated))
	}
	return out
}

// count takes how many hits a probe's sites and returns have had so far, and gives what they cost.
func (l *ledger) count(probed int, entries, backs uint64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	each := l.each(probed)
	for i, n := range [...]uint64{entries, backs} {
		// Counters of several processors aren't read at one instant.
		if was := l.counted[probed][i]; n > was {
			l.cost[probed] += time.Duration(n-was) * each[i]
			l.counted[probed][i] = n
		}
	}
	return l.cost[probed]
}
