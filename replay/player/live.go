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

	// Of one that came in:
	judge
	chunks *chunks // are undone; nil: as it comes
	held   bool    // who goes cancels what isn't answered yet: its end is played when that has come
	end    *streams.Event

	// Of one that the program dialled:
	book    *book
	last    *unit    // the output that was answered last
	buf     []byte   // what came and isn't answered yet
	login   *login   // to PostgreSQL
	told    bool     // what is in buf was told of
	answers []answer // what is to be written
	writing bool     // a goroutine writes it

	failed error // of a write; the writer's
}

// answer is what was read after an output.
type answer struct {
	to *unit
	e  *streams.Event
}

// data are the bytes that are played.
func (a *answer) data() []byte {
	if a.to != nil && a.to.rewrite != nil {
		return a.to.rewrite(a.e.Data)
	}
	return a.e.Data
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
			before, done := l.waiting(), l.done
			if n > 0 {
				l.add(l.chunks.undo(buf[:n]))
			}
			if l.done > done {
				p.reached(l.outs[l.done-1].event)
			}
			if err != nil && !l.ended {
				l.close()
			}
			p.waiting += l.waiting() - before
			if l.held && !l.owes() {
				l.held = false
				p.play(l, answer{e: l.end})
			}
		}
		p.mu.Unlock()
		p.wakeUp()
		if err != nil {
			return
		}
	}
}

// play plays a read: bytes, an end, a reset.
func (p *player) play(l *live, a answer) {
	switch e := a.e; {
	case e.Errno == econnreset:
		hangUp(l, true)
	case e.Size > 0 || l.conn.packets:
		if s, ok := l.c.(*stream); ok {
			s.why = e.Why
		}
		p.write(l, a.data())
	case l.conn.reset:
		hangUp(l, false)
	default:
		endWriting(l.c)
	}
}

func endWriting(c net.Conn) {
	switch c := c.(type) {
	case *tls.Conn: // it says so inside, and then ends, too
		c.CloseWrite()
		endWriting(c.NetConn())
	case *session:
		endWriting(c.Conn)
	case prefaced:
		endWriting(c.Conn)
	case interface{ CloseWrite() error }:
		c.CloseWrite()
	default:
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

// Error numbers of the recording's system (asm-generic/errno.h).
const (
	epipe        = 32
	econnreset   = 104
	etimedout    = 110
	ehostunreach = 113
)

// wentAway tells whether an error says that a connection is no more.
func wentAway(errno int32) bool {
	return errno == epipe || errno == econnreset || errno == etimedout || errno == ehostunreach
}

// match answers what the program says on a connection that it dialled, as far as the recording has answers. The lock
// is held.
func (p *player) match(l *live) {
	if l.login != nil && !l.login.normalise(l.buf) {
		return
	}
	for len(l.buf) > 0 {
		u, _ := l.book.find(l)
		if u == nil {
			return
		}
		size, v, _ := u.out.take(u.conn, l.buf, true)
		if u.asked {
			size, v = u.out.size, verdict{state: equal}
		}
		u.out.verdict = v
		u.out.loose.pass(v)
		if l.login != nil && !l.login.in {
			u.rewrite = l.login.reply
		}
		l.buf = l.buf[size:]
		p.use(l, u)
	}
	l.buf = nil
}

// reached has the clock go on from an output that came. The lock is held.
func (p *player) reached(event int) {
	if event < p.cursor {
		p.clock.reached(event)
	}
}

// use has a connection follow an output's, and have those answers to it that the recording's order has passed. The lock
// is held.
func (p *player) use(l *live, u *unit) {
	u.used, l.last, l.conn = l, u, u.conn
	if u.waited {
		u.waited = false
		p.waiting--
	}
	if u.out != nil {
		p.reached(u.out.event)
	}
	for _, i := range u.replies {
		if i >= p.cursor {
			p.early = append(p.early, u)
			break
		}
		p.answer(l, u, &p.plan.events[i])
	}
}

// answerEarly gives the answers to an output before their place: nothing moves, and it may be for want of them that the
// program doesn't write what is waited for, as it had another order. It tells whether there were any.
func (p *player) answerEarly() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.early) > 0 {
		u := p.early[0]
		p.early = p.early[1:]
		given := false
		for _, i := range u.replies {
			if i >= p.cursor && !p.ahead[i] && p.plan.events[i].Size > 0 {
				p.ahead[i], given = true, true
				p.answer(u.used, u, &p.plan.events[i])
			}
		}
		if given {
			return true
		}
	}
	return false
}

// answer has an event be written to a dialled connection. The lock is held.
func (p *player) answer(l *live, to *unit, e *streams.Event) {
	l.answers = append(l.answers, answer{to, e})
	if l.writing {
		return
	}
	l.writing = true
	go func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for len(l.answers) > 0 {
			next := l.answers[0]
			l.answers = l.answers[1:]
			p.mu.Unlock()
			p.play(l, next)
			p.mu.Lock()
		}
		l.writing = false
	}()
}
