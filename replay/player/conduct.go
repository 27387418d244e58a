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
	posts   map[string]*post // peers of packets
	waited  []*unit
	waiting int          // outputs that are waited for
	early   []*unit      // outputs that came, some of whose answers have their place later
	ahead   map[int]bool // such answers that were given nevertheless
	moved   uint64       // counts what the program sent
	cursor  int          // the event that is played

	noting    sync.Mutex     // of plan.notes
	receivers sync.WaitGroup // who read what the program writes

	wake     chan struct{}
	began    time.Time     // by our clock
	first    int64         // by the recording's
	lastMono int64         // of what was played last
	dueMono  int64         // of the last output that is waited for
	vain     time.Duration // was waited without that anything came
	heard    map[string]string
	inside   map[string]*book // of peers to which HTTP/2 was spoken

	moving sync.Mutex        // of moves
	moves  map[string]uint16 // peers that are at another port
}

// Patience is how long a program that does nothing is waited for at most, unless Options say otherwise.
const Patience = 2 * time.Second

const leastPatience = 20 * time.Millisecond

// vainPatience is how long where that was in vain too often.
const vainPatience = time.Millisecond

// mostVain is how long may be waited in vain, beyond as long as what was recorded took.
const mostVain = 2 * time.Second

// earlyPatience is how long it is before answers are given that have their place later.
const earlyPatience = 3 * time.Millisecond

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
	least := p.leastPatience()
	return min(max(time.Duration(gap)*3/2+least, least), p.mostPatience())
}

// leastPatience is how long a program that does nothing is waited for in any case. Where all that has been waited for
// in vain is longer than what was recorded, as with many things that ran at once and come out in another order, it is
// but a moment.
func (p *player) leastPatience() time.Duration {
	if p.vain > mostVain+time.Duration(p.lastMono-p.first) {
		return vainPatience
	}
	return leastPatience
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
func (p *player) await(done func() bool, patience time.Duration) (came bool) {
	begin := time.Now()
	defer func() {
		if !came && patience > earlyPatience {
			p.vain += time.Since(begin)
		}
	}()
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
		case patience <= earlyPatience && !a.Runs && time.Since(since) >= patience:
			return false // it may tick: no harm is done by what follows
		case looks >= fewLooks && !a.Held && (runs*4 < looks && time.Since(since) >= ticking*patience ||
			runs*10 < looks*9 && time.Since(since) >= 5*ticking*patience || time.Since(since) >= busy+ticking*patience):
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
	busy     = 30 * time.Second // what runs all the time is given so much, if nobody holds it
)

// outputs waits for the outputs that the recording has before what is played next, and gives up those that don't come.
func (p *player) outputs() {
	p.mu.Lock()
	ready := p.waiting == 0
	p.mu.Unlock()
	came := func() bool { return p.waiting == 0 }
	for !ready {
		if ready = p.await(came, min(earlyPatience, p.leastPatience())); ready || p.answerEarly() || p.reorder() {
			continue
		}
		if ready = p.await(came, p.patience(p.dueMono-p.lastMono)); !ready && !p.reorder() {
			break
		}
	}
	if ready {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lives {
		p.report.Short += l.short()
	}
	p.tellStrays()
	for _, u := range p.waited {
		if u.waited {
			u.waited = false
			p.report.Short++
		}
	}
	p.waited, p.waiting = p.waited[:0], 0
	p.tellUnmatched()
}

// reorder has what came be taken for outputs that have their place a little later, as nothing moves. It tells whether
// there were any.
func (p *player) reorder() (any bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lives {
		if before := l.waiting(); before > 0 && l.judge.reorder() {
			p.waiting += l.waiting() - before
			any = true
		}
	}
	return any
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
	p.mu.Lock()
	for _, l := range p.lives {
		if l.held {
			l.held = false
			p.play(l, answer{e: l.end})
		}
	}
	p.mu.Unlock()
	return nil
}

// left tells that something is still to be played.
func (p *plan) left(from int) bool {
	for _, e := range p.events[min(from, len(p.events)):] {
		if e.Kind == streams.Accept || e.Kind == streams.In && e.Errno == 0 && e.Size > 0 && e.Why != whyFrames {
			return true
		}
	}
	return false
}

func (p *player) event(i int, e *streams.Event) error {
	c := p.plan.conns[e.Conn]
	switch e.Kind {
	case streams.Listen:
		if e.Local == "" || e.Network == "unixgram" || !p.plan.comes(e.Network+" "+e.Local) {
			return nil // it is waited for when something comes, if it does
		}
		p.until(e)
		p.listens(e.Network, e.Local)
		p.played(i)
	case streams.Accept, streams.Existing:
		if c == nil || c.dialled || c.opened != i || c.self || c.packets {
			return nil
		}
		if !c.late {
			p.begin(c, i, i)
		}
	case streams.In:
		if upgrade := p.plan.upgrades[i]; upgrade != nil {
			p.upgrade(upgrade)
		}
		if _, late := p.plan.racing.until[i]; !late {
			p.in(c, i, i)
		}
	case streams.Out, streams.Close, streams.Shutdown, streams.Hole:
		if late := p.plan.late[i]; late != nil {
			p.begin(late, late.opened, i-1)
		}
		for _, read := range p.plan.racing.first[i] {
			p.in(c, read, i-1)
		}
		p.expect(c, i)
	}
	return nil
}

// begin begins a connection of a client, after what is before an event.
func (p *player) begin(c *conn, opened, after int) {
	p.until(&p.plan.events[after])
	p.outputs()
	p.clock.at(opened, after)
	if err := p.connect(c); err != nil {
		p.count(fmt.Sprintf("connections that the program didn't take (%v)", innermost(err)), 1)
	}
	p.played(opened)
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

// in plays what the program read, when it is the time behind another event.
func (p *player) in(c *conn, i, after int) {
	e := &p.plan.events[i]
	if e.Why == whyGoAway && c != nil {
		p.goAway(c, i, after)
		return
	}
	if c == nil || c.opened < 0 || c.self || e.Why == whyFrames || c.secure && !e.TLS && e.Size > int64(len(e.Data)) ||
		e.Errno != 0 && e.Errno != econnreset {
		return
	}
	if c.packets {
		p.playPacket(c, i)
		return
	}
	p.until(e)
	p.outputs()
	p.clock.at(i, after)
	if c.dialled {
		p.mu.Lock()
		if u := p.plan.before[i]; u != nil && u.used != nil && !p.ahead[i] {
			p.answer(u.used, u, e)
		}
		p.mu.Unlock()
		p.played(i)
		return
	}
	p.mu.Lock()
	l := p.lives[c.id]
	if l == nil {
		p.mu.Unlock()
		return
	}
	unsettled := l.unsettled()
	p.mu.Unlock()
	if unsettled {
		p.await(func() bool { return false }, p.leastPatience())
		p.mu.Lock()
		before := l.waiting()
		l.settle()
		p.waiting += l.waiting() - before
		p.mu.Unlock()
	}
	p.mu.Lock()
	if l.held = e.Size == 0 && l.owes(); l.held {
		l.end = e
	}
	held := l.held
	l.reads++
	p.mu.Unlock()
	if !held {
		p.play(l, answer{e: e})
	}
	p.played(i)
	if at, ok := p.plan.racing.answer[i]; ok {
		for n := range l.outs {
			if o := l.outs[n]; o.event == at {
				p.await(func() bool { return o.state != open || l.ended }, p.leastPatience())
				break
			}
		}
	}
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
	l := p.lives[c.id]
	if l == nil {
		return // nobody took it, or it has units
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

// connect connects as the recorded client.
func (p *player) connect(c *conn) error {
	if c.network == unpacked {
		return p.beginStream(c)
	}
	at := p.listens(c.network, c.local)
	if isUnix(c.network) {
		at = p.plan.place(c.network, at)
	}
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
	secure := func(raw net.Conn) (net.Conn, error) { return p.client(raw, c.host, p.plan.protocols([]*conn{c})) }
	switch {
	case c.clear:
		raw = newUpgraded(raw, false, secure)
	case c.secure:
		if raw, err = secure(raw); err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
	}
	if carrier := p.plan.carriers[c.id]; carrier != nil {
		s, err := newSession(raw, carrier.settings, nil)
		if err != nil {
			return fmt.Errorf("HTTP/2: %w", err)
		}
		p.receivers.Go(func() { s.run() })
		raw = s
	}
	p.plays(c, raw)
	return nil
}

// plays has our end of a connection play one of the recording.
func (p *player) plays(c *conn, ours net.Conn) {
	l := &live{c: ours, conn: c, judge: judge{of: c, outs: c.outs}}
	if p.plan.unchunked[c.id] != nil {
		l.chunks = &chunks{}
	}
	p.mu.Lock()
	p.lives[c.id] = l
	p.mu.Unlock()
	p.receivers.Go(func() { p.receive(l) })
}

func reuse(_, _ string, c syscall.RawConn) error {
	var err error
	return firstError(c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}), err)
}
