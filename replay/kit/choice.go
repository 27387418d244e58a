package kit

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// riChoice is where a select took one thing though another was there, too: both have to be there when its goroutine
// looks. So what led to the one is done right behind what let the goroutine go on, while that waits in a call.
type riChoice struct {
	first, then *riStep
	goroutine   uint64
	seq         int64 // where it was taken
}

// choose finds the choices of a recording.
func (rec *riRecording) choose(lines []*riLine) {
	for _, l := range lines {
		var by *riEvent
		for i, e := range l.events {
			if e.Kind == "receive" && len(e.Over) > 0 && !e.Polled && by != nil {
				c := riChoice{riRoot(by), riRoot(e), e.Goroutine, e.Seq}
				if c.first != nil && c.then != nil {
					rec.choices = append(rec.choices, c)
				}
			}
			if e.Kind == "receive" && !e.Polled || l.steps[i] != nil {
				by = e
			}
		}
	}
}

// riRoot is the step that led to an event, through whatever the library sent to itself; nil if that isn't known.
func riRoot(e *riEvent) *riStep {
	for range riRounds {
		switch {
		case e == nil:
			return nil
		case e.step != nil:
			return e.step
		case e.sent == nil:
			return nil
		}
		e = e.sent.by
	}
	return nil
}

// join moves a choice's step to where it has to be, in a copy; false if something keeps it from there.
func (c *riChoice) join(steps []*riStep) ([]*riStep, bool) {
	at, from := slices.Index(steps, c.first), slices.Index(steps, c.then)
	if at < 0 || from <= at {
		return steps, false
	}
	for _, s := range steps[at+1 : from] {
		if s.e.Goroutine == c.then.e.Goroutine {
			return steps, false
		}
	}
	steps = slices.Delete(slices.Clone(steps), from, from+1)
	return slices.Insert(steps, at+1, c.then), true
}

// riTry replays a group's steps once.
type riTry func(steps []*riStep, holds map[*riStep]uint64) *riReplay

// riSearch replays a group until all is as recorded. Of several things that are there a select takes any, and of
// several goroutines that can run any runs: where the library did something else another try may do what was recorded.
// Choices of selects near to where it failed are tried, and kept if it comes further by them. It is a difference if no
// try comes further.
func riSearch(rec *riRecording, steps []*riStep, try riTry) *riReplay {
	holds := map[*riStep]uint64{}
	best := try(steps, holds)
	// said is the best without a move: by moves what differs is only put off, if it doesn't vanish.
	said, moves, recorded, tries := best, false, false, 1
	again := func(steps []*riStep, holds map[*riStep]uint64, most, further int) bool {
		for range most {
			if tries++; tries > riMostTries {
				return false
			}
			if r := try(steps, holds); r.failed == "" || r.got >= best.got+further {
				if best = r; !moves {
					said = r
				}
				return true
			}
		}
		return false
	}
	for further := true; further && best.failed != "" && best.wait != nil; {
		if further = again(steps, holds, riPlainTries<<min(len(holds), 6), 1); further {
			continue
		}
		if plain := riRecorded(steps); !recorded && !slices.Equal(plain, steps) {
			if recorded = true; again(plain, holds, 1, 1) {
				steps, further = plain, true
				continue
			}
		}
		near := rec.near(steps, best.lastSeq())
		for i := range 2 * len(near) {
			c, most := near[i%len(near)], 2 // each first twice, then more often
			if i >= len(near) {
				most = riChoiceTries
			}
			joined, ok := c.join(steps)
			if !ok {
				continue
			}
			with := maps.Clone(holds)
			with[c.first] = c.goroutine
			if further = again(joined, with, most<<min(len(holds), 6), 1); further {
				steps, holds = joined, with
				break
			}
		}
		for _, moved := range riMoves(steps, best.got) {
			if further {
				break
			}
			moves = true
			if further = again(moved, holds, riMoveTries<<min(len(holds), 6), riFurther); further {
				steps = moved
			}
		}
	}
	if best.failed != "" {
		best = said
	}
	best.tries = tries
	return best
}

// riRecorded is the order in which steps were recorded: what waits for another within the library, by a lock or for a
// group, was there before that went on.
func riRecorded(steps []*riStep) []*riStep {
	return slices.SortedFunc(slices.Values(steps), func(a, b *riStep) int { return cmp.Compare(a.own().Seq, b.own().Seq) })
}

const (
	riMostTries   = 600
	riPlainTries  = 2
	riChoiceTries = 6
	riMoveTries   = 2
	riNear        = 6 // choices
	riFurther     = 8 // steps: by less a move only hides what differs
)

// near are the choices near an event, of those that can be made otherwise in a group's steps.
func (rec *riRecording) near(steps []*riStep, seq int64) (out []riChoice) {
	for _, c := range rec.choices {
		if _, ok := c.join(steps); ok {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b riChoice) int {
		return cmp.Compare(math.Abs(float64(a.seq-seq)), math.Abs(float64(b.seq-seq)))
	})
	return out[:min(len(out), riNear)]
}

// riMoves are orders in which one step near to the n-th is done somewhat earlier or later: what others do at the same
// time takes no time here, and took some in the process.
func riMoves(steps []*riStep, n int) (out [][]*riStep) {
	move := func(from, to int) {
		if from < 0 || to < 0 || from >= len(steps) || to >= len(steps) {
			return
		}
		for i := min(from, to); i <= max(from, to); i++ {
			if i != from && steps[i].e.Goroutine == steps[from].e.Goroutine {
				return
			}
		}
		moved := slices.Delete(slices.Clone(steps), from, from+1)
		out = append(out, slices.Insert(moved, to, steps[from]))
	}
	for d := 1; d <= 4; d++ {
		for j := range 3 {
			move(n-j, n-j-d)
		}
		move(n, n+d)
		move(n-1, n-1+d)
		move(n-2, n-2+d)
	}
	return out
}
