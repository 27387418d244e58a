package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"ri/attach"
	"ri/symbols"
	"ri/values"
	"ri/values/eval"
)

// Target is what can be changed: a live process.
type Target interface {
	attach.Target
	attach.Changeable
}

// Options of a commit.
type Options struct {
	File    *symbols.File
	Bias    uint64
	MaxStop time.Duration // of all stops of the change together; 0: 100 ms
	Locks   []string      // expressions of mutexes that must be free in the stop
	Who     Who
}

// Outcome is how a commit went.
type Outcome struct {
	Number  int64 // in the journal; 0: it didn't get that far
	State   State
	Reason  string // why it was rolled back
	Stats   attach.Stats
	Waits   []string // what was waited for, stops in vain
	Warning string   // the change was made, but something after it failed
}

// Stops in vain are bounded: a moment that suits may never come.
const (
	maxStops    = 150
	maxPatience = 3 * time.Second
	firstPause  = 200 * time.Microsecond
	longPause   = 40 * time.Millisecond
)

// leastStop is what is worth a stop: what is left of the time for all of them must be more.
const leastStop = 100 * time.Microsecond

// left is how long the target may yet be stopped for this change.
func (o *Outcome) left(opt Options) time.Duration { return opt.MaxStop - o.Stats.Stopped }

// stopped stops the target, for as long as it may yet be, and has something done meanwhile.
func (o *Outcome) stopped(ctx context.Context, t Target, opt Options, do func(attach.View, attach.Writer) error) error {
	if o.left(opt) < leastStop {
		return tooSlow(errors.New("the stops before this one took what time there is"))
	}
	view, err := t.View(ctx, attach.ViewOptions{Kind: attach.Stopped, MaxStop: o.left(opt), Together: true})
	if err != nil {
		o.Stats.Add(attach.CostOf(err))
		return err
	}
	defer func() {
		view.Close()
		o.Stats.Add(view.Stats())
	}()
	w, ok := view.(attach.Writer)
	if !ok {
		return fmt.Errorf("%s can't be written: %w", t.Describe(), attach.ErrNotSupported)
	}
	return do(view, w)
}

// notNow says why this isn't the moment: the target runs on, and is looked at again.
type notNow struct{ why, hint string }

func (e *notNow) Error() string { return e.why }

// Commit makes a plan's changes. The intent is in the journal before the target is stopped. The error is ErrConflict,
// ErrRefused, one of package attach, or of the journal; if the target was changed nonetheless, Outcome says so.
func Commit(ctx context.Context, t Target, p *Plan, j *Journal, opt Options) (*Outcome, error) {
	out := &Outcome{}
	if opt.MaxStop <= 0 {
		opt.MaxStop = attach.DefaultMaxStop
	}
	opt.Who.PID = t.PID()
	who := opt.Who
	who.PID, who.Identity, who.Started, who.Executable, who.BuildID = t.PID(), t.Identity(), t.Started(),
		t.ExecutablePath(), opt.File.BuildID()
	p.ctx = ctx
	step("planned")
	if p.Aborted != "" {
		return out, fmt.Errorf("%w: %s", ErrAborted, p.Aborted)
	}
	if err := p.allocate(ctx, t, opt, out); err != nil {
		return out, err
	}
	rec, err := j.begin(p, who)
	if err != nil {
		return out, fmt.Errorf("the intent could not be written, so nothing was changed: %w",
			journalError(j.Path(), err))
	}
	out.Number = rec.number
	step("journaled")
	err = attempts(ctx, t, p, opt, out)
	step("resumed")
	if err == nil {
		err = p.act()
	}
	switch {
	case err == nil:
		out.State = Committed
		p.lookAgain(ctx, t, opt)
	case errors.As(err, new(*tornError)):
		out.State, out.Reason = Unknown, err.Error()
	default:
		out.State, out.Reason = RolledBack, err.Error()
	}
	if e := rec.end(out.State, out.Reason, p); e != nil {
		out.Warning = fmt.Sprintf("the outcome (%s) of transaction %d could not be written into the journal, which "+
			"has its intent: %v; ri log compares with memory", out.State, out.Number, journalError(j.Path(), e))
	}
	step("recorded")
	return out, err
}

// attempts looks until the moment suits, and stops the target then and changes it.
func attempts(ctx context.Context, t Target, p *Plan, opt Options, out *Outcome) error {
	if len(p.Changes) == 0 { // actions only
		return nil
	}
	space := values.New(opt.File, attach.NewCache(nil), opt.Bias)
	began, pause := time.Now(), firstPause
	shared := false // with a child, when it was last stopped
	for {
		var err error
		if shared = shared && t.Forking(); shared { // which costs no stop
			err = errForking
		} else {
			err = p.promising(ctx, t, space, opt)
		}
		if err == nil {
			err = attempt(ctx, t, p, space, opt, out)
		}
		var wait *notNow
		if !errors.As(err, &wait) {
			return err
		}
		shared = wait == errForking
		if len(out.Waits) == 0 || out.Waits[len(out.Waits)-1] != wait.why {
			out.Waits = append(out.Waits, wait.why)
		}
		switch left := out.left(opt); {
		case left < leastStop:
			return fmt.Errorf("no moment suited in %d stops, %s in all, which is what one change may take "+
				"(--max-stop %s): %s; %s: %w",
				out.Stats.Stops, out.Stats.Stopped.Round(10*time.Microsecond), opt.MaxStop.Round(10*time.Microsecond),
				wait.why, wait.hint,
				ErrRefused)
		case out.Stats.Stops >= maxStops || time.Since(began) > maxPatience:
			return fmt.Errorf("no moment suited in %s, with %d stops: %s; %s: %w",
				time.Since(began).Round(time.Millisecond), out.Stats.Stops, wait.why, wait.hint, ErrRefused)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(pause*5/4, longPause)
	}
}

// errForking: a child shares the memory.
var errForking = &notNow{"a child of the process had not started its program yet (vfork), and shares its memory",
	"try again when it has"}

// promising looks at the running target: a lock that is held, or a collector at work, is no moment for a stop. What it
// reads it may read in mid-change, so that only those count. Layouts are compiled on the way, so that the stop needn't.
func (p *Plan) promising(ctx context.Context, t Target, space *values.Space, opt Options) error {
	view, err := t.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return err
	}
	defer view.Close()
	p.see(space, view)
	_, err = p.suits(space, opt)
	if errors.As(err, new(*notNow)) || errors.Is(err, ErrStale) {
		return err
	}
	return nil // the stop will tell
}

// see makes a view what a space reads.
func (p *Plan) see(space *values.Space, view attach.View) {
	space.Mem().Reset(view)
	space.Reset()
	space.SetThreads(view.Threads())
}

// attempt is one stop.
func attempt(ctx context.Context, t Target, p *Plan, space *values.Space, opt Options, out *Outcome) error {
	compare := p.ranges()
	var pieces, back []attach.Piece
	for _, c := range p.Changes {
		pieces = append(pieces, c.pieces()...)
		back = append(back, differing(c.Addr, c.After, c.Before[:len(c.After)])...)
	}
	stopped := false
	err := out.stopped(ctx, t, opt, func(view attach.View, w attach.Writer) error {
		stopped = true
		step("stopped")
		if len(view.Coverage().Forking) > 0 {
			return errForking
		}
		p.see(space, view)
		begun, err := p.suits(space, opt)
		if err == nil {
			p.Collections = begun
			err = p.unchanged(w, compare)
		}
		if lost := view.Err(); err != nil && errors.Is(lost, attach.ErrDeadline) {
			return tooSlow(lost) // nothing was written, and what was read after the end says nothing
		}
		if err != nil {
			return err
		}
		step("compared")
		if len(pieces) == 0 {
			return nil
		}
		if err := write(w, pieces); err != nil {
			return undoPartly(w, back, err)
		}
		step("written")
		if err := readBack(w, pieces); err != nil {
			return undoPartly(w, back, err)
		}
		step("read back")
		return nil
	})
	if !stopped && errors.Is(err, attach.ErrDeadline) {
		return tooSlow(err)
	}
	return err
}

// tooSlow is a stop that was over before anything could be written.
func tooSlow(err error) error {
	return &notNow{err.Error(), "allow a longer stop (--max-stop 500ms)"}
}

// suits tells whether this is a moment at which the plan's words may be written, and how many collections have begun.
func (p *Plan) suits(space *values.Space, opt Options) (begun uint64, err error) {
	for _, expr := range slices.Concat(opt.Locks, p.Locks) {
		v, err := eval.Expression(space, expr)
		held := false
		if err == nil {
			held, err = v.Held()
		}
		if err != nil && !errors.Is(err, values.ErrNil) {
			return 0, fmt.Errorf("the lock %s can't be looked at: %w: %w", expr, err, ErrRefused)
		}
		if held {
			return 0, &notNow{"the lock " + expr + " was held",
				fmt.Sprintf("try again, or see who holds it (ri run locks -p %d)", opt.Who.PID)}
		}
	}
	var pointers, whole bool
	for _, c := range p.Changes {
		pointers, whole = pointers || c.Pointers, whole || c.Whole
	}
	idle, begun, err := space.Collector()
	if err != nil {
		return 0, err
	}
	if err := p.stale(begun); err != nil {
		return 0, err
	}
	if pointers && !idle {
		return 0, &notNow{"the garbage collector was at work", "try again when the program allocates less"}
	}
	if whole {
		quiet, why, err := space.Quiet()
		if err != nil {
			return 0, err
		}
		if !quiet {
			return 0, &notNow{why, "a value of several words is written only while no goroutine can be reading half " +
				"of it; try again when the program is less busy"}
		}
	}
	return begun, nil
}

// expected is a piece of memory that must be as it was.
type expected struct {
	attach.Range
	want   []byte
	change *Change
	path   bool // on the way to the place, not the place itself
	frame  bool // the state of a goroutine in whose frame the way begins
}

// ranges are all bytes that the plan relies on, with room to read them.
func (p *Plan) ranges() (out []expected) {
	for _, c := range p.Changes {
		for _, w := range c.Words {
			out = append(out, expected{attach.Range{Addr: w.Addr, Data: make([]byte, len(w.Bytes))}, w.Bytes, c, true,
				w.Frame})
		}
		out = append(out, expected{attach.Range{Addr: c.Addr, Data: make([]byte, len(c.Before))}, c.Before, c, false,
			false})
	}
	return out
}

// unchanged reads and compares.
func (p *Plan) unchanged(view attach.View, compare []expected) error {
	for i := range compare {
		e := &compare[i]
		n, err := view.ReadMemory(e.Data, e.Addr)
		if err != nil && !errors.Is(err, attach.ErrNotMapped) {
			return err
		}
		if n == len(e.want) && bytes.Equal(e.Data, e.want) {
			continue
		}
		if e.frame {
			return fmt.Errorf("%s was found in a goroutine's frame, and the goroutine has run since: %w; nothing "+
				"was changed", e.change.Path, ErrStale)
		}
		if e.path {
			return fmt.Errorf("%s: the way there has changed: at %#x was %x, and now is %x; nothing was changed: %w",
				e.change.Path, e.Addr, e.want, e.Data[:n], ErrConflict)
		}
		return fmt.Errorf("%s is no longer %s: at %#x was %x, and now is %x; nothing was changed: %w", e.change.Path,
			e.change.BeforeText, e.Addr, e.want, e.Data[:n], ErrConflict)
	}
	return nil
}

func write(w attach.Writer, pieces []attach.Piece) error {
	if oneCall && len(pieces) <= 1024 {
		_, err := w.WritePieces(pieces)
		return err
	}
	for i := range pieces {
		if _, err := w.WritePieces(pieces[i : i+1]); err != nil {
			return err
		}
		if i == 0 && len(pieces) > 1 {
			step("between words")
		}
	}
	return nil
}

func readBack(view attach.View, pieces []attach.Piece) error {
	for _, p := range pieces {
		got := make([]byte, len(p.Data))
		if _, err := view.ReadMemory(got, p.Addr); err != nil {
			return fmt.Errorf("reading back what was written: %w", err)
		}
		if !bytes.Equal(got, p.Data) {
			return fmt.Errorf("%x was written at %#x, and %x is there", p.Data, p.Addr, got)
		}
	}
	return nil
}

// tornError says that memory is neither as it was nor as it was to be, or that this can't be known.
type tornError struct{ err error }

func (e *tornError) Error() string { return e.err.Error() }
func (e *tornError) Unwrap() error { return e.err }

// undoPartly puts back what was there, in the same stop, after a write that failed.
func undoPartly(w attach.Writer, back []attach.Piece, cause error) error {
	if errors.Is(cause, attach.ErrExited) {
		return &tornError{fmt.Errorf("the target died in mid-transaction: %w", cause)}
	}
	var failed error
	for i := range back { // one by one: what could not be written need not be put back
		now := make([]byte, len(back[i].Data))
		if _, err := w.ReadMemory(now, back[i].Addr); err != nil {
			failed = errors.Join(failed, err)
		} else if !bytes.Equal(now, back[i].Data) {
			if _, err := w.WritePieces(back[i : i+1]); err != nil {
				failed = errors.Join(failed, err)
			}
		}
	}
	if failed == nil {
		failed = readBack(w, back)
	}
	if failed != nil {
		return &tornError{fmt.Errorf("%w; putting back what was there failed: %w; ri log says what is where", cause,
			failed)}
	}
	return fmt.Errorf("%w; what was written before that was put back: %w", cause, ErrRefused)
}

// act does what is no change of memory.
func (p *Plan) act() error {
	for i, a := range p.Actions {
		if err := a.Do(); err != nil {
			if errors.Is(err, ErrOutcome) {
				return &tornError{fmt.Errorf("%s: %w", a.Text, err)}
			}
			if i > 0 || len(p.Changes) > 0 {
				return &tornError{fmt.Errorf("%s: %w; what came before it in the transaction was done", a.Text, err)}
			}
			return fmt.Errorf("%s: %w", a.Text, err)
		}
	}
	return nil
}

// lookAgain reads the values once more while the target runs: what the program itself has made of them is no failure,
// but is said.
func (p *Plan) lookAgain(ctx context.Context, t attach.Target, opt Options) {
	view, err := t.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return // the change was made: that the target is gone, or that we were interrupted, changes nothing of that
	}
	defer view.Close()
	for _, c := range p.Changes {
		if c.After == nil {
			continue
		}
		now := make([]byte, len(c.After))
		if _, err := view.ReadMemory(now, c.Addr); err != nil || bytes.Equal(now, c.After) {
			continue
		}
		c.Overwritten = show(values.New(opt.File, attach.NewCache(view), opt.Bias), c.Type, now)
	}
}

// show prints bytes that stand in a place as Go text, if the type is known, else in hexadecimal.
func show(space *values.Space, typ string, b []byte) string {
	if t, err := space.Type(typ); err == nil {
		for range 2 {
			if inner, _, ok := space.Atomic(t); ok {
				t = inner
			}
		}
		if t.Size == int64(len(b)) {
			return text(space.Local(b, t))
		}
	}
	return fmt.Sprintf("%x", b)
}

// WhoAmI fills in user, host and command line.
func WhoAmI() Who {
	host, _ := os.Hostname()
	return Who{User: userName(), Host: host, Command: commandLine(os.Args)}
}
