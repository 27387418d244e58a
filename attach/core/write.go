package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"

	"ri/arch"
	"ri/attach"
)

// A core as the kernel writes it (fs/binfmt_elf.c, linux/elfcore.h, uapi/linux/elf.h): ELF header, program headers, the
// notes (who the process was, the registers of its threads, its files), and its memory, each mapping from a page on.

const (
	ntFpregset = 2
	NtXstate   = 0x202 // NT_X86_XSTATE
)

// Who is what a core says of who the process was. Its ids are those of its own pid namespace.
type Who struct {
	PID, Parent, Group, Session int
	UID, GID                    uint32
	State                       byte
	Name, Arguments             string
}

// ThreadNotes are the registers of a thread.
type ThreadNotes struct {
	ID     int
	User   []byte // struct user_regs_struct
	Float  []byte // struct user_fpregs_struct, as FXSAVE has it
	Xstate []byte // as XSAVE has it; nil if there is none
}

// noteWriter puts notes one after the other.
type noteWriter struct{ bytes.Buffer }

func (w *noteWriter) note(name string, kind uint32, data []byte) {
	name += "\x00"
	for _, n := range []uint32{uint32(len(name)), uint32(len(data)), kind} {
		binary.Write(w, binary.LittleEndian, n)
	}
	for _, part := range []string{name, string(data)} {
		w.WriteString(part)
		w.Write(make([]byte, -len(part)&3))
	}
}

// Notes gives all notes. Without threads there is one of zeros, since debuggers need one.
func Notes(a *arch.Arch, who Who, threads []ThreadNotes, auxv []byte, maps []attach.Mapping, at Moment) []byte {
	var w noteWriter
	for i, t := range threads { // beginning with the one that debuggers show first
		w.note("CORE", ntPrstatus, who.prstatus(a, t.ID, t.User))
		if i == 0 { // the order of the kernel's
			w.note("CORE", ntPrpsinfo, who.prpsinfo())
			w.note("CORE", ntSiginfo, make([]byte, 128)) // no signal
			w.note("CORE", ntAuxv, auxv)
			w.note("CORE", ntFile, filesNote(maps))
		}
		w.note("CORE", ntFpregset, t.Float)
		if t.Xstate != nil {
			w.note("LINUX", NtXstate, t.Xstate)
		}
	}
	w.note("ri", ntMoment, at.bytes())
	return w.Bytes()
}

// prstatus is struct elf_prstatus: pr_pid at 32, pr_reg at 112, pr_fpvalid behind it.
func (id *Who) prstatus(a *arch.Arch, tid int, user []byte) []byte {
	b := make([]byte, 112+a.UserSize+8)
	le := binary.LittleEndian
	le.PutUint32(b[32:], uint32(tid))
	le.PutUint32(b[36:], uint32(id.Parent))
	le.PutUint32(b[40:], uint32(id.Group))
	le.PutUint32(b[44:], uint32(id.Session))
	copy(b[112:], user)
	le.PutUint32(b[112+a.UserSize:], 1)
	return b
}

// prpsinfo is struct elf_prpsinfo: pr_sname at 1, pr_uid at 16, pr_pid at 24, pr_fname at 40, pr_psargs at 56.
func (id *Who) prpsinfo() []byte {
	b := make([]byte, 136)
	le := binary.LittleEndian
	b[1] = id.State
	le.PutUint32(b[16:], id.UID)
	le.PutUint32(b[20:], id.GID)
	le.PutUint32(b[24:], uint32(id.PID))
	le.PutUint32(b[28:], uint32(id.Parent))
	le.PutUint32(b[32:], uint32(id.Group))
	le.PutUint32(b[36:], uint32(id.Session))
	copy(b[40:55], id.Name)
	copy(b[56:135], id.Arguments)
	return b
}

// filesNote is NT_FILE: see readFiles.
func filesNote(maps []attach.Mapping) []byte {
	var ranges, names bytes.Buffer
	count := uint64(0)
	for _, m := range maps {
		if strings.HasPrefix(m.Path, "/") {
			binary.Write(&ranges, binary.LittleEndian, [3]uint64{m.Start, m.End, m.Offset / attach.PageSize})
			names.WriteString(m.Path + "\x00")
			count++
		}
	}
	out := binary.LittleEndian.AppendUint64(nil, count)
	out = binary.LittleEndian.AppendUint64(out, attach.PageSize)
	return append(append(out, ranges.Bytes()...), names.Bytes()...)
}

// Section is memory of a core: a mapping, and where its bytes lie in the file.
type Section struct {
	attach.Mapping
	Offset int64
	Size   uint64 // in the file: all of it, or 0
}

// Head is what stands in front of the memory.
type Head struct {
	arch     *arch.Arch
	notes    []byte
	sections []*Section
}

// extended tells whether there are more sections than the header has room for the number of (PN_XNUM).
func (h *Head) extended() bool { return 1+len(h.sections) >= 0xffff }

// size is how far the notes are from the beginning.
func (h *Head) size() int {
	size := 64 + 56*(1+len(h.sections))
	if h.extended() {
		size += 64
	}
	return size
}

// Lay places sections in a core, behind its headers and notes, and gives the size of the file.
func Lay(a *arch.Arch, notes []byte, sections []*Section) (*Head, int64) {
	h := &Head{arch: a, notes: notes, sections: sections}
	offset := int64(h.size() + len(notes) + attach.PageSize - 1)
	for _, s := range sections {
		s.Offset = offset &^ (attach.PageSize - 1)
		offset = s.Offset + int64(s.Size) + attach.PageSize - 1
	}
	return h, offset &^ (attach.PageSize - 1)
}

// Bytes are the headers and notes. A section that was given up since is one of size 0.
func (h *Head) Bytes() []byte {
	var b bytes.Buffer
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB),
			byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_CORE),
		Machine: uint16(h.arch.Machine),
		Version: uint32(elf.EV_CURRENT),
		Phoff:   64, Ehsize: 64, Phentsize: 56, Phnum: uint16(1 + len(h.sections)),
	}
	if h.extended() { // the number stands in a section header of no section (fs/binfmt_elf.c, fill_extnum_info)
		header.Phnum, header.Shoff, header.Shentsize, header.Shnum = 0xffff, uint64(h.size()-64), 64, 1
	}
	binary.Write(&b, binary.LittleEndian, header)
	binary.Write(&b, binary.LittleEndian, programHeader{Type: uint32(elf.PT_NOTE), Offset: uint64(h.size()),
		FileSize: uint64(len(h.notes)), Align: 4})
	for _, s := range h.sections {
		p := programHeader{Type: uint32(elf.PT_LOAD), Offset: uint64(s.Offset), Vaddr: s.Start, FileSize: s.Size,
			MemSize: s.End - s.Start, Align: attach.PageSize}
		for _, flag := range []struct {
			set  bool
			flag elf.ProgFlag
		}{{s.Read, elf.PF_R}, {s.Write, elf.PF_W}, {s.Exec, elf.PF_X}} {
			if flag.set {
				p.Flags |= uint32(flag.flag)
			}
		}
		binary.Write(&b, binary.LittleEndian, p)
	}
	if h.extended() {
		binary.Write(&b, binary.LittleEndian, elf.Section64{Size: 1, Info: uint32(1 + len(h.sections))})
	}
	b.Write(h.notes)
	return b.Bytes()
}
