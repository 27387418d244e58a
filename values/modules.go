package values

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// ErrForeign: code is of a plugin, whose functions ri doesn't know.
var ErrForeign = errors.New("code of a plugin, which ri doesn't read")

// Module is a part of a program that was linked by itself and loaded later: a plugin (-buildmode=plugin).
type Module struct {
	Path            string // its package, as the linker names it; "" if that can't be read
	Text, End       uint64 // from its code to its last byte
	Types, TypesEnd uint64 // type descriptors; their names count from Types
}

const maxModules = 1024

// Plugins gives the modules that were loaded besides the program's own, as its runtime lists them
// (runtime/symtab.go: moduledata.next, Go 1.20 to 1.27); nil where that can't be read.
func (s *Space) Plugins() []Module {
	if s.pluginsKnown {
		return s.plugins
	}
	s.pluginsKnown = true
	l := &s.Layouts().Heap.Module
	if l.First.Addr == 0 || !l.Next.Known() {
		return nil
	}
	at, err := s.Field(l.First.Addr+s.bias, l.Next)
	for n := 0; err == nil && at != 0 && n < maxModules; n++ {
		b, err := s.Structure(at, &l.Structure)
		if err != nil {
			break
		}
		m := Module{Text: l.Text.Uint(b), End: l.End.Uint(b)}
		if l.Types.Known() && l.TypesEnd.Known() {
			m.Types, m.TypesEnd = l.Types.Uint(b), l.TypesEnd.Uint(b)
		}
		if l.PluginPath.Known() && int(l.PluginPath.Offset)+16 <= len(b) {
			text := b[l.PluginPath.Offset:]
			if n := binary.LittleEndian.Uint64(text[8:]); n > 0 && n < 1024 {
				if path, err := s.Slice(binary.LittleEndian.Uint64(text), int(n)); err == nil {
					m.Path = strings.Clone(string(path))
				}
			}
		}
		s.plugins = append(s.plugins, m)
		at = l.Next.Uint(b)
	}
	return s.plugins
}

// notGo says why a pc is no function of the program's.
func (s *Space) notGo(pc uint64) error {
	for _, m := range s.Plugins() {
		if pc >= m.Text && pc < m.End {
			return fmt.Errorf("is in plugin %s: %w", m.Path, ErrForeign)
		}
	}
	return fmt.Errorf("is no Go code: %w", ErrCorrupt)
}

// typesBase is what names of type descriptors count from, a runtime address; 0 if that isn't known.
func (s *Space) typesBase(desc uint64) uint64 {
	for _, m := range s.Plugins() {
		if desc >= m.Types && desc < m.TypesEnd {
			return m.Types
		}
	}
	if base := s.file.TypesBase(); base != 0 {
		return base + s.bias
	}
	return 0
}
