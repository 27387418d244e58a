//go:build amd64

package process

import (
	"bytes"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
)

// A process may have 65,530 mappings (vm.max_map_count), and what is done in a stop is done for all of them. So lists
// of spans are sorted, two of them are gone through side by side, and what lies close together is one question to the
// kernel.

// span is target memory from start to end.
type span struct {
	start, end uint64
	whole      bool // of a file: every page has contents, resident or not
}

// spansApart is how far apart spans lie that are asked for one by one: what a page table covers, over which the kernel
// passes at once where it is empty.
const spansApart = 2 << 20

// near is how many of the first spans lie close together, and are alike.
func near(spans []span) int {
	n := 1
	for n < len(spans) && spans[n].whole == spans[0].whole && spans[n].start-spans[n-1].end < spansApart {
		n++
	}
	return n
}

// clip gives the parts of a region that lie in sorted spans, and the spans that a later region may lie in.
func clip(spans []span, start, end uint64, f func(start, end uint64)) []span {
	for len(spans) > 0 && spans[0].end <= start {
		spans = spans[1:]
	}
	for _, s := range spans {
		if s.start >= end {
			break
		}
		f(max(s.start, start), min(s.end, end))
	}
	return spans
}

// eachResident calls f for what is there of the spans, in their order; of those of files that is all.
func eachResident(r *proc.Residency, spans []span, f func(proc.PageRegion)) error {
	for len(spans) > 0 {
		group := spans[:near(spans)]
		spans = spans[len(group):]
		if group[0].whole {
			for _, s := range group {
				f(proc.PageRegion{Start: s.start, End: s.end})
			}
			continue
		}
		left := group
		err := r.Each(group[0].start, group[len(group)-1].end, func(region proc.PageRegion) {
			left = clip(left, region.Start, region.End, func(start, end uint64) {
				f(proc.PageRegion{Start: start, End: end, Categories: region.Categories})
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// memoryMap is what is mapped, as a bulk copy asks for it. To read it again in a stop allocates nothing where nothing
// has changed since it was read before: to take apart the text of 40,000 mappings takes longer than to copy them.
type memoryMap struct {
	process          *Process
	fd               int
	text, next       []byte
	mappings         []attach.Mapping
	mapped, constant []span // what is copied, joined where it touches, and what can't change
}

func (p *Process) openMap() (*memoryMap, error) {
	fd, err := unix.Open(p.proc("maps"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, p.mapError(err)
	}
	m := &memoryMap{process: p, fd: fd}
	if err := m.read(); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *memoryMap) close() { unix.Close(m.fd) }

// read reads the map as it is now.
func (m *memoryMap) read() error {
	const chunk = 64 << 10
	text := m.next[:0]
	if _, err := unix.Seek(m.fd, 0, 0); err != nil {
		return m.process.exited(err)
	}
	for {
		if cap(text)-len(text) < attach.PageSize {
			text = append(make([]byte, 0, 2*cap(text)+chunk), text...)
		}
		room := text[len(text):cap(text)]
		n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(m.fd), uintptr(unsafe.Pointer(&room[0])), uintptr(len(room)))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return m.process.exited(fmt.Errorf("reading the memory map: %w", e))
		}
		if n == 0 {
			break
		}
		text = text[:len(text)+int(n)]
	}
	if len(text) == 0 {
		return m.process.exited(nil)
	}
	same := bytes.Equal(text, m.text)
	m.next, m.text = m.text, text
	if same {
		return nil
	}
	if cap(m.next) < cap(text) {
		m.next = make([]byte, 0, cap(text))
	}
	maps, err := proc.ParseMaps(text)
	if err != nil {
		return err
	}
	m.mappings = maps
	m.mapped, m.constant = privateSpans(maps)
	return nil
}

// privateSpans lists what a bulk copy copies of some mappings, joined where they touch, and what is constant.
func privateSpans(maps []attach.Mapping) (mapped, constant []span) {
	for i := range maps {
		m := &maps[i]
		to := &mapped
		switch {
		case !m.Read || m.Shared:
			continue
		case !m.Write && strings.HasPrefix(m.Path, "/"):
			to = &constant
		case !m.Write || !inBulk(m):
			continue
		}
		whole := strings.HasPrefix(m.Path, "/") && !hugePages(m)
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
	maps, err := p.Mappings()
	if err != nil {
		return nil, 0, err
	}
	mapped, _ := privateSpans(maps)
	err = eachResident(r, mapped, func(region proc.PageRegion) {
		runs = append(runs, span{start: region.Start, end: region.End})
		size += int64(region.End - region.Start)
	})
	if err != nil {
		return nil, 0, p.exited(err)
	}
	return runs, size, nil
}
