//go:build amd64

package process

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// A watched process has a tracer already, so another ri that is to stop it asks the watcher, which lets go for that
// moment. Both speak over an abstract unix socket, named by the process, a line a message:
//
//	state    watching | dying TID HOW, which is Death.String: dying 4711 exit status 2
//	borrow   free, once the watcher has let go; it comes back when the connection ends
//
// Either side believes the other only if it is of the same user, or root's.

// longestLoan bounds how long a process goes unwatched for another ri.
const longestLoan = time.Minute

// sharePrefix is what a watcher's name begins with. What follows is random: anybody may bind a name, and whoever could
// foresee one would keep a process from being watched. Who asks finds the name in the kernel's list.
func sharePrefix(p *Process) string { return fmt.Sprintf("@ri-watch-%d-%d-", p.pid, p.startTime) }

// mostShares bounds how many names are tried: others may have bound some to mislead.
const mostShares = 1000

// shareNames lists the names that a watcher of the process may have, from proc_net(5), unix.
func shareNames(p *Process) (names []string) {
	data, err := os.ReadFile("/proc/thread-self/net/unix")
	if err != nil {
		return nil
	}
	prefix := sharePrefix(p)
	for { // a host may have tens of thousands of sockets
		at := bytes.Index(data, []byte(prefix))
		if at < 0 {
			break
		}
		from := bytes.LastIndexByte(data[:at], '\n') + 1
		text, rest, _ := bytes.Cut(data[from:], []byte("\n"))
		data = rest
		fields := strings.Fields(string(text))
		if len(fields) == 8 && strings.HasPrefix(fields[7], prefix) && len(names) < mostShares {
			names = append(names, fields[7])
		}
	}
	slices.Sort(names) // connections have the name too
	return slices.Compact(names)
}

// share is the watcher's end.
type share struct {
	watcher  *watcher
	listener net.Listener
	waiting  atomic.Int64 // connections that want the process
	queue    chan net.Conn
}

func newShare(w *watcher) (*share, error) {
	if conn, _ := w.process.askWatcher("state", time.Second); conn != nil {
		conn.Close()
		return nil, fmt.Errorf("%s can't be watched: another ri seems to watch it already: %w", w.process.Describe(),
			attach.ErrTraced)
	}
	l, err := net.Listen("unix", sharePrefix(w.process)+rand.Text())
	if err != nil {
		return nil, fmt.Errorf("%s can't be watched: a socket for others that look at it: %w", w.process.Describe(), err)
	}
	s := &share{watcher: w, listener: l, queue: make(chan net.Conn, 16)}
	go s.serve()
	return s, nil
}

func (s *share) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		go s.answer(conn.(*net.UnixConn))
	}
}

func (s *share) answer(conn *net.UnixConn) {
	if !trusted(conn) {
		conn.Close()
		return
	}
	conn.SetReadDeadline(time.Now().Add(time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	switch {
	case err == nil && line == "borrow\n":
		conn.SetReadDeadline(time.Time{})
		s.waiting.Add(1)
		select {
		case s.queue <- conn:
			s.watcher.wake.signal()
			return
		default: // too many at once
			s.waiting.Add(-1)
		}
	case err == nil && line == "state\n":
		if tid := s.watcher.tid.Load(); tid != 0 {
			fmt.Fprintf(conn, "dying %d %s\n", tid, s.watcher.ends)
		} else {
			fmt.Fprintf(conn, "watching\n")
		}
	}
	conn.Close()
}

func (s *share) wanted() bool { return s.waiting.Load() > 0 }

// lend waits until all who asked have had the process. Nothing of it is seized.
func (s *share) lend(ctx context.Context) {
	for s.wanted() {
		conn := <-s.queue
		conn.SetDeadline(time.Now().Add(longestLoan))
		if _, err := fmt.Fprintf(conn, "free\n"); err == nil {
			stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
			var b [1]byte
			_, _ = conn.Read(b[:]) // its end, or the time's
			stop()
		}
		conn.Close()
		s.waiting.Add(-1)
	}
}

func (s *share) close() {
	s.listener.Close()
	for {
		select {
		case conn := <-s.queue:
			conn.Close()
		default:
			return
		}
	}
}

// trusted tells whether the other end is of the same user, or root's.
func trusted(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	ok := false
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		ok = err == nil && (cred.Uid == 0 || int(cred.Uid) == os.Geteuid())
	})
	return err == nil && ok
}

// askWatcher sends a question to the process's watcher; no answer if there is none.
func (p *Process) askWatcher(question string, patience time.Duration) (conn *net.UnixConn, answer string) {
	for _, name := range shareNames(p) {
		if conn, answer := askAt(name, question, patience); conn != nil {
			return conn, answer
		}
	}
	return nil, ""
}

func askAt(name, question string, patience time.Duration) (conn *net.UnixConn, answer string) {
	c, err := net.Dial("unix", name)
	if err != nil {
		return nil, ""
	}
	conn = c.(*net.UnixConn)
	if trusted(conn) {
		conn.SetDeadline(time.Now().Add(patience))
		if _, err := fmt.Fprintln(conn, question); err == nil {
			if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				return conn, strings.TrimSpace(line)
			}
		}
	}
	conn.Close()
	return nil, ""
}

// dyingThread is the thread that a watcher holds in its exit, 0 if there is none, and how the process ends.
func (p *Process) dyingThread() (tid int, how string) {
	conn, answer := p.askWatcher("state", time.Second)
	if conn == nil {
		return 0, ""
	}
	conn.Close()
	state, rest, _ := strings.Cut(answer, " ")
	number, how, _ := strings.Cut(rest, " ")
	tid, err := strconv.Atoi(number)
	if err != nil || state != "dying" {
		return 0, ""
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.pid, tid)); err != nil {
		return 0, ""
	}
	return tid, how
}

// borrow has a watcher let the process go until giveBack is called. Where nobody watches, there is nothing to do.
func (p *Process) borrow() (giveBack func()) {
	conn, answer := p.askWatcher("borrow", 5*time.Second)
	if conn == nil {
		return func() {}
	}
	if answer != "free" {
		conn.Close()
		return func() {}
	}
	return func() { conn.Close() }
}
