//go:build linux && amd64

package player

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ri/record/streams"
	"ri/replay/sandbox"
)

// player plays a plan to a program.
type player struct {
	plan      *plan
	opt       Options
	prog      *sandbox.Program
	clock     *clock
	authority *authority // of the certificates of those that the program dials
	report    Report

	mu      sync.Mutex
	lives   map[uint32]*live // which play a connection that came in
	dialled []*live
	waited  []*unit
	waiting int    // outputs that are waited for
	moved   uint64 // counts what the program sent
	cursor  int    // the event that is played

	noting sync.Mutex // of plan.notes

	wake     chan struct{}
	began    time.Time // by our clock
	first    int64     // by the recording's
	lastMono int64     // of what was played last
	dueMono  int64     // of the last output that is waited for
	heard    map[string]string
}

// Patience is how long a program that does nothing is waited for at most, unless Options say otherwise.
const Patience = 2 * time.Second

// leastPatience is how long a program that does nothing is waited for in any case.
const leastPatience = 20 * time.Millisecond

// count notes something that isn't as recorded.
func (p *player) count(what string, n int) {
	p.noting.Lock()
	defer p.noting.Unlock()
	p.plan.notes[what] += n
}

// wakeUp has who waits look again.
func (p *player) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// patience is how long the program may do nothing before it is gone on without, where the recording has a gap: as long
// as that and half as much again, since timers run in real time.
func (p *player) patience(gap int64) time.Duration {
	return min(max(time.Duration(gap)*3/2+leastPatience, leastPatience), p.mostPatience())
}

func (p *player) mostPatience() time.Duration {
	if p.opt.Patience > 0 {
		return p.opt.Patience
	}
	return Patience
}

// await waits until done says so. It gives false when nothing has moved for some time: nothing comes, and no thread of
// the program runs. One that only looks at something from time to time (a ticker) counts as doing nothing, if that is
// all that it does for several times as long. The lock is held while done is asked.
func (p *player) await(done func() bool, patience time.Duration) bool {
	var last sandbox.Activity
	var moved uint64
	still := time.Now() // since when nothing has moved
	since, looks, runs := still, 0, 0
	pause := time.NewTimer(time.Hour)
	defer pause.Stop()
	for step := 200 * time.Microsecond; ; step = min(step*2, 5*time.Millisecond) {
		p.mu.Lock()
		ok, now := done(), p.moved
		p.mu.Unlock()
		if ok {
			return true
		}
		pause.Reset(step)
		select {
		case <-p.wake:
			continue
		case <-p.prog.Ended:
			p.mu.Lock()
			defer p.mu.Unlock()
			return done()
		case <-pause.C:
		}
		a := p.prog.Activity()
		looks++
		if a.Runs {
			runs++
		}
		switch {
		case now != moved:
			last, moved, still = a, now, time.Now()
			since, looks, runs = still, 0, 0
		case looks >= fewLooks && runs*4 < looks && time.Since(since) >= ticking*patience:
			return false
		case a.Runs || a != last:
			last, still = a, time.Now()
		case time.Since(still) >= patience:
			return false
		}
	}
}

// What tells a program with a ticker from one that works: in so many looks it mostly sleeps, for so many times the
// patience that one gets which sleeps all the while.
const (
	fewLooks = 20
	ticking  = 4
)

// outputs waits for the outputs that the recording has before what is played next, and gives up those that don't come.
func (p *player) outputs() {
	p.mu.Lock()
	ready := p.waiting == 0
	p.mu.Unlock()
	if ready || p.await(func() bool { return p.waiting == 0 }, p.patience(p.dueMono-p.lastMono)) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lives {
		p.report.Short += l.short()
	}
	for _, u := range p.waited {
		if u.waited {
			u.waited = false
			p.report.Short++
		}
	}
	p.waited, p.waiting = p.waited[:0], 0
	p.tellUnmatched()
}

// conduct plays all events, in order.
func (p *player) conduct(ctx context.Context) error {
	events := p.plan.events
	if len(events) == 0 {
		return nil
	}
	p.began, p.first, p.lastMono = time.Now(), events[0].Mono, events[0].Mono
	if err := p.serve(ctx); err != nil {
		return err
	}
	for i := range events {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e := &events[i]
		p.mu.Lock()
		p.cursor = i
		p.mu.Unlock()
		if err := p.event(i, e); err != nil {
			return err
		}
		p.mu.Lock()
		p.cursor = i + 1
		p.mu.Unlock()
		select {
		case <-p.prog.Ended:
			if p.plan.left(i + 1) {
				p.report.Ended = true
				p.report.note("the program ended after event %d, with %d", e.Seq, p.prog.Exit)
				return nil
			}
		default:
		}
	}
	p.outputs()
	return nil
}

// left tells that something is still to be played.
func (p *plan) left(from int) bool {
	for _, e := range p.events[min(from, len(p.events)):] {
		if e.Kind == streams.Accept || e.Kind == streams.In && e.Errno == 0 && e.Size > 0 {
			return true
		}
	}
	return false
}

func (p *player) event(i int, e *streams.Event) error {
	c := p.plan.conns[e.Conn]
	switch e.Kind {
	case streams.Listen:
		p.until(e)
		p.listens(e.Network, e.Local)
		p.played(i)
	case streams.Accept, streams.Existing:
		if c == nil || c.dialled || c.opened != i || c.self {
			return nil
		}
		p.until(e)
		p.outputs()
		p.clock.at(i)
		if err := p.connect(c); err != nil {
			p.count(fmt.Sprintf("connections that the program didn't take (%v)", err), 1)
		}
		p.played(i)
	case streams.In:
		p.in(c, i)
	case streams.Out, streams.Close, streams.Shutdown, streams.Hole:
		p.expect(c, i)
	}
	return nil
}

// played notes what was played last.
func (p *player) played(i int) {
	p.report.Played++
	p.lastMono = p.plan.events[i].Mono
}

// until waits for an event's time, if they are played at the recording's pace.
func (p *player) until(e *streams.Event) {
	if p.opt.Pace <= 0 {
		return
	}
	due := p.began.Add(time.Duration(float64(e.Mono-p.first) / p.opt.Pace))
	select {
	case <-time.After(time.Until(due)):
	case <-p.prog.Ended:
	}
}

// in plays what the program read.
func (p *player) in(c *conn, i int) {
	e := &p.plan.events[i]
	if c == nil || c.opened < 0 || c.self || c.secure && !e.TLS && e.Size > 0 || e.Errno != 0 && e.Errno != econnreset {
		return
	}
	p.until(e)
	p.outputs()
	p.clock.at(i)
	if c.dialled {
		p.mu.Lock()
		if u := p.plan.before[i]; u != nil && u.used != nil {
			p.answer(u.used, e)
		}
		p.mu.Unlock()
		p.played(i)
		return
	}
	p.mu.Lock()
	l := p.lives[c.id]
	unsettled := l != nil && l.unsettled()
	p.mu.Unlock()
	if l == nil {
		return
	}
	if unsettled {
		p.await(func() bool { return false }, leastPatience)
		p.mu.Lock()
		before := l.waiting()
		l.settle()
		p.waiting += l.waiting() - before
		p.mu.Unlock()
	}
	p.play(l, e)
	p.played(i)
}

// expect notes that the recording has an output here.
func (p *player) expect(c *conn, i int) {
	if c == nil || c.opened < 0 || c.self {
		return
	}
	e := &p.plan.events[i]
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.plan.units[i]; u != nil {
		if u.used == nil {
			u.waited = true
			p.waited = append(p.waited, u)
			p.waiting++
			p.dueMono = e.Mono
		}
		return
	}
	if c.dialled {
		return
	}
	l := p.lives[c.id]
	if l == nil {
		return
	}
	before := l.waiting()
	for l.due < len(l.outs) && l.outs[l.due].event <= i {
		l.due++
	}
	if n := l.waiting() - before; n > 0 {
		p.waiting += n
		p.dueMono = e.Mono
	}
}

// listens waits until the program listens at an address of the recording, and gives where that is: a program that
// listens at a port of the kernel's choice has another one.
func (p *player) listens(network, local string) string {
	key := network + " " + local
	if at, ok := p.heard[key]; ok {
		return at
	}
	at := ""
	found := func() bool {
		for _, have := range p.prog.Listening() {
			if covers(have, key) {
				at = local
				return true
			}
		}
		return false
	}
	if !p.await(found, otherPatience) {
		if at = p.another(key); at == "" && !p.await(found, listenPatience) {
			at = local
		}
	}
	p.heard[key] = at
	return at
}

// otherPatience is how long a program that does nothing may take to listen at the recorded address before another one
// is taken for it.
const otherPatience = 100 * time.Millisecond

// listenPatience is how long a program that does nothing may take to listen.
const listenPatience = 3 * time.Second

// another is an address at which the program listens and the recorded one didn't, or "".
func (p *player) another(key string) string {
	network, local, _ := strings.Cut(key, " ")
	for _, have := range p.prog.Listening() {
		if !strings.HasPrefix(have, network+" ") {
			continue
		}
		known := false
		for _, recorded := range p.plan.listen {
			known = known || covers(have, recorded) || covers(recorded, have)
		}
		for _, at := range p.heard {
			known = known || covers(have, network+" "+at)
		}
		if !known {
			p.report.note("the program listens at %s in place of %s", have, key)
			_, port, _ := net.SplitHostPort(strings.TrimPrefix(have, network+" "))
			host, _, _ := net.SplitHostPort(local)
			return net.JoinHostPort(host, port)
		}
	}
	return ""
}

// covers tells that a socket which listens at an address takes what comes to another.
func covers(have, want string) bool {
	if have == want {
		return true
	}
	network, local, _ := strings.Cut(have, " ")
	network2, local2, _ := strings.Cut(want, " ")
	host, port, err := net.SplitHostPort(local)
	_, port2, err2 := net.SplitHostPort(local2)
	if err != nil || err2 != nil || network != network2 || port != port2 {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}

// connect connects as the recorded client.
func (p *player) connect(c *conn) error {
	at := p.listens(c.network, c.local)
	d := net.Dialer{Timeout: 10 * time.Second, Control: reuse}
	if strings.HasPrefix(c.network, "tcp") {
		if from, err := net.ResolveTCPAddr(c.network, c.peer); err == nil {
			d.LocalAddr = from
		}
	}
	raw, err := d.Dial(c.network, at)
	if err != nil && d.LocalAddr != nil && isTaken(err) {
		d.LocalAddr.(*net.TCPAddr).Port = 0
		p.count("clients that came from another port than recorded, as theirs was taken", 1)
		raw, err = d.Dial(c.network, at)
	}
	if err != nil {
		return err
	}
	if c.secure {
		if raw, err = client(raw, p.plan.protocols(c)); err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
	}
	l := &live{c: raw, conn: c, judge: judge{outs: c.outs}}
	p.mu.Lock()
	p.lives[c.id] = l
	p.mu.Unlock()
	go p.receive(l)
	return nil
}

func reuse(_, _ string, c syscall.RawConn) error {
	var err error
	return firstError(c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}), err)
}
