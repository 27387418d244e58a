//go:build amd64

package attach

import (
	"encoding/binary"
	"unsafe"
)

// A restartable sequence (rseq(2), uapi/linux/rseq.h) is a piece of user code that the kernel begins anew when its thread was interrupted in it. It sees that by where the thread stands
// as it goes on. One that is sent elsewhere and comes back by rt_sigreturn would go on in mid-sequence, as if nothing had happened: such a thread is left alone.

const (
	ptraceGetRseq = 0x420f // PTRACE_GET_RSEQ_CONFIGURATION, Linux 5.13
	rseqSequence  = 8      // struct rseq: rseq_cs, the address of a struct rseq_cs
	sequenceStart = 8      // struct rseq_cs: start_ip, post_commit_offset
)

// inSequence says whether a stopped thread stands in a restartable sequence. Where the kernel doesn't tell (5.12 and older), it is not known, and taken for no.
func inSequence(p *Process, tid int, pc uint64) bool {
	var registered struct { // struct ptrace_rseq_configuration
		address                uint64
		size, signature, flags uint32
		_                      uint32
	}
	if e := ptrace(ptraceGetRseq, tid, unsafe.Sizeof(registered), uintptr(unsafe.Pointer(&registered))); e != 0 || registered.address == 0 {
		return false
	}
	mem := p.memory()
	defer mem.close()
	var word [8]byte
	if n, _ := mem.ReadMemory(word[:], registered.address+rseqSequence); n < len(word) {
		return false
	}
	sequence := binary.LittleEndian.Uint64(word[:])
	if sequence == 0 {
		return false
	}
	var where [16]byte
	if n, _ := mem.ReadMemory(where[:], sequence+sequenceStart); n < len(where) {
		return true // the kernel can't read it either, and ends the process for it
	}
	start, length := binary.LittleEndian.Uint64(where[:]), binary.LittleEndian.Uint64(where[8:])
	return pc-start < length
}
