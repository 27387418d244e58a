package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
)

// Wanted says which separate debug file a program has, if it has one: what objcopy --only-keep-debug makes, and what
// distributions put into packages of their own. It has the symbol table and debug information of the program, at the
// program's own addresses. (GDB's manual, "Debugging Information in Separate Files"; binutils' objcopy(1).)
type Wanted struct {
	BuildID string // the linker's (GNU), in hexadecimal; "": there is none
	Go      string // Go's build ID
	Link    string // .gnu_debuglink: the file's name; "": there is none
	CRC     uint32 // CRC-32 of that file
}

// ErrOtherDebug: a file isn't the debug file of the program.
var ErrOtherDebug = errors.New("not the debug file of this program")

// errNotSeparate: a file is a program itself, and no separate debug file.
var errNotSeparate = errors.New("it is an executable itself")

// Wants tells which debug file a program has. ok is false if it has its debug information itself, or names none.
func Wants(r io.ReaderAt) (w Wanted, ok bool) {
	ef, err := elf.NewFile(r)
	if err != nil || ef.Section(".debug_info") != nil {
		return w, false
	}
	w = identity(ef)
	if s := ef.Section(".gnu_debuglink"); s != nil && s.Type != elf.SHT_NOBITS && s.Size < 1<<12 {
		// A name with its 0, padding to 4 bytes, and the CRC.
		if data, err := s.Data(); err == nil {
			if end := bytes.IndexByte(data, 0); end > 0 && (end+4)&^3+4 <= len(data) && !bytes.ContainsRune(data[:end], '/') {
				w.Link, w.CRC = string(data[:end]), binary.LittleEndian.Uint32(data[(end+4)&^3:])
			}
		}
	}
	return w, w.BuildID != "" || w.Link != ""
}

func identity(ef *elf.File) (w Wanted) {
	for _, note := range buildIDNotes {
		s := ef.Section(note.section)
		if s == nil || s.Type == elf.SHT_NOBITS || s.Size > 1<<16 {
			continue
		}
		data, err := s.Data()
		if err != nil {
			continue
		}
		if id := noteOf(data, note.owner); note.hex && id != nil {
			w.BuildID = fmt.Sprintf("%x", id)
		} else if id != nil {
			w.Go = string(id)
		}
	}
	return w
}

// debugRoot is where distributions put debug files.
const debugRoot = "/usr/lib/debug"

// Paths are where debuggers look for the file of a program that lies in a folder, in GDB's order.
func (w Wanted) Paths(folder string) (out []string) {
	if len(w.BuildID) > 2 {
		out = append(out, filepath.Join(debugRoot, ".build-id", w.BuildID[:2], w.BuildID[2:]+".debug"))
	}
	if w.Link != "" {
		out = append(out, filepath.Join(folder, w.Link), filepath.Join(folder, ".debug", w.Link),
			filepath.Join(debugRoot, folder, w.Link))
	}
	return out
}

// Check refuses what isn't proved to be the program's debug file: by a build ID, or by the CRC. Errors: ErrOtherDebug.
func (w Wanted) Check(r io.ReaderAt) error {
	ef, err := elf.NewFile(r)
	if err != nil {
		return fmt.Errorf("%w: it is no ELF file (%w)", ErrOtherDebug, err)
	}
	if table := pclntabSection(ef); table != nil && table.Type != elf.SHT_NOBITS {
		return fmt.Errorf("%w: %w", ErrOtherDebug, errNotSeparate)
	}
	if ef.Section(".debug_info") == nil {
		return fmt.Errorf("%w: it has no debug information", ErrOtherDebug)
	}
	is := identity(ef)
	switch {
	case w.BuildID != "" && is.BuildID != "":
		if w.BuildID != is.BuildID {
			return fmt.Errorf("%w: its build ID is %s, the program's is %s", ErrOtherDebug, is.BuildID, w.BuildID)
		}
		return nil
	case w.Go != "" && is.Go != "":
		if w.Go != is.Go {
			return fmt.Errorf("%w: its Go build ID is %q, the program's is %q", ErrOtherDebug, is.Go, w.Go)
		}
		return nil
	case w.Link != "":
		sum := crc32.NewIEEE()
		if _, err := io.Copy(sum, io.NewSectionReader(r, 0, 1<<62)); err != nil {
			return fmt.Errorf("reading it: %w", err)
		}
		if sum.Sum32() != w.CRC {
			return fmt.Errorf("%w: its CRC is %08x, the program's .gnu_debuglink says %08x", ErrOtherDebug, sum.Sum32(), w.CRC)
		}
		return nil
	}
	return fmt.Errorf("%w: neither a build ID nor a CRC tells", ErrOtherDebug)
}

// IsSeparate tells whether a file is a separate debug file, of whatever program.
func IsSeparate(r io.ReaderAt) bool {
	return !errors.Is(Wanted{}.Check(r), errNotSeparate) && hasDebug(r)
}

func hasDebug(r io.ReaderAt) bool {
	ef, err := elf.NewFile(r)
	return err == nil && ef.Section(".debug_info") != nil
}
