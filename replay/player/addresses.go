//go:build linux && amd64

package player

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// places are the addresses that the sandbox has to have.
type places struct {
	addresses []netip.Addr // of lo
	ports     []uint16     // that are peers'
	names     []string     // name servers: those whose port 53 was asked
	known     map[netip.Addr]bool
	reserved  map[uint16]bool
}

// places are those of all that have to do with a connection.
func (p *plan) places() (*places, error) {
	all := &places{known: map[netip.Addr]bool{}, reserved: map[uint16]bool{}}
	for _, c := range p.order {
		if e := unix.Errno(c.failed); e == unix.ENETUNREACH || e == unix.EHOSTUNREACH {
			continue
		}
		all.note(c.network, c.local, false)
		if a, ok := all.note(c.network, c.peer, true); ok && a.Port() == 53 && c.dialled {
			if name := a.Addr().Unmap().String(); !slices.Contains(all.names, name) {
				all.names = append(all.names, name)
			}
		}
	}
	for i := range p.events {
		if e := &p.events[i]; e.Peer != "" && e.Conn != 0 {
			if c := p.conns[e.Conn]; c != nil && c.packets && c.opened >= 0 {
				all.note(c.network, e.Peer, true)
			}
		}
	}
	if len(all.addresses) > maxAddresses {
		return nil, fmt.Errorf("it %w: it has %d addresses, at most %d are made", ErrNotPlayable, len(all.addresses),
			maxAddresses)
	}
	slices.Sort(all.ports)
	return all, nil
}

// note takes an address, and gives it.
func (x *places) note(network, text string, peer bool) (netip.AddrPort, bool) {
	if !strings.HasPrefix(network, "tcp") && !strings.HasPrefix(network, "udp") {
		return netip.AddrPort{}, false
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return a, false
	}
	if ip := a.Addr().Unmap().WithZone(""); !x.known[ip] && len(x.addresses) <= maxAddresses {
		x.known[ip] = true
		x.addresses = append(x.addresses, ip)
	}
	if peer && !x.reserved[a.Port()] {
		x.reserved[a.Port()] = true
		x.ports = append(x.ports, a.Port())
	}
	return a, true
}

// comes tells whether anybody comes to where the program listens.
func (p *plan) comes(listens string) bool {
	return slices.ContainsFunc(p.order, func(c *conn) bool {
		return !c.dialled && covers(listens, c.network+" "+c.local)
	})
}

// isUnix tells the networks whose addresses are paths.
func isUnix(network string) bool { return strings.HasPrefix(network, "unix") }

// abstract tells names of Unix sockets that aren't in the file system (unix(7)).
func abstract(name string) bool { return name == "" || strings.HasPrefix(name, "@") }

// place is where a socket of the recording is for us: a path is taken from the program's folder on.
func (p *plan) place(network, address string) string {
	if isUnix(network) && !abstract(address) && !filepath.IsAbs(address) {
		return filepath.Join(p.header.Process.Dir, address)
	}
	return address
}

// socketPlaceable tells whether a Unix socket may be put at a path: nothing is executed that lies there.
func socketPlaceable(path string) bool {
	return abstract(path) || placeable(path) || filepath.Clean(path) == path && strings.HasPrefix(path, "/dev/")
}
