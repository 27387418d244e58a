package fleet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"ri/instruments/rows"
	"ri/serve/client"
	"ri/serve/method"
	"ri/serve/request"
)

// line is the way to an agent, made once for all of its targets.
type line struct {
	room   chan struct{} // an agent does so many requests of a connection at once
	mu     sync.Mutex
	client *client.Client
	err    error // why there is no way
}

// Limits of an asker.
const (
	requestsAtOnce = 4
	dialling       = 5 * time.Second
	grace          = 2 * time.Second // for an agent to say that its own deadline has passed
	longestRow     = 16 << 20
	mostStderr     = 64 << 10
)

func (s *asking) lineTo(h *host) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[h.id]
	if l == nil {
		l = &line{room: make(chan struct{}, requestsAtOnce)}
		s.lines[h.id] = l
	}
	return l
}

// hangUpOn ends the connection to an agent of which no target is left to be asked.
func (s *asking) hangUpOn(h *host) {
	s.mu.Lock()
	l := s.lines[h.id]
	s.mu.Unlock()
	if l == nil {
		return
	}
	l.mu.Lock()
	c := l.client
	l.client = nil
	l.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

func (s *asking) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		if l.client != nil {
			l.client.Close()
		}
	}
}

// call gives a connection to an agent.
func (s *asking) call(ctx context.Context, h *host, l *line) (*client.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil || l.err != nil {
		return l.client, l.err
	}
	l.client, l.err = s.dial(ctx, h)
	if ctx.Err() != nil {
		l.err = nil // it is nobody's fault
		return nil, context.Cause(ctx)
	}
	return l.client, l.err
}

// lost has the next target of the agent call it again.
func (l *line) lost(c *client.Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client == c {
		l.client = nil
		go c.Close()
	}
}

var errNoWay = errors.New("it publishes no method by which it could be called from here")

// dial calls an agent at what it publishes, and makes sure that it is the one which was meant.
func (s *asking) dial(ctx context.Context, h *host) (*client.Client, error) {
	ctx, stop := context.WithTimeoutCause(ctx, dialling, errors.New("it doesn't answer"))
	defer stop()
	var why error
	for _, text := range list(h.row["methods"]) {
		m, err := method.Parse(text)
		if err != nil || m.Passive {
			continue
		}
		switch {
		case m.Network == "unix":
			if h.row["boot"].Text() != ownBoot() {
				continue // it is a file of another machine
			}
			if info, err := os.Stat(m.Address); err != nil || !trusted(info) {
				continue // of another container, or somebody put it there
			}
		case m.TLS && s.Identity == nil:
			why = errors.New("TLS needs a certificate that says who you are (--tls FILE)")
			continue
		}
		c, err := client.Dial(ctx, []method.Method{m}, client.Options{Identity: s.Identity, Version: s.Version, Say: s.Say})
		if err != nil {
			why = err
			if errors.Is(err, client.ErrRefused) {
				return nil, err
			}
			continue
		}
		switch {
		case c.Welcome.Agent != h.id:
			err = fmt.Errorf("%s: another agent answers there", m)
		case m.TLS && c.Agent.Name != h.name:
			err = fmt.Errorf("%s: %s answers there", m, c.Agent.Name)
		default:
			return c, nil
		}
		c.Close()
		why = err
	}
	if why == nil {
		why = errNoWay
	}
	return nil, why
}

// trusted tells whether a socket is this user's, or root's.
func trusted(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid())
}

// request is what a target is asked.
func (s *asking) request(o *Outcome, left time.Duration) *request.Request {
	asked := s.q.request(o.pid, o.start, left, s.run)
	asked.Folder, asked.Env = s.q.Folder, s.q.Env
	if s.q.Keep != "" {
		asked.Flags = append(asked.Flags, request.Flag{Name: "output", Value: filepath.Join(s.q.Keep, o.File)})
	}
	return asked
}

func (q *Question) request(pid int64, start uint64, left time.Duration, run string) *request.Request {
	r := &request.Request{Command: q.Command, Args: q.Args, After: q.After, Dashed: len(q.After) > 0, Began: start,
		Limit: max(left.Milliseconds(), 1)}
	r.Flags = append(r.Flags, request.Flag{Name: "pid", Value: strconv.FormatInt(pid, 10)},
		request.Flag{Name: "ndjson", Value: "true"}, request.Flag{Name: "quiet", Value: "true"})
	r.Flags = append(r.Flags, q.Flags...)
	if q.Write {
		r.Flags = append(r.Flags, request.Flag{Name: "write", Value: "true"}, request.Flag{Name: "yes", Value: "true"},
			request.Flag{Name: "label", Value: run})
	}
	if q.DryRun {
		r.Flags = append(r.Flags, request.Flag{Name: "dry-run", Value: "true"})
	}
	if q.MaxStop > 0 {
		r.Flags = append(r.Flags, request.Flag{Name: "max-stop", Value: q.MaxStop.String()})
	}
	return r
}

// one asks a target, and has it end as one of the five.
func (s *asking) one(ctx context.Context, o *Outcome) {
	h := o.host
	switch {
	case o.lost != "":
		o.end(Gone, o.lost)
		return
	case h.why != nil:
		o.end(Refused, "its host's row isn't believed: "+h.why.Error())
		return
	case h.state == Gone:
		o.end(Gone, "its host hasn't been heard of since "+
			time.UnixMilli(h.row["lease"].Int()).UTC().Format(time.RFC3339)+" (or its clock is behind)")
		return
	}
	left := s.ends.Sub(s.now())
	if s.q.Timeout > 0 {
		left = min(left, s.q.Timeout)
	}
	l := s.lineTo(h)
	select {
	case l.room <- struct{}{}:
		defer func() { <-l.room }()
	case <-ctx.Done():
		o.end(NotAsked, s.ended(ctx))
		return
	}
	c, err := s.call(ctx, h, l)
	switch {
	case ctx.Err() != nil:
		o.end(NotAsked, s.ended(ctx))
		return
	case err == nil:
	case errors.Is(err, client.ErrRefused):
		o.end(Refused, err.Error())
		return
	default:
		s.byRow(ctx, o, left, err)
		return
	}
	asking, stop := context.WithTimeoutCause(ctx, left+grace, errLate)
	defer stop()
	t := &taker{s: s, o: o}
	ending, err := c.Do(asking, s.request(o, left), t, &t.stderr)
	if errors.Is(err, client.ErrLost) {
		l.lost(c)
	}
	t.end()
	switch {
	case asking.Err() != nil && ctx.Err() == nil:
		o.end(TimedOut, fmt.Sprintf("no answer within %s", rows.ShortDuration(left+grace)))
	case asking.Err() != nil:
		o.end(TimedOut, s.ended(ctx))
	case err != nil:
		o.failed(err)
	default:
		o.close(s.q, ending, t.stderr.text())
	}
}

var errLate = errors.New("no answer in time")

// failed is how a target ends whose agent gave no ending.
func (o *Outcome) failed(err error) {
	switch {
	case strings.Contains(err.Error(), request.ErrGone.Error()), errors.Is(err, client.ErrLost):
		o.end(Gone, err.Error())
	default:
		o.end(Refused, err.Error())
	}
}

// close is how a target ends whose agent gave one.
func (o *Outcome) close(q *Question, ending *request.Ending, said string) {
	o.Code, o.Stopped = ending.Code, min(max(time.Duration(ending.Stopped), 0), longestExpire)
	why := ending.Why
	if why == "" {
		why = said
	}
	switch {
	case ending.Late:
		o.end(TimedOut, why)
	case ending.Code == exitDone:
		o.end(Answered, "")
	case ending.Code == exitFound:
		o.end(Answered, "")
	case ending.Code == exitPartial && (q.Write || q.DryRun):
		o.end(Refused, "nothing was changed, since the look was cut short: "+why)
	case ending.Code == exitPartial && slices.Equal(q.Command, []string{"record"}) && o.Rows == 0:
		o.end(Refused, "nothing was recorded: "+why)
	case ending.Code == exitPartial:
		o.end(Answered, why)
	default:
		if why == "" {
			why = fmt.Sprintf("ri exited with %d", ending.Code)
		}
		o.end(Refused, why)
	}
}

// taker makes rows of what a command prints.
type taker struct {
	s      *asking
	o      *Outcome
	rest   []byte
	stderr tail
}

// Write implements io.Writer.
func (t *taker) Write(p []byte) (int, error) {
	t.rest = append(t.rest, p...)
	for {
		i := bytes.IndexByte(t.rest, '\n')
		if i < 0 {
			break
		}
		t.take(t.rest[:i])
		t.rest = t.rest[i+1:]
	}
	if len(t.rest) > longestRow {
		return 0, fmt.Errorf("a row has more than %d bytes", longestRow)
	}
	return len(p), nil
}

func (t *taker) end() {
	if len(t.rest) > 0 {
		t.take(t.rest)
	}
	t.rest = nil
}

func (t *taker) take(text []byte) {
	row := readRow(text)
	if len(row) == 0 {
		return
	}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if row[0].Name == FindingCell {
		t.o.Findings++
	} else {
		t.o.Rows++
	}
	t.s.sink(t.o, row)
}

// tail keeps the last of what was said.
type tail struct{ buf []byte }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - mostStderr; over > 0 {
		t.buf = t.buf[over:]
	}
	return len(p), nil
}

// text is what was said last, as one line; a warning only if nothing else was said.
func (t *tail) text() string {
	var last, warning string
	for text := range strings.Lines(string(t.buf)) {
		text = strings.TrimPrefix(strings.TrimSpace(text), "ri: ")
		switch {
		case strings.HasPrefix(text, "warning: "):
			warning = text
		case text != "":
			last = text
		}
	}
	return cmp.Or(last, warning)
}
