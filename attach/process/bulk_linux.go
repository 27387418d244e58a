//go:build amd64

package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
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
	if b.image, err = newImage(spool); err != nil {
		b.residency.Close()
		return nil, err
	}
	if err := b.prepare(ctx); err != nil {
		b.close()
		b.image.free()
		return nil, err
	}
	return b, nil
}

func (b *bulkCopy) close() {
	if b.residency != nil {
		b.residency.Close()
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
	mapped, _, err := b.process.privateMemory()
	if err != nil {
		return err
	}
	if err := b.reserve(mapped); err != nil {
		return err
	}
	if err := b.find(mapped); err != nil {
		return err
	}
	if err := b.startHelpers(); err != nil {
		return err
	}
	b.pieces = slices.Grow(b.pieces, len(b.pieces)+1024) // not in the stop
	for i := 0; i < len(b.pieces); {                     // longer runs are fewer calls, and huge pages
		addr, n := b.pieces[i].Addr, 0
		for ; i < len(b.pieces) && b.pieces[i].Addr == addr+uint64(n) &&
			addressOf(b.pieces[i].Data) == addressOf(b.image.bytes(addr, 1))+uint64(n); i++ {
			n += len(b.pieces[i].Data)
		}
		if n == 0 {
			return errors.New("internal error: a piece without room")
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

// find lists the resident pages of the mappings, in pieces.
func (b *bulkCopy) find(mapped []span) error {
	b.pieces = b.pieces[:0]
	for _, m := range mapped {
		if m.whole {
			b.add(m.start, m.end)
			continue
		}
		if err := b.residency.Each(m.start, m.end, func(r proc.PageRegion) { b.add(r.Start, r.End) }); err != nil {
			return b.process.exited(err)
		}
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

// reserve makes room for all of the mappings that has none yet.
func (b *bulkCopy) reserve(mapped []span) error {
	for _, m := range mapped {
		for _, gap := range b.image.lacking(m) {
			if err := b.image.reserve(gap.start, gap.end); err != nil {
				return err
			}
		}
	}
	return nil
}

// stopped copies everything; the process stands still. A piece that was mapped since prepare gets its room now.
func (b *bulkCopy) stopped(end until) error {
	mapped, err := b.look()
	if err != nil {
		return err
	}
	if err := b.find(mapped); err != nil {
		return err
	}
	b.mem.raw = true
	return b.copyPieces(end)
}

// look sees what is mapped in the stop, and makes the image have just that.
func (b *bulkCopy) look() ([]span, error) {
	maps, err := b.process.Mappings()
	if err != nil {
		return nil, err
	}
	mapped, constant := privateSpans(maps)
	if err := b.reserve(mapped); err != nil {
		return nil, err
	}
	b.image.keep(mapped)
	b.image.constant, b.image.mappings = constant, maps
	return mapped, nil
}

// lacking gives the parts of a span that the image has no room for.
func (im *image) lacking(m span) (out []span) {
	at := m.start
	for _, r := range im.ranges {
		if r.end <= at || r.start >= m.end {
			continue
		}
		if r.start > at {
			out = append(out, span{start: at, end: r.start})
		}
		at = r.end
	}
	if at < m.end {
		out = append(out, span{start: at, end: m.end})
	}
	return out
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
			if err == nil {
				err = b.mem.readRanges(batch, scratch)
			}
			for i := range batch {
				if err == nil && batch[i].N < len(batch[i].Data) {
					var gaps []span
					gaps, err = b.readAround(&batch[i])
					mu.Lock()
					b.image.unreadable = append(b.image.unreadable, gaps...)
					mu.Unlock()
				}
			}
			if err != nil {
				mu.Lock()
				failure = cmp.Or(failure, err)
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
	slices.SortFunc(b.image.unreadable, func(x, y span) int { return cmp.Compare(x.start, y.start) })
	return failure
}

// readAround reads the rest of a piece beyond a page that can't be read, such as a guard page.
func (b *bulkCopy) readAround(r *attach.Range) (gaps []span, err error) {
	for at := r.N &^ (attach.PageSize - 1); at < len(r.Data); {
		n, err := b.mem.ReadMemory(r.Data[at:], r.Addr+uint64(at))
		if err != nil && !attach.IsNotMapped(err) {
			return gaps, err
		}
		at += n &^ (attach.PageSize - 1)
		if at < len(r.Data) {
			gaps = append(gaps, span{start: r.Addr + uint64(at), end: r.Addr + uint64(at) + attach.PageSize})
			at += attach.PageSize
		}
	}
	return gaps, nil
}

// privateMemory lists the mappings that a bulk copy copies, joined where they touch, and those that are constant.
func (p *Process) privateMemory() (mapped, constant []span, err error) {
	maps, err := p.Mappings()
	if err != nil {
		return nil, nil, err
	}
	mapped, constant = privateSpans(maps)
	return mapped, constant, nil
}

func privateSpans(maps []attach.Mapping) (mapped, constant []span) {
	for _, m := range maps {
		to := &mapped
		switch {
		case !m.Read || m.Shared:
			continue
		case !m.Write && strings.HasPrefix(m.Path, "/"):
			to = &constant
		case !m.Write || !inBulk(&m):
			continue
		}
		whole := strings.HasPrefix(m.Path, "/") && !hugePages(&m)
		if n := len(*to); n > 0 && (*to)[n-1].end == m.Start && (*to)[n-1].whole == whole {
			(*to)[n-1].end = m.End
			continue
		}
		*to = append(*to, span{m.Start, m.End, whole})
	}
	return mapped, constant
}

// inBulk tells whether a private writable mapping is copied. Of a file's, the pages that nobody wrote to aren't there
// in a way that can be seen, but do have contents; hugetlbfs's are as anonymous ones.
func inBulk(m *attach.Mapping) bool {
	if !strings.HasPrefix(m.Path, "/") || hugePages(m) {
		return !strings.HasPrefix(m.Path, "[v") // vvar, vsyscall
	}
	return !strings.HasPrefix(m.Path, "/dev/") && m.End-m.Start <= wholeFile
}

func hugePages(m *attach.Mapping) bool { return strings.HasPrefix(m.Path, "/anon_hugepage") }

// bulkRuns lists what a bulk copy would copy now.
func (p *Process) bulkRuns() (runs []span, size int64, err error) {
	r, err := proc.OpenResidency(p.proc("pagemap"))
	if err != nil {
		return nil, 0, p.exited(err)
	}
	defer r.Close()
	mapped, _, err := p.privateMemory()
	if err != nil {
		return nil, 0, err
	}
	for _, m := range mapped {
		add := func(start, end uint64) {
			runs = append(runs, span{start: start, end: end})
			size += int64(end - start)
		}
		if m.whole {
			add(m.start, m.end)
		} else if err := r.Each(m.start, m.end, func(region proc.PageRegion) {
			add(region.Start,
				region.End)
		}); err != nil {
			return nil, 0, p.exited(err)
		}
	}
	return runs, size, nil
}

// newPageCopy copies runs of pages that were asked for, where they are so many that other threads pay: as a bulk copy,
// with no image.
func newPageCopy(p *Process, runs []run) (*bulkCopy, error) {
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
