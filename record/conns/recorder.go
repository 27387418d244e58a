package conns

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"ri/probe/kernel"
	"ri/record/scrub"
	"ri/record/streams"
	"ri/symbols"
)

// Options say what is recorded.
type Options struct {
	PID        int
	Goid       int64 // offset in runtime.g; 0: goroutines aren't told
	Payload    bool  // bytes that come in are kept, as Scrub leaves them; of what goes out there is a digest
	Sent       bool  // bytes that go out are kept, too
	Random     bool  // random bytes are kept
	Listen, To []string
	Scrub      *scrub.Scrubber
	File       *symbols.File // of the program
	Writer     *streams.Writer
	Most       int64 // bytes that are kept at most; 0: no limit
}

// blanked is how many header blocks of HTTP/2 were blanked.
func (o *Options) blanked() int {
	if o.Scrub == nil {
		return 0
	}
	return o.Scrub.Blanked()
}

// Recorder records a process' streams.
type Recorder struct {
	opt     Options
	sockets *kernel.Sockets
	pidfd   int
	order   *order
	tracker *tracker
	queue   *queue
	counts  streams.Counts
	begun   time.Time
	delta   int64 // wall clock less the monotonic one
}

// New makes ready, and follows the process from now on: what it does is recorded once Run goes.
func New(opt Options) (*Recorder, error) {
	socketOpt := kernel.SocketOptions{PID: opt.PID, Goid: opt.Goid, In: opt.Payload, Out: opt.Payload, Random: opt.Random}
	var notes []string
	if opt.Payload && opt.File != nil {
		var err error
		if socketOpt.Target, err = target(opt.PID); err != nil {
			return nil, err
		}
		socketOpt.Functions, notes = functions(opt.File)
		socketOpt.Functions = slices.DeleteFunc(socketOpt.Functions, func(f kernel.SocketFunction) bool {
			return f.Kind == kernel.SocketRandom && !opt.Random
		})
	}
	with := func(k kernel.SocketKind) bool {
		return slices.ContainsFunc(socketOpt.Functions, func(f kernel.SocketFunction) bool { return f.Kind == k })
	}
	socketOpt.Random = opt.Random && !with(kernel.SocketRandom) // else some would come twice
	sockets, err := kernel.FollowSockets(socketOpt)
	if err != nil {
		return nil, err
	}
	r := &Recorder{opt: opt, sockets: sockets, order: newOrder(), pidfd: -1}
	r.queue = newQueue(opt, &r.counts)
	r.tracker = &tracker{byNumber: map[uint32]*socket{}, sink: r.queue.add, notes: map[string]bool{},
		clock: func(mono int64) int64 { return mono + r.delta }, wanted: r.wanted, plain: with(kernel.SocketPlainRead)}
	for _, note := range notes {
		r.tracker.notes[note] = true
	}
	if r.pidfd, err = unix.PidfdOpen(opt.PID, 0); err != nil {
		r.Close()
		return nil, errors.Join(kernel.ErrGone, err)
	}
	if err := sockets.Start(); err != nil {
		r.Close()
		return nil, err
	}
	if err := r.start(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// wanted tells whether a connection was asked for.
func (r *Recorder) wanted(s *socket) bool {
	if len(r.opt.Listen)+len(r.opt.To) == 0 {
		return true
	}
	list, addr := r.opt.Listen, s.local
	if s.dialled {
		list, addr = r.opt.To, s.peer
	}
	return slices.ContainsFunc(list, func(p string) bool { return Fits(p, addr) })
}

// start notes the time, and what was open before.
func (r *Recorder) start() error {
	r.begun = time.Now()
	now := r.now()
	if err := r.queue.add(&streams.Event{Kind: streams.Start, Mono: now, Wall: now + r.delta}, Conn{}); err != nil {
		return err
	}
	list, err := sockets(r.opt.PID)
	if err != nil {
		return err
	}
	// Who listens comes first: by that it is told which connections were accepted.
	slices.SortStableFunc(list, func(a, b open) int {
		return cmp.Compare(truth(b.listens), truth(a.listens))
	})
	listening, numbers := map[string]bool{}, map[string]uint32{}
	for _, o := range list {
		if o.listens {
			listening[port(o.local)], listening[o.local] = true, true
		}
		number := r.sockets.Follow(o.fd, numbers[o.inode])
		if number == 0 {
			continue // the kernel saw it opened
		}
		if inode, ok := socketInode(r.opt.PID, o.fd); !ok || inode != o.inode {
			r.sockets.Forget(o.fd, number)
			continue
		}
		if !o.known {
			r.sockets.Forget(o.fd, number) // netlink and the like
			continue
		}
		if numbers[o.inode] != 0 {
			r.tracker.byNumber[number].refs++
			continue
		}
		numbers[o.inode] = number
		r.tracker.existing(o, number, now, listening)
	}
	return r.tracker.err
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// now is the monotonic clock; what the wall clock is ahead of it is noted.
func (r *Recorder) now() int64 {
	var mono, wall unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono)
	unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
	r.delta = wall.Nano() - mono.Nano()
	return mono.Nano()
}

// Ways in which a recording ends: streams.Header.Ended.
const (
	EndedExited = "exited"
	EndedAsked  = "asked"
	EndedFull   = "full"
	EndedProbes = "probes" // those of the program's functions are gone: kernel.ErrKeeper
)

// Run records until the process has ended, the file is full, or ctx is done, and says which. An error is one of the
// file.
func (r *Recorder) Run(ctx context.Context) (string, error) {
	ended := ""
	for ended == "" {
		gone := r.gone() // before the last records are taken: none come afterwards
		n, err := r.drain(false)
		if err != nil {
			return "", err
		}
		switch {
		case gone:
			ended = EndedExited
		case ctx.Err() != nil:
			ended = EndedAsked
		case r.opt.Most > 0 && r.queue.kept > r.opt.Most:
			ended = EndedFull
		case r.sockets.Broken():
			ended = EndedProbes
			r.tracker.notes["it ended when "+kernel.ErrKeeper.Error()] = true
		case n == 0:
			time.Sleep(kernel.Pause)
		}
	}
	if err := r.sockets.Stop(); err != nil && !errors.Is(err, kernel.ErrKeeper) {
		return "", err
	}
	if _, err := r.drain(true); err != nil {
		return "", err
	}
	now := r.now()
	if err := r.queue.add(&streams.Event{Kind: streams.End, Mono: now, Wall: now + r.delta}, Conn{}); err != nil {
		return "", err
	}
	return ended, r.queue.flush(time.Now(), true)
}

func (r *Recorder) gone() bool {
	fds := []unix.PollFd{{Fd: int32(r.pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// batch is how many records are taken until what they are is written.
const batch = 4096

func (r *Recorder) drain(end bool) (n int, err error) {
	for {
		more := false
		for range batch {
			c, ok := r.sockets.Next()
			if more = ok; !ok {
				break
			}
			n++
			r.order.add(c)
		}
		r.now()
		now := time.Now()
		r.order.dropped = r.sockets.Counts().Lost
		for {
			c := r.order.take(now, end && !more)
			if c == nil {
				break
			}
			r.tracker.call(&c.SocketCall)
		}
		if r.tracker.err != nil {
			return n, r.tracker.err
		}
		if err := r.queue.flush(now, false); err != nil {
			return n, err
		}
		if !more {
			return n, nil
		}
	}
}

// Counts is what was recorded.
func (r *Recorder) Counts() streams.Counts {
	c := r.counts
	c.Connections = uint64(r.tracker.last)
	c.Lost = r.order.lost
	c.Holes = r.tracker.holes
	return c
}

// Incomplete says what keeps the recording from being whole, a sentence each.
func (r *Recorder) Incomplete() []string {
	var out []string
	for note := range r.tracker.notes {
		out = append(out, note)
	}
	slices.Sort(out)
	return append(out, r.queue.incomplete(r.order.lost)...)
}

// Cost is what the recording has cost the process, as far as it is known: calls that were told, and bytes.
func (r *Recorder) Cost() (calls, bytes uint64) {
	c := r.sockets.Counts()
	return c.Records, c.Bytes
}

// Close takes all away.
func (r *Recorder) Close() error {
	err := r.sockets.Close()
	if r.pidfd >= 0 {
		unix.Close(r.pidfd)
		r.pidfd = -1
	}
	return err
}
