//go:build linux && amd64

package player

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	"ri/record/streams"
)

// live is a connection to the program. What two goroutines use is the player's lock's.
type live struct {
	c    net.Conn
	conn *conn // of the recording: the one that is played, or whose answers this one follows

	judge // of one that came in

	// Of one that the program dialled:
	book    *book
	last    *unit            // the output that was answered last
	buf     []byte           // what came and isn't answered yet
	told    bool             // what is in buf was told of
	answers []*streams.Event // what is to be written
	writing bool             // a goroutine writes it

	failed error // of a write; the writer's
}

// next is the output that follows on the connection that a dialled one follows.
func (l *live) next() *unit {
	if l.last == nil || l.last.index+1 >= len(l.last.conn.units) {
		return nil
	}
	return l.last.conn.units[l.last.index+1]
}

// receive reads what the program writes, until it closes.
func (p *player) receive(l *live) {
	buf := make([]byte, 64<<10)
	for {
		n, err := l.c.Read(buf)
		p.mu.Lock()
		p.moved++
		if l.book != nil {
			if n > 0 {
				l.buf, l.told = append(l.buf, buf[:n]...), false
				p.match(l)
			}
		} else {
			before := l.waiting()
			if n > 0 {
				l.add(buf[:n])
			}
			if err != nil && !l.ended {
				l.close()
			}
			p.waiting += l.waiting() - before
		}
		p.mu.Unlock()
		p.wakeUp()
		if err != nil {
			return
		}
	}
}

// play plays a read: bytes, an end, a reset.
func (p *player) play(l *live, e *streams.Event) {
	switch {
	case e.Errno == econnreset:
		hangUp(l, true)
	case e.Size > 0:
		p.write(l, e.Data)
	case l.conn.reset:
		hangUp(l, false)
	default:
		if secure, ok := l.c.(*tls.Conn); ok { // it says so inside, and then ends, too
			secure.CloseWrite()
			endWriting(secure.NetConn())
		} else {
			endWriting(l.c)
		}
	}
}

func endWriting(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	} else {
		c.Close()
	}
}

// write gives the program bytes. A program that doesn't read them, and does nothing else, is gone on without.
func (p *player) write(l *live, data []byte) {
	for len(data) > 0 && l.failed == nil {
		l.c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := l.c.Write(data)
		data = data[n:]
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			l.failed = err
		case n == 0 && !p.prog.Activity().Runs:
			l.failed = errors.New("the program doesn't read")
		}
	}
}

// hangUp closes our end.
func hangUp(l *live, reset bool) {
	if tcp, ok := l.c.(*net.TCPConn); ok && reset {
		tcp.SetLinger(0)
	}
	l.c.Close()
}

// match answers what the program says on a connection that it dialled, as far as the recording has answers. The lock
// is held.
func (p *player) match(l *live) {
	for len(l.buf) > 0 {
		u, _ := l.book.find(l)
		if u == nil {
			return
		}
		u.out.verdict = u.out.compare(l.buf[:u.out.size])
		l.buf = l.buf[u.out.size:]
		p.use(l, u)
	}
	l.buf = nil
}

// use has a connection follow an output's, and have those answers to it that the recording's order has passed. The lock
// is held.
func (p *player) use(l *live, u *unit) {
	u.used, l.last, l.conn = l, u, u.conn
	if u.waited {
		u.waited = false
		p.waiting--
	}
	for _, i := range u.replies {
		if i >= p.cursor {
			break
		}
		p.answer(l, &p.plan.events[i])
	}
}

// answer has an event be written to a dialled connection. The lock is held.
func (p *player) answer(l *live, e *streams.Event) {
	l.answers = append(l.answers, e)
	if l.writing {
		return
	}
	l.writing = true
	go func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for len(l.answers) > 0 {
			e := l.answers[0]
			l.answers = l.answers[1:]
			p.mu.Unlock()
			p.play(l, e)
			p.mu.Lock()
		}
		l.writing = false
	}()
}
