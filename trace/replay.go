package trace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"ri/attach"
	"ri/attach/recorded"
	"ri/instruments/rows"
	"ri/probe/compile"
	"ri/symbols"
	"ri/values"
)

// About is what a recording says of the plan's trace. recipe is "" of ri trace.
func (p *Plan) About(recipe string) *recorded.Trace {
	t := &recorded.Trace{Recipe: recipe, Stack: p.request.Stack}
	for _, w := range p.request.Probes {
		t.Probes = append(t.Probes, recordedProbe(&w))
	}
	for _, o := range p.owners {
		d := o.program.Dump()
		t.Limits = recorded.Limits{Depth: d.Depth, Text: d.Bytes, Elems: d.Elems}
	}
	return t
}

func recordedProbe(w *Probe) recorded.Probe {
	one := recorded.Probe{Name: w.Name, Functions: w.Functions, All: w.Show == nil, Returns: w.Returns,
		Histogram: w.Histogram,
		When:      slices.Concat(w.When, w.After)}
	for _, s := range w.Show {
		one.Show = append(one.Show, recorded.Shown(s))
	}
	return one
}

// Replay is the hits of a recording, read once more under a request.
type Replay struct {
	recording *recorded.Recording
	about     *recorded.Trace
	request   Request
	exact     bool // an instrument's: what was shown is what was recorded, of all functions
	file      *symbols.File
	probes    []Probe // what rows have of each of the recording's
	when      [][]string
	asked     map[string]*compile.Kept // by probe and package
	spaces    [2]*values.Space         // of the entry, and of the return
	others    map[string]int           // functions that weren't asked for
	failed    uint64                   // hits of which something isn't known that was asked for
	why       error
}

// PrepareReplay reads what a recording has. An instrument's probes must be those that were recorded; of ri trace only
// the first probe counts: its functions choose among those that were recorded (none: all), its conditions and what it
// shows are decided and evaluated over what hits took along.
//
// Errors: recorded.ErrNoHits, rows.ErrUsage, rows.ErrRefused where the instrument had other probes.
func PrepareReplay(r *recorded.Recording, f *symbols.File, bias uint64, request Request,
	instrument bool) (*Replay, error) {
	about, err := r.Trace()
	if err != nil {
		return nil, rows.Refused(err)
	}
	if request.Limit == 0 {
		request.Limit = DefaultLimit
	}
	if request.Histogram && len(request.By) == 0 {
		request.By = []string{byFunction}
	}
	p := &Replay{recording: r, about: about, request: request, exact: instrument, file: f,
		asked: map[string]*compile.Kept{}, others: map[string]int{}}
	for i := range p.spaces {
		p.spaces[i] = values.New(f, attach.NewCache(&recorded.HitMemory{}), bias)
	}
	if instrument {
		return p, p.asInstrument()
	}
	for i := range about.Probes {
		one := &about.Probes[i]
		w := Probe{Name: one.Name, Functions: one.Functions, Returns: one.Returns, Histogram: one.Histogram, Show: shows(one)}
		if len(request.Probes) > 0 && request.Probes[0].Show != nil {
			w.Show = request.Probes[0].Show
		}
		p.probes = append(p.probes, w)
		var when []string
		if len(request.Probes) > 0 {
			when = slices.Concat(request.Probes[0].When, request.Probes[0].After)
		}
		p.when = append(p.when, when)
	}
	_, err = p.ask(0, "main")
	return p, err
}

func shows(one *recorded.Probe) []Show {
	if one.All {
		return nil
	}
	out := []Show{}
	for _, s := range one.Show {
		out = append(out, Show(s))
	}
	return out
}

// asInstrument checks that an instrument's probes are those that were recorded. Conditions that were recorded held.
func (p *Replay) asInstrument() error {
	p.probes = p.request.Probes
	p.when = make([][]string, len(p.probes))
	same := len(p.probes) == len(p.about.Probes)
	for i := 0; same && i < len(p.probes); i++ {
		a, b := recordedProbe(&p.probes[i]), p.about.Probes[i]
		p.when[i] = slices.DeleteFunc(a.When, func(when string) bool { return slices.Contains(b.When, when) })
		a.When, b.When = nil, nil
		same = reflect.DeepEqual(a, b)
	}
	if !same {
		return rows.Refused(fmt.Errorf("%s has no hits of these probes: %w; it was recorded by %s",
			p.recording.Describe(), recorded.ErrNoHits, p.madeBy()))
	}
	return nil
}

// madeBy says what the hits were taken by.
func (p *Replay) madeBy() string {
	var functions []string
	for _, one := range p.about.Probes {
		functions = append(functions, one.Functions...)
	}
	if p.about.Recipe != "" {
		return fmt.Sprintf("ri run %s (%s)", p.about.Recipe, strings.Join(functions, ", "))
	}
	return "ri trace " + strings.Join(functions, " ")
}

// Columns are those of the rows, in their order.
func (p *Replay) Columns() []rows.Column {
	several := 0
	for _, one := range p.about.Probes {
		several += len(one.Functions)
		for _, f := range one.Functions {
			several += strings.Count(strings.ReplaceAll(f, "(*", ""), "*")
		}
	}
	return columnsOf(p.probes, several > 1, p.about.Stack)
}

// CountColumns are those of the rows of counts.
func (p *Replay) CountColumns() []rows.Column { return countColumns(&p.request) }

// ask compiles what is asked of the hits of a probe, in a package.
func (p *Replay) ask(probe int, pkg string) (*compile.Kept, error) {
	key := fmt.Sprint(probe, " ", pkg)
	k := p.asked[key]
	if k == nil {
		show := keyNames(p.request.By)
		if p.shows() {
			for _, s := range p.probes[probe].Show {
				show = append(show, s.Expr)
			}
		}
		var err error
		if k, err = compile.ReadKept(p.spaces[0], pkg, p.when[probe], show); err != nil {
			return nil, rows.Usage(err)
		}
		p.asked[key] = k
	}
	return k, nil
}

// shows tells whether a person said what of the hits is shown.
func (p *Replay) shows() bool {
	return !p.exact && len(p.request.By) == 0 && len(p.request.Probes) > 0 && p.request.Probes[0].Show != nil
}

// chosen tells whether hits of a function were asked for.
func (p *Replay) chosen(name string) bool {
	if p.exact || len(p.request.Probes) == 0 || len(p.request.Probes[0].Functions) == 0 {
		return true
	}
	for _, f := range p.request.Probes[0].Functions {
		for _, have := range []string{name, p.file.ShortName(name)} {
			if f == have || strings.HasSuffix(have, "."+f) || strings.Contains(f, "*") && fitsPattern(f, have) {
				return true
			}
		}
		for _, one := range p.about.Probes { // an interface's method, a line
			if slices.Contains(one.Functions, f) && len(p.about.Probes) == 1 && len(one.Functions) == 1 {
				return true
			}
		}
	}
	return false
}

// fitsPattern matches as ri trace does: a star stands for any text, but in (*T).
func fitsPattern(pattern, name string) bool {
	escape := strings.NewReplacer("(*", `(\*`, "[", `\[`, "?", `\?`, "/", "\x00")
	ok, _ := path.Match(escape.Replace(pattern), strings.ReplaceAll(name, "/", "\x00"))
	return ok
}

// hit makes a hit of one that was recorded.
func (p *Replay) hit(r *recorded.Hit) *Hit {
	h := &Hit{Probe: r.Probe, Time: r.Time, Nanotime: r.Nanotime, Goroutine: r.Goroutine, Func: r.Func, Into: r.Into,
		Took: r.Took, Ended: r.Ended, SoFar: r.SoFar, Undecided: r.Undecided, Stack: r.Stack, dump: values.DumpOptions{
			Depth: min(p.about.Limits.Depth, 16), Bytes: min(p.about.Limits.Text, 1<<20),
			Elems: min(p.about.Limits.Elems, 1<<10), OneLine: true}}
	if !r.Returned {
		h.Took = -1
	}
	h.Entry, h.Return = p.side(0, r.Entry, &r.AtEntry), p.side(1, r.Return, &r.AtReturn)
	return h
}

func (p *Replay) side(i int, roots []recorded.Root, from *recorded.Side) (out []Value) {
	space, memory := p.spaces[i], from.Memory
	if memory == nil {
		memory = &recorded.HitMemory{}
	}
	space.Mem().Reset(memory)
	space.Reset()
	for _, root := range roots {
		v := Value{Name: root.Name}
		switch {
		case root.Nil:
			v.Err = fmt.Errorf("a pointer on the way is %w", values.ErrNil)
		case root.Why != "":
			v.Err = fmt.Errorf("%s%w", root.Why, errNotThere)
		default:
			t, err := p.file.Type(root.Type)
			if v.Err = err; err == nil {
				v.Value = space.At(root.Addr, t)
			}
		}
		out = append(out, v)
	}
	return out
}

// errNotThere marks the errors of values that a hit didn't have; their text says all.
var errNotThere = notThere{}

type notThere struct{}

func (notThere) Error() string { return "" }

// each gives the hits that were asked for, and of which the conditions hold or can't be decided.
func (p *Replay) each(ctx context.Context, out *Summary, f func(*Hit, []Value) error) error {
	out.Recorded = true
	if err := p.decidable(ctx); err != nil {
		return err
	}
	for r, err := range p.recording.Hits() {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if r.Probe < 0 || r.Probe >= len(p.about.Probes) {
			return rows.Refused(fmt.Errorf("%s has a hit of probe %d, and %d probes", p.recording.Describe(), r.Probe,
				len(p.about.Probes)))
		}
		if out.Counts.Hits++; !p.chosen(r.Func) {
			p.others[r.Func]++
			continue
		}
		k, err := p.ask(r.Probe, packageOf(r.Func))
		if err != nil {
			return err
		}
		h := p.hit(r)
		took := plain(h)
		holds, undecided := k.Decide(p.spaces[0], took, max(h.Took, lasted(h)))
		switch {
		case undecided == nil && !holds:
			out.Counts.False++
			continue
		case undecided == nil:
		case errors.Is(undecided, values.ErrToken), errors.Is(undecided, attach.ErrNotKept):
			return rows.Refused(fmt.Errorf("a recording can't tell: %w", undecided))
		case errors.Is(undecided, values.ErrNil):
			out.Counts.Nil++
			continue
		case unknownName(undecided) || errors.Is(undecided, compile.ErrReturns) && !p.about.Probes[r.Probe].Returns:
			p.fail(h, undecided)
			continue
		default:
			out.Counts.Undecided++
			h.Undecided = undecided.Error()
		}
		shown := k.Show(p.spaces[0], took, h.Took)
		if i := slices.IndexFunc(shown, func(v Value) bool { return unknownName(v.Err) }); i >= 0 {
			p.fail(h, shown[i].Err)
			continue
		}
		if err := f(h, shown); err != nil {
			return err
		}
	}
	return nil
}

// unknownName tells whether an expression names what no hit took along.
func unknownName(err error) bool {
	return errors.Is(err, values.ErrExpr) || errors.Is(err, symbols.ErrNotFound) || errors.Is(err, symbols.ErrAmbiguous) ||
		errors.Is(err, values.ErrKind) || errors.Is(err, symbols.ErrNotRecorded)
}

func (p *Replay) fail(h *Hit, err error) {
	p.failed++
	if p.why == nil {
		var names []string
		for _, v := range slices.Concat(h.Entry, h.Return) {
			names = append(names, v.Name)
		}
		p.why = fmt.Errorf("%w; hits of %s took along: %s", err, h.Func, strings.Join(names, ", "))
	}
}

// decidable refuses conditions of what no hit took along: that is known by the first hit that can be decided.
func (p *Replay) decidable(ctx context.Context) error {
	var why error
	for r, err := range p.recording.Hits() {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if r.Probe < 0 || r.Probe >= len(p.when) || !p.chosen(r.Func) {
			continue
		}
		k, err := p.ask(r.Probe, packageOf(r.Func))
		if err != nil {
			return err
		}
		h := p.hit(r)
		_, undecided := k.Decide(p.spaces[0], plain(h), max(h.Took, lasted(h)))
		if undecided == nil || !errors.Is(undecided, attach.ErrNotRecorded) {
			return nil
		}
		why = undecided
	}
	if why != nil {
		return rows.Refused(fmt.Errorf("no hit of the recording took along what this asks for: %w", why))
	}
	return nil
}

// lasted is how long a call has lasted that had not returned; -1 of all others.
func lasted(h *Hit) time.Duration {
	if h.SoFar > 0 {
		return h.SoFar
	}
	return -1
}

// plain is all that a hit took along, by the names that people use.
func plain(h *Hit) []Value {
	took := slices.Concat(h.Entry, h.Return)
	for i := range took { // what needn't be there is asked for as if it were
		took[i].Name = strings.TrimPrefix(took[i].Name, "?")
	}
	return took
}

// end says what there is to say of all hits.
func (p *Replay) end(out *Summary) error {
	out.Failed = p.failed
	if p.why != nil {
		out.FailedWhy = p.why.Error()
	}
	if ended, err := p.recording.Ended(); err == nil {
		out.Taken = ended
	}
	others := 0
	for _, n := range p.others {
		others += n
	}
	out.Others = uint64(others)
	switch matched := out.Counts.Hits - out.Others; {
	case matched == 0 && others > 0:
		names := slices.Sorted(maps.Keys(p.others))
		return rows.Refused(fmt.Errorf("%s has no hits of %s; it has those of %s", p.recording.Describe(),
			strings.Join(p.request.Probes[0].Functions, ", "), strings.Join(names[:min(len(names), 10)], ", ")))
	case p.failed > 0 && p.failed == matched:
		return rows.Refused(p.why)
	}
	return nil
}

// Run gives the rows of the hits, up to the limit.
func (p *Replay) Run(ctx context.Context, to func(rows.Row) error) (*Summary, error) {
	out := &Summary{}
	err := p.each(ctx, out, func(h *Hit, shown []Value) error {
		w := &p.probes[h.Probe]
		if out.Rows == p.request.Limit {
			return errEnough
		}
		out.Rows++
		if p.shows() {
			h.Entry, h.Return = shown, nil
		}
		return to(h.row(w, p.about.Stack > 0))
	})
	if errors.Is(err, errEnough) {
		out.Why = fmt.Sprintf("%s (--limit)", rows.Plural(int64(p.request.Limit), "hit"))
		err = nil
	}
	if err == nil {
		err = p.end(out)
	}
	if err == nil && p.exact && out.Taken != nil {
		for i := range out.Taken.Tables {
			if t := &out.Taken.Tables[i]; t.Probe >= 0 && t.Probe < len(p.probes) {
				err = errors.Join(err, to(tableRow(&p.probes[t.Probe], t)))
			}
		}
	}
	return out, err
}

// Count gives the rows of counts.
func (p *Replay) Count(ctx context.Context) ([]rows.Row, *Summary, error) {
	out := &Summary{Counted: true}
	counted := &takenCounts{lines: lines{histogram: p.request.Histogram}}
	var first, last time.Time
	err := p.each(ctx, out, func(h *Hit, shown []Value) error {
		if first.IsZero() || h.Time.Before(first) {
			first = h.Time
		}
		if h.Time.After(last) {
			last = h.Time
		}
		var keys rows.Row
		for _, v := range shown {
			keys = append(keys, rows.Cell{Name: v.Name, Value: h.Look(v)})
		}
		counted.count(append(keys, rows.Cell{Name: "func", Value: h.Func}), h.Took)
		return nil
	})
	if err == nil {
		err = p.end(out)
	}
	length := last.Sub(first)
	if out.Taken != nil {
		length = out.Taken.Length
	}
	return counted.rows(length), out, err
}
