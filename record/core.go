package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"ri/arch"
	"ri/attach"
	"ri/attach/core"
	"ri/attach/recorded"
	"ri/record/format"
)

// CoreWritten says what went into a core.
type CoreWritten struct {
	Size    int64 // of the file, holes included
	Stored  int64 // bytes of pages of which something was recorded
	Threads int
}

// ErrNoThreads: a recording of which debuggers could show nothing.
var ErrNoThreads = errors.New("no threads were recorded")

// maxSections is how many sections a core gets; readers of cores have trouble with more.
const maxSections = 60_000

// Core writes a recording as an ELF core, redacted as the recording is, into a file that is empty. Pages of which
// nothing was recorded aren't there, nor those that nobody could write to, which the executable has; bytes between are
// zero, since a core can't say that they weren't recorded. Of registers PC, SP, the frame pointer and the thread
// pointer are there.
//
// Errors: ErrNoThreads, format.ErrMalformed, errors of the files.
func Core(file *format.Reader, r *recorded.Recording, w io.WriterAt) (done CoreWritten, err error) {
	process := r.Process()
	if len(process.Looks) == 0 {
		return done, fmt.Errorf("%s: %w", r.Describe(), ErrNoThreads)
	}
	look := process.Looks[0] // a core is of one moment
	if len(look.Threads) == 0 {
		return done, fmt.Errorf("%s: %w", r.Describe(), ErrNoThreads)
	}
	pages, err := recordedPages(file, process.Mappings)
	if err != nil {
		return done, err
	}
	sections := sectionsOf(pages, process.Mappings)
	a := r.Arch()
	threads := make([]core.ThreadNotes, len(look.Threads))
	for i, t := range look.Threads {
		regs := a.FrameRegisters(t.Frame)
		threads[i] = core.ThreadNotes{ID: t.ID, User: regs.UserKnown(), Float: make([]byte, floatSize)}
	}
	who := core.Who{PID: process.PID, Group: process.PID, Session: process.PID, State: 'R', Name: process.Executable,
		Arguments: process.Executable}
	at := core.Moment{Nanotime: look.Nanotime, Unix: look.Written.UnixNano()}
	head, size := core.Lay(a, core.Notes(a, who, threads, auxv(a, process.Entry), nil, at), sections)
	if _, err := w.WriteAt(head.Bytes(), 0); err != nil {
		return done, err
	}
	done = CoreWritten{Size: size, Stored: int64(len(pages)) * attach.PageSize, Threads: len(threads)}
	if _, err := w.WriteAt([]byte{0}, size-1); err != nil { // holes to the end
		return done, err
	}
	return done, eachRun(file, func(run format.Memory) error { return place(w, sections, run) })
}

// floatSize is the size of struct user_fpregs_struct.
const floatSize = 512

// auxv is what debuggers place the executable by (uapi/linux/auxvec.h): AT_PAGESZ, AT_ENTRY, AT_NULL.
func auxv(a *arch.Arch, entry uint64) (b []byte) {
	for _, word := range []uint64{6, a.PageSize, core.AuxEntry, entry, 0, 0} {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return b
}

// eachRun goes through all bytes of memory that a recording has.
func eachRun(file *format.Reader, f func(format.Memory) error) error {
	for _, b := range file.Blocks() {
		if b.Name != format.MemoryBlock(1) && b.Name != format.TokenBlock {
			continue
		}
		data, err := file.Read(b)
		if err != nil {
			return err
		}
		runs, err := format.ReadMemory(data)
		if err != nil {
			return err
		}
		for _, run := range runs {
			if run.Kind == format.Denied || run.Addr+uint64(run.Size) > math.MaxInt64 {
				continue
			}
			if err := f(run); err != nil {
				return err
			}
		}
	}
	return nil
}

// recordedPages lists the pages that a core has, by number.
func recordedPages(file *format.Reader, mapped []attach.Mapping) ([]uint64, error) {
	var pages []uint64
	err := eachRun(file, func(run format.Memory) error {
		for n := run.Addr / attach.PageSize; n <= (run.Addr+uint64(run.Size)-1)/attach.PageSize; n++ {
			if k := len(pages); k > 0 && pages[k-1] == n {
				continue
			}
			if m := mappingOf(mapped, n*attach.PageSize); m == nil || m.Write {
				pages = append(pages, n)
			}
		}
		return nil
	})
	slices.Sort(pages)
	return slices.Compact(pages), err
}

func mappingOf(list []attach.Mapping, addr uint64) *attach.Mapping {
	i, _ := slices.BinarySearchFunc(list, addr, func(m attach.Mapping, addr uint64) int {
		if m.End <= addr {
			return -1
		}
		return 1
	})
	if i == len(list) || list[i].Start > addr {
		return nil
	}
	return &list[i]
}

// sectionsOf makes sections of pages: of neighbours one; where that would be too many, of those that lie near each
// other.
func sectionsOf(pages []uint64, mapped []attach.Mapping) (out []*core.Section) {
	for gap := uint64(1); ; gap *= 2 {
		out = out[:0]
		last := uint64(0)
		for _, n := range pages {
			if k := len(out); k > 0 && n-last <= gap {
				out[k-1].End = (n + 1) * attach.PageSize
			} else {
				m := attach.Mapping{Start: n * attach.PageSize, End: (n + 1) * attach.PageSize, Read: true, Write: true}
				m.Write = mappingOf(mapped, m.Start) != nil // tokens lie where nothing is
				out = append(out, &core.Section{Mapping: m})
			}
			last = n
		}
		if len(out) <= maxSections {
			break
		}
	}
	for _, s := range out {
		s.Size = s.End - s.Start
	}
	return out
}

// place writes a run's bytes where they belong.
func place(w io.WriterAt, sections []*core.Section, run format.Memory) error {
	end := run.Addr + uint64(run.Size)
	i, _ := slices.BinarySearchFunc(sections, run.Addr, func(s *core.Section, addr uint64) int {
		if s.End <= addr {
			return -1
		}
		return 1
	})
	for ; i < len(sections) && sections[i].Start < end; i++ {
		s := sections[i]
		from, to := max(run.Addr, s.Start), min(end, s.End)
		if _, err := w.WriteAt(run.Data[from-run.Addr:to-run.Addr], s.Offset+int64(from-s.Start)); err != nil {
			return err
		}
	}
	return nil
}
