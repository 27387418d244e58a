package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"ri/attach"
	"ri/files"
)

// Core is a core file: what the kernel, gcore or dlv wrote of a process. Memory that the file does not hold, because
// it can be had from the executable (its code and constants), is read from the executable.
type Core struct {
	path    string
	file    *os.File
	exe     *os.File
	exePath string
	entry   uint64
	content coreContent
	memory  coreMemory
	mapped  *coreMap // nil: only read
}

// Open opens a core file of a 64-bit amd64 Linux program. exe is the path of the program's executable; if it is empty,
// the path that the core names is taken. An executable that didn't make the core is refused.
//
// A truncated core opens if its headers and notes are whole: what is missing says so when it is read.
//
// Errors: ErrNotSupported (not such a core), ErrNoExecutable, errors of the file system.
func Open(core, exe string) (attach.Target, error) {
	c, err := openFiles(core, exe)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ErrNoExecutable says that a core can't be read for want of the executable that made it.
var ErrNoExecutable = errors.New("no executable for the core")

func openFiles(corePath, exePath string) (*Core, error) {
	c := &Core{path: corePath}
	var err error
	switch c.file, err = files.Open(corePath); {
	case errors.Is(err, files.ErrNotRegular):
		return nil, fmt.Errorf("opening the core file: %w: %w", err, attach.ErrNotSupported)
	case err != nil:
		return nil, fmt.Errorf("opening the core file: %w", err)
	}
	if err := c.open(exePath); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Core) open(exePath string) error {
	info, err := c.file.Stat()
	if err != nil {
		return fmt.Errorf("opening the core file: %w", err)
	}
	if c.content, err = readCore(c.file, info.Size()); err != nil {
		return fmt.Errorf("core %s: %w", c.path, err)
	}
	c.entry = c.content.entry
	c.memory = coreMemory{core: c.file, size: info.Size(), segments: c.content.segments, files: c.content.files,
		truncated: c.content.truncated}
	if c.entry == 0 && c.content.truncated { // gdb writes the notes last
		return fmt.Errorf("core %s is truncated: it ends before the notes that say where the program lies in memory "+
			"(no NT_AUXV note): %w", c.path, attach.ErrNotSupported)
	}
	if c.entry == 0 {
		return fmt.Errorf("core %s says nothing of its program's entry point (no NT_AUXV note), so the program can't "+
			"be placed in memory: %w", c.path, attach.ErrNotSupported)
	}
	if err := c.openExecutable(exePath); err != nil {
		return err
	}
	c.mapped = mapCore(c.file, info.Size())
	return nil
}

// openExecutable finds the program and checks that it is the one that made the core.
func (c *Core) openExecutable(path string) error {
	if path != "" {
		return c.tryExecutable(path)
	}
	name := ""
	// the path that the program was started from, if the core has it
	if named := c.content.fileAt(c.entry); named != nil {
		name = named.Path
	}
	var first error
	for _, place := range c.executablePlaces(name) {
		err := c.tryExecutable(place)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	switch {
	case first != nil:
		return first
	case name == "":
		return fmt.Errorf("%s doesn't say which executable it is of: pass --exe with its path: %w", c.Describe(),
			ErrNoExecutable)
	}
	return fmt.Errorf("%s is of %s, which is neither there, nor beside the core, nor here, nor found by its build "+
		"ID: pass --exe with the path of that same build: %w",
		c.Describe(), name, ErrNoExecutable)
}

// tryExecutable takes an executable if it is the one that made the core.
func (c *Core) tryExecutable(path string) error {
	file, err := files.Open(path)
	if err != nil {
		return fmt.Errorf("opening the executable for %s: %v: %w", c.Describe(), err, ErrNoExecutable)
	}
	if c.exe != nil {
		c.exe.Close()
	}
	c.exe, c.exePath, c.memory.exeParts = file, path, nil
	segments, entry, err := ReadExecutable(file)
	if err != nil {
		return fmt.Errorf("%s: executable %s: %v: pass --exe with the program that made the core: %w", c.Describe(),
			path, err, ErrNoExecutable)
	}
	if named := c.content.fileAt(c.content.entry); len(segments) > 0 && (named == nil || !sameBase(named.Path, path)) {
		// The Go library of a program of another language: its file lies where it was mapped.
		for _, m := range c.content.files {
			if m.Offset == 0 && sameBase(m.Path, path) {
				c.entry = m.Start - segments[0].Addr&^(c.content.arch.PageSize-1) + entry
				break
			}
		}
	}
	bias := c.entry - entry
	if bias%c.content.arch.PageSize != 0 {
		return c.wrongExecutable("its entry point lies elsewhere")
	}
	c.memory.addExecutable(file, segments, bias)
	return c.checkExecutable(segments, bias)
}

func sameBase(a, b string) bool {
	return filepath.Base(strings.TrimSuffix(a, " (deleted)")) == filepath.Base(b)
}

func (c *Core) wrongExecutable(why string) error {
	return fmt.Errorf("%s was not made by %s (%s): pass --exe with the program that made it, from the same build: %w",
		c.Describe(), c.exePath, why, ErrNoExecutable)
}

// checkExecutable compares what both the core and the executable hold: the kernel dumps the first page of each mapped
// ELF file, which in a Go program has the build ID; gcore and dlv dump more.
func (c *Core) checkExecutable(segments []exeSegment, bias uint64) error {
	for _, s := range segments {
		if s.Write {
			continue
		}
		var inCore, inExe [attach.PageSize]byte
		for _, at := range []uint64{0, s.FileSize / 2 &^ (attach.PageSize - 1)} {
			n := int(min(attach.PageSize, s.FileSize-at))
			if k, err := c.memory.readCoreOnly(inCore[:n], s.Addr+bias+at); k < n || err != nil {
				continue
			}
			if _, err := c.exe.ReadAt(inExe[:n], int64(s.Offset+at)); err != nil {
				return c.wrongExecutable(fmt.Sprintf("reading it at %#x: %v", s.Offset+at, err))
			}
			if !sameText(inCore[:n], inExe[:n], c.content.arch.Breakpoint) {
				return c.wrongExecutable(fmt.Sprintf("they differ at address %#x", s.Addr+bias+at))
			}
			c.content.checked = true
		}
	}
	return nil
}

// sameText compares but for breakpoints: dlv writes its own into the cores that it dumps.
func sameText(core, exe, breakpoint []byte) bool {
	for i := 0; i < len(core); i++ {
		if core[i] == exe[i] {
			continue
		}
		if !bytes.HasPrefix(core[i:], breakpoint) {
			return false
		}
		i += len(breakpoint) - 1
	}
	return true
}

// Executable implements Target.
func (c *Core) Executable() io.ReaderAt { return c.exe }

// ExecutablePath implements Target.
func (c *Core) ExecutablePath() string { return c.exePath }

// Entry implements Target.
func (c *Core) Entry() uint64 { return c.entry }

// Kind implements Target.
func (c *Core) Kind() attach.TargetKind { return attach.Dead }

// Ends implements Target: what killed the process is said by its threads.
func (c *Core) Ends() string { return "" }

// PID implements Target.
func (c *Core) PID() int { return c.content.pid }

// Describe implements Target: "core ./core.4711 of pid 4711 (nats-server)".
func (c *Core) Describe() string {
	s := "core " + c.path
	if c.content.pid != 0 {
		s += fmt.Sprintf(" of pid %d", c.content.pid)
	}
	if name := c.content.name; name != "" {
		s += fmt.Sprintf(" (%s)", name)
	} else if c.exePath != "" {
		s += fmt.Sprintf(" (%s)", filepath.Base(c.exePath))
	}
	return s
}

// View implements Target. Whatever kind is asked for, it is as if the process were stopped, without any limit.
func (c *Core) View(ctx context.Context, opt attach.ViewOptions) (attach.View, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return &CoreView{core: c, done: make(chan struct{})}, nil
}

// Mappings implements Target.
func (c *Core) Mappings() ([]attach.Mapping, error) { return c.content.mappings(), nil }

// Close implements Target.
func (c *Core) Close() error {
	if c.mapped != nil {
		c.mapped.close()
	}
	err := c.file.Close()
	if c.exe != nil {
		err = errors.Join(err, c.exe.Close())
	}
	return err
}

// CoreView is one look at a core.
type CoreView struct {
	core      *Core
	bytesRead atomic.Int64
	closed    atomic.Bool
	done      chan struct{}
}

func (v *CoreView) ReadMemory(p []byte, addr uint64) (int, error) {
	if v.closed.Load() {
		return 0, v.Err()
	}
	n, err := v.core.memory.ReadMemory(p, addr)
	v.bytesRead.Add(int64(n))
	return n, err
}

// Direct implements Director: what lies side by side in the core file.
func (v *CoreView) Direct(addr uint64, n int) []byte {
	m := v.core.mapped
	if m == nil || n <= 0 || v.closed.Load() {
		return nil
	}
	s := findSegment(v.core.memory.segments, addr)
	if s == nil {
		return nil
	}
	off := addr - s.addr
	if off >= s.fileSize || s.fileSize-off < uint64(n) || s.offset+off+uint64(n) > uint64(len(m.data)) ||
		s.offset+off < s.offset {
		return nil
	}
	v.bytesRead.Add(int64(n))
	return m.data[s.offset+off:][:n:n]
}

// Coverage implements View: a core is all there is.
func (v *CoreView) Coverage() attach.Coverage {
	return attach.Coverage{Of: attach.OneMoment, Whole: true}
}

// Notes implements View.
func (v *CoreView) Notes() []string {
	if v.core.content.checked {
		return nil
	}
	return []string{fmt.Sprintf("%s holds no part of %s, so whether that is the program that made it could not be "+
		"checked", v.core.Describe(), v.core.exePath)}
}

// Explain implements Explainer.
func (v *CoreView) Explain(addr uint64) error {
	if _, err := v.core.memory.ReadMemory(make([]byte, 1), addr); err != nil {
		return err
	}
	return attach.NotMapped(addr)
}

func (v *CoreView) Kind() attach.ViewKind    { return attach.Stopped }
func (v *CoreView) Threads() []attach.Thread { return v.core.content.threads }
func (v *CoreView) Done() <-chan struct{}    { return v.done }

func (v *CoreView) Err() error {
	if v.closed.Load() {
		return fmt.Errorf("reading %s: %w", v.core.Describe(), attach.ErrClosed)
	}
	return nil
}

func (v *CoreView) Stats() attach.Stats {
	return attach.Stats{Stops: 0, Stopped: time.Duration(0), BytesRead: v.bytesRead.Load()}
}

func (v *CoreView) Close() error {
	v.closed.Store(true)
	return nil
}

func (v *CoreView) Discard() { v.Close() }
