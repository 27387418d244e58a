package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"ri/attach/proc"
	"ri/ovsdb"
	"ri/ovsdb/wire"
	"ri/serve/request"
)

// session is a connection: who it is, and what it has under way.
type session struct {
	agent *Agent
	conn  net.Conn
	peer  *wire.Peer

	caller *caller // nil until it has said hello, or asked for a database
	where  string  // where it comes from, if it has no conn

	mu   sync.Mutex
	runs map[int64]*run
	puts map[int64]map[string][]byte
	kept int64 // bytes of puts
	// found are the processes that were listed as databases last, by name
	found map[string]string
	all   sync.WaitGroup
	ctx   context.Context
	end   context.CancelFunc
}

func newSession(a *Agent, conn net.Conn, peer *wire.Peer) *session {
	s := &session{agent: a, conn: conn, peer: peer, runs: map[int64]*run{}, puts: map[int64]map[string][]byte{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.all.Go(func() { peer.Watch(s.ctx) })
	s.all.Go(s.recheck)
	return s
}

// Times in which a connection must have said who it is, and after which it is looked at whether that is good still.
const nameless = 10 * time.Second

var rechecks = 10 * time.Second

// recheck ends a connection whose certificate has expired or was revoked, and one that doesn't say who it is.
func (s *session) recheck() {
	tick := time.NewTicker(rechecks)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.stillGood(); err != nil {
			e := Entry{Request: "connection", From: s.from(), Why: err.Error(), Code: refused}
			s.mu.Lock()
			if c := s.caller; c != nil {
				e.Caller, e.Role = c.name, c.role.String()
			}
			s.mu.Unlock()
			s.agent.note(e)
			s.conn.Close()
			return
		}
	}
}

// stillGood refuses who has no good certificate any more, or hasn't said hello.
func (s *session) stillGood() error {
	s.mu.Lock()
	c := s.caller
	s.mu.Unlock()
	if c == nil {
		return fmt.Errorf("it said nothing of who it is for %s: %w", nameless, request.ErrNotAllowed)
	}
	if conn, ok := s.conn.(*tls.Conn); ok {
		_, err := s.agent.holder(conn)
		return err
	}
	return nil
}

// maxPut is how many bytes of files an agent keeps for requests that haven't begun, of all connections.
var maxPut int64 = 512 << 20

// perPut is what a piece of a file costs beside what is in it.
const perPut = 256

// Take implements wire.Methods. What it leaves to the databases is for those who have a role.
func (s *session) Take(ctx context.Context, r *wire.Request) bool {
	if r.Method == "echo" {
		return false
	}
	if r.Method == request.Hello {
		s.hello(r)
		return true
	}
	if s.caller == nil && slices.Contains(ovsdbMethods, r.Method) {
		if err := s.introduce(); err != nil {
			refuse(r, err)
			return true
		}
	}
	if s.caller == nil {
		refuse(r, fmt.Errorf("%s comes first: %w", request.Hello, request.ErrNotAllowed))
		return true
	}
	switch r.Method {
	case request.Put, request.Run, request.Open, request.Input, request.Signal, request.Resize:
	default:
		return false
	}
	id, err := number(r, 0)
	if err != nil {
		refuse(r, err)
		return true
	}
	switch r.Method {
	case request.Put:
		err = s.put(id, r)
	case request.Run:
		err = s.run(id, r)
	default:
		s.mu.Lock()
		one := s.runs[id]
		s.mu.Unlock()
		if one == nil {
			err = fmt.Errorf("request %d is not under way", id)
			break
		}
		err = one.tell(r)
	}
	if err != nil {
		refuse(r, err)
	}
	return true
}

// from is where the connection comes from.
func (s *session) from() string {
	if s.conn == nil {
		return s.where
	}
	if a := s.conn.RemoteAddr(); a != nil && a.Network() != "unix" {
		return a.String()
	}
	return ""
}

// End implements wire.Methods.
func (s *session) End() {
	s.end()
	s.all.Wait()
	s.agent.kept.Add(-s.kept)
}

// refuse answers with an error, for people.
func refuse(r *wire.Request, err error) {
	_ = r.Fail(map[string]any{"error": "refused", "details": err.Error()})
}

func number(r *wire.Request, i int) (int64, error) {
	if i < len(r.Params) {
		if n, ok := r.Params[i].(interface{ Int64() (int64, error) }); ok {
			if n, err := n.Int64(); err == nil {
				return n, nil
			}
		}
	}
	return 0, fmt.Errorf("%s: parameter %d is no whole number: %w", r.Method, i, request.ErrMalformed)
}

func (s *session) hello(r *wire.Request) {
	var greeting request.Greeting
	if len(r.Params) != 1 {
		refuse(r, fmt.Errorf("%s has one parameter: %w", r.Method, request.ErrMalformed))
		return
	}
	if err := request.Into(r.Params[0], &greeting); err != nil {
		refuse(r, err)
		return
	}
	caller, err := s.agent.identify(s.conn)
	if err == nil && greeting.Protocol == request.Protocol { // else it knows from the welcome, and says so
		err = request.Skew(greeting.Version, s.agent.Version)
	}
	if err != nil {
		s.agent.note(Entry{Request: "hello", From: s.from(), Why: err.Error(), Code: refused})
		refuse(r, err)
		return
	}
	s.mu.Lock()
	s.caller = caller
	s.mu.Unlock()
	host, _ := os.Hostname()
	_ = r.Reply(request.Welcome{Protocol: request.Protocol, Version: s.agent.Version, Host: host, Agent: s.agent.ID,
		Role: caller.role.String(), Caller: caller.name})
}

func (s *session) put(id int64, r *wire.Request) error {
	if len(r.Params) != 3 {
		return fmt.Errorf("%s has three parameters: %w", r.Method, request.ErrMalformed)
	}
	path, ok := r.Params[1].(string)
	var piece request.Bytes
	if err := request.Into(r.Params[2], &piece); err != nil || !ok {
		return fmt.Errorf("%s: %w", r.Method, request.ErrMalformed)
	}
	if s.caller.role < request.Author {
		return fmt.Errorf("files of yours need the role author, and you have %s: %w", s.caller.role, request.ErrNotAllowed)
	}
	size := int64(len(path) + len(piece) + perPut)
	if s.agent.kept.Add(size) > maxPut {
		s.agent.kept.Add(-size)
		return fmt.Errorf("the agent keeps %d MiB of files for requests that haven't begun, yours and others', which is the "+
			"most", maxPut>>20)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept += size
	if s.puts[id] == nil {
		s.puts[id] = map[string][]byte{}
	}
	s.puts[id][path] = append(s.puts[id][path], piece...)
	return r.Reply(map[string]any{})
}

func (s *session) run(id int64, r *wire.Request) error {
	if len(r.Params) != 2 {
		return fmt.Errorf("%s has two parameters: %w", r.Method, request.ErrMalformed)
	}
	var asked request.Request
	if err := request.Into(r.Params[1], &asked); err != nil {
		return err
	}
	if err := s.stillGood(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs[id] != nil {
		return fmt.Errorf("request %d is under way", id)
	}
	if len(s.runs) >= maxRequests {
		return fmt.Errorf("you have %d requests under way, which is the most: wait for one to end", maxRequests)
	}
	err := asked.Allowed(s.caller.role)
	if err == nil {
		err = found(&asked)
	}
	if err == nil {
		err = asked.Within(s.agent.Only)
	}
	if err == nil && !s.caller.local {
		err = asked.Powers(s.agent.Allow)
	}
	if err == nil {
		err = begun(&asked)
	}
	var end func()
	if err == nil {
		end, err = s.agent.begins(s.caller.name)
	}
	if err != nil {
		s.agent.note(Entry{Caller: s.caller.name, Role: s.caller.role.String(), From: s.from(), Request: asked.Text(),
			Code: refused, Why: err.Error()})
		return err
	}
	files := s.puts[id]
	if delete(s.puts, id); len(s.puts) == 0 {
		s.agent.kept.Add(-s.kept)
		s.kept = 0
	}
	one := newRun(s.ctx, s, id, &asked)
	one.files = files
	s.runs[id] = one
	s.all.Go(func() {
		ending, err := one.do(s.ctx)
		end()
		s.mu.Lock()
		delete(s.runs, id)
		s.mu.Unlock()
		if err != nil {
			refuse(r, err)
			return
		}
		_ = r.Reply(ending)
	})
	return nil
}

// found has a process be named by its number, by which rights and budgets go.
func found(asked *request.Request) error {
	name := asked.Target()
	if name == "" {
		return nil
	}
	pid, err := proc.Find(name)
	if err != nil {
		return fmt.Errorf("-p %s: %w", name, err)
	}
	asked.Name(strconv.Itoa(pid))
	return nil
}

// threads is how many a process has.
func threads(pid int) int {
	list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return len(list)
}

// begun refuses a process that isn't the one which was meant: its number went to another since.
func begun(asked *request.Request) error {
	if asked.Began == 0 {
		return nil
	}
	pid, err := strconv.Atoi(asked.Target())
	if err != nil {
		return fmt.Errorf("a process that began then needs its number (-p PID): %w", request.ErrMalformed)
	}
	stat, err := proc.ReadStat(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || stat.StartTime != asked.Began || stat.State == 'Z' && threads(pid) <= 1 { // else only its first ended
		return fmt.Errorf("process %s %w", asked.Target(), request.ErrGone)
	}
	return nil
}

// tell is what comes for a request that is under way.
func (o *run) tell(r *wire.Request) error {
	switch r.Method {
	case request.Input:
		var piece request.Bytes
		if len(r.Params) > 1 {
			if err := request.Into(r.Params[1], &piece); err != nil {
				return err
			}
		}
		if len(r.Params) > 2 {
			n, err := number(r, 2)
			if err != nil {
				return err
			}
			return o.inputOf(n, r, piece)
		}
		return takeInput(o.typed, r, piece)
	case request.Open:
		n, err := number(r, 1)
		if err == nil {
			err = o.open(n)
		}
		if err == nil {
			err = r.Reply(map[string]any{})
		}
		return err
	case request.Signal:
		n, err := number(r, 1)
		if err != nil {
			return err
		}
		switch sig := syscall.Signal(n); sig {
		case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGQUIT:
			o.signal(sig)
			return nil
		}
		return fmt.Errorf("signal %d is none of those that may be sent: %w", n, request.ErrNotAllowed)
	case request.Resize:
		width, err := number(r, 1)
		if err != nil {
			return err
		}
		height, err := number(r, 2)
		if err != nil {
			return err
		}
		o.resize(int(width), int(height))
		return nil
	}
	return fmt.Errorf("%s: %w", ovsdb.Text(r.Method), request.ErrMalformed)
}
