package client

import (
	"context"
	"net"
	"sync"

	"ri/ovsdb/wire"
	"ri/serve/request"
)

// conns are connections of programs here with a command there. Each is read and written beside the others, so that one
// that is slow holds up none.
type conns struct {
	mu   sync.Mutex
	open map[int64]*conn
	last int64
	over bool
}

type conn struct {
	net.Conn
	queue chan *wire.Request // what is to be written
}

// of is the one that an agent speaks of by a number, nil if there is none.
func (c *conns) of(number any) *conn {
	id, ok := numberOf(number)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open[id]
}

// add gives a connection a number; 0: the command has ended.
func (c *conns) add(one *conn) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return 0
	}
	if c.open == nil {
		c.open, c.last = map[int64]*conn{}, request.FirstConnection-1
	}
	c.last++
	c.open[c.last] = one
	return c.last
}

// close ends all.
func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	for n, one := range c.open {
		one.Conn.Close()
		close(one.queue)
		delete(c.open, n)
	}
}

// drop ends one.
func (o *call) drop(n int64) {
	o.client.mu.Lock() // nothing is put into its queue any more
	defer o.client.mu.Unlock()
	o.conns.mu.Lock()
	defer o.conns.mu.Unlock()
	if one := o.conns.open[n]; one != nil {
		one.Conn.Close()
		close(one.queue)
		delete(o.conns.open, n)
	}
}

// accept brings whoever comes to the command, until the listener is closed.
func (o *call) accept(ctx context.Context, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		one := &conn{c, make(chan *wire.Request, 2*request.Ahead)}
		n := o.conns.add(one)
		if n == 0 {
			c.Close()
			return
		}
		go o.carry(ctx, n, one)
	}
}

// carry brings what a program says there, and what is answered here.
func (o *call) carry(ctx context.Context, n int64, one *conn) {
	defer o.drop(n)
	if _, err := o.client.peer.Call(ctx, request.Open, o.id, n); err != nil {
		return
	}
	done := make(chan struct{})
	go one.write(done)
	buf := make([]byte, request.Piece)
	for {
		read, err := one.Read(buf)
		if read > 0 {
			if _, err := o.client.peer.Call(ctx, request.Input, o.id, request.Bytes(buf[:read]), n); err != nil {
				return
			}
		}
		if err != nil {
			break
		}
	}
	// it says no more, and may still be told something
	if _, err := o.client.peer.Call(ctx, request.Input, o.id, request.Bytes{}, n); err == nil {
		select {
		case <-done:
		case <-o.ended:
		}
	}
}

// write writes what the command says, and tells when that has ended.
func (c *conn) write(done chan<- struct{}) {
	over := false
	for r := range c.queue {
		var piece request.Bytes
		if over || len(r.Params) != 3 || request.Into(r.Params[2], &piece) != nil {
			_ = r.Fail("closed, or malformed")
			continue
		}
		if _, err := c.Write(piece); err != nil || len(piece) == 0 {
			over = true
			c.Close()
			close(done)
		}
		_ = r.Reply(map[string]any{})
	}
}
