package looks

import (
	"errors"
	"fmt"

	"ri/attach"
	"ri/attach/recorded"
	"ri/instruments/host"
	"ri/record/format"
	"ri/values/heap"
)

// A look gets by on less where it must, step by step: a copy of all memory; a copy of the pages that the script
// touches; live memory. A script says what it can do without: of all memory by ri.heap{optional=true}, of any copy by
// less = true in its header. It is told what it has, and why, so that it can say what it left out.

// lessening is what a look can do without, and what it does without already.
type lessening struct {
	affordable func(attach.ViewOptions) error
	mayBeLive  bool  // the script can do without a copy
	mayBePages bool  // the script can do without a copy of all memory, which it wants
	noBulk     error // why there is no copy of all memory
	live       error // why there is no copy
}

func newLessening(s *Session, p *Plan) lessening {
	header := p.Script.Header
	able := header != nil && header.Less && p.View != attach.Live && !p.Look.Write && !p.Look.DryRun &&
		s.Info.Kind == string(attach.Living)
	affordable := func(opt attach.ViewOptions) error { return s.AffordableOr(opt, "", "") }
	return lessening{affordable: affordable, mayBeLive: able, mayBePages: able}
}

// WantBulk is Options.Bulk.
func (l *Look) WantBulk() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.rehearsing {
		if l.view.Coverage().Whole || l.Target.Kind() == attach.Recorded { // there is no more than was recorded
			return true
		}
		l.lacking = true
	}
	l.Options.Bulk = true
	return false
}

// Rehearses tells that what is looked at is live memory, for a copy that comes: all that matters is what is read.
func (l *Look) Rehearses() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rehearsing && l.Options.Kind == attach.Snapshot
}

// MayBulk is Options.MayBulk: why a copy of all memory can't be had, nil if it can. It is found out once, mostly in the
// rehearsal.
func (l *Look) MayBulk() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.less.noBulk != nil:
		return l.less.noBulk
	case l.Target.Kind() == attach.Recorded:
		if !l.view.Coverage().Whole && l.recordedAnswers() == nil {
			return fmt.Errorf("the heap is not in the recording: ri record --heap records it: %w", attach.ErrNotRecorded)
		}
		return nil
	case !l.rehearsing && l.view.Coverage().Whole, l.Options.Kind != attach.Snapshot:
		return nil
	case l.Options.Bulk:
		l.less.mayBePages = true
		return nil
	}
	options := l.Options
	options.Bulk = true
	l.less.noBulk = l.less.affordable(options)
	l.less.mayBePages = true
	return l.less.noBulk
}

// NoBulk is why the look goes on without a copy of all memory that it was to have; nil if it doesn't.
func (l *Look) NoBulk() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.less.noBulk
}

// Answers note what is asked of the heap, or have it of a recording; nil: neither.
func (l *Look) Answers() *heap.Answers {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.noting != nil {
		return l.noting()
	}
	return l.recordedAnswers()
}

// recordedAnswers are those of this look of a recording that doesn't have the heap; nil: there are none. The caller
// holds mu.
func (l *Look) recordedAnswers() *heap.Answers {
	r, ok := l.Target.(*recorded.Recording)
	if !ok || l.view.Coverage().Whole {
		return nil
	}
	look := l.Options.Later + 1
	if a, known := l.answered[look]; known {
		return a
	}
	var a *heap.Answers
	if text, err := r.File().Named(format.HeapBlock(look)); err == nil && format.Bounded(text) == nil {
		if a, err = heap.ReadAnswers(text); err != nil {
			a = nil
		}
	}
	if l.answered == nil {
		l.answered = map[int]*heap.Answers{}
	}
	l.answered[look] = a
	return a
}

// affordable refuses what the look is to copy if that costs too much, and says what would help: where less will do,
// that is no advice.
func (l *Look) affordable(s *Session) error {
	if l.less.mayBeLive || l.Options.Bulk && l.less.mayBePages {
		return l.less.affordable(l.Options)
	}
	return s.Affordable(l.Options)
}

// without goes on with the next that is less, if the script can do with that. why is what kept it from more.
func (l *Look) without(why error) bool { return l.withoutBulk(why) || l.withoutCopy(why) }

// withoutBulk goes on with a copy of the pages that the script touches.
func (l *Look) withoutBulk(why error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Options.Kind != attach.Snapshot || !l.Options.Bulk || !l.less.mayBePages || errors.Is(why, attach.ErrExited) {
		return false
	}
	l.stats.Add(attach.CostOf(why))
	l.Options.Bulk, l.Options.Precopy, l.less.noBulk = false, false, why
	return true
}

// withoutCopy goes on with live memory.
func (l *Look) withoutCopy(why error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Options.Kind == attach.Live || !l.less.mayBeLive || errors.Is(why, attach.ErrExited) {
		return false
	}
	l.stats.Add(attach.CostOf(why))
	l.Options = attach.ViewOptions{Kind: attach.Live, MaxStop: l.Options.MaxStop}
	l.less.live = why
	if l.less.noBulk == nil {
		l.less.noBulk = why
	}
	return true
}

// seenAs is the view that a script is told of, and why it isn't what the plan has.
func (l *Look) seenAs(p *Plan) (attach.ViewKind, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.less.live != nil {
		return attach.Live, l.less.live.Error()
	}
	return p.View, ""
}

// tookMuch tells whether a script ended for a limit that it may keep with less.
func (l *Look) tookMuch(err error) bool {
	limit := errors.Is(err, host.ErrTime) || errors.Is(err, host.ErrMemory) || errors.Is(err, attach.ErrDeadline)
	return l.less.mayBeLive && limit
}
