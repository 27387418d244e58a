package process

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// maxIovecs is UIO_MAXIOV (uapi/linux/uio.h), the most ranges one process_vm_readv takes.
const maxIovecs = 1024

// processMemory reads a live process with process_vm_readv(2), or, where a seccomp
// filter or an old kernel refuses that call, through /proc/PID/mem opened read-only.
// Safe for concurrent use.
type processMemory struct {
	pid  int // any thread of the process that still has its memory
	name string

	bytesRead atomic.Int64
	fallback  atomic.Bool // process_vm_readv was refused
	// don't let the Go scheduler have the processor during a call, which takes less than a millisecond: in a stop,
	// getting it back may take longer
	raw     bool
	memOnce sync.Once
	memFile *os.File
	memErr  error
}

// ReadMemory implements Memory.
func (m *processMemory) ReadMemory(p []byte, addr uint64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if addr+uint64(len(p)) < addr {
		return 0, attach.NotMapped(addr)
	}
	done := 0
	for done < len(p) {
		n, err := m.readOnce(p[done:], addr+uint64(done))
		if n > 0 {
			m.bytesRead.Add(int64(n))
			done += n
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// readOnce returns n > 0 or an error.
func (m *processMemory) readOnce(p []byte, addr uint64) (int, error) {
	if !m.fallback.Load() {
		local := [1]unix.Iovec{{Base: &p[0], Len: uint64(len(p))}}
		remote := [1]unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}
		n, err := processVMReadv(m.pid, local[:], remote[:])
		if n > 0 {
			return n, nil
		}
		switch err {
		case unix.EINTR:
			return 0, nil
		case unix.EPERM, unix.ENOSYS:
			if e := m.openMem(); e != nil {
				return 0, fmt.Errorf("reading the memory of %s: process_vm_readv: %v; %v: %w", m.name, err, e,
					attach.ErrPermission)
			}
			m.fallback.Store(true)
		default:
			return 0, m.readError(err, addr)
		}
	}
	if err := m.openMem(); err != nil {
		return 0, fmt.Errorf("reading the memory of %s: %v: %w", m.name, err, attach.ErrPermission)
	}
	if int64(addr) < 0 { // pread takes no such offset; nothing of a program is mapped there
		return 0, attach.NotMapped(addr)
	}
	n, err := unix.Pread(int(m.memFile.Fd()), p, int64(addr))
	switch {
	case n > 0:
		return n, nil
	case err == unix.EINTR:
		return 0, nil
	case err == unix.EIO:
		return 0, attach.NotMapped(addr)
	case err == nil: // the address space is gone
		return 0, m.readError(unix.ESRCH, addr)
	}
	return 0, m.readError(err, addr)
}

func (m *processMemory) readError(err error, addr uint64) error {
	switch err {
	case unix.ESRCH:
		return fmt.Errorf("reading the memory of %s: %w", m.name, attach.ErrExited)
	case nil, unix.EFAULT, unix.EINVAL:
		return attach.NotMapped(addr)
	}
	return fmt.Errorf("reading %s at address %#x: %w", m.name, addr, err)
}

// openMem opens /proc/PID/mem once, for reading only.
func (m *processMemory) openMem() error {
	m.memOnce.Do(func() {
		m.memFile, m.memErr = os.OpenFile(fmt.Sprintf("/proc/%d/mem", m.pid), os.O_RDONLY, 0)
	})
	return m.memErr
}

func (m *processMemory) close() {
	m.memOnce.Do(func() { m.memErr = attach.ErrClosed })
	if m.memFile != nil {
		m.memFile.Close()
	}
}

// readRanges fills each range, with as few calls as the kernel allows, and sets its N.
// A range that is not (wholly) mapped stops nothing: its N says how far it was read.
// The error is one that ends all reading (ErrExited, ErrPermission).
func (m *processMemory) readRanges(ranges []attach.Range, scratch *ioScratch) error {
	for start := 0; start < len(ranges); {
		if m.fallback.Load() {
			r := &ranges[start]
			n, err := m.ReadMemory(r.Data, r.Addr)
			r.N = n
			if err != nil && !attach.IsNotMapped(err) {
				return err
			}
			start++
			continue
		}
		k := min(len(ranges)-start, maxIovecs)
		count := 0
		for i := range k {
			r := &ranges[start+i]
			r.N = 0
			if len(r.Data) == 0 || r.Addr+uint64(len(r.Data)) < r.Addr {
				break
			}
			scratch.local[i] = unix.Iovec{Base: &r.Data[0], Len: uint64(len(r.Data))}
			scratch.remote[i] = unix.RemoteIovec{Base: uintptr(r.Addr), Len: len(r.Data)}
			count++
		}
		if count == 0 { // an empty or impossible range
			start++
			continue
		}
		read := processVMReadv
		if m.raw {
			read = rawProcessVMReadv
		}
		n, err := read(m.pid, scratch.local[:count], scratch.remote[:count])
		if n < 0 {
			n = 0
		}
		m.bytesRead.Add(int64(n))
		for i := start; i < start+count; i++ {
			r := &ranges[i]
			r.N = min(n, len(r.Data))
			n -= r.N
			if r.N < len(r.Data) {
				// The kernel ends the call at the first page that isn't there.
				rest, e := m.ReadMemory(r.Data[r.N:], r.Addr+uint64(r.N))
				r.N += rest
				if e != nil && !attach.IsNotMapped(e) {
					return e
				}
				start, count = i+1, 0
				break
			}
		}
		start += count
		if err != nil && err != unix.EFAULT && err != unix.EINTR && err != unix.EPERM && err != unix.ENOSYS {
			return m.readError(err, ranges[min(start, len(ranges)-1)].Addr)
		}
	}
	return nil
}

// ioScratch is what one readRanges call needs, so that a stop allocates nothing.
type ioScratch struct {
	local  [maxIovecs]unix.Iovec
	remote [maxIovecs]unix.RemoteIovec
}

func processVMReadv(pid int, local []unix.Iovec, remote []unix.RemoteIovec) (int, error) {
	n, _, e := unix.Syscall6(unix.SYS_PROCESS_VM_READV, uintptr(pid),
		uintptr(unsafe.Pointer(&local[0])), uintptr(len(local)),
		uintptr(unsafe.Pointer(&remote[0])), uintptr(len(remote)), 0)
	if e != 0 {
		return -1, e
	}
	return int(n), nil
}

func rawProcessVMReadv(pid int, local []unix.Iovec, remote []unix.RemoteIovec) (int, error) {
	n, _, e := unix.RawSyscall6(unix.SYS_PROCESS_VM_READV, uintptr(pid),
		uintptr(unsafe.Pointer(&local[0])), uintptr(len(local)),
		uintptr(unsafe.Pointer(&remote[0])), uintptr(len(remote)), 0)
	if e != 0 {
		return -1, e
	}
	return int(n), nil
}
