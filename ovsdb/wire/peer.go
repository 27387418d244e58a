package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"ri/ovsdb"
)

// Errors of a connection.
var (
	// ErrStalled: the other end has said nothing for a while, not even that it is there.
	ErrStalled = errors.New("the other end no longer answers")
	// ErrClosed: the connection has ended.
	ErrClosed = errors.New("the connection has ended")
)

// Stall is after how long without a word from the other end a connection that is watched ends; it is asked whether it
// is there (echo) four times in that time.
const Stall = 20 * time.Second

// Failure is the error of a reply, as the other end gave it.
type Failure struct{ JSON any }

func (f *Failure) Error() string { return ovsdb.Text(f.JSON) }

// Peer is one end of a connection on which both ends may call. It is safe for concurrent use, but for Next.
type Peer struct {
	conn    net.Conn
	in      *reader
	writing chan struct{} // full while somebody writes
	heard   atomic.Int64  // when something came last, by the monotonic clock
	spoke   atomic.Int64  // when something was sent last
	stalled atomic.Bool   // Watch has ended it
	echoing atomic.Int32  // answers to echo that wait for what is being written

	mu      sync.Mutex
	last    int
	pending map[string]chan *message // by the JSON of their ids
	ended   bool
}

var clockStart = time.Now()

// NewPeer makes an end of a connection that takes messages of at most so many bytes; 0: MaxMessage.
func NewPeer(conn net.Conn, most int) *Peer {
	if most <= 0 {
		most = MaxMessage
	}
	p := &Peer{conn: conn, writing: make(chan struct{}, 1), pending: map[string]chan *message{}}
	p.in = newReader(hearing{p})
	p.in.most = most
	p.heard.Store(int64(time.Since(clockStart)))
	p.spoke.Store(p.heard.Load())
	return p
}

// hearing reads the connection, and notes that something came.
type hearing struct{ *Peer }

func (h hearing) Read(b []byte) (int, error) {
	n, err := h.conn.Read(b)
	if n > 0 {
		h.heard.Store(int64(time.Since(clockStart)))
	}
	return n, err
}

// Request is what the other end asks, or tells: a notification wants no answer.
type Request struct {
	Method string
	Params []any // as [ovsdb.Decode] gives them

	peer *Peer
	m    *message
}

// Notification tells whether nobody waits for an answer.
func (r *Request) Notification() bool { return r.m.ID == nil }

// Reply answers a request; an error is the connection's.
func (r *Request) Reply(v any) error {
	if r.Notification() {
		return nil
	}
	return r.peer.put(result(r.m, v))
}

// Fail answers a request with an error, which is JSON.
func (r *Request) Fail(e any) error {
	if r.Notification() {
		return nil
	}
	return r.peer.put(failure(r.m, e))
}

// Next reads the next request or notification, and gives replies to who waits for them meanwhile. It answers echo
// itself. After an error, all who wait have failed.
func (p *Peer) Next() (*Request, error) {
	for {
		m, err := p.next()
		if err != nil {
			return nil, err
		}
		r := &Request{Method: m.Method, Params: m.Params, peer: p, m: m}
		if m.Method != "echo" {
			return r, nil
		}
		if err := p.echo(r); err != nil {
			return nil, err
		}
	}
}

// mostEchoes is how many answers to echo may wait, before nothing more is read.
const mostEchoes = 64

// echo answers an echo, and reads on: on a slow link a write may take minutes, and two ends that answer each other's
// echo at one time would each wait for the other to read.
func (p *Peer) echo(r *Request) error {
	if p.echoing.Add(1) > mostEchoes {
		p.echoing.Add(-1)
		return r.Reply(r.Params)
	}
	go func() {
		defer p.echoing.Add(-1)
		_ = r.Reply(r.Params) // a connection that has ended is what is read next
	}()
	return nil
}

// next is Next with echo.
func (p *Peer) next() (*message, error) {
	for {
		m, err := p.in.next()
		if err != nil && p.stalled.Load() {
			err = fmt.Errorf("%w (for %s)", ErrStalled, Stall)
		}
		if err != nil {
			p.end()
			return nil, err
		}
		if !m.reply {
			return m, nil
		}
		id := ovsdb.Text(m.ID)
		p.mu.Lock()
		waiting := p.pending[id]
		delete(p.pending, id)
		p.mu.Unlock()
		if waiting != nil {
			waiting <- m
		}
	}
}

// end fails all calls that wait.
func (p *Peer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for id, waiting := range p.pending {
		close(waiting)
		delete(p.pending, id)
	}
}

// Call asks the other end and waits for its answer. The error is a *Failure if that is what it answered, ErrClosed, or
// the context's. Somebody has to be in Next.
func (p *Peer) Call(ctx context.Context, method string, params ...any) (any, error) {
	answer, err := p.Begin(method, params...)
	if err != nil {
		return nil, err
	}
	return answer(ctx)
}

// Begin is Call that doesn't wait: what it gives does. When it returns, the request is on its way.
func (p *Peer) Begin(method string, params ...any) (answer func(context.Context) (any, error), err error) {
	waiting := make(chan *message, 1)
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	p.last++
	m := &message{Method: method, Params: params, ID: p.last}
	id := ovsdb.Text(m.ID)
	p.pending[id] = waiting
	p.mu.Unlock()
	if err := p.put(m); err != nil {
		p.mu.Lock()
		delete(p.pending, id)
		p.mu.Unlock()
		return nil, err
	}
	return func(ctx context.Context) (any, error) {
		select {
		case m, ok := <-waiting:
			switch {
			case !ok:
				return nil, ErrClosed
			case m.Error != nil:
				return nil, &Failure{m.Error}
			}
			return m.Result, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}, nil
}

// Notify tells the other end.
func (p *Peer) Notify(method string, params ...any) error {
	return p.put(&message{Method: method, Params: params})
}

func (p *Peer) put(m *message) error {
	if m.Params == nil && !m.reply {
		m.Params = []any{}
	}
	pieces, err := m.pieces()
	if err != nil {
		return err
	}
	p.writing <- struct{}{}
	defer func() { <-p.writing }()
	_, err = pieces.WriteTo(p.conn)
	p.spoke.Store(int64(time.Since(clockStart)))
	return err
}

// Close ends the connection. Next fails, and with it all calls that wait.
func (p *Peer) Close() error { return p.conn.Close() }

// Watch ends the connection when the other end has said nothing for Stall: Next then fails with ErrStalled. It returns
// then, or when the context ends. Somebody has to be in Next.
func (p *Peer) Watch(ctx context.Context) {
	tick := time.NewTicker(Stall / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Since(clockStart)
		silent, mute := now-time.Duration(p.heard.Load()), now-time.Duration(p.spoke.Load())
		if silent >= Stall {
			p.stalled.Store(true)
			p.Close()
			return
		}
		// Who takes a long message that comes slowly says that it is there: who sends it hears nothing else meanwhile. Who
		// is writing now is told of a dead connection by that.
		if max(silent, mute) >= Stall/4 && len(p.writing) == 0 {
			go p.Begin("echo")
		}
	}
}
