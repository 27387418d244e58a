//go:build amd64

package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// Copy bounds of a snapshot.
const (
	// copied from each thread's SP on, so that the stacks of running goroutines need no second round
	stackPages = 2
	manyBytes  = 2 << 20 // for which threads of their own are started
	// pages: what is longer is divided, so that all threads have their share and the deadline is seen
	maxRun    = 256
	hugeWorth = 8 << 20 // bytes of a buffer
)

// snapshotView is a copy of the pages that were asked for, all of one moment, with the registers of that moment. A page
// that isn't in the copy is read from the program as it is now and counted as missed: what was read then is not
// consistent, and whoever asked takes another snapshot with more pages.
type snapshotView struct {
	process   *Process
	mem       *processMemory
	threads   []attach.Thread
	registers []allRegisters // of the threads, if they were asked for
	stats     attach.Stats
	buffer    []byte
	pages     []extent // what was asked for, sorted
	tops      []extent // the tops of stacks, sorted
	notes     []string
	forking   []int  // threads that waited for a child
	image     *image // all private writable memory; nil: only what was asked for

	mu     sync.Mutex
	missed map[uint64]struct{}
	ended  atomic.Bool
	done   chan struct{}
	err    error
}

// extent is pages side by side, in the target and in the copy: of len(data) bytes that were asked for the first n were
// there.
type extent struct {
	addr uint64
	data []byte
	n    int
}

// run is a stretch of pages side by side, copied in one piece.
type run struct {
	addr uint64
	data []byte
	n    int // how much of it was copied
}

// snapshot stops the process, copies the given pages (by number: address / PageSize) and the registers, and lets it go.
// patience and failed are as for stop.
func (p *Process) snapshot(ctx context.Context, opt wish, patience time.Duration, spare sparing,
	leave *leaving, failed attach.Stats) (attach.View, error) {
	if err := p.CheckStop(); err != nil {
		return nil, err
	}
	v := &snapshotView{process: p, mem: p.memory(), missed: map[uint64]struct{}{}, done: make(chan struct{})}
	w := &taking{view: v, patience: patience, cost: failed}
	defer w.close()
	err := w.prepare(ctx, opt, spare, leave)
	if err == nil {
		err = w.stop(ctx, opt.MaxStop)
	}
	if err != nil {
		v.free()
		return nil, err
	}
	t, c := w.tracer, w.copying
	if n := t.displaced(); n > 0 {
		v.notes = append(v.notes, fmt.Sprintf("the copy is of one instant, but %d of %d threads got no CPU to come "+
			"to a stop, and their registers are not known", n, len(t.tracees)))
	}
	for _, b := range []*bulkCopy{w.bulk, c.large} {
		if b != nil {
			v.mem.bytesRead.Add(b.mem.bytesRead.Load())
		}
	}
	v.threads, v.registers, v.stats, v.forking = t.threads, t.all, w.cost, t.forking()
	v.notes = append(v.notes, forkingNotes(v.forking)...)
	v.pages, v.tops = extentsOf(c.runs[:c.asked]), extentsOf(c.runs[c.asked:])
	return v, nil
}

// taking is a snapshot being taken.
type taking struct {
	view     *snapshotView
	patience time.Duration
	cost     attach.Stats // so far
	bulk     *bulkCopy    // of all memory, nil if that wasn't asked for
	pre      *precopy     // most of it, before the stop; nil if there is none
	tracer   *tracer
	copying  *copying
	pages    []uint64
}

// prepare makes all ready that can be before the stop.
func (w *taking) prepare(ctx context.Context, opt wish, spare sparing, leave *leaving) (err error) {
	v := w.view
	if opt.Bulk {
		if w.bulk, err = newBulkCopy(ctx, v.process, opt.Spool); err != nil {
			return err
		}
		v.image = w.bulk.image
		if w.pre, err = v.precopy(ctx, w.bulk, opt.ViewOptions, w.patience); err != nil {
			return err
		}
		if w.pre != nil {
			w.cost.Add(w.pre.stats)
		}
	}
	if w.tracer, err = newTracer(v.process, leave); err != nil {
		return err
	}
	room := cap(w.tracer.threads)
	if opt.registers {
		w.tracer.all = make([]allRegisters, 0, room)
	} else {
		w.tracer.spare = spare
	}
	w.pages = wanted(opt.Pages, v.image)
	if v.buffer, err = faultedIn((len(w.pages) + stackPages*room) * attach.PageSize); err != nil {
		return fmt.Errorf("room for a snapshot of %d pages: %w", len(w.pages), err)
	}
	w.copying = &copying{mem: v.mem, runs: make([]run, 0, len(w.pages)+room), left: v.buffer}
	w.copying.addPages(w.pages)
	if len(w.pages)*attach.PageSize > manyBytes {
		if w.copying.large, err = newPageCopy(v.process, w.copying.runs); err != nil {
			return err
		}
	}
	w.copying.prepare()
	if w.bulk != nil {
		w.bulk.hurry()
	}
	return nil
}

// stop stops the process, copies and lets it go.
func (w *taking) stop(ctx context.Context, limit time.Duration) (failure error) {
	t := w.tracer
	var resident []span // what was there, of a pre-copy
	finished := make(chan struct{})
	t.hold = holds.begin(nil)
	go onTracerThread(func() {
		defer close(finished)
		defer holds.end(t.hold)
		began, err := t.halt(ctx, w.patience)
		end := until{began.Add(limit), t.hold}
		if err == nil {
			err = w.copying.copy(t.threads, w.pages, end)
		}
		switch {
		case err != nil || w.bulk == nil:
		case w.pre != nil:
			resident, err = w.pre.stopped(end)
		default:
			err = w.bulk.stopped(end)
		}
		if err == nil {
			if err = t.stillAsleep(); t.leave != nil {
				t.addAsleep()
			}
		}
		t.detach()
		took := time.Since(began)
		w.cost.Stops++
		w.cost.Stopped += took
		w.cost.Interrupted += t.interrupted
		if awake, ok := errors.AsType[*wokenError](err); ok {
			awake.cost = attach.Stats{Stops: 1, Stopped: took, Interrupted: t.interrupted}
		}
		failure = err
		if len(t.threads) > 0 && w.pre == nil {
			w.view.process.taken[takenKind(w.bulk != nil)].note(w.size(), took, err)
		}
	})
	<-finished
	t.waitForEnd()
	if w.pre != nil && failure == nil {
		failure = w.view.image.settle(resident)
	}
	return failure
}

// size is how many bytes there are to copy.
func (w *taking) size() int64 {
	size := int64(len(w.pages)) * attach.PageSize
	if w.bulk != nil {
		for i := range w.bulk.pieces {
			size += int64(len(w.bulk.pieces[i].Data))
		}
	}
	return size
}

// close gives back what only the taking needed.
func (w *taking) close() {
	if w.copying != nil && w.copying.large != nil {
		w.copying.large.close()
	}
	if w.tracer != nil {
		w.tracer.close()
	}
	if w.pre != nil {
		w.pre.close()
	}
	if w.bulk != nil {
		w.bulk.close()
	}
}

// precopy makes most of a bulk copy before the stop. It is nil, without an error, where that wasn't asked for, or isn't
// possible and the stop may be long enough without.
func (v *snapshotView) precopy(ctx context.Context, b *bulkCopy, opt attach.ViewOptions,
	patience time.Duration) (*precopy, error) {
	if !opt.Precopy {
		return nil, nil
	}
	pre, err := startPrecopy(ctx, b, patience)
	var no *errNoPrecopy
	if errors.As(err, &no) {
		opt.Precopy = false
		cost, e := v.process.SnapshotCost(opt)
		if e != nil {
			return nil, e
		}
		if cost.Stop > opt.MaxStop {
			return nil, fmt.Errorf("%s: its memory can't be copied while it runs (%w), and in a stop that takes "+
				"about %v, longer than the limit of %v: allow it (--max-stop), or look without a copy (--view live)",
				v.process.Describe(), err, cost.Stop.Round(time.Millisecond), opt.MaxStop)
		}
		v.notes = append(v.notes, fmt.Sprintf("all memory was copied in the stop and not before it: %v", err))
		return nil, nil
	}
	if err == nil {
		if err = pre.run(ctx, opt.MaxStop); err == nil && pre.estimate() > opt.MaxStop {
			err = fmt.Errorf("%s writes to its memory faster than it can be copied: %d MiB are left to copy, which "+
				"would stop it for about %v, longer than the limit of %v: allow it (--max-stop), or look without a "+
				"copy (--view live); "+callMade+": %w",
				v.process.Describe(), pre.round.bytes>>20, pre.estimate().Round(time.Millisecond), opt.MaxStop,
				attach.ErrNotSupported)
		}
		if err != nil {
			pre.close()
		}
	}
	if err != nil {
		return nil, err
	}
	v.notes = append(v.notes, callMade+", so that most of its memory could be copied while it ran")
	return pre, nil
}

// Notes implements View.
func (v *snapshotView) Notes() []string { return v.notes }

// wanted sorts page numbers, and leaves out those that the image has.
func wanted(numbers []uint64, im *image) []uint64 {
	pages := slices.Clone(numbers)
	slices.Sort(pages)
	pages = slices.Compact(pages)
	if im == nil {
		return pages
	}
	return slices.DeleteFunc(pages, func(number uint64) bool { return im.find(number*attach.PageSize) != nil })
}

// extentsOf joins runs that lie side by side, and sorts them.
func extentsOf(runs []run) []extent {
	var out []extent
	for _, r := range runs {
		if k := len(out) - 1; k >= 0 {
			last := &out[k]
			size := len(last.data)
			if last.addr+uint64(size) == r.addr && last.n == size && cap(last.data) > size &&
				&last.data[:size+1][size] == &r.data[0] {
				last.data = last.data[:size+len(r.data)]
				last.n += r.n
				continue
			}
		}
		out = append(out, extent(r))
	}
	slices.SortFunc(out, func(a, b extent) int { return cmp.Compare(a.addr, b.addr) })
	return out
}

// findExtent gives the extent that holds an address, nil if none does.
func findExtent(list []extent, addr uint64) *extent {
	i := sort.Search(len(list), func(i int) bool { return list[i].addr > addr })
	if i > 0 {
		if e := &list[i-1]; addr-e.addr < uint64(len(e.data)) {
			return e
		}
	}
	return nil
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
		for i := 0; i < len(b); i += attach.PageSize {
			b[i] = 0
		}
	}
	return b, nil
}

// copying is the work of the stop, laid out beforehand.
type copying struct {
	mem     *processMemory
	runs    []run
	left    []byte         // of the buffer
	large   *bulkCopy      // copies the runs that were asked for, where they are many; nil: this thread does
	asked   int            // runs of pages that were asked for; the rest are tops of stacks
	ranges  []attach.Range // what this thread copies
	scratch *ioScratch
}

func (c *copying) addPages(pages []uint64) {
	for i := 0; i < len(pages); {
		n := 1
		for n < maxRun && i+n < len(pages) && pages[i+n] == pages[i]+uint64(n) {
			n++
		}
		c.add(pages[i]*attach.PageSize, n*attach.PageSize)
		i += n
	}
}

func (c *copying) add(addr uint64, size int) {
	c.runs = append(c.runs, run{addr: addr, data: c.left[:size]})
	c.left = c.left[size:]
}

// prepare makes ready what is made ready before the stop. What is much is copied once already: in the stop the caches
// of the processor then have it, and the page tables (measured on two CPUs: 50 MB in scattered pages take 7.6 ms
// instead of 8.5).
func (c *copying) prepare() {
	c.asked, c.scratch = len(c.runs), new(ioScratch)
	c.ranges = make([]attach.Range, 0, cap(c.runs))
	if c.large != nil {
		_ = c.large.copyPieces(until{}) // what fails, fails again
		c.large.image.unreadable = nil
		c.large.mem.bytesRead.Store(0)
		c.large.hurry()
		return
	}
	for _, r := range c.runs {
		c.ranges = append(c.ranges, attach.Range{Addr: r.addr, Data: r.data})
	}
}

// copy copies what was asked for and the top of each thread's stack. It gives up at the deadline.
func (c *copying) copy(threads []attach.Thread, pages []uint64, end until) error {
	first := 0 // run of the first range
	if c.large != nil {
		first = c.asked
		if err := c.large.copyPieces(end); err != nil {
			return err
		}
		for i, p := range c.large.pieces {
			c.runs[i].n = p.N
		}
	}
	for i := range threads {
		top := threads[i].Regs.SP() / attach.PageSize
		if len(c.left) < stackPages*attach.PageSize {
			break
		}
		if _, ok := slices.BinarySearch(pages, top); ok {
			continue
		}
		c.add(top*attach.PageSize, stackPages*attach.PageSize)
		r := c.runs[len(c.runs)-1]
		c.ranges = append(c.ranges, attach.Range{Addr: r.addr, Data: r.data})
	}
	for at := 0; at < len(c.ranges); at += maxIovecs {
		part := c.ranges[at:min(at+maxIovecs, len(c.ranges))]
		if err := end.over(c.mem.name); err != nil {
			return err
		}
		if err := c.mem.readRanges(part, c.scratch); err != nil {
			return err
		}
		for k := range part {
			c.runs[first+at+k].n = part[k].N
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
			return done, attach.NotMapped(at)
		}
		n, err := v.readSome(p[done:], at)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// readSome reads at least a byte, or fails.
func (v *snapshotView) readSome(p []byte, addr uint64) (int, error) {
	if v.image != nil {
		if n, ok := v.image.read(p, addr); n > 0 {
			return n, nil
		} else if ok {
			return 0, attach.NotMapped(addr)
		}
	}
	for _, list := range [][]extent{v.pages, v.tops} {
		if e := findExtent(list, addr); e != nil {
			// A page that was there in part only, wasn't.
			if off := int(addr - e.addr); off < e.n&^(attach.PageSize-1) {
				return copy(p, e.data[off:e.n&^(attach.PageSize-1)]), nil
			}
			return 0, attach.NotMapped(addr)
		}
	}
	if !canonical(addr) || v.image != nil && !v.image.mapped(addr) {
		return 0, attach.NotMapped(addr) // another copy would not have it either
	}
	n := min(len(p), attach.PageSize-int(addr%attach.PageSize))
	if v.image == nil || !within(v.image.constant, addr) {
		v.mu.Lock()
		v.missed[addr/attach.PageSize] = struct{}{}
		v.mu.Unlock()
	}
	return v.mem.ReadMemory(p[:n], addr)
}

// Direct implements Director.
func (v *snapshotView) Direct(addr uint64, n int) []byte {
	if v.ended.Load() || n <= 0 {
		return nil
	}
	if v.image != nil {
		if b := v.image.direct(addr, n); b != nil {
			return b
		}
	}
	if e := findExtent(v.pages, addr); e != nil {
		if off := int(addr - e.addr); n <= e.n-off {
			return e.data[off:][:n:n]
		}
	}
	return nil
}

// Coverage implements View.
func (v *snapshotView) Coverage() attach.Coverage {
	v.mu.Lock()
	defer v.mu.Unlock()
	return attach.Coverage{Of: attach.Copied, Missed: slices.Collect(maps.Keys(v.missed)), Whole: v.image != nil,
		Forking: v.forking}
}

func (v *snapshotView) Kind() attach.ViewKind    { return attach.Snapshot }
func (v *snapshotView) Threads() []attach.Thread { return v.threads }
func (v *snapshotView) Done() <-chan struct{}    { return v.done }
func (v *snapshotView) Stats() attach.Stats {
	s := v.stats
	s.BytesRead = v.mem.bytesRead.Load()
	return s
}

func (v *snapshotView) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// Discard implements View.
func (v *snapshotView) Discard() {
	v.Close()
	v.free()
}

func (v *snapshotView) free() {
	if v.buffer != nil {
		unix.Munmap(v.buffer)
	}
	v.buffer, v.pages, v.tops = nil, nil, nil
	if v.image != nil {
		v.image.free()
	}
}

// Close forgets the copy; the target has been running all along. The buffer is left to the end of the process, since a
// script that was given up may still read it.
func (v *snapshotView) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err == nil {
		v.err = fmt.Errorf("reading the snapshot of %s: %w", v.process.Describe(), attach.ErrClosed)
		v.ended.Store(true)
	}
	return nil
}
