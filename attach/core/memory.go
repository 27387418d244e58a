package core

import (
	"cmp"
	"io"
	"slices"
	"sort"

	"ri/attach"
)

// coreMemory reads memory from the pieces that hold it. In this core the text was left out, as the kernel does by
// default:
//
//	Type   Offset   VirtAddr  FileSiz  MemSiz  Flags
//	LOAD   0x3000   0x400000  0x01000  0x99000  R E   the first page only
//	LOAD   0x4000   0x49a000  0x02000  0x02000  RW
//
// The first page comes from the core, the other 0x98000 bytes from the executable, whose own headers say where in it
// they lie. Both are read with pread and not mapped: a file that shrinks would end ri with SIGBUS.
type coreMemory struct {
	core      io.ReaderAt
	size      int64
	segments  []coreSegment
	files     []attach.Mapping
	truncated bool
	exe       io.ReaderAt
	exeParts  []coreSegment // read-only segments of the executable, where they lie in memory
}

// addExecutable adds the segments that no program writes to. What a program may have written to is never taken from its
// executable.
func (m *coreMemory) addExecutable(exe io.ReaderAt, segments []exeSegment, bias uint64) {
	m.exe = exe
	for _, s := range segments {
		addr := s.Addr + bias
		if s.Write || addr+s.FileSize < addr {
			continue
		}
		m.exeParts = append(m.exeParts, coreSegment{addr: addr, memSize: s.FileSize, offset: s.Offset,
			fileSize: s.FileSize})
	}
	m.exeParts = sortSegments(m.exeParts)
}

// ReadMemory implements Memory.
func (m *coreMemory) ReadMemory(p []byte, addr uint64) (int, error) {
	if addr+uint64(len(p)) < addr {
		return 0, attach.NotMapped(addr)
	}
	done := 0
	for done < len(p) {
		at := addr + uint64(done)
		n, err := m.readCoreOnly(p[done:], at)
		if err != nil && n == 0 {
			k, exeErr := m.readExe(p[done:], at)
			if n = k; exeErr == nil {
				err = nil
			}
		}
		done += n
		if err != nil && n == 0 {
			return done, err
		}
	}
	return done, nil
}

// readCoreOnly reads from one segment of the core. n may be less than len(p) without an error.
func (m *coreMemory) readCoreOnly(p []byte, addr uint64) (n int, err error) {
	s := findSegment(m.segments, addr)
	if s == nil {
		why := ""
		if m.truncated {
			why = "the core file is truncated"
		}
		return 0, &attach.AddressError{Addr: addr, Why: why}
	}
	off := addr - s.addr
	if off >= s.fileSize {
		return 0, &attach.AddressError{Addr: addr, Why: "the core file leaves it out" + m.whose(addr)}
	}
	p = p[:min(uint64(len(p)), s.fileSize-off)]
	n, err = m.core.ReadAt(p, int64(s.offset+off))
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return 0, &attach.AddressError{Addr: addr, Why: "it lies beyond the end of the core file, which is truncated"}
	case err == nil:
		err = io.ErrNoProgress
	}
	return 0, err
}

// whose names the file that was mapped at an address.
func (m *coreMemory) whose(addr uint64) string {
	for _, f := range m.files {
		if f.Start <= addr && addr < f.End {
			return ", it is of " + f.Path
		}
	}
	return ""
}

func (m *coreMemory) readExe(p []byte, addr uint64) (int, error) {
	s := findSegment(m.exeParts, addr)
	if s == nil {
		return 0, attach.NotMapped(addr)
	}
	off := addr - s.addr
	p = p[:min(uint64(len(p)), s.fileSize-off)]
	// Not beyond the beginning of what the core has itself.
	if i := sort.Search(len(m.segments), func(i int) bool { return m.segments[i].addr > addr }); i < len(m.segments) {
		p = p[:min(uint64(len(p)), m.segments[i].addr-addr)]
	}
	n, err := m.exe.ReadAt(p, int64(s.offset+off))
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// findSegment finds the segment that holds an address, nil if there is none.
func findSegment(segments []coreSegment, addr uint64) *coreSegment {
	i := sort.Search(len(segments), func(i int) bool { return segments[i].addr > addr })
	if i == 0 {
		return nil
	}
	if s := &segments[i-1]; addr-s.addr < s.memSize {
		return s
	}
	return nil
}

// sortSegments sorts by address. Where two overlap, which no tool writes but a broken header may say, the later one
// begins where the earlier one ends.
func sortSegments(segments []coreSegment) []coreSegment {
	slices.SortStableFunc(segments, func(a, b coreSegment) int { return cmp.Compare(a.addr, b.addr) })
	out := segments[:0]
	end := uint64(0)
	for _, s := range segments {
		if s.addr < end {
			skip := end - s.addr
			if skip >= s.memSize {
				continue
			}
			s.addr += skip
			s.memSize -= skip
			s.offset += min(skip, s.fileSize)
			s.fileSize -= min(skip, s.fileSize)
		}
		end = s.addr + s.memSize
		out = append(out, s)
	}
	return out
}
