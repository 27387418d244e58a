//go:build amd64

package process

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
)

const (
	samplePages = 512                    // copied, without a stop, to learn what a page costs
	sampleRun   = 64                     // of them side by side, of a bulk copy
	bareStop    = 300 * time.Microsecond // to stop some threads, read registers and let them go
)

// SnapshotCost estimates what a snapshot costs, by copying a sample of its pages from the running process, on a thread
// that hurries as those of a stop do, and by what stops of this process have taken before.
func (p *Process) SnapshotCost(opt attach.ViewOptions) (cost attach.SnapshotCost, err error) {
	finished := make(chan struct{})
	go onTracerThread(func() {
		defer close(finished)
		hurry()
		cost, err = p.sampledCost(opt)
	})
	<-finished
	if err == nil && !(opt.Bulk && opt.Precopy) {
		cost.Stop = p.taken[takenKind(opt.Bulk)].correct(cost.Stop, cost.Bytes)
	}
	return cost, err
}

// taken is what copies in stops have taken: the last that was done, and the last that wasn't done in its time, since
// then.
type taken struct {
	mu           sync.Mutex
	done, undone struct {
		bytes int64
		took  time.Duration
	}
}

func takenKind(bulk bool) int {
	if bulk {
		return 1
	}
	return 0
}

// note remembers a stop.
func (t *taken) note(bytes int64, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case bytes == 0:
	case err == nil:
		t.done.bytes, t.done.took = bytes, took
		t.undone.bytes, t.undone.took = 0, 0
	case errors.Is(err, attach.ErrDeadline):
		t.undone.bytes, t.undone.took = bytes, took
	}
}

// correct makes an estimate shorter where the last copy shows that it is too long, and longer than the time in which as
// much was not copied.
func (t *taken) correct(estimate time.Duration, bytes int64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done.bytes > 0 {
		share := float64(bytes) / float64(t.done.bytes)
		estimate = min(estimate, max(bareStop, time.Duration(share*float64(t.done.took))))
	}
	if t.undone.bytes > 0 && bytes >= t.undone.bytes*9/10 {
		estimate = max(estimate, t.undone.took*3/2)
	}
	return estimate
}

// sampledCost is the estimate by a sample.
func (p *Process) sampledCost(opt attach.ViewOptions) (attach.SnapshotCost, error) {
	cost := attach.SnapshotCost{Stop: bareStop, Bytes: int64(len(opt.Pages)) * attach.PageSize,
		Available: proc.AvailableMemory()}
	sample, err := sampleOfPages(opt.Pages), error(nil)
	if opt.Bulk {
		var runs []span
		var size int64
		began := time.Now()
		if runs, size, err = p.bulkRuns(); err != nil {
			return cost, err
		}
		scan := time.Since(began)
		if scan > bareStop { // it may have had to wait for a CPU
			began = time.Now()
			if _, _, err := p.bulkRuns(); err != nil {
				return cost, err
			}
			scan = min(scan, time.Since(began))
		}
		cost.Stop += scan
		others := 0
		for _, number := range opt.Pages {
			if !within(runs, number*attach.PageSize) {
				others++
			}
		}
		cost.Bytes = size + int64(others)*attach.PageSize
		sample = append(sample, sampleOfRuns(runs, size)...)
		if opt.Spool != "" {
			cost.Available = spoolRoom(opt.Spool)
		}
		if opt.Precopy {
			// How much the program writes to is known only when it is tried; Precopy looks after the limit itself.
			return cost, nil
		}
	}
	size := 0
	for _, r := range sample {
		size += int(r.end - r.start)
	}
	if cost.Bytes <= samplePages*attach.PageSize || size == 0 {
		return cost, nil
	}
	took, err := p.timeOf(sample, size)
	if err != nil {
		return cost, err
	}
	workers := 1
	if opt.Bulk || cost.Bytes > manyBytes {
		workers = min(runtime.NumCPU(), bulkWorkers)
	}
	cost.Stop += time.Duration(float64(took) * float64(cost.Bytes) / float64(size) / float64(workers))
	return cost, nil
}

// sampleOfPages takes some pages from all over a list of page numbers.
func sampleOfPages(pages []uint64) []span {
	n := min(len(pages), samplePages)
	var out []span
	for i := range n {
		addr := pages[i*len(pages)/n] * attach.PageSize
		out = append(out, span{start: addr, end: addr + attach.PageSize})
	}
	return out
}

// sampleOfRuns takes some pieces of what a bulk copy copies, at like distances.
func sampleOfRuns(runs []span, size int64) []span {
	const piece = sampleRun * attach.PageSize
	step := max(size/(4*samplePages/sampleRun), piece)
	var out []span
	next, passed := int64(0), int64(0)
	for _, r := range runs {
		length := int64(r.end - r.start)
		for next < passed+length {
			at := r.start + uint64(next-passed)&^(attach.PageSize-1)
			out = append(out, span{start: at, end: min(at+piece, r.end)})
			next += step
		}
		passed += length
	}
	return out
}

// timeOf is how long it takes to copy some pieces of memory, the best of three times.
func (p *Process) timeOf(sample []span, size int) (time.Duration, error) {
	buffer, err := faultedIn(size)
	if err != nil {
		return 0, fmt.Errorf("room for a sample: %w", err)
	}
	defer unix.Munmap(buffer)
	left := buffer
	ranges := make([]attach.Range, 0, len(sample))
	for _, s := range sample {
		n := int(s.end - s.start)
		ranges = append(ranges, attach.Range{Addr: s.start, Data: left[:n]})
		left = left[n:]
	}
	mem, scratch := p.memory(), new(ioScratch)
	defer mem.close()
	best := time.Duration(0)
	for range 3 {
		began := time.Now()
		if err := mem.readRanges(ranges, scratch); err != nil {
			return 0, err
		}
		if took := time.Since(began); best == 0 || took < best {
			best = took
		}
	}
	return best, nil
}
