package trace

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"ri/attach"
	"ri/instruments/rows"
	"ri/probe"
	"ri/probe/compile"
	"ri/probe/kernel"
	"ri/probe/place"
	"ri/symbols"
	"ri/values"
)

// Plan is a request for one program: what is probed, and what is done there.
type Plan struct {
	Missed []Missed // what was asked for and isn't probed
	// Keep, if not nil, is given each hit first; an error of it ends the trace.
	Keep func(*Hit) error
	// Show, if not nil, says what of a value rows have: redacted. Also is given the row of each hit as AlsoShow has it,
	// besides: what of it goes elsewhere. An error of it ends the trace.
	Show, AlsoShow func(*Hit, Value) any
	Also           func(*Hit, rows.Row) error

	process Process
	request Request
	view    attach.View
	space   *values.Space // of live memory
	probes  []probe.Probe
	owners  []owner // of each probe
	// byHits: what is counted by is no word, so hits are taken along, and are counted here.
	byHits  bool
	columns []rows.Column
	opens   map[string]bool  // functions that open flows
	shown   map[string]error // what is to be shown of flows: nil where a function has it
}

// Missed is a function, or an inlined call of one, that isn't probed.
type Missed struct {
	Func, Into string
	File       string
	Line       int
	Why        string
}

// Process is what is traced: a process that is open, and what its executable says.
type Process struct {
	attach.Target
	File *symbols.File
	Bias uint64 // run-time address less the link-time address
}

// owner is what a probe belongs to.
type owner struct {
	wanted   *Probe
	probe    int // which of the request's
	function *place.Function
	program  *compile.Program
	keys     []compile.Key  // that hits are counted by
	receive  *place.Receive // nil: it is a function's
}

// Prepare finds the places and compiles what is wanted there. Nothing is probed yet.
func Prepare(ctx context.Context, s Process, r Request) (*Plan, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if s.Kind() != attach.Living {
		return nil, rows.Usagef("%s doesn't run: only a process can be traced", s.Describe())
	}
	view, err := s.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return nil, rows.Refused(err)
	}
	p := &Plan{process: s, request: r, view: view, space: values.New(s.File, attach.NewCache(view), s.Bias),
		opens: map[string]bool{}, shown: map[string]error{}}
	if err := p.prepare(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Plan) prepare() error {
	why := p.findAll()
	if errors.Is(why, errByHits) {
		p.byHits, p.probes, p.owners, p.Missed = true, nil, nil, nil
		why = p.findAll()
	}
	if errors.Is(why, rows.ErrUsage) {
		return why
	}
	if errors.Is(why, errNowhere) || len(p.probes) == 0 {
		if why == nil {
			why = errors.New("none of its places can be probed" + reasons(p.Missed))
		}
		if wrong := (*unfit)(nil); errors.As(why, &wrong) {
			return rows.Usage(why)
		}
		return rows.Refused(why)
	}
	if err := p.unshown(); err != nil {
		return err
	}
	maps, err := p.process.Mappings()
	if err != nil {
		return rows.Refused(err)
	}
	static := compile.Unchanging(maps, p.process.ExecutablePath(), p.view)
	for _, o := range p.owners {
		o.program.Static(static)
	}
	p.columns = columnsOf(p.request.Probes, len(p.owners) > 1, p.request.Stack)
	if p.request.flows {
		p.columns = append(slices.Clone(flowColumns), p.columns...)
	}
	return nil
}

// errByHits: the kernel can't count by what was asked for.
var errByHits = errors.New("counted by hits")

// unfit: what was asked for is nothing that can be told at this function.
type unfit struct{ error }

func (u *unfit) Unwrap() error { return u.error }

// errNowhere: what was asked for has no place at all.
var errNowhere = errors.New("nothing is traced")

// findAll makes all probes. The error is why some functions have none; it is errNowhere where one of the requests that
// must have a place has none.
func (p *Plan) findAll() error {
	var why error
	for i := range p.request.Probes {
		w := &p.request.Probes[i]
		before, missed := len(p.probes), len(p.Missed)
		err := p.find(w)
		if w.Optional {
			continue
		}
		if len(p.probes) == before && !errors.Is(err, errByHits) && len(p.request.Probes) > 1 {
			if err == nil {
				err = fmt.Errorf("%s: none of its places can be probed%s", strings.Join(w.Functions, ", "),
					reasons(p.Missed[missed:]))
			}
			err = fmt.Errorf("%w: %w", errNowhere, err)
		}
		why = errors.Join(why, err)
	}
	return why
}

// find makes the probes of the functions that one is asked for. The error is why some of them have none.
func (p *Plan) find(w *Probe) error {
	if w.Receives != nil {
		return p.receives(w)
	}
	var why error
	var functions []*place.Function
	tooMany := func(n int) error {
		return rows.Usagef("%d functions have such names, at most %d are traced at once: say it more exactly", n,
			maxProbes)
	}
	for _, name := range w.Functions {
		// To find the places of so many takes long, and they are too many by far.
		if n := place.Matching(p.process.File, name); n > 2*maxProbes {
			return tooMany(n)
		}
		found, err := place.Find(p.process.File, name)
		if err != nil {
			return rows.Usage(err)
		}
		for _, r := range found.Refused {
			p.refused(r)
		}
		functions = append(functions, found.Functions...)
	}
	if len(functions)+len(p.probes) > maxProbes {
		return tooMany(len(functions) + len(p.probes))
	}
	for _, fn := range functions {
		for _, r := range fn.Refused {
			p.refused(r)
		}
		if err := p.function(w, fn); err != nil {
			why = errors.Join(why, err)
		}
	}
	return why
}

func (p *Plan) refused(r place.Refused) {
	p.Missed = append(p.Missed, Missed{r.Func, r.Into, r.File, r.Line, r.Why})
}

// reasons are the first few reasons why nothing is probed.
func reasons(missed []Missed) string {
	var all []string
	for _, m := range missed {
		if text := m.Func + ": " + m.Why; !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return ": " + strings.Join(all[:min(len(all), 3)], "; ")
}

// function makes the probes of a function: one for all sites at which its arguments are in the same places. The error
// is why what is wanted can't be done at its body.
func (p *Plan) function(w *Probe, fn *place.Function) error {
	groups := map[string]int{} // by where arguments are; the probe
	var why error
	if w.Flow == probe.Within && p.opens[fn.Name] {
		return nil // in a flow that is open what opens one is a step already
	}
	for i := range fn.Sites {
		site := &fn.Sites[i]
		if why := p.flowSite(w, fn, site); why != "" {
			p.Missed = append(p.Missed, Missed{fn.Name, site.Into, site.File, site.Line, why})
			continue
		}
		if w.Flow == probe.Opens {
			p.opens[fn.Name] = true
		}
		vars := fn.Vars(site)
		returns := w.Returns && site.Role == probe.Entry && site.G && fn.NoReturns == ""
		key := fmt.Sprintf("%v %v %+v", site.Role, returns, placesOf(vars))
		if at, ok := groups[key]; ok {
			p.probes[at].Sites = append(p.probes[at].Sites, *site)
			continue
		}
		one, o, err := p.compile(w, fn, site, vars, returns)
		if err != nil {
			if why == nil {
				why = &unfit{fmt.Errorf("%s: %w", fn.Name, err)}
			}
			p.Missed = append(p.Missed, Missed{fn.Name, site.Into, site.File, site.Line, err.Error()})
			continue
		}
		groups[key] = len(p.probes)
		p.probes = append(p.probes, one)
		p.owners = append(p.owners, o)
	}
	return why
}

func placesOf(vars []place.Var) []string {
	var all []string
	for _, v := range vars {
		all = append(all, fmt.Sprintf("%s %v %+v %s %v", v.Name, v.Kind, v.Pieces, v.Why, v.Pointer))
	}
	return all
}

// compile makes the probe of a function at a site.
func (p *Plan) compile(w *Probe, fn *place.Function, site *probe.Site, vars []place.Var,
	returns bool) (probe.Probe, owner, error) {
	scope := compile.Scope{Space: p.space, Package: packageOf(fn.Name), Returns: returns}
	for i := range vars {
		if vars[i].Kind != place.Result {
			scope.Arguments = append(scope.Arguments, argumentOf(&vars[i]))
		}
	}
	one := probe.Probe{Name: fn.Name, Sites: []probe.Site{*site}, Flow: w.Flow}
	if w.Flow == probe.Opens || w.Flow == probe.Starts {
		one.Returns = fn.Returns
	}
	if returns {
		one.Returns = fn.Returns
		if len(fn.Returns) > 0 {
			for _, v := range fn.Vars(&fn.Returns[0]) {
				if v.Kind == place.Result {
					scope.Results = append(scope.Results, argumentOf(&v))
				}
			}
		}
	}
	wanted := compile.Wanted{When: w.When, After: w.After, Shallow: w.Shallow, Last: w.Last, Limit: p.request.Limits}
	if len(p.request.By) > 0 {
		wanted.Show = []string{}
		if p.byHits {
			wanted.Show = p.keyNames()
		}
	}
	if w.Show != nil {
		wanted.Show = []string{}
		for _, s := range w.Show {
			wanted.Show = append(wanted.Show, s.Expr)
		}
		wanted.Show = p.showable(&scope, w, wanted.Show)
	}
	if w.Histogram {
		wanted.Show = []string{}
	}
	if (w.Histogram || p.request.Histogram) && !returns {
		return one, owner{}, errors.New(noReturns(w, fn, site))
	}
	program, err := compile.Compile(&scope, wanted)
	if errors.Is(err, compile.ErrReturns) {
		err = fmt.Errorf("%w: %s", err, noReturns(w, fn, site))
	}
	if err != nil {
		return one, owner{}, err
	}
	one.At, one.Back = program.At, program.Back
	o := owner{wanted: w, function: fn, program: program}
	for i := range p.request.Probes {
		if w == &p.request.Probes[i] {
			o.probe = i
		}
	}
	if w.Histogram {
		one.Count, one.Histogram = true, true
		one.At.Reads, one.Back.Reads = nil, nil
		return one, o, nil
	}
	if len(p.request.By) > 0 && !p.byHits {
		keys, err := scope.Keys(p.keyNames())
		if errors.Is(err, compile.ErrCannot) {
			return one, owner{}, fmt.Errorf("%w: %w", errByHits, err)
		}
		if err != nil {
			return one, owner{}, err
		}
		for _, key := range keys {
			o.keys, one.By = append(o.keys, key), append(one.By, key.Key)
		}
		p.counting(&one)
	}
	return one, o, nil
}

// noReturns says why a call's return isn't probed.
func noReturns(w *Probe, fn *place.Function, site *probe.Site) string {
	switch {
	case !w.Returns:
		return "say --returns"
	case site.Role != probe.Entry:
		return "a call that was inlined has no return"
	}
	if !site.G {
		return "its goroutine isn't known there"
	}
	return fn.NoReturns
}

// packageOf is the import path of a function.
func packageOf(name string) string {
	slash := strings.LastIndexByte(name, '/')
	// A type's arguments may have paths of their own.
	if bracket := strings.IndexByte(name, '['); bracket >= 0 && slash > bracket {
		slash = strings.LastIndexByte(name[:bracket], '/')
	}
	dot := strings.IndexByte(name[slash+1:], '.')
	if dot < 0 {
		return ""
	}
	return name[:slash+1+dot]
}

// argumentOf is a variable as package compile takes it.
func argumentOf(v *place.Var) compile.Argument {
	a := compile.Argument{Name: v.Name, Type: v.Type, Result: v.Kind == place.Result, Pointer: v.Pointer}
	why := errors.New(v.Why)
	if v.Why == "" || strings.HasPrefix(v.Why, "optimised away") {
		why = compile.ErrGone
	}
	if len(v.Pieces) == 0 && v.Why != "" {
		a.Err = why
		return a
	}
	at := int64(0)
	for _, piece := range v.Pieces {
		if piece.At > at {
			a.Pieces = append(a.Pieces, compile.Piece{Kind: compile.Gone, Size: piece.At - at, Err: why})
		}
		one := compile.Piece{Size: piece.Size, Register: piece.Register, Off: piece.Off, Data: piece.Data}
		switch piece.Kind {
		case place.InRegister:
			one.Kind = compile.InRegister
		case place.OnStack:
			one.Kind = compile.OnStack
		case place.Behind:
			one.Kind = compile.Behind
		case place.Fixed:
			one.Kind = compile.Fixed
		default:
			one.Kind, one.Err = compile.Gone, why
		}
		a.Pieces = append(a.Pieces, one)
		at = piece.At + piece.Size
	}
	size := v.Type.Size
	if v.Pointer {
		size = 8
	}
	if at < size {
		a.Pieces = append(a.Pieces, compile.Piece{Kind: compile.Gone, Size: size - at, Err: why})
	}
	return a
}

// target is the process as the kernel takes it.
func (p *Plan) target() (kernel.Target, error) {
	t := kernel.Target{PID: p.process.PID(), Bias: p.process.Bias}
	if file, ok := p.process.Executable().(*os.File); ok { // of a library that a program of another language has loaded
		t.Path = fmt.Sprintf("/proc/self/fd/%d", file.Fd())
	}
	f, err := elf.NewFile(p.process.Executable())
	if err != nil {
		return t, fmt.Errorf("%s: %w", p.process.ExecutablePath(), err)
	}
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_LOAD && segment.Flags&elf.PF_X != 0 {
			t.Segments = append(t.Segments, kernel.Segment{Addr: segment.Vaddr, Size: segment.Filesz, Offset: segment.Off})
		}
	}
	return t, nil
}

// options are those of the kernel's side.
func (p *Plan) options() kernel.Options {
	g := &p.space.Layouts().Goroutine
	o := kernel.Options{Goid: g.ID.Offset, StackHi: g.Hi.Offset, Status: g.Status.Offset, SP: g.SP.Offset,
		SyscallSP: g.SyscallSP.Offset, Budget: p.request.Budget, Limit: p.request.Limit,
		Stack: p.request.Stack, Ring: p.request.Ring, Windows: p.request.Windows, PanicOnWarn: p.request.PanicOnWarn}
	if p.decidesAfter() || len(p.request.By) > 0 {
		o.Limit = 1 << 32 // of what is taken along only some is shown
	}
	return o
}

// decidesAfter tells whether some conditions are decided when a hit was taken.
func (p *Plan) decidesAfter() bool {
	return slices.ContainsFunc(p.request.Probes, func(w Probe) bool { return len(w.After) > 0 })
}

// Close lets go of the process's memory.
func (p *Plan) Close() error { return p.view.Close() }
