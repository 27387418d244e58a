package kernel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"ri/probe"
)

// Armed is what a trace holds of the kernel. Methods may be called from several goroutines, Next from one at a time.
type Armed struct {
	target  Target
	probes  []probe.Probe
	options Options
	how     dialect
	way     Way
	gauge   *gauge // nil: what traps cost isn't measured
	ledger  ledger
	owed    []float64 // parts of tokens that each probe has yet to get
	layouts []layout
	file    *os.File // of the code
	pidfd   int
	keeper  *keeper

	controlMap, ringMap *ebpf.Map
	control             control
	ring                *ring
	flows               *ebpf.Map         // nil: no probe has to do with flows
	fallen              map[callID]bool   // calls whose frames were gone before the returns weren't probed any more
	calls               map[int]*ebpf.Map // tables of calls, by size of an event; those of counts by -1-probe
	blanks              map[int]*ebpf.Map // of each size of event one that says nothing
	tables              map[int]*ebpf.Map
	units               []*unit
	places              []spot

	forecast Forecast
	missed   []Missed
	started  time.Time

	mu       sync.Mutex
	entries  []int // as the keeper numbers what it armed
	backs    []int
	since    time.Time // armed since; zero: not armed
	armedFor time.Duration
	windows  int
	disarmed time.Time
	forked   []int
	why      error
	queue    []probe.Event
	queued   int
	ended    bool
	limited  time.Time     // since when the limit is reached and flows go on; the pump's
	more     chan struct{} // something happened
	stop     chan struct{}
	pumped   sync.WaitGroup
}

// Arm checks that target may be probed, counts for a moment what the probes will cost, and arms them. Where that is
// over the budget it ends with an *ErrBudget. Sites that the kernel refuses are named by Missed; if it refuses all,
// that is ErrNoPlace.
func Arm(ctx context.Context, target Target, probes []probe.Probe, o Options) (*Armed, error) {
	if err := Check(target.PID); err != nil {
		return nil, err
	}
	given := o.as != nil
	if !given {
		able := Able()
		o.as = &able
	}
	able := *o.as
	if able.Way == None {
		return nil, able.refusal()
	}
	if err := checkWarnings(o.PanicOnWarn); err != nil {
		return nil, err
	}
	a := &Armed{target: target, probes: probes, options: o.filled(len(probes)), how: able.how, way: able.Way, pidfd: -1,
		calls: map[int]*ebpf.Map{}, blanks: map[int]*ebpf.Map{}, tables: map[int]*ebpf.Map{},
		more: make(chan struct{}, 1), stop: make(chan struct{})}
	if able.Way == Multi && !given {
		a.gauge = newGauge(able.how)
		a.ledger.price(a.gauge.traps())
	}
	if err := a.arm(ctx); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

func (o Options) filled(probes int) Options {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	if o.StackHi == 0 {
		o.StackHi = 8
	}
	if o.Counting == 0 {
		o.Counting = 100 * time.Millisecond
	}
	o.Stack = min(o.Stack, MaxStack)
	set(&o.Ring, 4<<20)
	set(&o.Calls, 8192)
	set(&o.Keys, min(4096, max(64, 1<<18/max(probes, 1))))
	return o
}

func (a *Armed) arm(ctx context.Context) error {
	if err := a.checkProbes(); err != nil {
		return err
	}
	if err := a.open(); err != nil {
		return err
	}
	if err := a.makeMaps(); err != nil {
		return err
	}
	var units []*unit
	for _, back := range []bool{true, false} {
		more, err := a.makeUnits(back)
		if err != nil {
			return err
		}
		units = append(units, more...)
	}
	if err := a.loadAll(units); err != nil {
		return err
	}
	a.units, a.places = units, a.findPlaces()
	places := a.places
	if a.way == Perf && len(places) > perfPlaces {
		return fmt.Errorf("%d places to probe, and this kernel takes each by itself: at most %d, as they go away slowly "+
			"(Linux 6.10 takes them together): %w", len(places), perfPlaces, ErrTooComplex)
	}
	a.touch(places)
	if a.options.Counting > 0 {
		if err := a.count(ctx, places); err != nil {
			return err
		}
	}
	a.refill(time.Second)
	a.started = time.Now()
	if err := a.attachAll(); err != nil {
		return err
	}
	if len(a.entries) == 0 {
		return a.noPlace()
	}
	a.pumped.Add(1)
	go a.pump()
	return nil
}

// attachAll arms all programs. Returns come first: an entry whose return isn't probed yet would look like a call that
// never returned.
func (a *Armed) attachAll() error {
	a.mu.Lock()
	if a.windows++; a.windows == 1 {
		a.missed = nil // by the counting
	}
	a.since = time.Now()
	a.mu.Unlock()
	for _, u := range a.units {
		links, err := a.attach(u.program, a.places, u.serves)
		a.mu.Lock()
		if u.back {
			a.backs = append(a.backs, links...)
		} else {
			a.entries = append(a.entries, links...)
		}
		a.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *Armed) noPlace() error {
	if len(a.missed) > 0 {
		return fmt.Errorf("the kernel refuses each of them, the first (%s) with: %w: %w",
			a.probes[a.missed[0].Probe].Name, a.missed[0].Err, ErrNoPlace)
	}
	return fmt.Errorf("nothing to probe: %w", ErrNoPlace)
}

func (a *Armed) checkProbes() error {
	if len(a.probes) == 0 {
		return fmt.Errorf("nothing to probe: %w", ErrNoPlace)
	}
	if len(a.probes) > maxProbes {
		return fmt.Errorf("%d probes, of at most %d: %w", len(a.probes), maxProbes, ErrTooComplex)
	}
	for i := range a.probes {
		p := &a.probes[i]
		if err := checkProbe(p); err != nil {
			return fmt.Errorf("probe %s: %w", p.Name, err)
		}
		a.layouts = append(a.layouts, layoutOf(p, a.options.Stack))
		a.ledger.open(p)
		a.owed = append(a.owed, 0)
	}
	return nil
}

func checkProbe(p *probe.Probe) error {
	if len(p.Sites) > maxSites || len(p.Returns) > maxSites {
		return fmt.Errorf("%d sites, of at most %d: %w", max(len(p.Sites), len(p.Returns)), maxSites, ErrTooComplex)
	}
	if len(p.Returns) > 0 || p.Flow != probe.NoFlow {
		for _, s := range append(slices.Clone(p.Sites), p.Returns...) {
			if !s.G {
				return fmt.Errorf("no goroutine is known at %s:%d, so neither its returns nor its flows can be told: %w", s.File,
					s.Line, ErrNoPlace)
			}
		}
	}
	if p.Flow != probe.NoFlow && counts(p) {
		return fmt.Errorf("what is only counted belongs to no flow: %w", ErrNoPlace)
	}
	if p.Histogram && len(p.Returns) == 0 {
		return fmt.Errorf("a histogram of durations needs returns: %w", ErrNoPlace)
	}
	if err := checkKeys(p); err != nil {
		return err
	}
	for _, plan := range []probe.Plan{p.At, p.Back} {
		size := 0
		for _, r := range plan.Reads {
			size += int(r.Size)
		}
		if size > probe.MaxEvent || len(plan.Reads) > probe.MaxReads {
			return fmt.Errorf("%d reads of %d bytes, of at most %d and %d: %w", len(plan.Reads), size, probe.MaxReads,
				probe.MaxEvent, ErrTooComplex)
		}
	}
	return nil
}

func checkKeys(p *probe.Probe) error {
	if len(p.By) > maxBy {
		return fmt.Errorf("counted by %d keys, of at most %d: %w", len(p.By), maxBy, ErrTooComplex)
	}
	texts := 0
	for _, k := range p.By {
		if k.Bytes < 0 || k.Bytes%8 != 0 || (k.Bytes > 0) != (k.Len != nil) {
			return fmt.Errorf("counted by %d bytes of a text: %w", k.Bytes, ErrTooComplex)
		}
		texts += k.Bytes
	}
	if texts > probe.MaxKeyText {
		return fmt.Errorf("counted by %d bytes of texts, of at most %d: %w", texts, probe.MaxKeyText, ErrTooComplex)
	}
	return nil
}

// open takes hold of the code's file, so that it is the same however names change, and of the process.
func (a *Armed) open() error {
	path := a.target.Path
	if path == "" {
		path = fmt.Sprintf("/proc/%d/exe", a.target.PID)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("the file of pid %d's code can't be opened: %w", a.target.PID, err)
	}
	a.file = file
	if a.keeper, err = newKeeper(); err != nil {
		return err
	}
	if a.pidfd, err = unix.PidfdOpen(a.target.PID, 0); err != nil {
		a.pidfd = -1
		if errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("pid %d: %w", a.target.PID, ErrGone)
		}
	}
	return nil
}

func (a *Armed) makeMaps() error {
	shards := 1
	for shards < runtime.NumCPU() && shards < 16 {
		shards *= 2
	}
	l := controlLayout{probes: len(a.probes), shards: shards}
	var err error
	if a.controlMap, a.control, err = newControl(l); err != nil {
		return err
	}
	a.control.set(controlLimit, a.options.Limit)
	size := os.Getpagesize()
	for size < a.options.Ring {
		size *= 2
	}
	spec := &ebpf.MapSpec{Name: "ri_events", Type: ebpf.RingBuf, MaxEntries: uint32(size)}
	if a.ringMap, err = ebpf.NewMap(spec); err != nil {
		return mapError("the ring of events", err)
	}
	if a.ring, err = newRing(a.ringMap.FD(), size); err != nil {
		return err
	}
	if err := a.makeFlows(); err != nil {
		return err
	}
	const memory = 64 << 20 // of all tables of calls of one size
	for i := range a.probes {
		p := &a.probes[i]
		if key, bytes, ok := a.callsKey(i); ok && a.calls[key] == nil {
			spec := &ebpf.MapSpec{Name: "ri_calls", Type: ebpf.Hash, KeySize: 24, ValueSize: uint32(bytes),
				MaxEntries: uint32(min(a.options.Calls, memory/bytes))}
			if a.calls[key], err = ebpf.NewMap(spec); err != nil {
				return mapError("the table of calls", err)
			}
			blank := &ebpf.MapSpec{Name: "ri_blank", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(bytes), MaxEntries: 1}
			if a.blanks[bytes], err = ebpf.NewMap(blank); err != nil {
				return mapError("a blank call", err)
			}
		}
		if tabled(p) {
			spec := &ebpf.MapSpec{Name: "ri_counts", Type: ebpf.Hash, KeySize: uint32(keySize(p)),
				ValueSize: uint32(rowSizeOf(p)), MaxEntries: uint32(a.options.Keys)}
			if a.tables[i], err = ebpf.NewMap(spec); err != nil {
				return mapError("the table of counts", err)
			}
		}
	}
	return nil
}

func mapError(what string, err error) error {
	return fmt.Errorf("the kernel doesn't give %s: %w", what, err)
}

func newControl(l controlLayout) (*ebpf.Map, control, error) {
	const mmapable = 1 << 10
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ri_control", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(l.size()),
		MaxEntries: 1, Flags: mmapable})
	if err != nil {
		return nil, control{}, mapError("a map", err)
	}
	page := os.Getpagesize()
	memory, err := unix.Mmap(m.FD(), 0, (l.size()+page-1)&^(page-1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		m.Close()
		return nil, control{}, mapError("its map's memory", err)
	}
	return m, control{l, memory}, nil
}

// callsKey says which table of calls a probe has, and of which size its values are.
func (a *Armed) callsKey(i int) (key, size int, ok bool) {
	p := &a.probes[i]
	switch {
	case !p.Paired():
		return 0, 0, false
	case counts(p):
		// A session has one for each size of key.
		return -openSize(p), openSize(p), true
	}
	return a.layouts[i].size, a.layouts[i].size, true
}

func (a *Armed) callsOf(i int) *ebpf.Map {
	key, _, _ := a.callsKey(i)
	return a.calls[key]
}

// Forecast is what the counting before arming told.
func (a *Armed) Forecast() Forecast { return a.forecast }

// Missed are the sites that the kernel refused.
func (a *Armed) Missed() []Missed {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.missed)
}

// Counts are of each probe, in the order in which they were given.
func (a *Armed) Counts() []probe.Counts {
	out := make([]probe.Counts, len(a.probes))
	for i := range out {
		c := func(counter int) uint64 { return a.control.count(i, counter) }
		o := &out[i]
		*o = probe.Counts{Taken: c(countTaken), False: c(countFalse), Undecided: c(countUndecided), Nil: c(countNil),
			Refused: c(countRefused), Lost: c(countLost), Nanos: c(countNanos) + sampled*c(countSampled)}
		if a.probes[i].Paired() {
			matched := c(countReturns) - c(countStray)
			o.Open = max(c(countEntries), matched+c(countGone)) - matched - c(countGone)
		}
		o.Hits = o.Taken + o.False + o.Nil + o.Refused + o.Lost + c(countOver) + o.Open + c(countGone)
	}
	return out
}

func sortRows(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), slices.Compare(a.Key, b.Key))
	})
}
