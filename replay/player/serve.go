//go:build linux && amd64

package player

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// innermost is an error without what it was tried on.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			next = several.Unwrap()[0]
		}
		if next == nil {
			return err
		}
		err = next
	}
}

func isTaken(err error) bool {
	return errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EADDRNOTAVAIL)
}

// serve listens at the addresses that the program dialled.
func (p *player) serve(ctx context.Context) error {
	p.openPosts(ctx)
	for key, conns := range p.plan.peers {
		network, address, _ := strings.Cut(key, " ")
		if network == unpacked {
			continue // they come on connections
		}
		if network != "tcp" && network != "unix" {
			p.count("connections that can't be played: "+network, len(conns))
			continue
		}
		at := p.plan.place(network, address)
		if network == "unix" && !p.makeRoom(at) {
			continue
		}
		bound := p.plan.atFreePort(key, at)
		listen := net.ListenConfig{Control: reuse}
		ln, err := listen.Listen(ctx, network, bound)
		if err != nil {
			return fmt.Errorf("playing %s, which the program dialled: %w", address, err)
		}
		if bound != at {
			p.move(key, ln.Addr())
		}
		go p.accept(ln, newBook(conns), key)
	}
	return nil
}

// atFreePort is where a peer is played: at its address, or at a port of the kernel's choice if the program listens at
// its port at all addresses. All are on one lo, where that is the peer's, too.
func (p *plan) atFreePort(peer, address string) string {
	host, _, err := net.SplitHostPort(address)
	taken := func(at string) bool { return at != peer && covers(at, peer) }
	if err != nil || !slices.ContainsFunc(p.listen, taken) {
		return address
	}
	return net.JoinHostPort(host, "0")
}

// move has a peer be found at another port.
func (p *player) move(peer string, to net.Addr) {
	p.moving.Lock()
	defer p.moving.Unlock()
	network, address, _ := strings.Cut(peer, " ")
	at, err := netip.ParseAddrPort(address)
	there, err2 := netip.ParseAddrPort(to.String())
	if err == nil && err2 == nil {
		p.moves[network+" "+netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()] = there.Port()
	}
}

// elsewhere gives the port at which a peer is found, if it isn't where it was.
func (p *player) elsewhere(network string, address netip.AddrPort) (port uint16, ok bool) {
	p.moving.Lock()
	defer p.moving.Unlock()
	port, ok = p.moves[network+" "+address.String()]
	return port, ok
}

// makeRoom has a Unix socket be made at a path: its folder is there, and no socket of another time.
func (p *player) makeRoom(path string) bool {
	if abstract(path) {
		return true
	}
	if !socketPlaceable(path) {
		p.count(fmt.Sprintf("Unix sockets that aren't made, as %q is no place for one", path), 1)
		return false
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		os.Remove(path)
	}
	os.MkdirAll(filepath.Dir(path), 0o755) // that it couldn't be is said by who listens
	return true
}

func (p *player) accept(ln net.Listener, b *book, key string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		switch {
		case slices.ContainsFunc(b.conns, func(c *conn) bool { return c.clear }):
			p.serveOne(newUpgraded(c, true, func(raw net.Conn) (net.Conn, error) {
				inside, err := p.authority.server(raw, nil)
				if err != nil {
					p.count(fmt.Sprintf("handshakes of TLS with %s that failed (%v)", key, err), 1)
				}
				return inside, err
			}), b, key)
		case b.conns[0].secure:
			go p.acceptSecure(c, b, key)
		default:
			p.serveCarrier(c, b, key)
		}
	}
}

// acceptSecure takes a connection on which the program speaks TLS.
func (p *player) acceptSecure(raw net.Conn, b *book, key string) {
	c, err := p.authority.server(raw, p.plan.protocols(b.conns))
	if err != nil {
		p.count(fmt.Sprintf("handshakes of TLS with %s that failed (%v)", key, err), 1)
		return
	}
	p.serveCarrier(c, b, key)
}

// serveCarrier plays the server to a connection on which the program may speak HTTP/2.
func (p *player) serveCarrier(c net.Conn, b *book, key string) {
	at := slices.IndexFunc(b.conns, func(c *conn) bool { return p.plan.carriers[c.id] != nil })
	if at < 0 {
		p.serveOne(c, b, key)
		return
	}
	go func() {
		c, two := speaks2(c)
		if !two {
			p.serveOne(c, b, key)
			return
		}
		_, address, _ := strings.Cut(key, " ")
		inside := p.books(unpacked + " " + address)
		s, err := newSession(c, p.plan.carriers[b.conns[at].id].settings, func(s *stream) { p.serveOne(s, inside, key) })
		if err != nil {
			p.count(fmt.Sprintf("connections to %s whose HTTP/2 couldn't be begun (%v)", key, err), 1)
			return
		}
		p.receivers.Go(func() { s.run() })
		p.serveOne(s, b, key)
	}()
}

// books gives the book of a peer.
func (p *player) books(key string) *book {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inside[key] == nil {
		p.inside[key] = newBook(p.plan.peers[key])
	}
	return p.inside[key]
}

// serveOne plays the server to a connection that the program dialled.
func (p *player) serveOne(c net.Conn, b *book, key string) {
	l := &live{c: c, book: b}
	if b.logs {
		l.login = &login{passwords: p.plan.passwords}
	}
	p.mu.Lock()
	p.moved++
	p.dialled = append(p.dialled, l)
	if u := b.greet(); u != nil {
		p.use(l, u)
	} else {
		l.conn = b.conns[len(b.conns)-1]
		p.count("connections to "+key+" beyond the recorded ones", 1)
	}
	p.mu.Unlock()
	p.wakeUp()
	p.receivers.Go(func() { p.receive(l) })
}

// tellUnmatched tells of what the program sent that nothing answers. The lock is held.
func (p *player) tellUnmatched() {
	for _, l := range p.dialled {
		if len(l.buf) == 0 || l.told {
			continue
		}
		l.told = true
		m := Unmatched{Peer: l.conn.peer, Replayed: excerpt(l.buf, 0)}
		if u := l.book.likest(l); u != nil {
			m.Event, m.Offset = u.out.seq, firstDifference(u.out.data, l.buf)
			m.Recorded, m.Replayed = excerpt(u.out.data, m.Offset), excerpt(l.buf, m.Offset)
		}
		p.unmatched(m)
		l.buf = nil // what comes next may be known
	}
}

func (p *player) unmatched(m Unmatched) {
	if p.report.UnmatchedCount++; len(p.report.Unmatched) < maxTold {
		p.report.Unmatched = append(p.report.Unmatched, m)
	}
}
