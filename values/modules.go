package values

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"ri/symbols"
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

// OpenPlugins has the functions and lines of plugins' code told from the files that open gives, nil where there is
// none. Nothing else is read of them: neither what their frames hold, nor what their code does.
func (s *Space) OpenPlugins(open func(m Module) *symbols.File) { s.openPlugin = open }

// pluginAt is the plugin in which a pc lies.
func (s *Space) pluginAt(pc uint64) *Module {
	for i := range s.Plugins() {
		if m := &s.plugins[i]; pc >= m.Text && pc < m.End {
			return m
		}
	}
	return nil
}

// InPlugin tells whether a pc is in a plugin's code, of which no more is known than functions and lines.
func (s *Space) InPlugin(pc uint64) bool { return s.pluginAt(pc) != nil }

// pluginPC is PC of a plugin's code.
func (s *Space) pluginPC(pc uint64) (*symbols.PCInfo, bool) {
	m := s.pluginAt(pc)
	if m == nil {
		return nil, false
	}
	f := s.openPlugin(*m)
	if f == nil {
		return nil, false
	}
	start, _ := f.GoCode()
	info, ok := f.PC(pc - m.Text + start)
	if !ok {
		return nil, false
	}
	moved := *info
	moved.Entry += m.Text - start - s.bias
	moved.End += m.Text - start - s.bias
	return &moved, true
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
