//go:build linux && amd64

package player

import (
	"context"
	"errors"
	"fmt"
	"net"
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

func isTaken(err error) bool {
	return errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EADDRNOTAVAIL)
}

// serve listens at the addresses that the program dialled.
func (p *player) serve(ctx context.Context) error {
	for key, conns := range p.plan.peers {
		network, address, _ := strings.Cut(key, " ")
		if !strings.HasPrefix(network, "tcp") {
			continue
		}
		if conns = p.others(conns); len(conns) == 0 {
			continue
		}
		listen := net.ListenConfig{Control: reuse}
		ln, err := listen.Listen(ctx, network, address)
		if err != nil {
			return fmt.Errorf("playing %s, which the program dialled: %w", address, err)
		}
		go p.accept(ln, newBook(conns), key)
	}
	return nil
}

// others are the connections that the program doesn't have with itself.
func (p *player) others(conns []*conn) (others []*conn) {
	for _, c := range conns {
		if !c.self {
			others = append(others, c)
		}
	}
	return others
}

func (p *player) accept(ln net.Listener, b *book, key string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		if b.conns[0].secure {
			go p.acceptSecure(c, b, key)
		} else {
			p.serveOne(c, b, key)
		}
	}
}

// acceptSecure takes a connection on which the program speaks TLS.
func (p *player) acceptSecure(raw net.Conn, b *book, key string) {
	c, err := p.authority.server(raw, p.plan.protocols(b.conns[0]))
	if err != nil {
		p.count(fmt.Sprintf("handshakes of TLS with %s that failed (%v)", key, err), 1)
		return
	}
	p.serveOne(c, b, key)
}

// serveOne plays the server to a connection that the program dialled.
func (p *player) serveOne(c net.Conn, b *book, key string) {
	l := &live{c: c, book: b}
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
	go p.receive(l)
}

// tellUnmatched tells of what the program sent that nothing answers. The lock is held.
func (p *player) tellUnmatched() {
	for _, l := range p.dialled {
		if len(l.buf) == 0 || l.told {
			continue
		}
		l.told = true
		if p.report.UnmatchedCount++; len(p.report.Unmatched) >= maxTold {
			continue
		}
		m := Unmatched{Peer: l.conn.peer, Replayed: excerpt(l.buf, 0)}
		if u := l.book.likest(l); u != nil {
			m.Event, m.Offset = u.out.seq, firstDifference(u.out.data, l.buf)
			m.Recorded, m.Replayed = excerpt(u.out.data, m.Offset), excerpt(l.buf, m.Offset)
		}
		p.report.Unmatched = append(p.report.Unmatched, m)
	}
}
