package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/wire"
)

// Errors that callers test for.
var (
	// ErrUnknown: the connection ended before the answer came. The transaction may have been done or not.
	ErrUnknown = errors.New("whether the transaction was done isn't known")
	// ErrTaken: a row of the name that a transaction was to insert was there before.
	ErrTaken = errors.New("there is a row of this name")
	// ErrUnfit: a server is there, and can't be relied on now.
	ErrUnfit = errors.New("the server can't be used now")
)

// MaxMessage is how large a message from a server may be, in bytes: all rows of a monitor are one.
const MaxMessage = 1 << 30

// Remote is a server.
type Remote struct {
	Name string // as people know it: "tcp:127.0.0.1:6640"
	Dial func(context.Context) (net.Conn, error)
}

// Config says which database, and where.
type Config struct {
	Database string
	Remotes  []Remote    // tried in this order, and from the first again
	Leader   bool        // of a cluster, only who leads it will do
	Cluster  *ovsdb.UUID // of several clusters, this one (its "cid")
	// Patience is how long an answer may take without which a connection is of no use: then the next server is tried.
	// 0: 30 seconds. Transact waits as long as its context lets it.
	Patience time.Duration
	// Pause is how long to wait after no server would do; it is doubled each time, up to 32 times. 0: 250 ms.
	Pause time.Duration
	// Tell is told, in one line of English, why a server was left. nil: nobody is.
	Tell func(string)
}

// Client is safe for concurrent use.
type Client struct {
	config Config
	done   chan struct{}

	mu       sync.Mutex
	session  *session      // nil: none that is of use
	changed  chan struct{} // closed, and made anew, when session or last changes
	last     error         // why there is none
	monitors map[int]*Monitor
	nextID   int
	index    map[ovsdb.UUID]int64 // the newest entry of the log that was seen, by cluster
}

// New begins to look for a server; it goes on until the context ends.
func New(ctx context.Context, config Config) (*Client, error) {
	if len(config.Remotes) == 0 || config.Database == "" {
		return nil, errors.New("an OVSDB client needs a database's name and a server")
	}
	if config.Patience == 0 {
		config.Patience = 30 * time.Second
	}
	if config.Pause == 0 {
		config.Pause = 250 * time.Millisecond
	}
	c := &Client{config: config, done: make(chan struct{}), changed: make(chan struct{}), monitors: map[int]*Monitor{},
		index: map[ovsdb.UUID]int64{}}
	go c.run(ctx)
	return c, nil
}

// Done is closed when the client has ended, after its context did.
func (c *Client) Done() <-chan struct{} { return c.done }

// run has a connection to one server after the other.
func (c *Client) run(ctx context.Context) {
	defer close(c.done)
	failures := 0
	for at := 0; ctx.Err() == nil; at++ {
		remote := c.config.Remotes[at%len(c.config.Remotes)]
		served, err := c.attempt(ctx, remote)
		if ctx.Err() != nil {
			break
		}
		c.lost(fmt.Errorf("%s: %w", remote.Name, err))
		if served { // it may be the leader of a moment ago: the next is asked at once
			failures = 0
			continue
		}
		if failures++; failures%len(c.config.Remotes) == 0 {
			round := min(failures/len(c.config.Remotes)-1, 5)
			select {
			case <-time.After(c.config.Pause << round):
			case <-ctx.Done():
			}
		}
	}
	c.lost(context.Cause(ctx))
	c.mu.Lock()
	all := slices.Collect(maps.Values(c.monitors))
	c.mu.Unlock()
	for _, m := range all {
		m.fail(context.Cause(ctx))
	}
}

// attempt uses a server until it can't any more. served: it was of use.
func (c *Client) attempt(ctx context.Context, remote Remote) (served bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience, stop := context.WithTimeout(ctx, c.config.Patience)
	defer stop()
	conn, err := remote.Dial(patience)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	s := &session{client: c, name: remote.Name, peer: wire.NewPeer(conn, MaxMessage), end: cancel,
		monitors: map[string]*Monitor{}}
	var all sync.WaitGroup
	defer all.Wait()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	all.Go(func() { s.peer.Watch(ctx) })
	all.Go(func() { cancel(s.listen()) })
	if err := s.begin(patience); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(err)
		return false, err
	}
	<-ctx.Done()
	why := context.Cause(ctx)
	return !errors.Is(why, errReadOnly), why
}

// serve has a session be the one that is of use, if it watches all that is to be watched; else it gives what is
// missing: somebody may have begun to watch while there was no session.
func (c *Client) serve(s *session, watched map[*Monitor]bool) (missing []*Monitor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.monitors {
		if !watched[m] {
			missing = append(missing, m)
		}
	}
	if len(missing) == 0 {
		c.session, c.last = s, nil
		c.wake()
	}
	return missing
}

func (c *Client) lost(why error) {
	c.mu.Lock()
	c.session, c.last = nil, why
	c.wake()
	c.mu.Unlock()
	if c.config.Tell != nil && why != nil {
		c.config.Tell(why.Error())
	}
}

// wake has those look again who wait. c.mu is held.
func (c *Client) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// connected waits for a server that is of use. not is one that the caller has found to be gone.
func (c *Client) connected(ctx context.Context, not *session) (*session, error) {
	for {
		c.mu.Lock()
		s, changed, last := c.session, c.changed, c.last
		c.mu.Unlock()
		if s != nil && s != not {
			return s, nil
		}
		select {
		case <-changed:
		case <-c.done:
			return nil, fmt.Errorf("the OVSDB client has ended: %w", last)
		case <-ctx.Done():
			if last != nil {
				return nil, fmt.Errorf("no OVSDB server of %d can be used (the last one: %w): %w",
					len(c.config.Remotes), last, context.Cause(ctx))
			}
			return nil, context.Cause(ctx)
		}
	}
}

// Schema waits for a server, and gives the database's schema there.
func (c *Client) Schema(ctx context.Context) (*ovsdb.Schema, error) {
	s, err := c.connected(ctx, nil)
	if err != nil {
		return nil, err
	}
	return s.schema, nil
}

// Server waits for a server, and gives its name.
func (c *Client) Server(ctx context.Context) (string, error) {
	s, err := c.connected(ctx, nil)
	if err != nil {
		return "", err
	}
	return s.name, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
