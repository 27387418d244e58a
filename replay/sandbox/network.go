//go:build linux && amd64

package sandbox

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// network brings lo up with the addresses. Nothing else is there.
func network(addresses []netip.Addr, ports []uint16) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("bringing lo up: %w", err)
	}
	if err := addAddresses(addresses); err != nil {
		return err
	}
	// A program that was root may have had a port below 1024, and may be nobody here.
	settings := map[string]string{"net/ipv4/ip_unprivileged_port_start": "0"}
	if len(ports) > 0 {
		list := make([]string, len(ports))
		for i, p := range ports {
			list[i] = fmt.Sprint(p)
		}
		settings["net/ipv4/ip_local_reserved_ports"] = strings.Join(list, ",")
	}
	for name, value := range settings {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil {
			return fmt.Errorf("sysctl %s: %w", name, err)
		}
	}
	return nil
}

// addAddresses gives lo addresses, by rtnetlink (rtnetlink(7): RTM_NEWADDR with IFA_LOCAL).
func addAddresses(addresses []netip.Addr) error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	if err := unix.Bind(s, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for i, a := range addresses {
		if a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			continue
		}
		if err := addAddress(s, uint32(i), a.Unmap()); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
	}
	return nil
}

// loIndex is lo's number in a new network namespace.
const loIndex = 1

func addAddress(s int, sequence uint32, a netip.Addr) error {
	family, bits := byte(unix.AF_INET), byte(32)
	if a.Is6() {
		family, bits = unix.AF_INET6, 128
	}
	order := binary.NativeEndian
	message := make([]byte, unix.SizeofNlMsghdr, 64)
	message = append(message, family, bits, unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE)
	message = order.AppendUint32(message, loIndex)
	for _, kind := range []uint16{unix.IFA_LOCAL, unix.IFA_ADDRESS} {
		message = order.AppendUint16(message, uint16(unix.SizeofRtAttr+a.BitLen()/8))
		message = order.AppendUint16(message, kind)
		message = append(message, a.AsSlice()...)
	}
	order.PutUint32(message, uint32(len(message)))
	order.PutUint16(message[4:], unix.RTM_NEWADDR)
	order.PutUint16(message[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	order.PutUint32(message[8:], sequence)
	if err := unix.Sendto(s, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(s, answer, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || order.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("an unexpected answer of netlink, of %d bytes", n)
	}
	if errno := -int32(order.Uint32(answer[unix.SizeofNlMsghdr:])); errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}
