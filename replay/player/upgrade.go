//go:build linux && amd64

package player

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// upgraded is our end of a connection on which something is said before TLS begins: STARTTLS, PostgreSQL's SSLRequest,
// a proxy's CONNECT. Where the program begins with TLS, so do we; where it waits for us to, begin does.
type upgraded struct {
	net.Conn                                      // as it is
	secure   func(raw net.Conn) (net.Conn, error) // shakes hands
	accepts  bool                                 // the program begins

	mu      sync.Mutex
	inside  net.Conn // of TLS
	begins  bool
	err     error
	waits   chan struct{} // who reads has stopped
	gone    chan struct{} // for good
	decided chan struct{}
}

func newUpgraded(raw net.Conn, accepts bool, secure func(raw net.Conn) (net.Conn, error)) *upgraded {
	return &upgraded{Conn: raw, secure: secure, accepts: accepts, waits: make(chan struct{}, 1),
		gone: make(chan struct{}), decided: make(chan struct{})}
}

// now is the connection as it is now.
func (u *upgraded) now() (c net.Conn, begins bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.inside != nil {
		return u.inside, false, u.err
	}
	return u.Conn, u.begins, u.err
}

// Read reads what is said, inside of TLS once that has begun.
func (u *upgraded) Read(b []byte) (int, error) {
	for {
		c, begins, err := u.now()
		if err != nil {
			return 0, err
		}
		if begins {
			u.waits <- struct{}{}
			<-u.decided
			continue
		}
		n, err := c.Read(b)
		if c != u.Conn {
			return n, err
		}
		if _, begins, _ := u.now(); begins && errors.Is(err, os.ErrDeadlineExceeded) {
			if n == 0 {
				continue
			}
			return n, nil
		}
		if err != nil {
			close(u.gone) // nobody reads on behind an error
		}
		if !u.accepts || n < 2 || b[0] != handshakeRecord || b[1] != 3 {
			return n, err
		}
		inside, err := u.secure(prefaced{u.Conn, io.MultiReader(bytes.NewReader(bytes.Clone(b[:n])), u.Conn)})
		u.mu.Lock()
		u.inside, u.err = inside, err
		u.mu.Unlock()
	}
}

// handshakeRecord is the type of TLS' first record (RFC 8446, 5.1), which is of version 3.
const handshakeRecord = 22

// begin begins TLS.
func (u *upgraded) begin() error {
	u.mu.Lock()
	u.begins = true
	u.mu.Unlock()
	u.Conn.SetReadDeadline(time.Unix(1, 0)) // who reads stops
	select {
	case <-u.waits:
	case <-u.gone:
		return net.ErrClosed
	}
	u.Conn.SetReadDeadline(time.Time{})
	inside, err := u.secure(u.Conn)
	u.mu.Lock()
	u.inside, u.err = inside, err
	u.mu.Unlock()
	close(u.decided)
	return err
}

func (u *upgraded) Write(b []byte) (int, error) {
	c, _, err := u.now()
	if err != nil {
		return 0, err
	}
	return c.Write(b)
}

// SetWriteDeadline ends a Write that waits for the program.
func (u *upgraded) SetWriteDeadline(t time.Time) error {
	c, _, _ := u.now()
	return c.SetWriteDeadline(t)
}

// CloseWrite is the end of what we say.
func (u *upgraded) CloseWrite() error {
	c, _, _ := u.now()
	endWriting(c)
	return nil
}

// upgrade begins TLS on a connection on which something was said before.
func (p *player) upgrade(c *conn) {
	p.outputs()
	p.mu.Lock()
	l := p.lives[c.id]
	p.mu.Unlock()
	if l == nil {
		return
	}
	if u, ok := l.c.(*upgraded); ok {
		if err := u.begin(); err != nil {
			p.count(fmt.Sprintf("connections whose TLS couldn't be begun (%v)", innermost(err)), 1)
		}
	}
}
