//go:build amd64

package attach

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// EndConnection ends a connection of the process, without a stop, through a duplicate of its descriptor (pidfd_getfd(2), Linux 5.6). The program's descriptor
// stays open: its reads and writes see the end. reset sends a RST (connect(2) with AF_UNSPEC dissolves the connection), so that the peer's
// see ECONNRESET; else both directions are shut down, and the peer sees the end of the stream. The descriptor's socket must still be the one that was listed.
func (p *Process) EndConnection(d Descriptor, reset bool) error {
	if d.Socket == nil || !strings.HasPrefix(d.Socket.Protocol, "tcp") || d.Socket.Remote == "" {
		return fmt.Errorf("descriptor %d (%s) is no TCP connection: %w", d.FD, d.Path, ErrNotSupported)
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
			return explainPermission(p.pid, err)
		}
		return fmt.Errorf("%s: descriptor %d: pidfd_getfd: %w", p.Describe(), d.FD, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if d.Path != fmt.Sprintf("socket:[%d]", st.Ino) {
		return fmt.Errorf("%s: descriptor %d is another connection by now, or none: it was %s to %s: %w", p.Describe(), d.FD, s.Local, s.Remote, ErrNotSupported)
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
