//go:build linux && amd64

package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// dials connects a socket of the program in its place, where it dials somebody who is found elsewhere. It tells whether
// it did. The socket is the program's own, so it is as the program made it, and as it finds it afterwards.
func dials(n *notification, r *response, elsewhere func(string, netip.AddrPort) (uint16, bool)) bool {
	if elsewhere == nil {
		return false
	}
	raw := make([]byte, min(n.args[2], unix.SizeofSockaddrInet6))
	if len(raw) < unix.SizeofSockaddrInet4 || n.args[1] == 0 || read(int(n.pid), uintptr(n.args[1]), raw) != nil {
		return false
	}
	port := binary.BigEndian.Uint16(raw[2:])
	var ip netip.Addr
	switch family := binary.NativeEndian.Uint16(raw); {
	case family == unix.AF_INET:
		ip = netip.AddrFrom4([4]byte(raw[4:8]))
	case family == unix.AF_INET6 && len(raw) >= unix.SizeofSockaddrInet6:
		ip = netip.AddrFrom16([16]byte(raw[8:24]))
	default:
		return false
	}
	address := netip.AddrPortFrom(ip.Unmap(), port)
	ports := map[int]uint16{}
	for typ, network := range map[int]string{unix.SOCK_STREAM: "tcp", unix.SOCK_DGRAM: "udp"} {
		if to, ok := elsewhere(network, address); ok {
			ports[typ] = to
		}
	}
	if len(ports) == 0 {
		return false
	}
	socket, err := socketOf(int(n.pid), int(n.args[0]))
	if err != nil {
		return false
	}
	defer unix.Close(socket)
	typ, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || ports[typ] == 0 {
		return false
	}
	var at unix.Sockaddr = &unix.SockaddrInet6{Port: int(ports[typ]), Addr: ip.As16()}
	if ip.Is4() {
		at = &unix.SockaddrInet4{Port: int(ports[typ]), Addr: ip.As4()}
	}
	err = unix.Connect(socket, at)
	if errno := unix.Errno(0); errors.As(err, &errno) {
		r.errno = -int32(errno)
	}
	return true
}

// socketOf gives us a descriptor of a thread (pidfd_getfd(2)).
func socketOf(tid, fd int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return -1, err
	}
	pid := 0
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(line, "Tgid:"); ok {
			fmt.Sscan(id, &pid)
		}
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(process)
	return unix.PidfdGetfd(process, fd, 0)
}
