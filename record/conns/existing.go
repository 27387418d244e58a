package conns

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// open is a socket that is open already, as /proc tells.
type open struct {
	fd             int
	inode          string
	network        string
	local, peer    string
	listens, known bool
}

// sockets are those that a process has open: /proc/PID/fd, and the tables of its network namespace.
func sockets(pid int) ([]open, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []open
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if inode, ok := socketInode(pid, fd); ok {
			out = append(out, open{fd: fd, inode: inode})
		}
	}
	slices.SortFunc(out, func(a, b open) int { return a.fd - b.fd })
	tables := map[string]open{}
	for _, network := range []string{"tcp", "tcp6", "udp", "udp6", "unix"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, network))
		if errors.Is(err, os.ErrNotExist) { // a kernel without it
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			one, ok := tableLine(strings.TrimSuffix(network, "6"), strings.Fields(line))
			if ok {
				tables[one.inode] = one
			}
		}
	}
	for i := range out {
		if t, ok := tables[out[i].inode]; ok {
			t.fd, t.known = out[i].fd, true
			out[i] = t
		}
	}
	return out, nil
}

// socketInode names the socket of a descriptor.
func socketInode(pid, fd int) (string, bool) {
	to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
	if err != nil {
		return "", false
	}
	inode, ok := strings.CutPrefix(to, "socket:[")
	return strings.TrimSuffix(inode, "]"), ok
}

// States of a TCP socket (include/net/tcp_states.h), and the flag of a Unix socket that listens (__SO_ACCEPTCON).
const (
	tcpListen  = "0A"
	unixAccept = 0x10000
)

// tableLine reads a line of /proc/net/tcp, udp or unix (Documentation/networking/proc_net_tcp.rst; net/unix/af_unix.c).
func tableLine(network string, fields []string) (o open, ok bool) {
	if network == "unix" {
		if len(fields) < 7 {
			return o, false
		}
		flags, err := strconv.ParseUint(fields[3], 16, 32)
		typ, typErr := strconv.ParseInt(fields[4], 16, 32)
		if err != nil || typErr != nil {
			return o, false
		}
		o = open{inode: fields[6], network: networkOf(afUnix, typ), listens: flags&unixAccept != 0}
		if len(fields) > 7 {
			o.local = fields[7]
		}
		return o, true
	}
	if len(fields) < 10 {
		return o, false
	}
	local, err := tableAddress(fields[1])
	peer, peerErr := tableAddress(fields[2])
	if err != nil || peerErr != nil {
		return o, false
	}
	o = open{inode: fields[9], network: network, local: local.String(),
		listens: network == "tcp" && fields[3] == tcpListen}
	if peer.Port() != 0 {
		o.peer = peer.String()
	}
	return o, true
}

// tableAddress reads an address: words of 32 bits in the machine's order, in hexadecimal, and a port.
func tableAddress(text string) (a netip.AddrPort, err error) {
	host, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host)
	if err != nil || len(b)%4 != 0 {
		return a, fmt.Errorf("%q is no address", text)
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return a, err
	}
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	addr, ok := netip.AddrFromSlice(b)
	if !ok {
		return a, fmt.Errorf("%q is no address", text)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}
