//go:build amd64

package process

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
)

// WritePieces implements Writer. There are at most 1,024.
func (v *stoppedView) WritePieces(pieces []attach.Piece) (int, error) {
	v.writing.Lock()
	defer v.writing.Unlock()
	if v.ended.Load() {
		return 0, v.Err()
	}
	if len(v.forking) > 0 {
		return 0, errForking(v.name)
	}
	if len(pieces) == 0 || len(pieces) > maxIovecs {
		return 0, fmt.Errorf("writing %d pieces at once: 1 to %d can be: %w", len(pieces), maxIovecs,
			attach.ErrNotSupported)
	}
	local := make([]unix.Iovec, 0, len(pieces))
	remote := make([]unix.RemoteIovec, 0, len(pieces))
	total := 0
	for i := range pieces {
		p := &pieces[i]
		if len(p.Data) == 0 {
			continue
		}
		local = append(local, unix.Iovec{Base: &p.Data[0], Len: uint64(len(p.Data))})
		remote = append(remote, unix.RemoteIovec{Base: uintptr(p.Addr), Len: len(p.Data)})
		total += len(p.Data)
	}
	n, _, e := unix.Syscall6(unix.SYS_PROCESS_VM_WRITEV, uintptr(v.mem.pid),
		uintptr(unsafe.Pointer(&local[0])), uintptr(len(local)),
		uintptr(unsafe.Pointer(&remote[0])), uintptr(len(remote)), 0)
	written := int(n)
	if e != 0 {
		written = 0
	}
	if written == total {
		return written, nil
	}
	switch e {
	case 0, unix.EFAULT: // the kernel stops at the first page that can't be written
		at, left := pieces[0].Addr, written
		for _, p := range pieces {
			if left < len(p.Data) {
				at = p.Addr + uint64(left)
				break
			}
			left -= len(p.Data)
		}
		return written, fmt.Errorf("writing %s: %w", v.name, &attach.AddressError{Addr: at, Why: "or is read-only"})
	case unix.ESRCH:
		return written, fmt.Errorf("writing %s: %w", v.name, attach.ErrExited)
	case unix.EPERM, unix.ENOSYS:
		return written, fmt.Errorf("writing %s: process_vm_writev is refused (%v): a seccomp filter of ri's "+
			"container? %w", v.name, e, attach.ErrPermission)
	}
	return written, fmt.Errorf("writing %s: process_vm_writev: %w", v.name, e)
}

// Descriptors implements Connected.
//
// Errors: ErrExited, ErrPermission, wrapped.
func (p *Process) Descriptors() ([]attach.Descriptor, error) {
	if err := p.checkIdentity(); err != nil {
		return nil, err
	}
	all, err := proc.ReadDescriptors(p.folder())
	switch {
	case os.IsPermission(err):
		return nil, proc.ExplainPermission(p.pid, err)
	case proc.Gone(err):
		return nil, p.exited(err)
	case err != nil:
		return nil, fmt.Errorf("the descriptors of %s: %w", p.Describe(), err)
	}
	return all, nil
}

// OtherEnds implements Related.
func (p *Process) OtherEnds(list []attach.Descriptor) (map[int][]attach.End, int, error) {
	return proc.OtherEnds(p.pid, list)
}

// Children implements Related.
func (p *Process) Children() ([]attach.Child, error) {
	if err := p.checkIdentity(); err != nil {
		return nil, err
	}
	return proc.Children(p.pid)
}

// EndConnection ends a connection of the process, without a stop, through a duplicate of its descriptor
// (pidfd_getfd(2), Linux 5.6). The program's descriptor stays open: its reads and writes see the end. reset sends a RST
// (connect(2) with AF_UNSPEC dissolves the connection), so that the peer's see ECONNRESET; else both directions are
// shut down, and the peer sees the end of the stream. The descriptor's socket must still be the one that was listed.
func (p *Process) EndConnection(d attach.Descriptor, reset bool) error {
	if d.Socket == nil || !strings.HasPrefix(d.Socket.Protocol, "tcp") || d.Socket.Remote == "" {
		return fmt.Errorf("descriptor %d (%s) is no TCP connection: %w", d.FD, d.Path, attach.ErrNotSupported)
	}
	s := d.Socket
	if err := p.checkIdentity(); err != nil {
		return err
	}
	pidfd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return fmt.Errorf("%s: pidfd_open: %w", p.Describe(), err)
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, d.FD, 0)
	if err != nil {
		if errors.Is(err, unix.EPERM) {
			return proc.ExplainPermission(p.pid, err)
		}
		return fmt.Errorf("%s: descriptor %d: pidfd_getfd: %w", p.Describe(), d.FD, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if d.Path != fmt.Sprintf("socket:[%d]", st.Ino) {
		return fmt.Errorf("%s: descriptor %d is another connection by now, or none: it was %s to %s: %w", p.Describe(),
			d.FD, s.Local, s.Remote, attach.ErrNotSupported)
	}
	if !reset {
		if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil {
			return fmt.Errorf("%s: shutdown of %s to %s: %w", p.Describe(), s.Local, s.Remote, err)
		}
		return nil
	}
	address := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	if err := connectUnspec(fd, &address); err != nil {
		return fmt.Errorf("%s: reset of %s to %s: %w", p.Describe(), s.Local, s.Remote, err)
	}
	return nil
}

func connectUnspec(fd int, address *unix.RawSockaddr) error {
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(address)), unsafe.Sizeof(*address))
	if e != 0 {
		return e
	}
	return nil
}

// writeMemory writes with process_vm_writev(2), which respects what is read-only.
func writeMemory(pid int, addr uint64, data []byte) error {
	for len(data) > 0 {
		local := [1]unix.Iovec{{Base: &data[0], Len: uint64(len(data))}}
		remote := [1]unix.RemoteIovec{{Base: uintptr(addr), Len: len(data)}}
		n, err := unix.ProcessVMWritev(pid, local[:], remote[:], 0)
		if err != nil {
			return fmt.Errorf("process_vm_writev at %#x: %w", addr, err)
		}
		if n == 0 {
			return fmt.Errorf("process_vm_writev at %#x wrote nothing: %w", addr, unix.EFAULT)
		}
		data, addr = data[n:], addr+uint64(n)
	}
	return nil
}
