//go:build amd64

package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
)

// A bulk snapshot copies, besides the pages that were asked for, all private writable memory that is there: the heap,
// the stacks, the variables. Before the stop the room for it is made; in the stop the mappings and the resident pages
// are looked at again, so that what is new is copied too. A page that isn't there costs nothing and reads as zero.

const (
	populateBytes = 64 << 20 // of room made between two looks at the context
	pieceBytes    = 1 << 20  // one range of a process_vm_readv: what is longer is divided
	batchBytes    = 4 << 20  // that a copying thread takes at a time, at most
	batchLeast    = 128 << 10
	// of a private mapping of a file all is copied, since what nobody wrote to is the file's; a larger one isn't copied
	wholeFile   = 64 << 20
	bulkWorkers = 8
	fewBytes    = 1 << 20 // one thread copies these
)

// bulkCopy is the work of a bulk snapshot.
type bulkCopy struct {
	process   *Process
	mem       *processMemory
	image     *image
	residency *proc.Residency
	maps      *memoryMap
	pieces    []attach.Range // to copy
	scratch   *ioScratch
	helpers   []*helper // threads that copy too
}

func addressOf(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// newBulkCopy makes room for all that is there now.
func newBulkCopy(ctx context.Context, p *Process, spool string) (*bulkCopy, error) {
	b := &bulkCopy{process: p, mem: p.memory()}
	var err error
	if b.residency, err = proc.OpenResidency(p.proc("pagemap")); err != nil {
		return nil, p.exited(err)
	}
	if b.maps, err = p.openMap(); err == nil {
		b.image, err = newImage(spool)
	}
	if err == nil {
		err = b.prepare(ctx)
	}
	if err != nil {
		b.close()
		if b.image != nil {
			b.image.free()
		}
		return nil, err
	}
	return b, nil
}

func (b *bulkCopy) close() {
	if b.residency != nil {
		b.residency.Close()
	}
	if b.maps != nil {
		b.maps.close()
	}
	for _, h := range b.helpers {
		h.offer(nil)
		h.done.close()
	}
}

// helper is a thread that copies beside the one that owns ptrace. For a stop it hurries as that one does, and it ends
// with its work. It is woken by the kernel: over a channel, threads of the Go scheduler that have no such priority
// would have to run first.
type helper struct {
	begin, done turn
	work        func(*ioScratch) // nil: end
	offered     atomic.Bool      // work that nobody has begun
}

func (h *helper) offer(work func(*ioScratch)) {
	h.work = work
	h.offered.Store(true)
	h.begin.signal()
}

// finish returns when the work is done. A helper that had no CPU to begin it is not waited for, as others have done it.
func (h *helper) finish() {
	if !h.offered.CompareAndSwap(true, false) {
		h.done.wait()
	}
}

// run is the helper's thread.
func (h *helper) run() {
	defer h.begin.close()
	scratch := new(ioScratch)
	h.done.signal()
	for {
		h.begin.wait()
		if !h.offered.CompareAndSwap(true, false) {
			continue
		}
		if h.work == nil {
			return
		}
		h.work(scratch)
		h.done.signal()
	}
}

// turn has a thread sleep in the kernel until it is its turn: an eventfd(2), once for each signal.
type turn struct{ fd int }

func (t *turn) open() (err error) {
	t.fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC)
	return err
}

func (t *turn) wait() {
	var b [8]byte
	for {
		if _, err := unix.Read(t.fd, b[:]); err != unix.EINTR {
			return
		}
	}
}

func (t *turn) signal() { unix.Write(t.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }
func (t *turn) close()  { unix.Close(t.fd) }

func (b *bulkCopy) startHelpers() error {
	b.scratch = new(ioScratch)
	for range min(runtime.NumCPU(), bulkWorkers) - 1 {
		h := &helper{}
		if err := errors.Join(h.begin.open(), h.done.open()); err != nil {
			return fmt.Errorf("starting the threads that copy: eventfd: %w", err)
		}
		b.helpers = append(b.helpers, h)
		go onTracerThread(h.run)
		h.done.wait()
	}
	return nil
}

// hurry readies the helpers for the stop that comes: a thread that has to wait for a CPU in it, before it can ask for
// precedence, is of no use there.
func (b *bulkCopy) hurry() {
	for _, h := range b.helpers {
		h.offer(func(*ioScratch) { hurry() })
		h.done.wait()
	}
}

func (b *bulkCopy) prepare(ctx context.Context) error {
	if err := b.image.reserve(b.maps.mapped); err != nil {
		return err
	}
	if err := b.find(); err != nil {
		return err
	}
	if err := b.startHelpers(); err != nil {
		return err
	}
	b.pieces = slices.Grow(b.pieces, len(b.pieces)+1024) // not in the stop
	for i := 0; i < len(b.pieces); {                     // longer runs are fewer calls, and huge pages
		addr, n := b.pieces[i].Addr, 0
		r := b.image.find(addr)
		if r == nil {
			return errors.New("internal error: a piece without room")
		}
		for ; i < len(b.pieces) && b.pieces[i].Addr == addr+uint64(n) && b.pieces[i].Addr < r.end; i++ {
			n += len(b.pieces[i].Data)
		}
		for at := 0; at < n; at += populateBytes {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if err := b.image.populate(addr+uint64(at), min(populateBytes, n-at)); err != nil {
				return err
			}
		}
	}
	return nil
}

// find lists the resident pages of what is mapped, in pieces.
func (b *bulkCopy) find() error {
	b.pieces = b.pieces[:0]
	err := eachResident(b.residency, b.maps.mapped, func(r proc.PageRegion) { b.add(r.Start, r.End) })
	if err != nil {
		return b.process.exited(err)
	}
	return nil
}

// add adds pieces for a run of pages, as far as the image has room for them.
func (b *bulkCopy) add(start, end uint64) {
	for start < end {
		r := b.image.after(start)
		if r == nil || r.start >= end {
			return
		}
		start = max(start, r.start)
		n := min(end, r.end, start+pieceBytes) - start
		b.pieces = append(b.pieces, attach.Range{Addr: start, Data: r.data[start-r.start:][:n:n]})
		start += n
	}
}

// stopped copies everything; the process stands still. A piece that was mapped since prepare gets its room now.
func (b *bulkCopy) stopped(end until) error {
	if err := b.look(); err != nil {
		return err
	}
	if err := b.find(); err != nil {
		return err
	}
	b.mem.raw = true
	return b.copyPieces(end)
}

// look sees what is mapped in the stop, and makes the image have just that.
func (b *bulkCopy) look() error {
	if err := b.maps.read(); err != nil {
		return err
	}
	if err := b.image.reserve(b.maps.mapped); err != nil {
		return err
	}
	b.image.keep(b.maps.mapped)
	b.image.constant, b.image.mappings = b.maps.constant, b.maps.mappings
	return nil
}

// copyPieces copies all pieces, on all processors. It gives up at the end.
func (b *bulkCopy) copyPieces(end until) error {
	var mu sync.Mutex // guards these
	var next int
	var failure error
	total := 0
	for i := range b.pieces {
		total += len(b.pieces[i].Data)
	}
	most := min(batchBytes, max(batchLeast, total/(8*(1+len(b.helpers))))) // all end at about the same time
	take := func() []attach.Range {                                        // the next batch
		mu.Lock()
		defer mu.Unlock()
		from := next
		to, size := from, 0
		for to < len(b.pieces) && to-from < maxIovecs && size < most {
			size += len(b.pieces[to].Data)
			to++
		}
		next = to
		if failure != nil {
			return nil
		}
		return b.pieces[from:to]
	}
	work := func(scratch *ioScratch) {
		for batch := take(); len(batch) > 0; batch = take() {
			err := end.over(b.mem.name)
			var absent gaps
			if err == nil {
				absent, err = b.mem.readAll(batch, scratch)
			}
			if err != nil || absent != nil {
				mu.Lock()
				failure = cmp.Or(failure, err)
				b.image.unreadable = append(b.image.unreadable, absent...)
				mu.Unlock()
			}
		}
	}
	var busy []*helper
	if total > fewBytes {
		busy = b.helpers
	}
	for _, h := range busy {
		h.offer(work)
	}
	work(b.scratch)
	for _, h := range busy {
		h.finish()
	}
	b.image.unreadable.sort()
	return failure
}

// readAll reads ranges of whole pages, also what lies beyond a page that can't be read, such as a guard page. absent
// are the pages that could not be read whole, in the order of the ranges.
func (m *processMemory) readAll(ranges []attach.Range, scratch *ioScratch) (absent gaps, err error) {
	if err := m.readRanges(ranges, scratch); err != nil {
		return nil, err
	}
	for i := range ranges {
		r := &ranges[i]
		for at := r.N &^ (attach.PageSize - 1); at < len(r.Data); {
			n, err := m.ReadMemory(r.Data[at:], r.Addr+uint64(at))
			if err != nil && !attach.IsNotMapped(err) {
				return absent, err
			}
			at += n &^ (attach.PageSize - 1)
			if at < len(r.Data) {
				page := r.Addr + uint64(at)
				absent = append(absent, span{start: page, end: page + attach.PageSize})
				at += attach.PageSize
			}
		}
	}
	return absent, nil
}

// newPageCopy copies runs of pages that were asked for, where they are so many that other threads pay: as a bulk copy,
// with no image.
func newPageCopy(p *Process, runs []extent) (*bulkCopy, error) {
	b := &bulkCopy{process: p, mem: p.memory(), image: &image{}}
	b.mem.raw = true
	for _, r := range runs {
		b.pieces = append(b.pieces, attach.Range{Addr: r.addr, Data: r.data})
	}
	if err := b.startHelpers(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}
