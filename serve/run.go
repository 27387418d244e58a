package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"ri/ovsdb/wire"
	"ri/serve/request"
	"ri/serve/worker"
)

// run is a request that is under way.
type run struct {
	session *session
	id      int64
	asked   *request.Request
	files   map[string][]byte // that came before it, by path

	mu      sync.Mutex
	worker  *worker.Worker // nil before it is there, and when it has ended
	early   []syscall.Signal
	typed   chan input // for its standard input
	screen  *os.File   // the terminal's other end
	sent    atomic.Int64
	printed atomic.Int64  // bytes
	much    atomic.Bool   // it printed more than it may
	stopped time.Duration // for how long it held processes, if it said so
	late    atomic.Bool   // it took longer than who asked would wait

	life  context.Context // of what is done for it while it works
	end   context.CancelFunc
	pumps sync.WaitGroup
	conns connections

	begun  time.Time // with the process that it has
	before int64     // bytes that were sent before that
	share  *share    // of the stops of that

	kept    *kept  // what it writes is for the agent itself; nil: for who asked
	charged charge // for its stops
	quiet   bool   // it is written down only if it is refused
	key     string // of tokens
}

func newRun(ctx context.Context, s *session, id int64, asked *request.Request) *run {
	o := &run{session: s, id: id, asked: asked, typed: make(chan input, maxTyped)}
	o.life, o.end = context.WithCancel(ctx)
	o.charged = charge{budget: &s.agent.budget}
	return o
}

type input struct {
	piece   []byte
	request *wire.Request
}

// longest is the longest limit of a request, in milliseconds: a week.
const longest = 7 * 24 * 3600 * 1000

// Waits of a request that is to end.
const (
	lettingGo = 6 * time.Second // after SIGTERM: ri itself takes 4 s to end what it is doing
	lastWords = 2 * time.Second // for what a worker's children still hold of its streams
)

// do does the request. It has ended when this returns, and nothing is left of it.
func (o *run) do(ctx context.Context) (ending *request.Ending, err error) {
	o.begun = time.Now()
	s := o.session
	defer func() {
		o.end()
		o.conns.noMore()
		o.conns.close()
	}()
	defer func() {
		e := o.entry()
		if ending != nil {
			e.Code, e.Why = ending.Code, ending.Why
		}
		if err != nil {
			e.Code, e.Why = refused, err.Error()
		}
		if ctx.Err() != nil {
			e.Why = strings.TrimSuffix("the connection was lost; "+e.Why, "; ")
		}
		if !o.quiet || err != nil {
			s.agent.note(e)
		}
	}()
	root := filepath.Join(s.agent.Folder, requestsFolder, strconv.FormatInt(s.agent.count.Add(1), 10))
	defer os.RemoveAll(root)
	placed, err := o.place(root)
	if err != nil {
		return nil, err
	}
	w, err := s.agent.worker(s.caller)
	if err != nil {
		return nil, fmt.Errorf("no worker can be started: %w", err)
	}
	task := worker.Task{Line: o.asked.Line(root), Root: root, Folder: o.asked.At(root), Env: o.environment(), Terminal: -1,
		Redacted: s.caller.role < request.Author, Key: o.key, Allow: request.Outside(s.agent.Allow),
		Limits: worker.Limits{Rows: s.agent.Rows}}
	if !s.caller.local {
		task.Asker = fmt.Sprintf("%s has the role %s: %s", s.caller.name, s.caller.role, s.caller.role.May())
	}
	o.charge()
	task.Limits.Stops = o.share.most()
	if s.caller.credential == nil { // else they are the files of another user
		task.Site = s.agent.Site
	}
	streams, err := o.streams(&task)
	var incoming *os.File
	if err == nil && o.asked.Listens() {
		task.Address = cmp.Or(o.asked.ListensAt(), "elsewhere")
		incoming, err = o.conns.theirs()
	}
	if err == nil {
		err = w.Do(task, streams.theirs, incoming)
	}
	streams.give()
	incoming.Close()
	if err != nil {
		streams.close()
		w.Discard()
		return nil, err
	}
	o.mu.Lock()
	o.worker = w
	for _, sig := range o.early {
		w.Signal(sig)
	}
	o.mu.Unlock()
	lost := context.AfterFunc(ctx, o.terminate)
	defer lost()
	if o.asked.Limit > 0 {
		timer := time.AfterFunc(time.Duration(min(o.asked.Limit, longest))*time.Millisecond, func() {
			o.late.Store(true)
			o.terminate()
		})
		defer timer.Stop()
	}
	accounted := make(chan struct{})
	go func() { defer close(accounted); w.Serve(errands{o}) }()
	for stream, from := range streams.out {
		o.pumps.Go(func() { o.pump(ctx, stream, from) })
	}
	go feed(o.life, o.typed, streams.in, func() { o.noMore(streams.in) })
	status, _, err := w.Wait(func() {
		if o.kept == nil {
			_ = s.peer.Notify(request.Stopped, o.id)
		}
	})
	o.mu.Lock()
	o.worker = nil
	o.mu.Unlock()
	o.conns.noMore()
	<-accounted // its end of the socket is closed
	w.Close()
	o.stopped = o.share.end(err != nil || status.Signaled())
	if err != nil {
		streams.close()
		o.conns.close()
		return nil, fmt.Errorf("the worker: %w", err)
	}
	ended := make(chan struct{})
	go func() { o.pumps.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-o.stalled(ctx, ended):
	}
	streams.close()
	o.conns.close()
	<-ended
	ending = &request.Ending{Code: status.ExitStatus(), Stopped: int64(o.stopped), Late: o.late.Load()}
	if status.Signaled() {
		ending.Code = 128 + int(status.Signal())
		ending.Why = "the agent's worker died of " + unix.SignalName(status.Signal())
	}
	if o.much.Load() {
		ending.Code = refused
		ending.Why = fmt.Sprintf("it printed more than %d bytes, which is the most here (ri serve --max-output): ask for "+
			"less, or have it write a file (-o)", s.agent.Output)
	}
	if ending.Late {
		ending.Code = refused
		ending.Why = fmt.Sprintf("it took longer than %d ms, which is as long as it might", o.asked.Limit)
	}
	if ctx.Err() == nil && o.kept == nil {
		if err := o.bring(ctx, root, placed); err != nil {
			return nil, err
		}
	}
	return ending, nil
}

// charge has the stops of the process be charged to who asks.
func (o *run) charge() {
	o.share = o.charged.share(cmp.Or(o.charged.caller, o.session.caller.name), o.asked.Target())
}

// entry is what there is to be written down of the process that the request has.
func (o *run) entry() Entry {
	s := o.session
	return Entry{Time: o.begun, Caller: s.caller.name, Role: s.caller.role.String(), From: s.from(),
		Request: o.asked.Text(), Took: time.Since(o.begun).Seconds(), Stopped: o.stopped.Seconds(),
		Bytes: o.sent.Load() - o.before}
}

// stalled comes when the worker has ended and what it wrote has not been taken for a while by nobody's fault but that
// of a child which holds its streams; while the asker is slow it doesn't.
func (o *run) stalled(ctx context.Context, ended <-chan struct{}) <-chan struct{} {
	c := make(chan struct{})
	go func() {
		for last := int64(-1); ; {
			select {
			case <-ended:
				return
			case <-ctx.Done():
				close(c)
				return
			case <-time.After(lastWords):
			}
			if now := o.sent.Load(); now == last {
				close(c)
				return
			} else {
				last = now
			}
		}
	}()
	return c
}

// terminate ends the worker as a signal would, so that a change that is being made ends whole; and then at once.
func (o *run) terminate() {
	o.signal(syscall.SIGTERM)
	o.signal(syscall.SIGCONT)
	time.AfterFunc(lettingGo, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.worker != nil {
			o.worker.Kill()
		}
	})
}

func (o *run) signal(sig syscall.Signal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.worker == nil {
		o.early = append(o.early, sig)
		return
	}
	o.worker.Signal(sig)
}

func (o *run) resize(width, height int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.screen != nil && width > 0 && height > 0 && width < 1<<16 && height < 1<<16 {
		_ = pty.Setsize(o.screen, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)})
	}
}

func (o *run) environment() []string {
	var env []string
	for _, v := range o.asked.Env {
		for _, name := range request.Environment {
			if len(v) > len(name) && v[:len(name)] == name && v[len(name)] == '=' && len(v) < 4096 {
				env = append(env, v)
			}
		}
	}
	return env
}

// streams are a worker's, and what the agent has of them.
type streams struct {
	theirs [3]*os.File
	in     *os.File
	out    map[int]*os.File // by stream
	opened []*os.File
}

// give closes what the worker has.
func (s *streams) give() {
	for _, f := range s.theirs {
		if f != nil {
			f.Close()
		}
	}
}

func (s *streams) close() {
	for _, f := range s.opened {
		f.Close()
	}
}

// streams makes pipes, and a terminal where the asker has one.
func (o *run) streams(t *worker.Task) (*streams, error) {
	s := &streams{out: map[int]*os.File{}}
	terminal := o.asked.Terminal
	if terminal == nil {
		terminal = &request.Terminals{}
	}
	var screen *os.File
	if terminal.In || terminal.Out || terminal.Err {
		ours, theirs, err := pty.Open()
		if err != nil {
			return s, fmt.Errorf("a terminal: %w", err)
		}
		defer theirs.Close()
		s.opened = append(s.opened, ours)
		if err := attributes(theirs, terminal.Raw); err != nil {
			return s, fmt.Errorf("a terminal: %w", err)
		}
		screen, s.out[request.Terminal] = theirs, ours
		o.mu.Lock()
		o.screen = ours
		o.mu.Unlock()
		o.resize(terminal.Width, terminal.Height)
		if terminal.In {
			s.in = ours
		}
	}
	for i, isTerminal := range []bool{terminal.In, terminal.Out, terminal.Err} {
		if isTerminal {
			if t.Terminal < 0 {
				t.Terminal = i
			}
			copied, err := unix.FcntlInt(screen.Fd(), unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				return s, err
			}
			s.theirs[i] = os.NewFile(uintptr(copied), "terminal")
			continue
		}
		if i == 0 && !o.asked.Input {
			null, err := os.Open(os.DevNull)
			if err != nil {
				return s, err
			}
			s.theirs[0] = null
			continue
		}
		r, w, err := os.Pipe()
		if err != nil {
			return s, err
		}
		if i == 0 {
			s.theirs[0], s.in = r, w
			s.opened = append(s.opened, w)
		} else {
			s.theirs[i], s.out[i] = w, r
			s.opened = append(s.opened, r)
		}
	}
	return s, nil
}

// attributes has a terminal not change what is written, where the asker's will.
func attributes(f *os.File, raw bool) error {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	if !raw {
		t.Oflag &^= unix.OPOST
	}
	t.Iflag |= unix.IUTF8
	return unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
}

// pump sends what a worker writes, as fast as the asker takes it.
func (o *run) pump(ctx context.Context, stream int, from io.ReadCloser) {
	room := make(chan struct{}, request.Ahead)
	var pending sync.WaitGroup
	defer pending.Wait()
	var gone atomic.Bool
	buf := make([]byte, request.Piece)
	for {
		n, err := from.Read(buf)
		if most := o.session.agent.Output; o.printed.Add(int64(n)) > most && most > 0 {
			if !o.much.Swap(true) {
				o.terminate()
			}
			gone.Store(true)
		}
		if n > 0 && !gone.Load() && o.kept != nil {
			o.kept.write(stream, buf[:n])
			o.sent.Add(int64(n))
		} else if n > 0 && !gone.Load() {
			room <- struct{}{}
			answer, err := o.session.peer.Begin(request.Output, o.id, stream, request.Bytes(buf[:n]))
			if err != nil {
				gone.Store(true)
				<-room
			} else {
				pending.Go(func() {
					defer func() { <-room }()
					if _, err := answer(ctx); err != nil {
						gone.Store(true)
						from.Close() // the worker is told so when it writes
					}
					o.sent.Add(int64(n))
				})
			}
		}
		if err != nil || gone.Load() {
			from.Close()
			return
		}
	}
}

// maxTyped is how many pieces of input may wait for a worker that doesn't read; a piece is answered when it was taken.
const maxTyped = 4

func takeInput(typed chan input, r *wire.Request, piece []byte) error {
	select {
	case typed <- input{append([]byte(nil), piece...), r}:
		return nil
	default:
		return errors.New("too much input at once: wait for the answers")
	}
}

// noMore closes a worker's standard input.
func (o *run) noMore(in *os.File) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if in != o.screen {
		in.Close()
	}
}

// feed writes what was typed, to the end of which it is told, until the context ends.
func feed(ctx context.Context, typed <-chan input, to io.Writer, noMore func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case in := <-typed:
			if len(in.piece) == 0 {
				noMore()
				_ = in.request.Reply(map[string]any{})
				continue
			}
			if _, err := to.Write(in.piece); err != nil {
				refuse(in.request, errors.New("the command reads no more"))
				continue
			}
			_ = in.request.Reply(map[string]any{})
		}
	}
}
