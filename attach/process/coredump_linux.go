//go:build amd64

package process

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/arch"
	"ri/attach"
	"ri/attach/core"
	"ri/attach/proc"
)

// A core of a live process: what it may write to is copied in a stop, as every bulk snapshot does; what it can't, code
// and constants, is read afterwards, since it doesn't change. The file is written when the process runs again. Pages of
// zeros become holes.

const (
	coreChunk   = 4 << 20 // written between two looks at the context
	coreWriters = 4       // threads that write: to fill the kernel's cache is work of one processor for each
	coreBatch   = 64      // chunks that they share out
	// a mapping that is larger isn't in a core: it is somebody's reserve, as the race detector's, and file systems have
	// limits
	coreLargest = 1 << 40
	wordSize    = 8
)

// corePart is a mapping, where it lies in the file, and where its bytes come from.
type corePart struct {
	core.Section
	source coreSource
}

type coreSource uint8

const (
	fromNowhere coreSource = iota
	fromCopy               // of the stop
	fromProcess            // as it is now
)

// coreWriter writes one core.
type coreWriter struct {
	process *Process
	mem     *processMemory
	image   *image          // nil: everything is read from the process, which is held in its last moment
	copied  *proc.Residency // which pages of ri's own memory are there, nil if that doesn't tell what was copied
	there   *proc.Residency // which pages of the process are
	file    *os.File
	options attach.CoreOptions
	parts   []corePart
	total   int64 // to be looked at
	buffers [coreWriters][]byte

	mu      sync.Mutex // of what follows
	done    int64
	written attach.CoreWritten
}

// WriteCore writes a core of the process to an empty file: as the kernel, gcore and dlv write them, for ri -c, gdb and
// dlv core. The process is stopped once, for the copy of its memory; if a watcher holds it in its last moment it isn't
// stopped at all.
//
// Errors: those of a snapshot, of the file system, and the context's. The file then holds nothing of use.
func (p *Process) WriteCore(ctx context.Context, file *os.File, opt attach.CoreOptions) (attach.CoreWritten, error) {
	copied := attach.ViewOptions{Kind: attach.Snapshot, Bulk: true, MaxStop: opt.MaxStop, Precopy: opt.Precopy,
		Spool: opt.Spool}
	view, err := p.view(ctx, wish{ViewOptions: copied, registers: true})
	if err != nil {
		return attach.CoreWritten{}, err
	}
	at := core.Moment{Nanotime: p.Nanotime(), Unix: time.Now().UnixNano()}
	w := &coreWriter{process: p, mem: p.memory(), file: file, options: opt}
	defer w.mem.close()
	var registers []allRegisters
	var maps []attach.Mapping
	if v, ok := view.(*snapshotView); ok {
		defer v.Discard()
		w.image, registers, maps = v.image, v.registers, v.image.mappings
		w.written.Notes = append(w.written.Notes, v.Notes()...)
		if opt.Spool == "" {
			if w.copied, err = proc.OpenResidency("/proc/self/pagemap"); err == nil {
				defer w.copied.Close()
			} else if !errors.Is(err, os.ErrPermission) { // as with capabilities from its file: what isn't there is zeros
				return attach.CoreWritten{}, err
			}
		}
	} else {
		defer view.Close()
		if maps, err = p.Mappings(); err != nil {
			return attach.CoreWritten{}, err
		}
		w.note("the process is dying: its threads have ended, and there are no registers")
	}
	if w.there, err = proc.OpenResidency(p.proc("pagemap")); err == nil { // it may have ended
		defer w.there.Close()
	}
	w.written.Threads, w.written.Stats = len(view.Threads()), view.Stats()
	w.choose(maps)
	who := p.identity()
	notes := core.Notes(arch.AMD64, who, threadsOf(view.Threads(), registers, who.PID), p.auxv, maps, at)
	if err := w.write(ctx, notes); err != nil {
		return attach.CoreWritten{}, err
	}
	return w.written, nil
}

func (w *coreWriter) note(format string, args ...any) {
	w.written.Notes = append(w.written.Notes, fmt.Sprintf(format, args...))
}

// choose decides of each mapping whether it is in the core, and where it comes from.
func (w *coreWriter) choose(maps []attach.Mapping) {
	shared, large, late := uint64(0), 0, 0
	for _, m := range maps {
		part := corePart{Section: core.Section{Mapping: m}}
		size := m.End - m.Start
		switch {
		case m.Path == "[vsyscall]": // the kernel's, at an address that no program has
			continue
		case !m.Read || strings.HasPrefix(m.Path, "[vvar"):
		case m.Shared && !w.options.Shared:
			shared += size
		case device(&m):
		case size > coreLargest:
			large++
		case w.image != nil && w.image.find(m.Start) != nil:
			if w.resident(m, fromCopy) {
				part.source = fromCopy
			}
		case w.resident(m, fromProcess):
			part.source = fromProcess
			if m.Write && !m.Shared && w.image != nil {
				late++
			}
		}
		if part.source != fromNowhere {
			part.Size = size
			w.total += int64(size)
		}
		w.parts = append(w.parts, part)
	}
	if shared > 0 {
		w.note("%.1f MiB of shared memory (mapped files, memory of several processes) are not in it; --all adds them",
			float64(shared)/(1<<20))
	}
	if large > 0 {
		w.note("%d mappings of more than %d GiB are not in it", large, coreLargest>>30)
	}
	if late > 0 {
		w.note("%d private mappings of large files were copied after the stop, while the process ran", late)
	}
}

// device tells a mapping that may be of a device, where reading may do something.
func device(m *attach.Mapping) bool {
	return strings.HasPrefix(m.Path, "/dev/") && !strings.HasPrefix(m.Path, "/dev/zero") &&
		!strings.HasPrefix(m.Path, "/dev/shm/")
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// resident tells whether anything of a mapping is there.
func (w *coreWriter) resident(m attach.Mapping, source coreSource) bool {
	found := false
	err := w.eachThere(corePart{core.Section{Mapping: m}, source}, func(span) error { found = true; return errEnough })
	return found || err != nil
}

// eachThere calls f for the parts of a mapping that have contents, as far as that is known. No such part is of two
// ranges of the copy.
func (w *coreWriter) eachThere(part corePart, f func(span) error) error {
	all := span{start: part.Start, end: part.End}
	if part.source == fromProcess {
		if w.there == nil || strings.HasPrefix(part.Path, "/") { // of a file every page has contents
			return f(all)
		}
		return scanSpans(w.there, all, 0, f)
	}
	for at := part.Start; at < part.End; {
		r := w.image.after(at)
		if r == nil || r.start >= part.End {
			return nil
		}
		s := span{start: max(r.start, part.Start), end: min(r.end, part.End)}
		at = s.end
		err := error(nil)
		if w.copied == nil {
			err = f(s)
		} else {
			err = scanSpans(w.copied, s, addressOf(r.data)-r.start, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scanSpans calls f for what is resident of a span that lies elsewhere by shift, until it fails.
func scanSpans(r *proc.Residency, s span, shift uint64, f func(span) error) error {
	var failure error
	err := r.Each(s.start+shift, s.end+shift, func(region proc.PageRegion) {
		if failure == nil {
			failure = f(span{start: region.Start - shift, end: region.End - shift})
		}
	})
	return errors.Join(failure, err)
}

// write writes the memory, and then the headers, which say what is there.
func (w *coreWriter) write(ctx context.Context, notes []byte) error {
	sections := make([]*core.Section, len(w.parts))
	for i := range w.parts {
		sections[i] = &w.parts[i].Section
	}
	var head *core.Head
	head, w.written.Size = core.Lay(arch.AMD64, notes, sections)
	if err := w.file.Truncate(w.written.Size); err != nil {
		return fmt.Errorf("making the core: %w", err)
	}
	lost := 0
	for i := range w.parts {
		part := &w.parts[i]
		err := w.writePart(ctx, part)
		if errors.Is(err, attach.ErrExited) && part.source == fromProcess && w.image != nil {
			part.Size = 0 // what could change is in the copy; the rest is in the program's files
			lost++
			continue
		}
		if err != nil {
			return err
		}
	}
	if lost > 0 {
		w.note("the process ended while its core was written: %d mappings of code and constants are not in it; give "+
			"the executable with --exe", lost)
	}
	headers := head.Bytes()
	if _, err := w.file.WriteAt(headers, 0); err != nil {
		return fmt.Errorf("writing the core: %w", err)
	}
	w.written.Stored += int64(len(headers))
	return nil
}

func (w *coreWriter) writePart(ctx context.Context, part *corePart) error {
	if part.source == fromNowhere {
		return nil
	}
	before := w.done
	var batch []span
	err := w.eachThere(*part, func(s span) error {
		for at := s.start; at < s.end; at += coreChunk {
			if batch = append(batch, span{start: at, end: min(at+coreChunk, s.end)}); len(batch) == coreBatch {
				if err := w.writeBatch(ctx, part, batch); err != nil {
					return err
				}
				batch = batch[:0]
			}
		}
		return nil
	})
	if err == nil {
		err = w.writeBatch(ctx, part, batch)
	}
	w.done = before + int64(part.Size)
	return err
}

// writeBatch writes some chunks of a mapping, several at once.
func (w *coreWriter) writeBatch(ctx context.Context, part *corePart, batch []span) error {
	var next atomic.Int64
	var failure error
	var all sync.WaitGroup
	for i := range min(coreWriters, len(batch)) {
		all.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= int64(len(batch)) {
					return
				}
				if err := w.writeSpan(ctx, part, batch[n], &w.buffers[i]); err != nil {
					w.mu.Lock()
					failure = cmp.Or(failure, err)
					w.mu.Unlock()
					next.Store(int64(len(batch)))
				}
			}
		})
	}
	all.Wait()
	return failure
}

func (w *coreWriter) writeSpan(ctx context.Context, part *corePart, s span, buffer *[]byte) error {
	n := s.end - s.start
	var b []byte
	if part.source == fromCopy {
		b = w.image.bytes(s.start, int(n))
	} else {
		if *buffer == nil {
			*buffer = make([]byte, coreChunk)
		}
		b = (*buffer)[:n]
		if err := w.read(b, s.start); err != nil {
			return err
		}
	}
	return w.writeChunk(ctx, b, part.Offset+int64(s.start-part.Start))
}

// read fills b; pages that can't be read, such as those beyond the end of a mapped file, are zeros.
func (w *coreWriter) read(b []byte, addr uint64) error {
	for done := 0; done < len(b); {
		n, err := w.mem.ReadMemory(b[done:], addr+uint64(done))
		done += n
		if err == nil {
			continue
		}
		if !attach.IsNotMapped(err) {
			return err
		}
		next := min((done&^(attach.PageSize-1))+attach.PageSize, len(b))
		clear(b[done:next])
		done = next
	}
	return nil
}

// writeChunk writes a piece of memory, but for its pages of zeros. Pages side by side are one call.
func (w *coreWriter) writeChunk(ctx context.Context, b []byte, offset int64) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	stored := 0
	for at := 0; at < len(b); {
		if isZero(b[at:min(at+attach.PageSize, len(b))]) {
			at += attach.PageSize
			continue
		}
		end := at + attach.PageSize
		for end < len(b) && !isZero(b[end:min(end+attach.PageSize, len(b))]) {
			end += attach.PageSize
		}
		end = min(end, len(b))
		if _, err := w.file.WriteAt(b[at:end], offset+int64(at)); err != nil {
			if errors.Is(err, unix.ENOSPC) {
				return fmt.Errorf("writing the core: the disk is full; name a file on another one: %w", err)
			}
			return fmt.Errorf("writing the core: %w", err)
		}
		stored += end - at
		at = end
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written.Stored += int64(stored)
	w.done += int64(len(b))
	if w.options.Progress != nil {
		w.options.Progress(w.done, w.total)
	}
	return nil
}

// zeros is a page of them.
var zeros [attach.PageSize]byte

// isZero looks at the first word before it compares all.
func isZero(page []byte) bool {
	if len(page) >= wordSize && binary.LittleEndian.Uint64(page) != 0 {
		return false
	}
	return bytes.Equal(page, zeros[:len(page)])
}

// CoreCost estimates what a core costs, from what the process has now. Nothing is stopped.
func (p *Process) CoreCost(opt attach.CoreOptions) (attach.CoreCost, error) {
	var cost attach.CoreCost
	var err error
	if cost.Stop, err = p.SnapshotCost(attach.ViewOptions{Kind: attach.Snapshot, Bulk: true, MaxStop: opt.MaxStop,
		Precopy: opt.Precopy, Spool: opt.Spool}); err != nil {
		return cost, err
	}
	maps, err := p.Mappings()
	if err != nil {
		return cost, err
	}
	cost.Disk = cost.Stop.Bytes
	for _, m := range maps {
		size := int64(m.End - m.Start)
		if m.Read && size <= coreLargest && (m.Shared && opt.Shared || !m.Shared && !m.Write) && !device(&m) {
			cost.Disk += size
		}
	}
	return cost, nil
}

// allRegisters are those of a thread that a core has.
type allRegisters struct {
	general unix.PtraceRegs  // struct user_regs_struct
	vector  [vectorSize]byte // as XSAVE stores them; the first 512 bytes are struct user_fpregs_struct, as FXSAVE does
	size    int              // of vector
}

// floatSize is what FXSAVE needs.
const floatSize = 512

// vectorSize is what XSAVE needs for x87, SSE and AVX registers; those of AVX-512, and what else there may be, are not
// kept.
const vectorSize = 832

// readAll keeps all registers of a thread that has just stopped, if they are wanted. There is room for as many threads
// as there is for t.threads.
func (t *tracer) readAll(tid int) {
	if t.all == nil {
		return
	}
	t.all = append(t.all, allRegisters{general: t.regs})
	r := &t.all[len(t.all)-1]
	t.vector = unix.Iovec{Base: &r.vector[0], Len: vectorSize}
	if ptrace(unix.PTRACE_GETREGSET, tid, core.NtXstate, uintptr(unsafe.Pointer(&t.vector))) == 0 {
		r.size = int(t.vector.Len)
	} else { // a processor without XSAVE; or it was killed in this moment, and there are zeros
		ptrace(unix.PTRACE_GETFPREGS, tid, 0, uintptr(unsafe.Pointer(&r.vector[0])))
		r.size = floatSize
	}
}

// threadsOf gives the registers of threads as a core has them, beginning with the one that debuggers show first: the
// one numbered pid. Without threads there is one of zeros.
func threadsOf(threads []attach.Thread, registers []allRegisters, pid int) []core.ThreadNotes {
	if len(threads) == 0 {
		threads, registers = []attach.Thread{{InnerID: pid}}, make([]allRegisters, 1)
	}
	first := max(slices.IndexFunc(threads, func(t attach.Thread) bool { return t.InnerID == pid }), 0)
	var notes []core.ThreadNotes
	for i := range threads {
		at := (first + i) % len(threads)
		r := &registers[at]
		notes = append(notes, core.ThreadNotes{ID: threads[at].InnerID, User: userBytes(&r.general),
			Float: r.vector[:floatSize], Xstate: r.xstate()})
	}
	return notes
}

// xstate is NT_X86_XSTATE (Intel SDM volume 1, 13.4): a header at 512 says which parts are not in their initial state,
// and at 464, where Linux has it, stands which parts there are. nil if there is only what FXSAVE stores.
func (r *allRegisters) xstate() []byte {
	const x87, sse, avx = 1, 2, 4
	const minimum = 576
	if r.size < minimum {
		return nil
	}
	parts := uint64(x87 | sse)
	if r.size == vectorSize {
		parts |= avx
	}
	b := bytes.Clone(r.vector[:r.size])
	le := binary.LittleEndian
	le.PutUint64(b[464:], le.Uint64(b[464:])&parts)
	le.PutUint64(b[512:], le.Uint64(b[512:])&parts)
	return b
}

// identity is who the process is, for a core.
func (p *Process) identity() core.Who {
	id := core.Who{PID: p.pid, State: 'R', Name: proc.CommOf(p.pid)}
	if st, err := proc.ReadStatus(p.proc("status")); err == nil {
		id.UID, id.GID, id.State = st.Uids[0], st.Gids[0], st.State
	}
	if st, err := proc.ReadStatus(fmt.Sprintf("/proc/%d/status", p.pid)); err == nil && len(st.NSpid) > 0 {
		id.PID = st.NSpid[len(st.NSpid)-1]
	}
	if data, err := os.ReadFile(p.proc("stat")); err == nil {
		// After the name: state, ppid, pgrp, session.
		fmt.Sscanf(string(data[bytes.LastIndexByte(data, ')')+1:]), " %c %d %d %d", new(rune), &id.Parent, &id.Group,
			&id.Session)
	}
	if data, err := os.ReadFile(p.proc("cmdline")); err == nil {
		id.Arguments = strings.TrimRight(strings.ReplaceAll(string(data), "\x00", " "), " ")
	}
	return id
}
