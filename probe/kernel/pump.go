package kernel

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"ri/probe"
)

// queueBytes is how much of decoded events waits for Next; beyond it they wait in the ring.
const queueBytes = 16 << 20

// pump takes events out of the ring, keeps the budget, and ends the session where that is to be. Programs wake nobody,
// so it looks by the clock.
func (a *Armed) pump() {
	defer a.pumped.Done()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var p purse
	last := time.Now()
	gauged := last
	for {
		a.drain()
		select {
		case <-a.stop:
			return
		case <-a.keeper.ended:
			a.end(ErrKeeper)
			return
		case <-ticker.C:
		}
		now := time.Now()
		a.refill(now.Sub(last))
		last = now
		if a.gauge != nil && now.Sub(gauged) >= gaugeEvery {
			gauged = now
			a.gauge.sample()
			a.ledger.price(a.gauge.traps())
		}
		perProbe, _ := a.spent()
		var spent time.Duration
		for _, d := range perProbe {
			spent += d
		}
		over := p.over(spent, a.share(), now)
		switch {
		case a.away():
			if p.credit < time.Duration(a.share()*float64(burst))/2 {
				break
			}
			if err := a.attachAll(); err != nil {
				a.end(err)
				return
			}
		case p.credit < 0 && a.options.Windows:
			a.pause() // at once: the next one is not far
		case over:
			a.end(a.costly(perProbe, now))
			return
		case a.reached(now):
			a.end(ErrLimit)
			return
		case a.gone():
			a.end(ErrGone)
			return
		}
	}
}

func (a *Armed) costly(perProbe []time.Duration, now time.Time) error {
	length := now.Sub(a.started).Seconds()
	var rates []Rate
	cost := 0.0
	for _, d := range perProbe {
		rates = append(rates, Rate{Cost: d.Seconds() / length})
		cost += d.Seconds() / length
	}
	return a.overBudget(cost, rates, false)
}

// Gone tells whether the process has ended.
func (a *Armed) Gone() bool { return a.gone() }

func (a *Armed) gone() bool {
	if a.pidfd < 0 {
		return unix.Kill(a.target.PID, 0) == unix.ESRCH
	}
	fds := []unix.PollFd{{Fd: int32(a.pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// drain takes what is whole in the ring.
func (a *Armed) drain() {
	for {
		a.mu.Lock()
		full := a.queued > queueBytes
		a.mu.Unlock()
		if full {
			return
		}
		b, release, ok := a.ring.next()
		if !ok {
			return
		}
		e, err := a.decode(b)
		size := len(b)
		release()
		if err != nil {
			continue
		}
		a.mu.Lock()
		a.queue = append(a.queue, e)
		a.queued += size
		a.mu.Unlock()
		a.notify()
	}
}

func (a *Armed) notify() {
	select {
	case a.more <- struct{}{}:
	default:
	}
}

// away says whether a window is closed.
func (a *Armed) away() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.since.IsZero()
}

// pause closes a window. Calls that are open then are forgotten: their returns may pass by unseen.
func (a *Armed) pause() {
	a.closeLinks()
	a.drain()
	for _, m := range a.calls {
		key := make([]byte, 24)
		for m.NextKey(nil, &key) == nil && m.Delete(key) == nil {
		}
	}
}

// end takes the probes away, and says why.
func (a *Armed) end(why error) {
	a.mu.Lock()
	if a.why == nil {
		a.why = why
	}
	a.mu.Unlock()
	a.takeAway()
	a.drain()
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	a.notify()
}

// takeAway ends the session's hits.
func (a *Armed) takeAway() error {
	a.mu.Lock()
	first := a.disarmed.IsZero() && !a.started.IsZero()
	a.mu.Unlock()
	if first {
		forked := a.findForked()
		a.mu.Lock()
		a.forked = forked
		a.mu.Unlock()
	}
	err := a.closeLinks()
	a.mu.Lock()
	if first {
		a.disarmed = time.Now()
	}
	a.mu.Unlock()
	return err
}

// closeLinks closes the links: entries first, so that calls which are open by then still find their returns.
func (a *Armed) closeLinks() error {
	a.mu.Lock()
	entries, backs := a.entries, a.backs
	a.entries, a.backs = nil, nil
	a.mu.Unlock()
	err := a.keeper.away(entries)
	// Nothing is called any more, and what returns is still seen to: a call whose frame is gone now, and that is still
	// there when the returns aren't probed any more, has not returned.
	if len(backs) > 0 {
		a.fallen = map[callID]bool{}
		a.eachOpen(func(id callID, e probe.Event) {
			if !a.standing(e, id.depth) {
				a.fallen[id] = true
			}
		})
	}
	err = errors.Join(err, a.keeper.away(backs))
	a.mu.Lock()
	if !a.since.IsZero() {
		a.armedFor += time.Since(a.since)
		a.since = time.Time{}
	}
	a.mu.Unlock()
	return err
}

// Next waits for the next event. Once all events that were taken are given it ends with why there are no more:
// ErrLimit, an *ErrBudget, ErrGone, ErrKeeper, io.EOF after Disarm, or ctx's error.
func (a *Armed) Next(ctx context.Context) (probe.Event, error) {
	for {
		a.mu.Lock()
		if len(a.queue) > 0 {
			e := a.queue[0]
			a.queue = a.queue[1:]
			if len(a.queue) == 0 {
				a.queue, a.queued = nil, 0
			}
			a.mu.Unlock()
			return e, nil
		}
		a.queued = 0
		ended, why := a.ended, a.why
		a.mu.Unlock()
		if ended {
			if a.drain(); a.waiting() {
				continue
			}
			return probe.Event{}, why
		}
		select {
		case <-a.more:
		case <-ctx.Done():
			return probe.Event{}, ctx.Err()
		}
	}
}

func (a *Armed) waiting() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.queue) > 0
}

// Disarm takes the probes away. What was taken stays to be had by Next.
func (a *Armed) Disarm() error {
	a.halt()
	err := a.takeAway()
	a.mu.Lock()
	ended := a.ended
	a.mu.Unlock()
	if !ended {
		a.end(io.EOF)
	}
	return err
}

// halt ends the pump.
func (a *Armed) halt() {
	a.mu.Lock()
	select {
	case <-a.stop:
	default:
		close(a.stop)
	}
	a.mu.Unlock()
	a.pumped.Wait()
}

// Open gives the calls that have not returned, after Disarm: those that go on, and, as Ended, those whose frames are
// gone. Of a goroutine that runs it can't be told that a frame is gone which no other call took the place of.
func (a *Armed) Open() []probe.Event {
	var out []probe.Event
	a.eachOpen(func(id callID, e probe.Event) {
		e.Ended = a.fallen[id]
		out = append(out, e)
	})
	slices.SortFunc(out, func(x, y probe.Event) int { return cmp.Compare(x.Time, y.Time) })
	return out
}

// callID tells a call from others: its g, how far the end of its frame was below the end of the stack, and when it was.
type callID struct {
	g, depth uint64
	time     time.Duration
}

// eachOpen goes through the calls of which no return was seen.
func (a *Armed) eachOpen(f func(callID, probe.Event)) {
	for key, m := range a.calls {
		if key < 0 {
			continue
		}
		k, v := make([]byte, 24), make([]byte, key)
		for it := m.Iterate(); it.Next(&k, &v); {
			if e, err := a.decode(v); err == nil {
				f(callID{e.G, le64(k[8:]), e.Time}, e)
			}
		}
	}
}

// Statuses of a goroutine: of the first two the saved SP is its own (runtime2.go, Go 1.20 to 1.27).
const (
	inSyscall = 3
	waiting   = 4
	dead      = 6
)

// standing says whether a call goes on: its g may be another goroutine's by now, and of one that waits the stack tells.
// depth is how far the end of the call's frame was below the end of the stack.
func (a *Armed) standing(e probe.Event, depth uint64) bool {
	if a.options.Goid <= 0 {
		return true
	}
	goid, err := a.ofG(e.G, a.options.Goid)
	if err != nil && a.gone() {
		return true // the process ended in the midst of it
	}
	if err != nil || goid != e.Goroutine {
		return false
	}
	if a.options.Status == 0 || a.options.SP == 0 || a.options.SyscallSP == 0 {
		return true
	}
	status, err := a.ofG(e.G, a.options.Status)
	if err != nil || uint32(status) == dead {
		return err != nil
	}
	saved := map[uint32]int64{waiting: a.options.SP, inSyscall: a.options.SyscallSP}[uint32(status)]
	if saved == 0 {
		return true
	}
	sp, err := a.ofG(e.G, saved)
	hi, hiErr := a.ofG(e.G, a.options.StackHi)
	again, statusErr := a.ofG(e.G, a.options.Status)
	if err != nil || hiErr != nil || statusErr != nil || sp == 0 || sp > hi || uint32(again) != uint32(status) {
		return true
	}
	return hi-sp > depth
}

// ofG reads a word of a runtime.g.
func (a *Armed) ofG(g uint64, offset int64) (uint64, error) {
	var b [8]byte
	local := []unix.Iovec{{Base: &b[0], Len: 8}}
	remote := []unix.RemoteIovec{{Base: uintptr(g) + uintptr(offset), Len: 8}}
	n, err := unix.ProcessVMReadv(a.target.PID, local, remote, 0)
	if err == nil && n != len(b) {
		err = io.ErrUnexpectedEOF
	}
	return le64(b[:]), err
}

// Close takes all away.
func (a *Armed) Close() error {
	a.halt()
	err := a.takeAway()
	a.keeper.close()
	a.gauge.close()
	a.gauge = nil
	for _, u := range a.units {
		if u.program != nil {
			u.program.Close()
		}
	}
	if a.ring != nil {
		a.ring.close()
		a.ring = nil
	}
	a.control.close()
	for _, m := range a.calls {
		m.Close()
	}
	for _, m := range a.blanks {
		m.Close()
	}
	for _, m := range a.tables {
		m.Close()
	}
	if a.flows != nil {
		a.flows.Close()
	}
	for _, c := range []io.Closer{a.controlMap, a.ringMap, a.file} {
		c.Close()
	}
	if a.pidfd >= 0 {
		unix.Close(a.pidfd)
		a.pidfd = -1
	}
	return err
}

func (c *control) close() {
	if c.memory != nil {
		unix.Munmap(c.memory)
		c.memory = nil
	}
}
