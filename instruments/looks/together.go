package looks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ri/attach"
	"ri/files"
	"ri/instruments/host"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/values/heap"
)

// Observer is told of the looks of Together, so that it can hear what is read.
type Observer interface {
	// Begin is called before the first script of a round looks. What was heard in earlier rounds was in vain.
	Begin(*Look) error
	// Leaving is called when a script goes on to a second look, while the first can still be read, and again once the
	// second is there.
	Leaving(*Look)
	Again(*Look)
	// Answers note what is asked of the heap in this look; nil: all that is read of it is heard.
	Answers() *heap.Answers
	// End is called after the last script, while the view can be read. complete: nothing was missed so far.
	End(look *Look) error
}

// Together runs several plans on one view, one after the other, so that all see one instant. Those that look twice come
// last. What goes wrong in one script is in its own result, and the others go on. The second result has what the look
// cost, and what there is to say of it.
func (s *Session) Together(ctx context.Context, plans []*Plan, opt Options, to rows.Listener,
	observer Observer) ([]*rows.Result, *rows.Result, error) {
	joint, err := jointPlan(plans, opt)
	if err != nil {
		return nil, nil, err
	}
	parts := make([]*part, len(plans))
	for i, p := range plans {
		parts[i] = &part{plan: p}
	}
	whole, err := s.Look(ctx, joint, s.Collector(joint, to, nil),
		func(ctx context.Context, look *Look, _ rows.Sink) error {
			look.onward(observer)
			if err := observer.Begin(look); err != nil {
				return err
			}
			order := slices.Clone(parts)
			slices.SortStableFunc(order, func(a, b *part) int { return a.again - b.again })
			for i, part := range order {
				if to != nil {
					to.Progress(int64(i), int64(len(parts)), part.plan.Recipe.Name)
				}
				if err := part.run(ctx, s, look); err != nil {
					return err
				}
			}
			return observer.End(look)
		})
	if err != nil {
		return nil, nil, err
	}
	results := make([]*rows.Result, len(parts))
	for i, part := range parts {
		results[i] = part.result(whole)
	}
	return results, whole, nil
}

// part is one of several plans that run together.
type part struct {
	plan *Plan
	host *host.Host
	sink relay
	err  error
	// again is 1 of a script that looked a second time when it was rehearsed, or since.
	again int
}

// relay hands on to the collector of this round.
type relay struct{ *collector }

func (p *part) run(ctx context.Context, s *Session, look *Look) error {
	p.sink.collector = s.Collector(p.plan, nil, nil)
	if p.host == nil {
		opt := s.options(p.plan, look, &p.sink, &p.sink)
		if !p.plan.Once {
			opt.Again = p.lookAgain(look)
		}
		p.host = host.New(opt)
	}
	p.host.Forget()
	p.err = host.Safely(func() error { return p.host.Run(ctx, p.plan.Script, p.plan.Params) })
	if errors.Is(p.err, errIncomplete) || errors.Is(p.err, attach.ErrClosed) || errors.Is(p.err, attach.ErrDeadline) {
		return p.err
	}
	return context.Cause(ctx)
}

// lookAgain is ri.again, which puts the script behind those that look once.
func (p *part) lookAgain(look *Look) func(context.Context, time.Duration, attach.ViewKind) (over, err error) {
	return func(ctx context.Context, wait time.Duration, kind attach.ViewKind) (over, err error) {
		p.again = 1
		return look.Again(ctx, wait, kind)
	}
}

func (p *part) result(whole *rows.Result) *rows.Result {
	if p.sink.collector == nil {
		return &rows.Result{Recipe: p.plan.Recipe.Name, Target: whole.Target, Err: whole.Err}
	}
	res := p.sink.Seal()
	res.View, res.Stats, res.Time = whole.View, whole.Stats, whole.Time
	if h := p.plan.Script.Header; h != nil {
		res.Columns, res.Params = h.Columns, p.plan.Params.Row(h)
	}
	Judge(res, p.err, p.plan, 0)
	return res
}

// jointPlan is a plan whose limits are enough for all of several.
func jointPlan(plans []*Plan, opt Options) (*Plan, error) {
	if len(plans) == 0 {
		return nil, rows.Usagef("nothing to run")
	}
	script, err := host.CompileExpression("together", "nil")
	if err != nil {
		return nil, fmt.Errorf("internal error: %w", err)
	}
	recipe := &recipes.Recipe{Name: "record", Mode: recipes.Read, Scripts: files.Dir(".", false)}
	for _, p := range plans {
		recipe.Locks = append(recipe.Locks, p.Recipe.Locks...)
	}
	joint, err := NewPlan(plans[0].catalogue, recipe, script, nil, opt)
	if err != nil {
		return nil, err
	}
	joint.View = attach.Snapshot
	if opt.View != "" {
		joint.View = attach.ViewKind(opt.View)
	}
	for _, p := range plans {
		joint.MaxStop = max(joint.MaxStop, p.MaxStop)
		joint.Limits.Time += p.Limits.WithDefaults().Time
	}
	return joint, nil
}

// onward has an observer hear of this look's next view.
func (l *Look) onward(o Observer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = func() { o.Leaving(l) }
	l.arrived = func() { o.Again(l) }
	l.noting = o.Answers
}

// Context is that of the look.
func (l *Look) Context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		return context.Background()
	}
	return l.ctx
}

// Threads are those of the view that is looked at.
func (l *Look) Threads() []attach.Thread {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view.Threads()
}
