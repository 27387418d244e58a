package conns

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// Families and types of sockets (include/linux/socket.h, include/linux/net.h).
const (
	afUnix, afInet, afInet6 = 1, 2, 10
	sockStream, sockDgram   = 1, 2
	sockTypeMask            = 0xf
)

// address is a struct sockaddr as net.Addr prints it; empty if it is none.
func address(b []byte) string {
	if len(b) < 2 {
		return ""
	}
	switch binary.LittleEndian.Uint16(b) {
	case afInet:
		if len(b) >= 8 {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:])).String()
		}
	case afInet6:
		if len(b) >= 24 {
			addr := netip.AddrFrom16([16]byte(b[8:24])).Unmap()
			return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b[2:])).String()
		}
	case afUnix:
		path := string(b[2:])
		if strings.HasPrefix(path, "\x00") { // abstract: as long as it is
			return "@" + path[1:]
		}
		path, _, _ = strings.Cut(path, "\x00")
		return path
	}
	return ""
}

func networkOf(family, typ int64) string {
	switch {
	case family == afUnix && typ&sockTypeMask == sockStream:
		return "unix"
	case family == afUnix && typ&sockTypeMask == sockDgram:
		return "unixgram"
	case family == afUnix:
		return "unixpacket"
	case typ&sockTypeMask == sockStream:
		return "tcp"
	case typ&sockTypeMask == sockDgram:
		return "udp"
	}
	return ""
}

// specific tells an address that names a host, or a path.
func specific(addr string) bool {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return addr != ""
	}
	return !a.Addr().IsUnspecified()
}

// Fits tells whether an address is one that was asked for: host:port, :port, or a path.
func Fits(pattern, addr string) bool {
	if pattern == addr {
		return true
	}
	if !strings.HasPrefix(pattern, ":") {
		return false
	}
	a, err := netip.ParseAddrPort(addr)
	return err == nil && pattern == addr[strings.LastIndexByte(addr, ':'):] && a.IsValid()
}
