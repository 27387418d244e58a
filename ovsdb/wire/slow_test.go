package wire

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slow is a connection over a link of a thousand bytes a second: some are taken at once, as a kernel does.
type slow struct {
	net.Conn
	queue chan []byte
	over  <-chan struct{}
}

func overSlow(ctx context.Context, conn net.Conn, room int) *slow {
	s := &slow{Conn: conn, queue: make(chan []byte, room/100), over: ctx.Done()}
	go func() {
		for {
			select {
			case b := <-s.queue:
				time.Sleep(time.Duration(len(b)) * time.Millisecond)
				if _, err := s.Conn.Write(b); err != nil {
					return
				}
			case <-s.over:
				return
			}
		}
	}()
	return s
}

func (s *slow) Write(b []byte) (int, error) {
	for at := 0; at < len(b); at += 100 {
		select {
		case s.queue <- append([]byte(nil), b[at:min(at+100, len(b))]...):
		case <-s.over:
			return at, net.ErrClosed
		}
	}
	return len(b), nil
}

// TestWatchSlow: a message that takes minutes on its way ends no connection, while both ends are there; one end that
// says nothing does.
func TestWatchSlow(t *testing.T) {
	for name, room := range map[string]int{"what is written waits": 200, "the kernel takes all": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				ctx, stop := context.WithCancel(t.Context())
				a, b := NewPeer(overSlow(ctx, here, room), 0), NewPeer(overSlow(ctx, there, room), 0)
				for _, p := range []*Peer{a, b} {
					go p.Watch(ctx)
					go func() {
						for {
							r, err := p.Next()
							if err != nil {
								return
							}
							_ = r.Reply("taken")
						}
					}()
				}
				long := strings.Repeat("x", 200_000)
				if v, err := a.Call(ctx, "take", long); v != "taken" || err != nil {
					t.Errorf("a message of 200 s: %v, %v", v, err)
				}
				stop()
				time.Sleep(time.Second) // what is on its way ends
				a.Close()
				b.Close()
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // both ask at one time, and nothing on the way takes what they write
		here, there := net.Pipe()
		ctx, stop := context.WithCancel(t.Context())
		lost := make(chan error, 2)
		for _, conn := range []net.Conn{here, there} {
			p := NewPeer(conn, 0)
			go p.Watch(ctx)
			go func() {
				_, err := p.Next()
				lost <- err
			}()
		}
		select {
		case err := <-lost:
			t.Errorf("two ends that say nothing but that they are there: %v", err)
		case <-time.After(time.Hour):
		}
		stop()
		here.Close()
		there.Close()
		time.Sleep(time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		p := NewPeer(here, 0)
		go p.Watch(t.Context())
		go func() {
			for b := make([]byte, 100); ; { // it takes all, and says nothing
				if _, err := there.Read(b); err != nil {
					return
				}
			}
		}()
		if _, err := p.Next(); !errors.Is(err, ErrStalled) {
			t.Errorf("an end that says nothing: %v", err)
		}
		there.Close()
	})
}
