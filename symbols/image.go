package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"ri/symbols/sparse"
)

// image is what a File needs of the executable beside its symbols: where its parts lie in memory, and what it has
// there. An ELF file fills it, or what travelled of one.
type image struct {
	Entry    uint64 // link-time
	PIE      bool   // position-independent
	Segments []segment

	static sparse.Bytes // by link-time address; of an ELF file nothing, as it is read when it is asked for
}

// segment is what a loader puts into memory.
type segment struct {
	Addr, FileSize, MemSize uint64 // link-time address, bytes
	Code, Write             bool
	read                    io.ReaderAt // nil: the image's static bytes have it
}

// bare is the image without bytes.
func (m *image) bare() image {
	out := image{Entry: m.Entry, PIE: m.PIE, Segments: slices.Clone(m.Segments)}
	for i := range out.Segments {
		out.Segments[i].read = nil
	}
	return out
}

func imageOf(ef *elf.File) image {
	m := image{Entry: ef.Entry, PIE: ef.Type == elf.ET_DYN}
	for _, p := range ef.Progs {
		if p.Type == elf.PT_LOAD {
			m.Segments = append(m.Segments, segment{Addr: p.Vaddr, FileSize: p.Filesz, MemSize: p.Memsz,
				Code: p.Flags&elf.PF_X != 0, Write: p.Flags&elf.PF_W != 0, read: p})
		}
	}
	return m
}

// at finds the segment that the file has n bytes of at an address; nil if none has.
func (m *image) at(addr, n uint64) *segment {
	for i := range m.Segments {
		if s := &m.Segments[i]; addr >= s.Addr && n <= s.FileSize && addr-s.Addr <= s.FileSize-n {
			return s
		}
	}
	return nil
}

// copy reads what the file holds at a link-time address.
func (m *image) copy(p []byte, addr uint64) bool {
	s := m.at(addr, uint64(len(p)))
	if s == nil {
		return false
	}
	if s.read == nil {
		return m.static.Copy(p, addr)
	}
	n, err := s.read.ReadAt(p, int64(addr-s.Addr))
	m.static.Note(addr, addr+uint64(n))
	return err == nil && n == len(p)
}

// inData tells whether a link-time address lies in memory that is no code.
func (f *File) inData(addr uint64) bool {
	for _, s := range f.image.Segments {
		if !s.Code && addr >= s.Addr && addr-s.Addr < s.MemSize {
			return true
		}
	}
	return false
}

// Holds tells whether the file itself has the bytes at a link-time address.
func (f *File) Holds(addr uint64) bool { return f.image.at(addr, 1) != nil }

// ReadStatic reads what the file itself holds at a link-time address.
func (f *File) ReadStatic(p []byte, addr uint64) bool {
	if f.uses.tracking.Load() {
		f.uses.static.Add(addr, addr+uint64(len(p)))
	}
	return f.image.copy(p, addr)
}

// Entry is the ELF entry point, a link-time address.
func (f *File) Entry() uint64 { return f.image.Entry }

// section gives the contents of a section of the executable; nil where there is none.
func (f *File) section(name string) (s *elf.Section, data []byte) {
	if f.elf == nil {
		return nil, nil
	}
	if s = f.elf.Section(name); s == nil || s.Type == elf.SHT_NOBITS || s.Size > maxSection {
		return nil, nil
	}
	data, err := s.Data()
	if err != nil {
		return nil, nil
	}
	return s, data
}

// buildIDNotes are the notes that have a build ID.
var buildIDNotes = []struct {
	section, owner string
	hex            bool
}{{".note.go.buildid", "Go", false}, {".note.gnu.build-id", "GNU", true}}

// BuildID is Go's build ID, or the linker's in hexadecimal, or "": a hint, not an identity.
func (f *File) BuildID() string {
	for _, want := range buildIDNotes {
		if _, data := f.section(want.section); len(data) <= 1<<16 {
			if id := noteOf(data, want.owner); id != nil && want.hex {
				return fmt.Sprintf("%x", id)
			} else if id != nil {
				return string(id)
			}
		}
	}
	if f.travelled != nil {
		return f.travelled.buildID
	}
	return ""
}

// noteOf finds an owner's note in a section of notes.
func noteOf(data []byte, owner string) []byte {
	for len(data) >= 12 {
		nameSize, descSize := uint64(binary.LittleEndian.Uint32(data)), uint64(binary.LittleEndian.Uint32(data[4:]))
		nameEnd := 12 + (nameSize+3)&^3
		descEnd := nameEnd + (descSize+3)&^3
		if nameEnd+descSize > uint64(len(data)) {
			return nil
		}
		name := string(bytes.TrimRight(data[12:12+nameSize], "\x00"))
		if desc := data[nameEnd : nameEnd+descSize]; name == owner && descSize > 0 {
			return desc
		}
		if descEnd > uint64(len(data)) {
			return nil
		}
		data = data[descEnd:]
	}
	return nil
}

// ReadOnly tells whether the file has n bytes at a link-time address that the program can't change.
func (f *File) ReadOnly(addr, n uint64) bool {
	s := f.image.at(addr, n)
	return s != nil && !s.Write
}
