//go:build amd64

package process

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"sort"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// image is a copy of a process's writable memory. Each range of addresses has as many bytes of ri's own address space,
// at the same distances, of which only those take memory that something was copied to: where an address lies is found
// in a short list, whatever the number of pages, and what wasn't there reads as zero without having been written.
type image struct {
	ranges     []imageRange // sorted by address
	unreadable gaps         // pages that were there and couldn't be read
	// mappings of files that nobody can write to: what is read of them later is what was there
	constant  []span
	mappings  []attach.Mapping // the whole memory map, as it was in the stop
	maps      [][]byte         // what was reserved
	spool     *os.File         // nil: anonymous memory
	spoolSize int64
}

// imageRange is target memory from start to end; data[i] is the byte at start+i.
type imageRange struct {
	start, end uint64
	data       []byte
}

const hugePage = 2 << 20

// newImage makes an empty image; its bytes lie in an unlinked file of folder spool, if that isn't empty.
func newImage(spool string) (*image, error) {
	im := &image{}
	if spool == "" {
		return im, nil
	}
	var st unix.Statfs_t
	if err := unix.Statfs(spool, &st); err != nil {
		return nil, fmt.Errorf("the folder for the copy (--spool %s): %w", spool, err)
	}
	if st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC {
		return nil, fmt.Errorf("the folder for the copy (--spool %s) lies in memory itself (tmpfs): name one on a "+
			"disk: %w", spool, attach.ErrNotSupported)
	}
	file, err := os.CreateTemp(spool, ".ri-copy-*")
	if err != nil {
		return nil, fmt.Errorf("a file for the copy (--spool): %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, fmt.Errorf("a file for the copy (--spool) that nobody else sees: %w", err)
	}
	im.spool = file
	return im, nil
}

// spoolRoom is what is left on the disk of folder, in bytes.
func spoolRoom(folder string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(folder, &st) != nil {
		return 0
	}
	return int64(st.Bavail) * st.Bsize
}

// reserve makes room for all of some sorted spans that has none yet, which takes no memory. What lies close together
// lies in one piece of ri's address space, too.
func (im *image) reserve(spans []span) error {
	gaps := im.lacking(spans)
	if len(gaps) == 0 {
		return nil
	}
	for len(gaps) > 0 {
		n := near(gaps)
		start := gaps[0].start
		room, err := im.room(start, gaps[n-1].end)
		if err != nil {
			return err
		}
		for _, g := range gaps[:n] {
			size := g.end - g.start
			im.ranges = append(im.ranges, imageRange{g.start, g.end, room[g.start-start:][:size:size]})
		}
		gaps = gaps[n:]
	}
	slices.SortFunc(im.ranges, func(a, b imageRange) int { return cmp.Compare(a.start, b.start) })
	return nil
}

// room reserves as much as lies between two addresses.
func (im *image) room(start, end uint64) ([]byte, error) {
	size := int(end - start)
	if im.spool != nil {
		offset := im.spoolSize
		im.spoolSize += int64(size)
		if err := im.spool.Truncate(im.spoolSize); err != nil {
			return nil, fmt.Errorf("room for the copy (--spool): %w", err)
		}
		b, err := unix.Mmap(int(im.spool.Fd()), offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return nil, fmt.Errorf("room for the copy (--spool): %w", err)
		}
		im.maps = append(im.maps, b)
		return b, nil
	}
	// Huge pages begin where the target's could.
	b, err := unix.Mmap(-1, 0, size+hugePage, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("room for a copy of %d MiB of address space: %w", size>>20, err)
	}
	im.maps = append(im.maps, b)
	skip := int((start - addressOf(b)) & (hugePage - 1))
	return b[skip:][:size:size], nil
}

// lacking gives the parts of sorted spans that there is no room for.
func (im *image) lacking(spans []span) (out []span) {
	ranges := im.ranges
	for _, m := range spans {
		for len(ranges) > 0 && ranges[0].end <= m.start {
			ranges = ranges[1:]
		}
		at := m.start
		for _, r := range ranges {
			if r.start >= m.end {
				break
			}
			if r.start > at {
				out = append(out, span{start: at, end: r.start, whole: m.whole})
			}
			at = r.end
		}
		if at < m.end {
			out = append(out, span{start: at, end: m.end, whole: m.whole})
		}
	}
	return out
}

// find gives the range that holds an address, nil if none does.
func (im *image) find(addr uint64) *imageRange {
	if r := im.after(addr); r != nil && r.start <= addr {
		return r
	}
	return nil
}

// after gives the first range that doesn't end before an address, nil if all do.
func (im *image) after(addr uint64) *imageRange {
	i := sort.Search(len(im.ranges), func(i int) bool { return im.ranges[i].end > addr })
	if i < len(im.ranges) {
		return &im.ranges[i]
	}
	return nil
}

// bytes gives the n bytes at addr, nil if they don't lie in one range.
func (im *image) bytes(addr uint64, n int) []byte {
	r := im.find(addr)
	if r == nil || r.end-addr < uint64(n) {
		return nil
	}
	return r.data[addr-r.start:][:n:n]
}

// gaps are pages among others that could not be read, sorted.
type gaps []span

// before is how many of the n bytes at addr lie before the next of them.
func (g gaps) before(addr uint64, n int) int {
	i := sort.Search(len(g), func(i int) bool { return g[i].end > addr })
	if i == len(g) || g[i].start >= addr+uint64(n) {
		return n
	}
	return int(max(g[i].start, addr) - addr)
}

// sort sorts them.
func (g gaps) sort() {
	slices.SortFunc(g, func(x, y span) int { return cmp.Compare(x.start, y.start) })
}

// read copies from the range that holds addr; ok is false if none does.
func (im *image) read(p []byte, addr uint64) (n int, ok bool) {
	r := im.find(addr)
	if r == nil {
		return 0, false
	}
	n = im.unreadable.before(addr, int(min(uint64(len(p)), r.end-addr)))
	return copy(p[:n], r.data[addr-r.start:]), true
}

// direct gives the n bytes at addr without a copy, nil where that isn't possible.
func (im *image) direct(addr uint64, n int) []byte {
	b := im.bytes(addr, n)
	if b == nil || im.unreadable.before(addr, n) < n {
		return nil
	}
	return b
}

// populate has the memory of a piece there before something is copied to it, so that a stop doesn't wait for the kernel
// to find it.
func (im *image) populate(addr uint64, size int) error {
	b := im.bytes(addr, size)
	if b == nil {
		return nil
	}
	if im.spool != nil {
		offset := int64(0)
		for _, m := range im.maps {
			if addressOf(b) >= addressOf(m) && addressOf(b) < addressOf(m)+uint64(len(m)) {
				offset += int64(addressOf(b) - addressOf(m))
				break
			}
			offset += int64(len(m))
		}
		// Blocks of the disk, so that a full disk is an error here and not a signal later.
		if err := unix.Fallocate(int(im.spool.Fd()), 0, offset, int64(size)); err != nil && err != unix.EOPNOTSUPP {
			return fmt.Errorf("room for the copy (--spool): %w", err)
		}
	} else if first := int(-addressOf(b) & (hugePage - 1)); first+2*hugePage <= size {
		unix.Madvise(b[first:(size-first)&^(hugePage-1)+first], unix.MADV_HUGEPAGE)
	}
	for {
		err := unix.Madvise(b, unix.MADV_POPULATE_WRITE) // Linux 5.14
		switch err {
		case nil:
			return nil
		case unix.EINTR:
			continue
		case unix.EINVAL:
			for i := 0; i < len(b); i += attach.PageSize {
				b[i] = 0
			}
			return nil
		}
		return fmt.Errorf("room for a copy of %d MiB: %w", size>>20, err)
	}
}

// canonical tells whether a process can have anything at an address: garbage that is followed mostly leads elsewhere
// (arch/x86/include/asm/page_64_types.h: TASK_SIZE_MAX with five levels of page tables).
func canonical(addr uint64) bool { return addr < 1<<56 }

// mapped tells whether the process could read an address in the stop.
func (im *image) mapped(addr uint64) bool {
	i := sort.Search(len(im.mappings), func(i int) bool { return im.mappings[i].End > addr })
	return i < len(im.mappings) && im.mappings[i].Start <= addr && im.mappings[i].Read
}

// keep forgets all that isn't in the given spans, sorted: what the target had mapped in the stop.
func (im *image) keep(mapped []span) {
	out := make([]imageRange, 0, len(im.ranges))
	for _, r := range im.ranges {
		mapped = clip(mapped, r.start, r.end, func(start, end uint64) {
			out = append(out, imageRange{start, end, r.data[start-r.start : end-r.start]})
		})
	}
	im.ranges = out
}

func within(spans []span, addr uint64) bool {
	i := sort.Search(len(spans), func(i int) bool { return spans[i].end > addr })
	return i < len(spans) && spans[i].start <= addr
}

// free gives the memory back. Nobody may read it any more.
func (im *image) free() {
	for _, m := range im.maps {
		unix.Munmap(m)
	}
	im.maps, im.ranges = nil, nil
	if im.spool != nil {
		im.spool.Close()
		im.spool = nil
	}
}

// extent is pages side by side, in the target and in the copy.
type extent struct {
	addr uint64
	data []byte
}

// extentsOf joins runs that lie side by side, and sorts them.
func extentsOf(runs []extent) []extent {
	var out []extent
	for _, r := range runs {
		if k := len(out) - 1; k >= 0 {
			last := &out[k]
			size := len(last.data)
			if last.addr+uint64(size) == r.addr && cap(last.data) > size && &last.data[:size+1][size] == &r.data[0] {
				last.data = last.data[:size+len(r.data)]
				continue
			}
		}
		out = append(out, r)
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
	runs    []extent       // each copied in one piece
	left    []byte         // of the buffer
	absent  gaps           // pages of the runs that weren't there
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
	c.runs = append(c.runs, extent{addr: addr, data: c.left[:size]})
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
	if c.large != nil {
		if err := c.large.copyPieces(end); err != nil {
			return err
		}
		c.absent = c.large.image.unreadable
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
		absent, err := c.mem.readAll(part, c.scratch)
		if err != nil {
			return err
		}
		c.absent = append(c.absent, absent...)
	}
	c.absent.sort()
	return nil
}
