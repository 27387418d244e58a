//go:build amd64

package process

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/core"
	"ri/attach/proc"
)

// The registers of all kinds that a core has.

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
	if ptrace(unix.PTRACE_GETREGSET, tid, core.NtXstate, uintptr(unsafe.Pointer(&t.vector))) == 0 {
		r.size = int(t.vector.Len)
	} else { // a processor without XSAVE; or it was killed in this moment, and there are zeros
		ptrace(unix.PTRACE_GETFPREGS, tid, 0, uintptr(unsafe.Pointer(&r.vector[0])))
		r.size = floatSize
	}
}

// threadsOf gives the registers of threads as a core has them, beginning with the one that debuggers show first: the one numbered pid. Without
// threads there is one of zeros.
func threadsOf(threads []attach.Thread, registers []allRegisters, pid int) []core.ThreadNotes {
	if len(threads) == 0 {
		threads, registers = []attach.Thread{{InnerID: pid}}, make([]allRegisters, 1)
	}
	first := max(slices.IndexFunc(threads, func(t attach.Thread) bool { return t.InnerID == pid }), 0)
	var notes []core.ThreadNotes
	for i := range threads {
		at := (first + i) % len(threads)
		r := &registers[at]
		notes = append(notes, core.ThreadNotes{ID: threads[at].InnerID, User: userBytes(&r.general), Float: r.vector[:floatSize], Xstate: r.xstate()})
	}
	return notes
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

// identity is who the process is, for a core.
func (p *Process) identity() core.Who {
	id := core.Who{PID: p.pid, State: 'R', Name: proc.CommOf(p.pid)}
	if st, err := proc.ReadStatus(p.proc("status")); err == nil {
		id.UID, id.GID, id.State = st.Uids[0], st.Gids[0], st.State
	}
	if st, err := proc.ReadStatus(fmt.Sprintf("/proc/%d/status", p.pid)); err == nil && len(st.NSpid) > 0 {
		id.PID = st.NSpid[len(st.NSpid)-1]
	}
	if data, err := os.ReadFile(p.proc("stat")); err == nil {
		// After the name: state, ppid, pgrp, session.
		fmt.Sscanf(string(data[bytes.LastIndexByte(data, ')')+1:]), " %c %d %d %d", new(rune), &id.Parent, &id.Group, &id.Session)
	}
	if data, err := os.ReadFile(p.proc("cmdline")); err == nil {
		id.Arguments = strings.TrimRight(strings.ReplaceAll(string(data), "\x00", " "), " ")
	}
	return id
}
