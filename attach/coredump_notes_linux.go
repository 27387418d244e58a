//go:build amd64

package attach

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The notes of a core: who the process was, the registers of its threads, its files. Layouts as the kernel writes them (fs/binfmt_elf.c,
// linux/elfcore.h, uapi/linux/elf.h).

const (
	ntFpregset = 2
	ntXstate   = 0x202 // NT_X86_XSTATE
)

// allRegisters are those of a thread that a core has.
type allRegisters struct {
	general unix.PtraceRegs  // struct user_regs_struct
	vector  [vectorSize]byte // as XSAVE stores them; the first 512 bytes are struct user_fpregs_struct, as FXSAVE does
	size    int              // of vector
}

// floatSize is what FXSAVE needs.
const floatSize = 512

// vectorSize is what XSAVE needs for x87, SSE and AVX registers; those of AVX-512, and what else there may be, are not kept.
const vectorSize = 832

// readAll keeps all registers of a thread that has just stopped, if they are wanted. There is room for as many threads as there is for t.threads.
func (t *tracer) readAll(tid int) {
	if t.all == nil {
		return
	}
	t.all = append(t.all, allRegisters{general: t.regs})
	r := &t.all[len(t.all)-1]
	t.vector = unix.Iovec{Base: &r.vector[0], Len: vectorSize}
	if ptrace(unix.PTRACE_GETREGSET, tid, ntXstate, uintptr(unsafe.Pointer(&t.vector))) == 0 {
		r.size = int(t.vector.Len)
	} else { // a processor without XSAVE; or it was killed in this moment, and there are zeros
		ptrace(unix.PTRACE_GETFPREGS, tid, 0, uintptr(unsafe.Pointer(&r.vector[0])))
		r.size = floatSize
	}
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

// coreNotes writes all notes. Without threads there is one of zeros, since debuggers need one.
func (p *Process) coreNotes(threads []Thread, registers []allRegisters, maps []Mapping, at coreMoment) []byte {
	var w noteWriter
	who := p.identity()
	if len(threads) == 0 {
		threads, registers = []Thread{{InnerID: who.pid}}, make([]allRegisters, 1)
	}
	first := max(slices.IndexFunc(threads, func(t Thread) bool { return t.InnerID == who.pid }), 0)
	for i := range threads { // beginning with the one that debuggers show first
		at := (first + i) % len(threads)
		r := &registers[at]
		w.note("CORE", ntPrstatus, who.prstatus(threads[at].InnerID, &r.general))
		if i == 0 { // the order of the kernel's
			w.note("CORE", ntPrpsinfo, who.prpsinfo())
			w.note("CORE", ntSiginfo, make([]byte, 128)) // no signal
			w.note("CORE", ntAuxv, p.auxv)
			w.note("CORE", ntFile, filesNote(maps))
		}
		w.note("CORE", ntFpregset, r.vector[:floatSize])
		if state := r.xstate(); state != nil {
			w.note("LINUX", ntXstate, state)
		}
	}
	w.note("ri", ntMoment, at.bytes())
	return w.Bytes()
}

// coreIdentity is what a core says of who the process was. Its ids are those of its own pid namespace.
type coreIdentity struct {
	pid, parent, group, session int
	uid, gid                    uint32
	state                       byte
	name, arguments             string
}

func (p *Process) identity() coreIdentity {
	id := coreIdentity{pid: p.pid, state: 'R', name: commOf(p.pid)}
	if st, err := readStatus(p.proc("status")); err == nil {
		id.uid, id.gid, id.state = st.Uids[0], st.Gids[0], st.State
	}
	if st, err := readStatus(fmt.Sprintf("/proc/%d/status", p.pid)); err == nil && len(st.NSpid) > 0 {
		id.pid = st.NSpid[len(st.NSpid)-1]
	}
	if data, err := os.ReadFile(p.proc("stat")); err == nil {
		// After the name: state, ppid, pgrp, session.
		fmt.Sscanf(string(data[bytes.LastIndexByte(data, ')')+1:]), " %c %d %d %d", new(rune), &id.parent, &id.group, &id.session)
	}
	if data, err := os.ReadFile(p.proc("cmdline")); err == nil {
		id.arguments = strings.TrimRight(strings.ReplaceAll(string(data), "\x00", " "), " ")
	}
	return id
}

// prstatus is struct elf_prstatus: pr_pid at 32, pr_reg at 112, pr_fpvalid at 328.
func (id *coreIdentity) prstatus(tid int, general *unix.PtraceRegs) []byte {
	b := make([]byte, 336)
	le := binary.LittleEndian
	le.PutUint32(b[32:], uint32(tid))
	le.PutUint32(b[36:], uint32(id.parent))
	le.PutUint32(b[40:], uint32(id.group))
	le.PutUint32(b[44:], uint32(id.session))
	copy(b[112:], userBytes(general))
	le.PutUint32(b[328:], 1)
	return b
}

// prpsinfo is struct elf_prpsinfo: pr_sname at 1, pr_uid at 16, pr_pid at 24, pr_fname at 40, pr_psargs at 56.
func (id *coreIdentity) prpsinfo() []byte {
	b := make([]byte, 136)
	le := binary.LittleEndian
	b[1] = id.state
	le.PutUint32(b[16:], id.uid)
	le.PutUint32(b[20:], id.gid)
	le.PutUint32(b[24:], uint32(id.pid))
	le.PutUint32(b[28:], uint32(id.parent))
	le.PutUint32(b[32:], uint32(id.group))
	le.PutUint32(b[36:], uint32(id.session))
	copy(b[40:55], id.name)
	copy(b[56:135], id.arguments)
	return b
}

// filesNote is NT_FILE: see readFiles.
func filesNote(maps []Mapping) []byte {
	var ranges, names bytes.Buffer
	count := uint64(0)
	for _, m := range maps {
		if strings.HasPrefix(m.Path, "/") {
			binary.Write(&ranges, binary.LittleEndian, [3]uint64{m.Start, m.End, m.Offset / PageSize})
			names.WriteString(m.Path + "\x00")
			count++
		}
	}
	out := binary.LittleEndian.AppendUint64(nil, count)
	out = binary.LittleEndian.AppendUint64(out, PageSize)
	return append(append(out, ranges.Bytes()...), names.Bytes()...)
}

// xstate is NT_X86_XSTATE (Intel SDM volume 1, 13.4): a header at 512 says which parts are not in their initial state, and at 464,
// where Linux has it, stands which parts there are. nil if there is only what FXSAVE stores.
func (r *allRegisters) xstate() []byte {
	const x87, sse, avx = 1, 2, 4
	const minimum = 576
	if r.size < minimum {
		return nil
	}
	parts := uint64(x87 | sse)
	if r.size == vectorSize {
		parts |= avx
	}
	b := bytes.Clone(r.vector[:r.size])
	le := binary.LittleEndian
	le.PutUint64(b[464:], le.Uint64(b[464:])&parts)
	le.PutUint64(b[512:], le.Uint64(b[512:])&parts)
	return b
}
