//go:build amd64

package process

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	absent    gaps     // pages of both that weren't there
	notes     []string
	forking   []int  // threads that waited for a child
	image     *image // all private writable memory; nil: only what was asked for

	mu     sync.Mutex
	missed map[uint64]struct{}
	ended  atomic.Bool
	done   chan struct{}
	err    error
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
	v.pages, v.tops, v.absent = extentsOf(c.runs[:c.asked]), extentsOf(c.runs[c.asked:]), c.absent
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
	w.copying = &copying{mem: v.mem, runs: make([]extent, 0, len(w.pages)+room), left: v.buffer}
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
		noteStop(took)
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
			data := e.data[addr-e.addr:]
			if n := v.absent.before(addr, min(len(p), len(data))); n > 0 {
				return copy(p[:n], data), nil
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
		if off := int(addr - e.addr); n <= len(e.data)-off && v.absent.before(addr, n) == n {
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
	v.buffer, v.pages, v.tops, v.absent = nil, nil, nil, nil
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
