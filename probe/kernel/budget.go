package kernel

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
)

const (
	tick      = 5 * time.Millisecond
	tolerance = 50 * time.Millisecond  // over the budget, before the probes go
	burst     = time.Second            // what a quiet time saves up
	takenCost = 1500 * time.Nanosecond // of an event, beyond its traps
)

// count counts hits of all places with a program that does nothing else, and says what that will cost. It ends early
// where the counting alone costs more than the budget of a second.
func (a *Armed) count(ctx context.Context, places []spot) error {
	m, c, err := newControl(a.control.layout)
	if err != nil {
		return err
	}
	defer m.Close()
	defer c.close()
	start := time.Now()
	links, err := a.attachCounting(m.FD(), places)
	if err != nil {
		a.keeper.away(links)
		return err
	}
	for time.Since(start) < a.options.Counting && ctx.Err() == nil {
		time.Sleep(tick)
		if a.estimate(c, time.Since(start)).Cost*time.Since(start).Seconds() > a.options.Budget*burst.Seconds() {
			break
		}
	}
	length := time.Since(start)
	a.forecast = a.estimate(c, length)
	if err := a.keeper.away(links); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.forecast.Cost > a.options.Budget && !a.options.Windows {
		return a.overBudget(a.forecast.Cost, a.forecast.Probes, true)
	}
	return nil
}

// attachCounting arms programs that only count. Where the kernel has no cookies each probe needs one of its own.
func (a *Armed) attachCounting(fd int, places []spot) (links []int, err error) {
	programs := map[uint64][]spot{}
	for _, p := range places {
		p.cookie = uint64(p.probe)
		if p.back {
			p.cookie |= countsReturn
		}
		if a.how.cookies {
			programs[0] = append(programs[0], p)
		} else {
			programs[p.cookie] = append(programs[p.cookie], p)
		}
	}
	for known, counted := range programs {
		code, err := counting(a.control.layout, fd, a.how, known)
		if err != nil {
			return links, err
		}
		program, err := ebpf.NewProgram(programSpec(code, a.how, a.way))
		if err != nil {
			return links, fmt.Errorf("the kernel refuses the program that counts: %w", err)
		}
		defer program.Close() // the links hold it
		more, err := a.attach(program, counted, func(spot) bool { return true })
		if links = append(links, more...); err != nil {
			return links, err
		}
	}
	return links, nil
}

// estimate says what hits that were counted cost by the second.
func (a *Armed) estimate(c control, length time.Duration) Forecast {
	f := Forecast{Length: length}
	for i := range a.probes {
		hits, backs := float64(c.count(i, countEntries)), float64(c.count(i, countReturns))
		cost := hits*a.ledger.trap(i, false).Seconds() + backs*a.ledger.trap(i, true).Seconds()
		r := Rate{PerSecond: hits / length.Seconds(), Cost: cost / length.Seconds()}
		f.Probes = append(f.Probes, r)
		f.Cost += r.Cost
	}
	return f
}

func (a *Armed) overBudget(cost float64, rates []Rate, before bool) error {
	e := &ErrBudget{Budget: a.options.Budget, Cost: cost, Needed: cost * 1.5, Before: before}
	most := -1.0
	for i, r := range rates {
		if r.Cost > most {
			most, e.Costliest = r.Cost, a.probes[i].Name
		}
	}
	return e
}

// spent is what the session has cost the target so far, by probe.
func (a *Armed) spent() (perProbe []time.Duration, hits uint64) {
	for i := range a.probes {
		p := &a.probes[i]
		c := func(counter int) uint64 { return a.control.count(i, counter) }
		backs := c(countReturns)
		entries := c(countRefused) + c(countOver) + c(countLost) + c(countFalse) + c(countNil) + c(countAside)
		if p.Paired() {
			// Which side refused isn't told apart; a side too many is on the safe side.
			entries += c(countEntries)
		} else {
			entries += c(countTaken)
		}
		cost := a.ledger.count(i, entries, backs) + time.Duration(c(countNanos)+sampled*c(countSampled))
		perProbe = append(perProbe, cost)
		hits += entries + backs
	}
	return perProbe, hits
}

// Cost is what the session has cost the target so far.
func (a *Armed) Cost() Cost {
	perProbe, hits := a.spent()
	c := Cost{Hits: hits}
	for _, d := range perProbe {
		c.CPU += d
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	c.Armed, c.Windows = a.armedFor, a.windows
	if !a.since.IsZero() {
		c.Armed += now.Sub(a.since)
	}
	if !a.disarmed.IsZero() {
		now = a.disarmed
	}
	if !a.started.IsZero() {
		c.Length = now.Sub(a.started)
	}
	return c
}

// windowShare is what windows take of the budget. The rest is for what hits cost beyond what is measured (on a busy
// machine a third: of 0.68 s of a program's CPU 0.52 s were known), and for the last window, whose debt nobody pays
// back.
const windowShare = 0.7

// share is the budget that the session keeps to.
func (a *Armed) share() float64 {
	if a.options.Windows {
		return windowShare * a.options.Budget
	}
	return a.options.Budget
}

// purse is the budget in user space: what may be spent, and since when it is overdrawn.
type purse struct {
	credit time.Duration
	spent  time.Duration
	since  time.Time
	last   time.Time
}

// over draws what was spent, and says whether that has been too much for too long.
func (p *purse) over(spent time.Duration, budget float64, now time.Time) bool {
	full := time.Duration(budget * float64(burst))
	if !p.last.IsZero() {
		p.credit += time.Duration(budget * float64(now.Sub(p.last)))
	} else {
		p.credit = full
	}
	p.credit = min(p.credit-(spent-p.spent), full)
	p.spent, p.last = spent, now
	if p.credit >= 0 {
		p.since = time.Time{}
		return false
	}
	if p.since.IsZero() {
		p.since = now
	}
	return now.Sub(p.since) >= tolerance
}

// refill gives each probe tokens for the events that it may take: what the budget would pay for if it were the only
// one.
func (a *Armed) refill(length time.Duration) {
	for i := range a.probes {
		event := takenCost + a.ledger.trap(i, false)
		if len(a.probes[i].Returns) > 0 { // of flows, too
			event += a.ledger.trap(i, true)
		}
		full := int64(max(1, a.options.Budget*float64(burst)/float64(event)))
		a.owed[i] += a.options.Budget * float64(length) / float64(event)
		more := int64(a.owed[i])
		a.owed[i] -= float64(more)
		at := a.control.at(a.control.layout.tokens(i))
		have := int64(atomic.LoadUint64(at))
		now := min(max(have, 0)+more, full)
		atomic.StoreUint64(at, uint64(now))
	}
}
