//go:build amd64

package attach

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Copy bounds of a snapshot.
const (
	stackPages  = 2       // copied from each thread's SP on, so that the stacks of running goroutines need no second round
	workerShare = 2 << 20 // bytes for which another copying thread pays
	maxWorkers  = 4
	maxRun      = 256      // pages: what is longer is divided, so that all threads have their share and the deadline is seen
	hugeWorth   = 32 << 20 // bytes of a buffer
)

// snapshotView is a copy of the pages that were asked for, all of one moment, with the registers of that moment. A page
// that isn't in the copy is read from the program as it is now and counted as missed: what was read then is not consistent,
// and whoever asked takes another snapshot with more pages.
type snapshotView struct {
	process *Process
	mem     *processMemory
	threads []Thread
	stats   Stats
	buffer  []byte
	pages   map[uint64][]byte // by page number; nil: wasn't mapped

	mu     sync.Mutex
	missed map[uint64]struct{}
	ended  atomic.Bool
	done   chan struct{}
	err    error
}

// run is a stretch of pages side by side.
type run struct {
	addr uint64
	data []byte
	n    int // how much of it was copied
}

// snapshot stops the process, copies the given pages (by number: address / PageSize) and the registers, and lets it go. patience and failed are
// as for stop.
func (p *Process) snapshot(ctx context.Context, opt ViewOptions, patience time.Duration, failed Stats) (View, error) {
	limit := opt.MaxStop
	if err := p.CheckStop(); err != nil {
		return nil, err
	}
	t, err := newTracer(p)
	if err != nil {
		return nil, err
	}
	v := &snapshotView{process: p, mem: p.memory(), missed: map[uint64]struct{}{}, done: make(chan struct{})}
	pages := slices.Clone(opt.Pages)
	slices.Sort(pages)
	pages = slices.Compact(pages)
	buffer, err := faultedIn((len(pages) + stackPages*cap(t.threads)) * PageSize)
	if err != nil {
		return nil, fmt.Errorf("room for a snapshot of %d pages: %w", len(pages), err)
	}
	c := &copying{mem: v.mem, runs: make([]run, 0, len(pages)+cap(t.threads)), left: buffer}
	c.addPages(pages)
	c.prepare()

	var failure error
	finished := make(chan struct{})
	suspension.RLock()
	go onTracerThread(func() {
		defer close(finished)
		defer suspension.RUnlock()
		defer t.close()
		t.prepareThread()
		noExec := make(chan struct{})
		go t.unblockExec(noExec)
		began, err := t.stop(ctx, patience)
		close(noExec)
		if err == nil {
			err = t.process.checkProgram()
		}
		if err == nil {
			err = c.copy(t.threads, pages, began.Add(limit))
		}
		t.detach()
		v.threads = t.threads
		v.stats = Stats{Stops: 1 + failed.Stops, Stopped: failed.Stopped + time.Since(began), BytesRead: v.mem.bytesRead.Load()}
		failure = err
	})
	<-finished
	t.waitForEnd()
	if failure != nil {
		return nil, failure
	}
	v.buffer = buffer
	v.pages = make(map[uint64][]byte, len(pages))
	for _, r := range c.runs {
		for at := 0; at < len(r.data); at += PageSize {
			number := (r.addr + uint64(at)) / PageSize
			if at+PageSize <= r.n {
				v.pages[number] = r.data[at : at+PageSize]
			} else if _, ok := v.pages[number]; !ok {
				v.pages[number] = nil
			}
		}
	}
	return v, nil
}

// faultedIn allocates memory that is there already, so that the copy doesn't wait for the kernel to find it.
func faultedIn(size int) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	if size < hugeWorth {
		return unix.Mmap(-1, 0, size, prot, flags|unix.MAP_POPULATE)
	}
	// Huge pages, where there are any: faster to fill, and the copy misses fewer translations.
	b, err := unix.Mmap(-1, 0, size, prot, flags)
	if err != nil {
		return nil, err
	}
	unix.Madvise(b, unix.MADV_HUGEPAGE)
	if unix.Madvise(b, unix.MADV_POPULATE_WRITE) != nil { // Linux 5.14
		for i := 0; i < len(b); i += PageSize {
			b[i] = 0
		}
	}
	return b, nil
}

// copying is the work of the stop, laid out beforehand.
type copying struct {
	mem    *processMemory
	runs   []run
	left   []byte // of the buffer
	shares [][]Range
	first  []int // of each share, its first run
}

func (c *copying) addPages(pages []uint64) {
	for i := 0; i < len(pages); {
		n := 1
		for n < maxRun && i+n < len(pages) && pages[i+n] == pages[i]+uint64(n) {
			n++
		}
		c.add(pages[i]*PageSize, n*PageSize)
		i += n
	}
}

func (c *copying) add(addr uint64, size int) {
	c.runs = append(c.runs, run{addr: addr, data: c.left[:size:size]})
	c.left = c.left[size:]
}

// prepare divides the runs into shares of like size, one a copying thread.
func (c *copying) prepare() {
	total := 0
	for _, r := range c.runs {
		total += len(r.data)
	}
	workers := min(runtime.NumCPU(), maxWorkers, 1+total/workerShare)
	each := total/workers + 1
	size := each
	for i, r := range c.runs {
		if size >= each && len(c.shares) < workers {
			c.shares = append(c.shares, nil)
			c.first = append(c.first, i)
			size = 0
		}
		last := len(c.shares) - 1
		c.shares[last] = append(c.shares[last], Range{Addr: r.addr, Data: r.data})
		size += len(r.data)
	}
}

// copy copies all shares and the top of each thread's stack. It gives up at the deadline.
func (c *copying) copy(threads []Thread, pages []uint64, deadline time.Time) error {
	base := len(c.runs)
	var tops []Range
	for i := range threads {
		first := threads[i].Regs.SP() / PageSize
		if len(c.left) < stackPages*PageSize {
			break
		}
		if _, ok := slices.BinarySearch(pages, first); ok {
			continue
		}
		c.add(first*PageSize, stackPages*PageSize)
		r := c.runs[len(c.runs)-1]
		tops = append(tops, Range{Addr: r.addr, Data: r.data})
	}
	if len(tops) > 0 {
		c.shares, c.first = append(c.shares, tops), append(c.first, base)
	}
	errs := make([]error, len(c.shares))
	var wg sync.WaitGroup
	for i := range c.shares {
		work := func() { errs[i] = c.copyShare(i, deadline) }
		if i == len(c.shares)-1 {
			work() // on this thread
			break
		}
		wg.Add(1)
		go func() { defer wg.Done(); work() }()
	}
	wg.Wait()
	return cmp.Or(errs...)
}

func (c *copying) copyShare(i int, deadline time.Time) error {
	share := c.shares[i]
	scratch := new(ioScratch)
	for at := 0; at < len(share); at += maxIovecs {
		part := share[at:min(at+maxIovecs, len(share))]
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: copying memory took longer than the limit of the stop (--max-stop): %w", c.mem.name, ErrDeadline)
		}
		if err := c.mem.readRanges(part, scratch); err != nil {
			return err
		}
		for k := range part {
			c.runs[c.first[i]+at+k].n = part[k].N
		}
	}
	return nil
}

// ReadMemory implements Memory.
func (v *snapshotView) ReadMemory(p []byte, addr uint64) (int, error) {
	if v.ended.Load() {
		return 0, v.Err()
	}
	done := 0
	for done < len(p) {
		at := addr + uint64(done)
		if at < addr {
			return done, notMapped(at)
		}
		number, off := at/PageSize, int(at%PageSize)
		page, ok := v.pages[number]
		n := min(len(p)-done, PageSize-off)
		switch {
		case page != nil:
			copy(p[done:done+n], page[off:])
		case ok:
			return done, notMapped(at)
		default:
			v.mu.Lock()
			v.missed[number] = struct{}{}
			v.mu.Unlock()
			n, err := v.mem.ReadMemory(p[done:done+n], at)
			if err != nil {
				return done + n, err
			}
		}
		done += n
	}
	return done, nil
}

// Missed lists the pages that were read and not in the snapshot.
func (v *snapshotView) Missed() []uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []uint64
	for n := range v.missed {
		out = append(out, n)
	}
	return out
}

func (v *snapshotView) Kind() ViewKind        { return Snapshot }
func (v *snapshotView) Threads() []Thread     { return v.threads }
func (v *snapshotView) Done() <-chan struct{} { return v.done }
func (v *snapshotView) Stats() Stats {
	s := v.stats
	s.BytesRead = v.mem.bytesRead.Load()
	return s
}

func (v *snapshotView) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// Discard closes the view and gives its memory back. Only for one that nobody reads any more.
func (v *snapshotView) Discard() {
	v.Close()
	if v.buffer != nil {
		unix.Munmap(v.buffer)
		v.buffer, v.pages = nil, nil
	}
}

// Close forgets the copy; the target has been running all along. The buffer is left to the end of the process, since a script that was given up may still read it.
func (v *snapshotView) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err == nil {
		v.err = fmt.Errorf("reading the snapshot of %s: %w", v.process.Describe(), ErrClosed)
		v.ended.Store(true)
	}
	return nil
}
