package looks

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"ri/attach"
	"ri/attach/recorded"
	"ri/instruments/host"
	"ri/instruments/rows"
	"ri/probe/kernel"
	"ri/trace"
)

// Traces tells whether the plan's script declares probes.
func (p *Plan) Traces() bool { return p.Script.Header != nil && len(p.Script.Header.Probes) > 0 }

// SamplesCPU tells whether the plan's script samples CPU time, which can end at any moment with what there is by then.
func (p *Plan) SamplesCPU() bool {
	return p.Script.Header != nil && slices.ContainsFunc(p.Script.ProfileValues(),
		func(v rows.ProfileValue) bool { return v.Type == "cpu" })
}

// hitsOf has what a plan's script declares traced, or gives the hits of a recording; nil where it declares nothing, or
// where there can be none.
func (s *Session) hitsOf(p *Plan, sink rows.Sink, leaveOut func(string)) func(context.Context,
	host.HitOptions) (host.Hits, error) {
	recording, isRecording := s.Target.(*recorded.Recording)
	if !p.Traces() || s.Info.Kind != string(attach.Living) && !isRecording {
		return nil
	}
	return func(ctx context.Context, o host.HitOptions) (host.Hits, error) {
		r := trace.Request{Limit: o.Limit, For: o.For, Stack: o.Stack, Budget: p.Look.Budget}
		for _, one := range p.Script.Header.ProbesWith(p.Params) {
			probe := trace.Probe{Name: one.Name, Functions: one.Funcs, When: one.When, Returns: one.Returns,
				Optional: one.Optional, Histogram: one.Histogram}
			for _, show := range one.Show {
				probe.Show = append(probe.Show, trace.Show(show))
			}
			r.Probes = append(r.Probes, probe)
		}
		h := newHits(sink, leaveOut)
		if isRecording {
			replay, err := trace.PrepareReplay(recording, s.File, s.Bias, r, true)
			if err != nil {
				return nil, err
			}
			h.run(ctx, p.Until, func(ctx context.Context, w *hitWatcher) (*trace.Summary, error) {
				return replay.Run(ctx, w.Row)
			})
			return h, nil
		}
		plan, err := trace.Prepare(ctx, s.Process(), r)
		if err != nil {
			return nil, err
		}
		if p.Keeper != nil {
			if err := p.Keeper.Begin(plan.About(p.Recipe.Name)); err != nil {
				plan.Close()
				return nil, err
			}
			plan.Keep = p.Keeper.Keep
		}
		h.say = plan.MissedText()
		h.run(ctx, p.Until, func(ctx context.Context, w *hitWatcher) (*trace.Summary, error) {
			defer plan.Close()
			sum, err := plan.Run(ctx, w)
			if p.Keeper != nil {
				p.Keeper.End(sum)
			}
			return sum, err
		})
		return h, nil
	}
}

// HitKeeper keeps the hits of what a plan's script has traced.
type HitKeeper interface {
	Begin(about *recorded.Trace) error // before anything is armed
	Keep(*trace.Hit) error             // each hit; an error ends the trace
	End(*trace.Summary)                // the trace is over; nil: it failed
}

// hits are those of a trace that runs beside the script.
type hits struct {
	rows     chan rows.Row
	news     chan struct{} // there is something to say
	sink     rows.Sink
	leaveOut func(string)

	mu  sync.Mutex
	say []string // that nobody has heard yet
	sum *trace.Summary
	err error
}

func newHits(sink rows.Sink, leaveOut func(string)) *hits {
	return &hits{rows: make(chan rows.Row), news: make(chan struct{}, 1), sink: sink, leaveOut: leaveOut}
}

// run has something give hits, beside the script, until it ends, or until says so.
func (h *hits) run(ctx context.Context, until <-chan struct{},
	give func(context.Context, *hitWatcher) (*trace.Summary, error)) {
	script := ctx
	ctx, cancel := context.WithCancel(ctx)
	if until != nil {
		go func() {
			select {
			case <-until:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	go func() {
		defer cancel()
		sum, err := give(ctx, &hitWatcher{hits: h, ctx: script})
		h.mu.Lock()
		h.sum, h.err = sum, err
		h.mu.Unlock()
		close(h.rows)
	}()
}

// Next implements host.Hits.
func (h *hits) Next(ctx context.Context) (rows.Row, error) {
	for over := false; !over; {
		h.tell()
		select {
		case <-h.news:
		case row, ok := <-h.rows:
			h.tell()
			if ok {
				return row, nil
			}
			over = true
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.err
	var budget *kernel.ErrBudget
	if errors.As(err, &budget) {
		h.leaveOut(err.Error()) // what came until then is good
		err = nil
	}
	if h.sum != nil {
		for _, line := range h.sum.Text() {
			h.sink.Log(line)
		}
		h.sum = nil
	}
	if err == nil || errors.Is(err, context.Canceled) {
		err = io.EOF
	}
	return nil, err
}

// tell passes on what was said, by whoever runs the script.
func (h *hits) tell() {
	h.mu.Lock()
	say := h.say
	h.say = nil
	h.mu.Unlock()
	for _, line := range say {
		h.sink.Log(line)
	}
}

// hitWatcher hands rows to who asks for the next.
type hitWatcher struct {
	*hits
	ctx context.Context
}

func (w *hitWatcher) Armed(f kernel.Forecast) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.say = append(w.say, trace.ArmedText(f))
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *hitWatcher) Row(row rows.Row) error {
	select {
	case w.rows <- row:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

// Trace gives the rows of a request: of calls as they pass by, or of those that a recording has. An error of row ends
// it.
func (s *Session) Trace(ctx context.Context, r trace.Request, row func(rows.Row) error) error {
	if _, ok := s.Target.(*recorded.Recording); ok {
		p, err := s.Replay(r)
		if err == nil {
			_, err = p.Run(ctx, row)
		}
		return err
	}
	p, err := trace.Prepare(ctx, s.Process(), r)
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = p.Run(ctx, rowsOnly(row))
	return err
}

// rowsOnly is a watcher that wants rows.
type rowsOnly func(rows.Row) error

func (rowsOnly) Armed(kernel.Forecast) {}

func (f rowsOnly) Row(row rows.Row) error { return f(row) }

// Replay gives the hits of the session's recording to a person: see trace.PrepareReplay.
func (s *Session) Replay(r trace.Request) (*trace.Replay, error) {
	recording, ok := s.Target.(*recorded.Recording)
	if !ok {
		return nil, rows.Usagef("%s is no recording", s.Target.Describe())
	}
	return trace.PrepareReplay(recording, s.File, s.Bias, r, false)
}
