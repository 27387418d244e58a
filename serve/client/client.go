// Package client asks an agent: it connects, sends a command of ri with the files that it names, and is its terminal
// while it runs elsewhere. What the command prints, asks, makes and exits with is that of a command that runs here.
//
// An agent is not trusted with this machine: it is given the files that the command line names, and may write those
// that it names as made.
//
// What may not come in: what commands do, flags.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"ri/instruments/rows"
	"ri/ovsdb/wire"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/serve/request"
)

// Errors of a client.
var (
	// ErrUnreachable: no agent could be reached, or it doesn't speak.
	ErrUnreachable = errors.New("no agent")
	// ErrRefused: the agent refused.
	ErrRefused = errors.New("the agent refused")
	// ErrLost: the connection was lost. What the command had begun is ended there.
	ErrLost = errors.New("the connection was lost")
)

// Client is a connection to an agent, which knows who asks.
type Client struct {
	Welcome request.Welcome
	Agent   pki.Holder // who answers, by its certificate; without TLS nobody

	peer *wire.Peer
	at   method.Method
	own  *pki.Identity // nil: without TLS

	mu    sync.Mutex
	calls map[int64]*call
	last  int64
	lost  error
	done  chan struct{}
	stop  context.CancelFunc
}

// reaching is how long an agent may take to answer.
const reaching = 15 * time.Second

// Options are who asks, and whom to tell.
type Options struct {
	Identity *pki.Identity // for TLS; nil: none
	Version  string        // of this ri
	Say      func(string)
}

// Config is how who asks speaks TLS to a host.
func (o Options) Config(host string) *tls.Config { return o.Identity.Config(pki.IsAgent, host) }

// Dial connects to the first of the methods at which an agent answers. One that listens waits for an agent to call.
func Dial(ctx context.Context, methods []method.Method, opt Options) (*Client, error) {
	var all []error
	for _, m := range methods {
		if m.TLS && opt.Identity == nil {
			return nil, fmt.Errorf("%w: %s: TLS needs a certificate that says who you are: %s", ErrUnreachable, m, ownFiles)
		}
		c, err := dial(ctx, m, opt)
		if err == nil {
			return c, nil
		}
		if errors.Is(err, ErrRefused) || ctx.Err() != nil {
			return nil, err
		}
		all = append(all, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrUnreachable, errors.Join(all...))
}

const ownFiles = "tls: FILE in hosts.yaml, RI_TLS, or ~/.config/ri/tls.pem (ri pki issue NAME --role ROLE makes it)"

// connect gives a connection at whose other end an agent may be.
func connect(ctx context.Context, m method.Method, opt Options) (net.Conn, error) {
	if !m.Passive {
		ctx, cancel := context.WithTimeoutCause(ctx, reaching, errSilent)
		defer cancel()
		return m.Dial(ctx, opt.Config)
	}
	l, err := m.Listen()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	opt.Say(fmt.Sprintf("waiting at %s for an agent to call", m))
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, fmt.Errorf("%s: %w", m, err)
		}
		if !m.TLS {
			return conn, nil
		}
		secure := tls.Server(conn, opt.Config(""))
		shaken, cancel := context.WithTimeoutCause(ctx, reaching, errSilent)
		err = secure.HandshakeContext(shaken)
		cancel()
		if err == nil {
			return secure, nil
		}
		opt.Say(fmt.Sprintf("%s called, and is no agent of this site: %v", conn.RemoteAddr(), err))
		conn.Close()
	}
}

var errSilent = fmt.Errorf("it doesn't answer (for %s)", reaching)

func dial(ctx context.Context, m method.Method, opt Options) (*Client, error) {
	conn, err := connect(ctx, m, opt)
	if err != nil {
		return nil, err
	}
	return Over(ctx, conn, m, opt)
}

// Over speaks to an agent on a connection that there is; the method is for what is said of it.
func Over(ctx context.Context, conn net.Conn, m method.Method, opt Options) (*Client, error) {
	reached, cancel := context.WithTimeoutCause(ctx, reaching, errSilent)
	defer cancel()
	c := &Client{peer: wire.NewPeer(conn, 0), at: m, calls: map[int64]*call{}, done: make(chan struct{})}
	if secure, ok := conn.(*tls.Conn); ok {
		c.own = opt.Identity
		if certs := secure.ConnectionState().PeerCertificates; len(certs) > 0 {
			c.Agent, _ = pki.Who(certs[0]) // the handshake has found it good
		}
	}
	watched, stop := context.WithCancel(context.Background())
	c.stop = stop
	go c.read()
	go c.peer.Watch(watched)
	greeting := request.Greeting{Protocol: request.Protocol, Version: opt.Version}
	answer, err := c.peer.Call(reached, request.Hello, greeting)
	if err == nil {
		err = request.Into(answer, &c.Welcome)
	}
	if err != nil {
		c.Close()
		if errors.Is(err, wire.ErrClosed) && c.lost != nil {
			err = c.lost
		}
		if !m.TLS && m.Network == "tcp" && errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: it closed the connection and said nothing: does it speak TLS (ssl:%s)?", m, m.Address)
		}
		var alert *net.OpError
		if m.TLS && errors.As(err, &alert) && alert.Op == "remote error" {
			return nil, fmt.Errorf("%w: %s: it does not take this certificate, of %s: it was revoked, has expired, or is of "+
				"another site (%w)", ErrRefused, m, opt.Identity.Name, err)
		}
		return nil, fmt.Errorf("%s: %w", m, told(err))
	}
	if c.Welcome.Protocol != request.Protocol {
		c.Close()
		return nil, fmt.Errorf("%w: %s: the agent is ri %s and speaks version %d of the protocol, and this is ri %s, which "+
			"speaks %d: use a ri of the same release on both sides", ErrRefused, m, c.Welcome.Version, c.Welcome.Protocol,
			opt.Version, request.Protocol)
	}
	if err := request.Skew(opt.Version, c.Welcome.Version); err != nil {
		c.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrRefused, m, err)
	}
	return c, nil
}

// told makes what an agent answered an error for people.
func told(err error) error {
	var failure *wire.Failure
	if !errors.As(err, &failure) {
		return err
	}
	if m, ok := failure.JSON.(map[string]any); ok {
		if details, ok := m["details"].(string); ok {
			return fmt.Errorf("%w: %s", ErrRefused, details)
		}
	}
	return fmt.Errorf("%w: %v", ErrRefused, failure)
}

// Close ends the connection, and with it what was begun on it.
func (c *Client) Close() {
	c.stop()
	c.peer.Close()
	<-c.done
}

// read takes what the agent says, until the connection ends. What it says is done beside it, so that it is always
// heard.
func (c *Client) read() {
	defer close(c.done)
	for {
		r, err := c.peer.Next()
		if err != nil {
			c.mu.Lock()
			c.lost = err
			for _, one := range c.calls {
				one.close()
			}
			c.mu.Unlock()
			return
		}
		one := c.callOf(r)
		if one == nil {
			_ = r.Fail("no such request")
			continue
		}
		if !one.take(r) {
			c.peer.Close()
		}
	}
}

func (c *Client) callOf(r *wire.Request) *call {
	if len(r.Params) == 0 {
		return nil
	}
	id, ok := numberOf(r.Params[0])
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[id]
}

// numberOf is a number that an agent speaks of something by.
func numberOf(param any) (int64, bool) {
	n, ok := param.(interface{ Int64() (int64, error) })
	if !ok {
		return 0, false
	}
	id, err := n.Int64()
	return id, err == nil
}

// call is a command that runs elsewhere.
type call struct {
	client *Client
	id     int64
	asked  *request.Request
	in     *os.File
	out    map[int]io.Writer
	queue  chan *wire.Request
	closed bool // the client's lock guards it
	halt   context.CancelFunc
	places *places
	failed error // of what it made
	raw    func() (again func(), back func())
	resume func()
	ended  chan struct{}
	typed  typed
	conns  conns
}

// close ends the queue. The client's lock is held.
func (o *call) close() {
	if !o.closed {
		o.closed = true
		close(o.queue)
		close(o.ended)
		o.conns.close()
	}
}

// take puts what came into the queue of what is to be done. An agent may have so much under way, and no more.
func (o *call) take(r *wire.Request) bool {
	o.client.mu.Lock()
	defer o.client.mu.Unlock()
	if o.closed {
		return true
	}
	queue := o.queue
	if r.Method == request.Output && len(r.Params) > 1 {
		if one := o.conns.of(r.Params[1]); one != nil {
			queue = one.queue
		}
	}
	select {
	case queue <- r:
		return true
	default:
		return false
	}
}

// Streams are where a command reads and writes, and where programs come to it that talk to it (request.Listens).
type Streams struct {
	In, Out, Err *os.File
	Listener     net.Listener
}

// Run has the agent do a command. code is what ri exits with; err is set if there is none, or beside it.
func (c *Client) Run(ctx context.Context, asked *request.Request, streams Streams) (code int, err error) {
	places, err := gather(asked)
	if err != nil {
		return 0, err
	}
	screen := streams.Out
	if t := asked.Terminal; t != nil && !t.Out {
		screen = streams.Err
	}
	o := c.begin(asked, places, map[int]io.Writer{request.Stdout: streams.Out, request.Stderr: streams.Err,
		request.Terminal: screen})
	o.in = streams.In
	defer func() {
		c.mu.Lock()
		delete(c.calls, o.id)
		c.mu.Unlock()
	}()
	if err := c.sendFiles(ctx, o); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.halt = cancel
	restore, err := o.terminal()
	if err != nil {
		return 0, err
	}
	defer restore()
	defer o.signals(ctx)()
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		for r := range o.queue {
			o.work(r)
		}
	}()
	answer, err := c.peer.Begin(request.Run, o.id, asked)
	if err == nil {
		if asked.Input {
			go o.feed(ctx)
		}
		if streams.Listener != nil {
			go o.accept(ctx, streams.Listener)
		}
		var j any
		if j, err = answer(ctx); err == nil {
			var ending request.Ending
			if err = request.Into(j, &ending); err == nil {
				o.finish(worked)
				if ending.Why != "" {
					err = errors.New(ending.Why)
				}
				return ending.Code, errors.Join(err, o.failed, places.commit(ending.Code))
			}
		}
	}
	o.finish(worked)
	if lost := c.whyLost(err); lost != nil {
		if errors.Is(lost, io.EOF) {
			lost = errors.New("the agent closed it")
		}
		if c.own != nil && time.Now().After(c.own.Until()) {
			lost = fmt.Errorf("the certificate of %s expired at %s (%w)", c.own.Name, c.own.Until().Format(time.DateTime), lost)
		}
		return 0, fmt.Errorf("%s: %w: %w; what was begun there is ended there, and ri log --at says of a change how",
			c.at, ErrLost, lost)
	}
	return 0, fmt.Errorf("%s: %w", c.at, told(err))
}

// work does what the agent asks of a command's terminal and files.
func (o *call) work(r *wire.Request) {
	switch r.Method {
	case request.Output:
		var stream int
		var piece request.Bytes
		if len(r.Params) != 3 || request.Into(r.Params[1], &stream) != nil || request.Into(r.Params[2], &piece) != nil ||
			o.out[stream] == nil {
			_ = r.Fail("malformed")
			return
		}
		if _, err := o.out[stream].Write(piece); err != nil {
			_ = r.Fail(err.Error())
			return
		}
		_ = r.Reply(map[string]any{})
	case request.File:
		var made request.Made
		if len(r.Params) != 2 || request.Into(r.Params[1], &made) != nil {
			_ = r.Fail("malformed")
			return
		}
		if err := o.places.made(made); err != nil {
			o.failed = errors.Join(o.failed, err)
			_ = r.Fail(err.Error())
			return
		}
		_ = r.Reply(map[string]any{})
	case request.Save:
		var path string
		var text request.Bytes
		if len(r.Params) != 3 || request.Into(r.Params[1], &path) != nil || request.Into(r.Params[2], &text) != nil {
			_ = r.Fail("malformed")
			return
		}
		if err := o.save(path, text); err != nil {
			_ = r.Fail(rows.UnwrapPath(err).Error())
			return
		}
		_ = r.Reply(map[string]any{})
	case request.Load:
		var path string
		if len(r.Params) != 2 || request.Into(r.Params[1], &path) != nil {
			_ = r.Fail("malformed")
			return
		}
		came, err := o.load(path)
		if err != nil {
			_ = r.Fail(rows.UnwrapPath(err).Error())
			return
		}
		_ = r.Reply(came)
	case request.Stopped:
		o.suspend()
	default:
		_ = r.Fail("unknown method")
	}
}

// signals passes signals on. A second one of those that end ri doesn't wait for the agent.
func (o *call) signals(ctx context.Context) (stop func()) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	c := make(chan os.Signal, 8)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGWINCH)
	go func() {
		ending := 0
		for {
			select {
			case <-ctx.Done():
				return
			case sig := <-c:
				if sig == syscall.SIGWINCH {
					if t := o.asked.Terminal; t != nil {
						if screen, ok := o.out[request.Terminal].(*os.File); ok {
							if width, height, err := term.GetSize(int(screen.Fd())); err == nil {
								_ = o.client.peer.Notify(request.Resize, o.id, width, height)
							}
						}
					}
					continue
				}
				if ending++; ending > 2 { // the agent was told twice
					o.halt()
					return
				}
				go o.client.peer.Notify(request.Signal, o.id, int(sig.(syscall.Signal)))
				if ending == 1 {
					time.AfterFunc(unanswered, o.halt)
				}
			}
		}
	}()
	return func() { signal.Stop(c) }
}

// unanswered is how long a signal may take to end a command at an agent: there ri ends within 4 s, but for a recording
// that it finishes, and the agent ends it after 6.
const unanswered = time.Minute
