package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"ri/ovsdb/wire"
	"ri/serve/request"
	"ri/serve/worker"
)

// connections are those of a command that programs at the asker's talk to.
type connections struct {
	mu   sync.Mutex
	way  *worker.Connections // nil: none was opened yet
	file *os.File            // the worker's end of it, until it has it
	open map[int64]*connection
	over bool // the worker has ended
}

type connection struct {
	conn  *net.UnixConn
	typed chan input
}

// begin makes the way by which they come to the worker. The lock is held.
func (c *connections) begin() (err error) {
	if c.way == nil {
		c.open = map[int64]*connection{}
		c.way, c.file, err = worker.NewConnections()
	}
	return err
}

// theirs is the worker's end.
func (c *connections) theirs() (*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.begin()
	return c.file, err
}

// noMore has no other be opened.
func (c *connections) noMore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.way != nil {
		c.way.Close()
		c.file.Close()
	}
}

// close ends all.
func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.open {
		one.conn.Close()
	}
}

// open gives the worker a connection.
func (o *run) open(n int64) error {
	c := &o.conns
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !o.asked.Listens():
		return fmt.Errorf("ri %s is talked to by nobody: %w", o.asked.Text(), request.ErrMalformed)
	case c.over:
		return errors.New("the command has ended")
	case n < request.FirstConnection || n > 1<<30 || c.open[n] != nil:
		return fmt.Errorf("%d is no number of a new connection: %w", n, request.ErrMalformed)
	case len(c.open) >= request.MaxConnections:
		return fmt.Errorf("%d connections are open, which is the most: close one", request.MaxConnections)
	}
	if err := c.begin(); err != nil {
		return err
	}
	conn, err := c.way.Open()
	if err != nil {
		return err
	}
	one := &connection{conn: conn, typed: make(chan input, maxTyped)}
	c.open[n] = one
	life, end := context.WithCancel(o.life)
	go feed(life, one.typed, conn, func() { conn.CloseWrite() })
	o.pumps.Go(func() {
		defer end()
		o.pump(o.session.ctx, int(n), conn)
		c.mu.Lock()
		delete(c.open, n)
		c.mu.Unlock()
		_, _ = o.session.peer.Call(o.session.ctx, request.Output, o.id, n, request.Bytes{})
	})
	return nil
}

// inputOf is what comes for a connection.
func (o *run) inputOf(n int64, r *wire.Request, piece []byte) error {
	o.conns.mu.Lock()
	one := o.conns.open[n]
	o.conns.mu.Unlock()
	if one == nil {
		return fmt.Errorf("connection %d is not open", n)
	}
	return takeInput(one.typed, r, piece)
}
