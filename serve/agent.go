package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ri/ovsdb/wire"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/serve/request"
	"ri/serve/worker"
)

// Agent answers requests. Its exported fields are set before Serve.
type Agent struct {
	Methods []method.Method
	Folder  string // in which all is that it writes
	Version string // of its ri
	// Identity is who it is, for TLS; nil: it speaks none.
	Identity *pki.Identity
	// Site is where that is, for what scripts reach outside of processes.
	Site     worker.Site
	TCPRole  request.Role // of whoever connects by plain TCP: none, or viewer
	Insecure bool         // plain TCP may be reached from other machines
	// Only are the processes that may be asked of; nil: all.
	Only []string
	// Allow are the powers that reach outside of a process (request.Powers), for who comes from another machine.
	Allow []string
	// StopBudget is for how long a caller may hold a process stopped in a minute; 0: unlimited.
	StopBudget time.Duration
	// Monitor is the least time between two looks for monitors of OVSDB; 0: there are none. MonitorBudget is for how long
	// they may hold a process stopped in a minute, all together; 0: unlimited.
	Monitor, MonitorBudget time.Duration

	Rows   int          // that a script may give; 0: as many as its recipe says
	Memory uint64       // bytes that a request may take; 0: unlimited
	Output int64        // bytes that a request may print; 0: unlimited
	Say    func(string) // what a person at the agent should know
	// ID is who the agent is among others of a fleet, which who calls it holds against whom it meant; "": in none.
	ID string
	// Beside goes on for as long as the agent serves: its place in a fleet; nil: nothing does.
	Beside func(context.Context)

	server  *wire.Server
	serving context.Context // while it does
	log     *requestLog
	budget  budget
	// monitoring is the monitors' budget
	monitoring budget
	databases  databases
	count      atomic.Int64
	kept       atomic.Int64 // bytes of files for requests that haven't begun
	under      struct {
		mu  sync.Mutex
		way map[string]int // requests, by the caller's name
	}
	spare chan *worker.Worker // one, for the agent's own user
	all   sync.WaitGroup
}

// Limits of an agent.
const (
	maxConnections = 64
	maxRequests    = 4 // of one connection, at once
	// maxUnder is how many requests of one caller may be under way, on all connections: as many as a fleet's asker has
	// of one host, and then some.
	maxUnder = 16
)

// Serve listens, or calls, until the context ends; then it ends what it had begun and takes its files away.
func (a *Agent) Serve(ctx context.Context) error {
	if err := a.takeFolder(); err != nil {
		return err
	}
	log, err := openLog(a.Folder)
	if err != nil {
		return fmt.Errorf("the agent's folder: %w", err)
	}
	a.log = log
	a.budget.most, a.monitoring.most = a.StopBudget, a.MonitorBudget
	a.databases.begin()
	server, err := wire.NewServer()
	if err != nil {
		return err
	}
	a.server = server
	server.Most = request.MaxMessage
	server.More = func(conn net.Conn, peer *wire.Peer) wire.Methods { return newSession(a, conn, peer) }
	listeners, err := a.listen()
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	if err != nil {
		return err
	}
	a.spare = make(chan *worker.Worker, 1)
	a.prepare()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.serving = ctx
	if a.Beside != nil {
		a.all.Go(func() { a.Beside(ctx) })
	}
	for _, l := range listeners {
		a.all.Go(func() {
			if err := server.Serve(ctx, l); err != nil {
				cancel(err)
			}
		})
	}
	for _, m := range a.Methods {
		if m.Passive {
			a.Say(fmt.Sprintf("listening at %s", m))
			continue
		}
		a.all.Go(func() { a.call(ctx, m) })
	}
	<-ctx.Done()
	for _, l := range listeners {
		l.Close()
	}
	a.all.Wait()
	select {
	case w := <-a.spare:
		w.Discard()
	default:
	}
	err = context.Cause(ctx)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// begins counts a request of a caller's, or refuses it; end is called when it has ended.
func (a *Agent) begins(caller string) (end func(), err error) {
	u := &a.under
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.way[caller] >= maxUnder {
		return nil, fmt.Errorf("you have %d requests under way on all your connections, which is the most: wait for one to "+
			"end: %w", maxUnder, request.ErrNotAllowed)
	}
	if u.way == nil {
		u.way = map[string]int{}
	}
	u.way[caller]++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.way[caller]--; u.way[caller] == 0 {
			delete(u.way, caller)
		}
	}, nil
}

// listen listens at all that is passive, once it is known that all may be.
func (a *Agent) listen() ([]net.Listener, error) {
	for _, m := range a.Methods {
		switch {
		case m.TLS && a.Identity == nil:
			return nil, fmt.Errorf("%s: TLS needs a certificate of the agent's: --tls FILE (ri pki issue NAME --agent makes "+
				"one)", m)
		case m.TLS && pki.IsAgent(a.Identity.Holder) != nil:
			return nil, fmt.Errorf("%s: the certificate of %s is of who asks, and none of an agent (ri pki issue NAME --agent "+
				"makes one)", m, a.Identity.Name)
		case !m.TLS && !m.Loopback() && !a.Insecure:
			return nil, fmt.Errorf("%s: whoever listens to the network reads all that is said by plain TCP, and nobody knows "+
				"who asks: use ssl or pssl, an address of this machine (ptcp:%s:127.0.0.1), or --insecure-tcp", m,
				method.DefaultPort)
		}
	}
	var listeners []net.Listener
	for _, m := range a.Methods {
		if !m.Passive {
			continue
		}
		l, err := m.Listen()
		if err != nil {
			return listeners, err
		}
		l = limit(l, maxConnections)
		if m.TLS {
			l = tls.NewListener(l, a.Identity.Config(pki.IsAsker, ""))
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// Hosts are the names by which the agent can be called: those that its certificate has, else this machine's.
func (a *Agent) Hosts() []string {
	if a.Identity != nil {
		if names := a.Identity.Hosts(); len(names) > 0 {
			return names
		}
	}
	name, err := os.Hostname()
	if err != nil {
		return nil
	}
	return []string{name}
}

// Waits between calls of an agent to who asks.
const (
	firstWait   = time.Second
	longestWait = 8 * time.Second
)

// call calls who asks, again and again, and serves it.
func (a *Agent) call(ctx context.Context, m method.Method) {
	wait := firstWait
	for said := ""; ctx.Err() == nil; {
		conn, err := m.Dial(ctx, func(string) *tls.Config { return a.Identity.Config(pki.IsAsker, "") })
		if err == nil {
			a.Say(fmt.Sprintf("connected to %s", m))
			wait, said = firstWait, ""
			a.server.Handle(ctx, conn)
		} else if said != err.Error() && ctx.Err() == nil {
			said = err.Error()
			a.Say(fmt.Sprintf("%s; trying again", said))
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, longestWait)
	}
}

// DefaultFolder is where an agent of this user writes.
func DefaultFolder() string {
	if os.Geteuid() == 0 {
		return "/var/lib/ri"
	}
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return filepath.Join(os.TempDir(), fmt.Sprintf("ri-%d", os.Geteuid()))
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "ri", "agent")
}

// requestsFolder has what lies at the askers' of requests that are being done.
const requestsFolder = "requests"

// takeFolder makes the folder this agent's alone, and takes away what a dead one left.
func (a *Agent) takeFolder() error {
	if err := os.MkdirAll(a.Folder, 0o711); err != nil {
		return fmt.Errorf("the agent's folder: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(a.Folder, &st); err != nil {
		return fmt.Errorf("%s: %w", a.Folder, err)
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s: others may write there, so it is no folder for an agent", a.Folder)
	}
	lock, err := os.OpenFile(filepath.Join(a.Folder, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("the agent's folder: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return fmt.Errorf("%s: another agent has it; give this one another (--folder DIR)", a.Folder)
	}
	if err := errors.Join(lock.Truncate(0), sayPID(lock)); err != nil {
		lock.Close()
		return fmt.Errorf("the agent's folder: %w", err)
	}
	a.all.Go(func() {}) // the lock lives as long as the process
	folderLocks.Store(a, lock)
	if err := os.RemoveAll(filepath.Join(a.Folder, requestsFolder)); err != nil {
		return fmt.Errorf("the agent's folder: %w", err)
	}
	return os.Mkdir(filepath.Join(a.Folder, requestsFolder), 0o711)
}

// sayPID has the lock say who holds it (Disarm).
func sayPID(lock *os.File) error {
	_, err := lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

var folderLocks sync.Map // by the agent

// note writes down how a request ended.
func (a *Agent) note(e Entry) {
	if err := a.log.add(e); err != nil {
		a.Say(fmt.Sprintf("a request could not be written down: %v", err))
	}
}

// prepare has a worker wait for the next request, so that it needn't be waited for.
func (a *Agent) prepare() {
	w, err := worker.Start(a.rights(nil))
	if err != nil {
		a.Say("no worker can be started: " + err.Error())
		return
	}
	select {
	case a.spare <- w:
	default:
		w.Discard()
	}
}

// rights are those of a worker for somebody who asks; nil: for the agent's own user.
func (a *Agent) rights(c *caller) worker.Rights {
	// what dies of its limit of memory says so in a line
	r := worker.Rights{Memory: a.Memory, Env: []string{"GOTRACEBACK=none"}}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "HOME", "USER", "LOGNAME", "PATH", "KUBERNETES_SERVICE_HOST", "container", "XDG_STATE_HOME",
			"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "RI_RECIPES", "TMPDIR", "RI_KILL_AT", "RI_WAIT_AT":
			r.Env = append(r.Env, v)
		}
	}
	if c != nil && c.credential != nil {
		r.Credential = c.credential
		r.Env = append(c.environment(), "GOTRACEBACK=none")
	}
	return r
}

// worker gives one for somebody, that waits.
func (a *Agent) worker(c *caller) (*worker.Worker, error) {
	if c.credential == nil {
		select {
		case w := <-a.spare:
			go a.prepare()
			return w, nil
		default:
		}
	}
	return worker.Start(a.rights(c))
}

// limit lets in so many connections at once; others wait.
func limit(l net.Listener, most int) net.Listener {
	return &limited{Listener: l, room: make(chan struct{}, most)}
}

type limited struct {
	net.Listener
	room chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case l.room <- struct{}{}:
		return &counted{Conn: conn, leave: sync.OnceFunc(func() { <-l.room })}, nil
	default:
		conn.Close() // who has a role isn't kept out by who hasn't: those end soon
		return l.Accept()
	}
}

type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
