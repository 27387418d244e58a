package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"ri/arch"
	"ri/attach"
)

// What a core may make us allocate, whatever its headers say.
const (
	maxSegments  = 1 << 20
	maxThreads   = 1 << 20
	maxNoteBytes = 64 << 20 // one note that we read whole: NT_FILE of a program with a million mappings
)

// coreContent is what the headers and notes of a core say.
type coreContent struct {
	arch      *arch.Arch
	segments  []coreSegment    // sorted by address, not overlapping
	files     []attach.Mapping // NT_FILE, sorted as it is
	threads   []attach.Thread
	pid       int
	name      string
	signal    int
	entry     uint64
	truncated bool
	checked   bool
	moment    Moment
}

// coreSegment is a PT_LOAD of a core: memory of memSize bytes, the first fileSize of which lie in the file.
type coreSegment struct {
	addr, memSize    uint64
	offset, fileSize uint64
	flags            elf.ProgFlag
}

// programHeader is Elf64_Phdr.
type programHeader struct {
	Type, Flags                                    uint32
	Offset, Vaddr, Paddr, FileSize, MemSize, Align uint64
}

// readHeaders reads the ELF header and the program headers. The package debug/elf isn't used because it reads
// section headers too, which a truncated core has lost.
func readHeaders(r io.ReaderAt, size int64) (header elf.Header64, progs []programHeader, err error) {
	var raw [64]byte
	if _, err := r.ReadAt(raw[:], 0); err != nil {
		return header, nil, fmt.Errorf("it is too short for an ELF file: %w", attach.ErrNotSupported)
	}
	if string(raw[:4]) != elf.ELFMAG {
		return header, nil, fmt.Errorf("it is not an ELF file: %w", attach.ErrNotSupported)
	}
	if elf.Class(raw[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(raw[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return header, nil, fmt.Errorf("it is not a 64-bit little-endian ELF file, and ri reads amd64 only: %w",
			attach.ErrNotSupported)
	}
	binary.Read(bytes.NewReader(raw[:]), binary.LittleEndian, &header)
	if m := elf.Machine(header.Machine); !Readable(m) {
		return header, nil, fmt.Errorf("it is for the machine %v, and ri reads amd64 only: %w", m,
			attach.ErrNotSupported)
	}
	count := uint64(header.Phnum)
	if count == 0xffff { // PN_XNUM: the number is in sh_info of the first section header
		var section elf.Section64
		if header.Shoff > math.MaxInt64/2 {
			return header, nil, fmt.Errorf("its section header lies at %#x: %w", header.Shoff, attach.ErrNotSupported)
		}
		if err := binary.Read(io.NewSectionReader(r, int64(header.Shoff), 64), binary.LittleEndian,
			&section); err != nil {
			return header, nil, fmt.Errorf("it has more than 65,534 segments, and the section header with their "+
				"number can't be read (a truncated core?): %w", attach.ErrNotSupported)
		}
		count = uint64(section.Info)
	}
	if count > 0 && header.Phentsize != 56 {
		return header, nil, fmt.Errorf("its program headers have %d bytes, not 56: %w", header.Phentsize,
			attach.ErrNotSupported)
	}
	if count > maxSegments {
		return header, nil, fmt.Errorf("it says it has %d segments, more than %d: %w", count, maxSegments,
			attach.ErrNotSupported)
	}
	if header.Phoff > uint64(size) || count*56 > uint64(size)-header.Phoff {
		return header, nil, fmt.Errorf("its program headers, %d bytes at %#x, lie beyond its end (a truncated "+
			"core?): %w", count*56, header.Phoff, attach.ErrNotSupported)
	}
	progs = make([]programHeader, count)
	if err := binary.Read(io.NewSectionReader(r, int64(header.Phoff), int64(count*56)), binary.LittleEndian,
		progs); err != nil {
		return header, nil, fmt.Errorf("reading its program headers: %w", err)
	}
	return header, progs, nil
}

func Readable(m elf.Machine) bool {
	_, ok := arch.Of(m)
	return ok
}

// readCore reads the headers and notes of a core.
func readCore(r io.ReaderAt, size int64) (coreContent, error) {
	var c coreContent
	header, progs, err := readHeaders(r, size)
	if err != nil {
		return c, err
	}
	c.arch, _ = arch.Of(elf.Machine(header.Machine))
	if t := elf.Type(header.Type); t != elf.ET_CORE {
		what := "is not a core"
		if t == elf.ET_EXEC || t == elf.ET_DYN {
			what = "is a program and not a core: a core is given with -c, its program with --exe"
		}
		return c, fmt.Errorf("it %s: %w", what, attach.ErrNotSupported)
	}
	for _, p := range progs {
		switch elf.ProgType(p.Type) {
		case elf.PT_LOAD:
			if p.Vaddr+p.MemSize < p.Vaddr || p.MemSize == 0 && p.FileSize == 0 || p.Offset > math.MaxInt64 ||
				p.FileSize > math.MaxInt64-p.Offset {
				continue // broken: its addresses are not mapped
			}
			s := coreSegment{addr: p.Vaddr, memSize: max(p.MemSize, p.FileSize), offset: p.Offset, fileSize: p.FileSize,
				flags: elf.ProgFlag(p.Flags)}
			if s.addr+s.memSize < s.addr {
				continue
			}
			if s.fileSize > 0 && s.offset+s.fileSize > uint64(size) {
				c.truncated = true
			}
			c.segments = append(c.segments, s)
		case elf.PT_NOTE:
			if err := c.readNotes(r, size, p); err != nil {
				return c, err
			}
		}
	}
	c.segments = sortSegments(c.segments)
	if len(c.segments) == 0 {
		return c, fmt.Errorf("it holds no memory: %w", attach.ErrNotSupported)
	}
	return c, nil
}

// Types of notes, uapi/linux/elf.h; of Delve's, pkg/elfwriter.
const (
	ntPrstatus = 1
	ntPrpsinfo = 3
	ntAuxv     = 6
	ntFile     = 0x46494c45
	ntSiginfo  = 0x53494749
	ntDelve    = 0x444c5645
	ntMoment   = 0x72690001 // of ri core
)

// readNotes goes through a PT_NOTE segment: Elf64_Nhdr, name and content, each padded to 4 bytes.
// Only notes of interest are read; the rest, such as the floating point registers of each thread, is skipped.
func (c *coreContent) readNotes(r io.ReaderAt, size int64, p programHeader) error {
	if p.Offset > uint64(size) {
		return nil
	}
	end := p.Offset + min(p.FileSize, uint64(size)-p.Offset)
	for at := p.Offset; end-at >= 12; {
		var h [12]byte
		if _, err := r.ReadAt(h[:], int64(at)); err != nil {
			return fmt.Errorf("reading its notes at %#x: %w", at, err)
		}
		nameSize := uint64(binary.LittleEndian.Uint32(h[:]))
		size := uint64(binary.LittleEndian.Uint32(h[4:]))
		kind := binary.LittleEndian.Uint32(h[8:])
		start := at + 12 + (nameSize+3)&^3
		if start > end || size > end-start {
			return nil // cut off, or broken: the rest can't be found
		}
		switch kind {
		case ntPrstatus, ntPrpsinfo, ntAuxv, ntFile, ntSiginfo, ntDelve, ntMoment:
			if size > maxNoteBytes {
				return fmt.Errorf("its note of the type %#x has %d bytes, more than %d: %w", kind, size, maxNoteBytes,
					attach.ErrNotSupported)
			}
			data := make([]byte, size)
			if _, err := r.ReadAt(data, int64(start)); err != nil {
				return fmt.Errorf("reading its notes at %#x: %w", start, err)
			}
			c.note(kind, data)
		}
		next := start + (size+3)&^3
		if next <= at || next > end {
			return nil
		}
		at = next
	}
	return nil
}

func (c *coreContent) note(kind uint32, data []byte) {
	le := binary.LittleEndian
	switch {
	case kind == ntPrstatus:
		c.readThread(data)
	case kind == ntPrpsinfo && len(data) >= 56: // struct elf_prpsinfo: pr_pid at 24, pr_fname at 40 (16 bytes)
		c.pid = int(int32(le.Uint32(data[24:])))
		name, _, _ := bytes.Cut(data[40:56], []byte{0})
		c.name = strings.ToValidUTF8(string(name), "?")
	case kind == ntSiginfo:
		c.readSignal(data)
	case kind == ntAuxv:
		if entry, ok := AuxvValue(data, AuxEntry); ok {
			c.entry = entry
		}
	case kind == ntFile:
		c.readFiles(data)
	case kind == ntMoment && len(data) >= 16:
		c.moment = Moment{Nanotime: int64(le.Uint64(data)), Unix: int64(le.Uint64(data[8:]))}
	case kind == ntDelve:
		c.readDelve(data)
	}
}

// readThread reads struct elf_prstatus (linux/elfcore.h): pr_cursig at 12, pr_pid at 32, pr_reg (struct
// user_regs_struct) at 112.
func (c *coreContent) readThread(data []byte) {
	if len(data) < 112+c.arch.UserSize || len(c.threads) >= maxThreads {
		return
	}
	le := binary.LittleEndian
	if len(c.threads) == 0 && c.signal == 0 {
		c.signal = int(le.Uint16(data[12:]))
	}
	var signal *attach.Signal
	// The kernel writes the signal into the note of every thread; the first one is the thread that got it.
	if n := int(le.Uint16(data[12:])); n > 0 && n < 128 && len(c.threads) == 0 {
		signal = &attach.Signal{Number: n}
	}
	registers := data[112:][:c.arch.UserSize]
	// ri core wrote it of a process whose threads were gone.
	if len(bytes.Trim(registers, "\x00")) == 0 && c.signal == 0 {
		if c.threads == nil {
			c.threads = []attach.Thread{} // stopped, and none left
		}
		return
	}
	id := int(int32(le.Uint32(data[32:])))
	c.threads = append(c.threads, attach.Thread{ID: id, InnerID: id, Regs: c.arch.UserRegisters(registers),
		Signal: signal})
}

// readSignal reads siginfo_t, which follows the registers of its thread.
func (c *coreContent) readSignal(data []byte) {
	s := attach.ReadSiginfo(data)
	if s == nil {
		return
	}
	c.signal = s.Number
	if len(c.threads) == 1 {
		c.threads[0].Signal = s
	}
}

// readDelve reads Delve's own note, lines of text.
func (c *coreContent) readDelve(data []byte) {
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "Entry Point: "); ok && c.entry == 0 {
			c.entry, _ = strconv.ParseUint(v, 0, 64)
		}
		if v, ok := strings.CutPrefix(line, "Target Pid: "); ok && c.pid == 0 {
			c.pid, _ = strconv.Atoi(v)
		}
	}
}

// Moment is when a core was written, which only those of ri core say: CLOCK_MONOTONIC as the program reads it, and the
// time of day, in nanoseconds.
type Moment struct{ Nanotime, Unix int64 }

func (m Moment) bytes() []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(m.Nanotime)), uint64(m.Unix))
}

// Nanotime implements Target, for a core that says when it was written.
func (c *Core) Nanotime() int64 { return c.content.moment.Nanotime }

// Written implements Target: the time of day at which the core was written; zero if it doesn't say.
func (c *Core) Written() time.Time {
	if c.content.moment.Unix == 0 {
		return time.Time{}
	}
	return time.Unix(0, c.content.moment.Unix)
}

// readFiles reads NT_FILE (fs/binfmt_elf.c, fill_files_note): count, page size, count times start, end and offset in
// pages, count names.
func (c *coreContent) readFiles(data []byte) {
	if len(data) < 16 {
		return
	}
	count, page := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])
	data = data[16:]
	if count > uint64(len(data))/24 {
		return
	}
	names := data[count*24:]
	for i := range count {
		e := data[i*24:]
		name, rest, ok := bytes.Cut(names, []byte{0})
		if !ok {
			return
		}
		names = rest
		c.files = append(c.files, attach.Mapping{
			Start:  binary.LittleEndian.Uint64(e),
			End:    binary.LittleEndian.Uint64(e[8:]),
			Offset: binary.LittleEndian.Uint64(e[16:]) * page,
			Path:   string(name),
		})
	}
}

func (c *coreContent) fileAt(addr uint64) *attach.Mapping {
	for i := range c.files {
		if f := &c.files[i]; f.Start <= addr && addr < f.End {
			return f
		}
	}
	return nil
}

func (c *coreContent) mappings() []attach.Mapping {
	files := make(map[uint64]*attach.Mapping, len(c.files))
	for i := range c.files {
		files[c.files[i].Start] = &c.files[i]
	}
	maps := make([]attach.Mapping, 0, len(c.segments))
	for _, s := range c.segments {
		m := attach.Mapping{Start: s.addr, End: s.addr + s.memSize, Read: s.flags&elf.PF_R != 0,
			Write: s.flags&elf.PF_W != 0, Exec: s.flags&elf.PF_X != 0}
		if f := files[s.addr]; f != nil {
			m.Offset, m.Path = f.Offset, f.Path
		}
		maps = append(maps, m)
	}
	return maps
}

// exeSegment is a PT_LOAD of an executable.
type exeSegment struct {
	Addr, Offset, FileSize uint64
	Write                  bool
}

// ReadExecutable reads the segments and the entry point of an executable.
func ReadExecutable(r io.ReaderAt) (segments []exeSegment, entry uint64, err error) {
	header, progs, err := readHeaders(r, math.MaxInt64)
	if err != nil {
		return nil, 0, err
	}
	if t := elf.Type(header.Type); t != elf.ET_EXEC && t != elf.ET_DYN {
		return nil, 0, fmt.Errorf("it is not a program: %w", attach.ErrNotSupported)
	}
	for _, p := range progs {
		if elf.ProgType(p.Type) == elf.PT_LOAD && p.FileSize > 0 && p.Vaddr+p.FileSize > p.Vaddr &&
			p.Offset < math.MaxInt64 && p.FileSize < math.MaxInt64-p.Offset {
			segments = append(segments, exeSegment{Addr: p.Vaddr, Offset: p.Offset, FileSize: p.FileSize,
				Write: elf.ProgFlag(p.Flags)&elf.PF_W != 0})
		}
	}
	return segments, header.Entry, nil
}

// Keys of the auxiliary vector, uapi/linux/auxvec.h.
const (
	auxNull  = 0
	AuxEntry = 9
)

// AuxvValue finds a key in a 64-bit auxiliary vector: pairs of words, the last one's key is AT_NULL.
func AuxvValue(auxv []byte, key uint64) (uint64, bool) {
	for len(auxv) >= 16 {
		k := binary.LittleEndian.Uint64(auxv)
		if k == auxNull {
			break
		}
		if k == key {
			return binary.LittleEndian.Uint64(auxv[8:]), true
		}
		auxv = auxv[16:]
	}
	return 0, false
}
