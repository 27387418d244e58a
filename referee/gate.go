package referee

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
)

// gate is the listener that Delve's server gets. It lets in the same user only (Guard), and what a client asks comes
// through a filter: what can't be done to a copy is answered there, in words that say so, and never reaches Delve.
type gate struct {
	net.Listener
	copy Copy
	many bool                 // more than one client, one after the other or at once
	warn func(string, ...any) // of clients that were refused
	once sync.Once
	done chan struct{}
}

func newGate(l net.Listener, c Copy, many bool, warn func(string, ...any)) *gate {
	return &gate{Listener: Guard(l, warn), copy: c, many: many, warn: warn, done: make(chan struct{})}
}

// Accept implements net.Listener. It fails only when the gate is closed: Delve's server panics on other failures.
func (g *gate) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	select {
	case <-g.done:
		if err == nil {
			c.Close()
		}
		return nil, net.ErrClosed
	default:
	}
	if err != nil {
		g.warn("accepting a client: %v", err)
		<-g.done
		return nil, net.ErrClosed
	}
	return newClient(c, g.copy), nil
}

func (g *gate) Close() error {
	err := error(nil)
	g.once.Do(func() {
		close(g.done)
		err = g.Listener.Close()
	})
	return err
}

// client is a connection whose requests come through a filter.
type client struct {
	net.Conn
	copy  Copy
	first sync.Once
	in    *io.PipeReader // what Delve reads

	mu      sync.Mutex
	frames  bool   // what is written comes in frames of DAP
	pending []byte // of a frame that isn't whole
}

func newClient(c net.Conn, of Copy) *client { return &client{Conn: c, copy: of} }

// Read implements net.Conn. Nothing is read from the client before Delve asks for it.
func (c *client) Read(p []byte) (int, error) {
	c.first.Do(func() {
		in, out := io.Pipe()
		c.in = in
		go func() { out.CloseWithError(c.pump(bufio.NewReader(c.Conn), out)) }()
	})
	return c.in.Read(p)
}

// pump passes requests on, or answers them. DAP's begin with "Content-Length", by which Delve's server tells them too.
func (c *client) pump(in *bufio.Reader, out io.Writer) error {
	first, err := in.Peek(1)
	if err != nil {
		return err
	}
	if first[0] == 'C' {
		c.mu.Lock()
		c.frames = true
		c.mu.Unlock()
		return c.filterDAP(in, out)
	}
	return c.filterRPC(in, out)
}

// Write implements net.Conn. Delve writes a frame of DAP in two pieces, between which no answer of ours may come.
func (c *client) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.frames {
		return c.Conn.Write(p)
	}
	c.pending = append(c.pending, p...)
	for {
		n := wholeFrame(c.pending)
		if n == 0 {
			return len(p), nil
		}
		if _, err := c.Conn.Write(c.pending[:n]); err != nil {
			return 0, err
		}
		c.pending = c.pending[:copy(c.pending, c.pending[n:])]
	}
}

// answer writes a whole message of ours.
func (c *client) answer(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.Conn.Write(p)
	return err
}

func (c *client) Close() error {
	c.first.Do(func() { c.in, _ = io.Pipe() })
	return errors.Join(c.in.Close(), c.Conn.Close())
}
