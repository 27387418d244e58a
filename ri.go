// Package ri asks running Go processes, and cores of them, what they are doing. It is what the command ri is made of.
//
// A [Target] is a process or a core that is open. A recipe, or Lua text, is asked of it:
//
//	t, err := ri.Open(ri.Choice{PID: "4711"})
//	...
//	defer t.Close()
//	for row, err := range t.Recipe(ctx, ri.Options{}, "goroutines", "state=waiting") {
//		...
//	}
//
// A look stops the process for a millisecond or two, and writes nothing to it: what the rows say is of one moment, and
// they come when the process runs again. An [Options] says how to look (its zero value: as the recipe declares), how
// long at most, and whether changes are allowed. Errors are those of package ri/instruments/rows (ErrUsage, ErrRefused,
// ErrPartial) and ri/attach (ErrNoProcess, ErrPermission, ...).
//
// Several targets may be looked at at once, each by a goroutine of its own. One target is looked at by one caller at a
// time.
//
// What may not come in: terminals, flags, exit codes; what the rooms below can do without a caller's choice.
package ri

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/trace"
)

// files holds recipes.yaml and scripts/lua.
//
//go:embed recipes.yaml scripts/lua
var files embed.FS

// What the rooms below have, by the names of this package.
type (
	Choice    = looks.TargetChoice // which process or core
	Options   = looks.Options      // how to look
	Plan      = looks.Plan         // a recipe or Lua with its parameters, checked
	Catalogue = recipes.Catalogue
	Result    = rows.Result
	Row       = rows.Row
	Sink      = rows.Sink
	Listener  = rows.Listener
	Request   = trace.Request // what is traced
	Probe     = trace.Probe   // functions of a Request
	Show      = trace.Show    // a Go expression of a Probe
)

// OpenCatalogue reads the recipes that are built in, those of /etc/ri/recipes.d and of the user, and of more files.
// What is wrong in catalogues that nobody asked for is a warning.
func OpenCatalogue(more ...string) (c *Catalogue, warnings []error, err error) {
	return recipes.OpenCatalogue(files, more...)
}

// Target is a process or a core that is open. Nothing is stopped while nobody asks.
type Target struct {
	session   *looks.Session
	catalogue *Catalogue
}

// Open opens a target and its symbols.
func Open(choice Choice) (*Target, error) {
	s, err := looks.OpenSession(choice)
	if err != nil {
		return nil, err
	}
	return &Target{session: s}, nil
}

// Close gives back what is held of the target.
func (t *Target) Close() error { return t.session.Close() }

// Program says what the target is: process or core, executable, Go release, module.
func (t *Target) Program() rows.Program { return t.session.Info }

// Recipe asks a recipe, or an instrument file, with its parameters as "name=value", and gives its rows as they come. An
// error ends them; rows that came before it are good where it is rows.ErrPartial.
func (t *Target) Recipe(ctx context.Context, opt Options, name string, args ...string) iter.Seq2[Row, error] {
	return t.rows(ctx, func(c *Catalogue) (*Plan, error) { return looks.Prepare(c, name, args, opt) })
}

// Lua asks by Lua text, as ri exec -e does, and gives the rows that it emits.
func (t *Target) Lua(ctx context.Context, opt Options, text string) iter.Seq2[Row, error] {
	return t.rows(ctx, func(c *Catalogue) (*Plan, error) { return looks.PrepareLua(c, "", text, nil, opt) })
}

// Trace has the process tell of calls as they pass by, and gives their rows: the columns are those of
// ri trace --ndjson. Of a recording it gives the hits that were kept. It ends by the request's limits, by its budget
// (rows.ErrPartial; what came before is good), with ctx, and when the caller breaks off; then nothing is probed any
// more.
// What the request can't have is rows.ErrUsage or rows.ErrRefused, before anything is touched. See package trace for
// the life of a request.
func (t *Target) Trace(ctx context.Context, r Request) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		err := t.session.Trace(ctx, r, func(row Row) error {
			if !yield(row, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

// errEnough: who iterates has had enough.
var errEnough = errors.New("enough")

// Run asks a plan, and gives all at once: rows, findings, printed text, what the look cost. What is to be said
// meanwhile goes to a listener; nil: nobody listens. An error means that there was no look; what went wrong in the
// script is in the result.
func (t *Target) Run(ctx context.Context, p *Plan, to Listener) (*Result, error) {
	if err := t.session.CheckPlan(ctx, p); err != nil {
		return nil, err
	}
	return t.session.Run(ctx, p, to)
}

// Stream is Run with what the script gives handed to a sink as it comes.
func (t *Target) Stream(ctx context.Context, p *Plan, sink Sink) (*Result, error) {
	if err := t.session.CheckPlan(ctx, p); err != nil {
		return nil, err
	}
	return t.session.Stream(ctx, p, sink)
}

// rows runs what prepare plans with the built-in recipes and the user's.
func (t *Target) rows(ctx context.Context, prepare func(*Catalogue) (*Plan, error)) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if t.catalogue == nil {
			c, _, err := OpenCatalogue()
			if err != nil {
				yield(nil, err)
				return
			}
			t.catalogue = c
		}
		plan, err := prepare(t.catalogue)
		if err != nil {
			yield(nil, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		sink := &passing{ctx: ctx, to: make(chan Row)}
		ended := make(chan error, 1)
		go func() {
			defer close(sink.to)
			res, err := t.Stream(ctx, plan, sink)
			if err == nil {
				err = res.Err
			}
			if err == nil && len(res.Partial) > 0 {
				err = rows.Partial(fmt.Errorf("the rows are partial: %s", strings.Join(res.Partial, "; ")))
			}
			ended <- err
		}()
		for row := range sink.to {
			if !yield(row, nil) {
				cancel()
				for range sink.to { // until the look has ended
				}
				return
			}
		}
		if err := <-ended; err != nil {
			yield(nil, err)
		}
	}
}

// passing is a Sink that passes rows on.
type passing struct {
	ctx context.Context
	to  chan Row
}

func (p *passing) Emit(row Row) error {
	select {
	case p.to <- row:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// Finding makes a row of a conclusion, with its severity, what, where, evidence and next.
func (p *passing) Finding(f rows.Finding) error { return p.Emit(f.Row()) }

func (p *passing) Sample(rows.Sample) error               { return nil }
func (p *passing) Sampled(time.Duration)                  {}
func (p *passing) Log(string)                             {}
func (p *passing) Progress(done, total int64, msg string) {}
func (p *passing) Print(text string)                      { _ = p.Emit(rows.Of("text", text)) }
