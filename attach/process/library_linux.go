//go:build amd64

package process

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"strings"

	"ri/attach"
	"ri/attach/proc"
)

// chooseLibrary has the Go library of a program that isn't Go's (built with -buildmode=c-shared, and loaded by a C or
// Python program) be the program. More than one Go runtime in a process can't be told apart yet.
func (p *Process) chooseLibrary() error {
	ef, err := elf.NewFile(p.exe)
	if err != nil || isGo(ef) {
		return nil
	}
	data, err := os.ReadFile(p.proc("maps"))
	if err != nil {
		return nil // what can't be read is said where it is needed
	}
	maps, err := proc.ParseMaps(data)
	if err != nil {
		return nil
	}
	type library struct {
		path string
		file *os.File
		base uint64
	}
	var found []library
	seen := map[string]bool{}
	for _, m := range maps {
		if m.Offset != 0 || !strings.HasPrefix(m.Path, "/") || seen[m.Path] || m.Path == p.exePath {
			continue
		}
		seen[m.Path] = true
		// By the address first: the file may have been replaced since.
		file, err := os.Open(p.proc(fmt.Sprintf("map_files/%x-%x", m.Start, m.End)))
		if errors.Is(err, os.ErrPermission) {
			file, err = os.Open(p.proc("root") + m.Path)
		}
		if err != nil {
			continue
		}
		if ef, err := elf.NewFile(file); err != nil || !isGo(ef) || len(ef.Progs) == 0 {
			file.Close()
			continue
		}
		found = append(found, library{m.Path, file, m.Start})
	}
	if len(found) == 0 {
		return nil
	}
	if len(found) > 1 {
		var names []string
		for _, l := range found {
			names = append(names, l.path)
			l.file.Close()
		}
		return fmt.Errorf("%s is no Go program, and has several Go libraries, each with a runtime of its own, which ri "+
			"can't look at yet: %s: %w", p.Describe(), strings.Join(names, ", "), attach.ErrNotSupported)
	}
	l := found[0]
	entry, first := uint64(0), ^uint64(0)
	if ef, err := elf.NewFile(l.file); err == nil {
		entry = ef.Entry
		for _, s := range ef.Progs {
			if s.Type == elf.PT_LOAD {
				first = min(first, s.Vaddr)
			}
		}
	}
	p.exe.Close()
	p.exe, p.exePath, p.entry = l.file, l.path, l.base-first&^(attach.PageSize-1)+entry
	return nil
}

// isGo tells whether an executable or library has what Go's linker puts into each.
func isGo(ef *elf.File) bool {
	for _, name := range []string{".go.buildinfo", ".gopclntab", ".data.rel.ro.gopclntab"} {
		if ef.Section(name) != nil {
			return true
		}
	}
	return false
}
