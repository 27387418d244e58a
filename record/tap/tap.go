package tap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"time"

	"ri/instruments/rows"
	"ri/probe/compile"
	"ri/probe/kernel"
	"ri/probe/place"
	"ri/record/boundary"
	"ri/record/calls"
	"ri/record/redact"
	"ri/symbols/sparse"
	"ri/trace"
)

// Options say how long is recorded, and what is kept.
type Options struct {
	Policy    *redact.Policy
	Key       [redact.KeySize]byte
	KeyKept   bool
	By        string // release of ri
	For       time.Duration
	Limit     uint64  // calls
	Budget    float64 // cores
	Limits    compile.Limits
	FromStart bool
	Armed     func(kernel.Forecast) // the probes are there
}

// ring is what a burst of calls may fill until it is read.
const ring = 64 << 20

// callerFrames is how much of the stack tells who called: wrappers stand between.
const callerFrames = 4

// Recorder records calls at a boundary of a process.
type Recorder struct {
	boundary *boundary.Boundary
	process  trace.Process
	opt      Options
	plan     *trace.Plan
	owners   []owner           // of each probe of the request
	others   []boundary.Method // that go out through another interface, too
}

// owner is what a probe is of.
type owner struct {
	boundary.Method
	out bool
}

// New finds where the boundary can be probed. Nothing is probed yet.
func New(ctx context.Context, process trace.Process, b *boundary.Boundary, opt Options) (*Recorder, error) {
	r := &Recorder{boundary: b, process: process, opt: opt}
	request := trace.Request{Stack: callerFrames, Ring: ring,
		Limit: opt.Limit, For: opt.For, Budget: opt.Budget, Limits: opt.Limits}
	functions := map[string][]place.Var{}
	add := func(m boundary.Method, out bool) {
		vars, err := r.params(m.Func)
		if err != nil {
			b.Missed = append(b.Missed, boundary.Missed{What: m.Func, Why: err.Error()})
			return
		}
		functions[m.Func] = vars
		if into := r.inlined(m.Func, out); into != "" {
			b.Missed = append(b.Missed, boundary.Missed{What: m.Func, Why: into})
		}
		// Only of what gives something the return is probed, which costs more than the call.
		results := slices.ContainsFunc(vars, func(v place.Var) bool { return v.Kind == place.Result })
		one := trace.Probe{Functions: []string{m.Func}, Returns: results, Optional: true}
		if m.Receiver && out {
			one.Shallow = 1 // what answers is somebody else's
		} else if m.Receiver {
			one.Last = 1 // what a call is given is needed each time, what its receiver holds once
		}
		request.Probes = append(request.Probes, one)
		r.owners = append(r.owners, owner{m, out})
	}
	for _, m := range b.In {
		add(m, false)
	}
	for _, m := range b.Out {
		switch _, known := functions[m.Func]; {
		case !known:
			add(m, true)
		case !slices.ContainsFunc(b.In, func(in boundary.Method) bool { return in.Func == m.Func }):
			r.others = append(r.others, m) // one probe, or each call would be there twice
		}
	}
	if len(request.Probes) == 0 {
		return nil, rows.Refused(errors.New("the boundary has no function that can be probed"))
	}
	if probe, ok := r.receives(functions, b); ok {
		request.Probes = append(request.Probes, probe)
	}
	r.random()
	plan, err := trace.Prepare(ctx, process, request)
	if err != nil {
		return nil, err
	}
	r.plan = plan
	return r, nil
}

// random names where the library takes random numbers: they are others when it is replayed. Those of a generator of its
// own (math/rand.(*Rand)) are as good as its seed.
func (r *Recorder) random() {
	callers := place.Called(r.process.File, r.boundary.Inside, func(fn string) bool {
		pkg, receiver, name := boundary.Parts(fn)
		return receiver == "" && isExported(name) && !harmless[fn] &&
			slices.Contains([]string{"math/rand", "math/rand/v2", "crypto/rand"}, pkg)
	})
	for _, fn := range slices.Sorted(maps.Keys(callers)) {
		r.boundary.Missed = append(r.boundary.Missed, boundary.Missed{What: fn, Why: "random numbers (in " + callers[fn] +
			") are not recorded, and are others in a replay"})
	}
}

// harmless are functions that take no random number.
var harmless = map[string]bool{"math/rand.New": true, "math/rand.NewSource": true, "math/rand.NewZipf": true,
	"math/rand/v2.New": true, "math/rand/v2.NewPCG": true, "math/rand/v2.NewChaCha8": true, "math/rand/v2.NewZipf": true}

// params are what a function takes and gives.
func (r *Recorder) params(fn string) (out []place.Var, err error) {
	found, err := place.Find(r.process.File, fn)
	if err != nil {
		return nil, err
	}
	for _, f := range found.Functions {
		out = append(out, f.Params()...)
	}
	return out, nil
}

// inlined says that calls of a function from the boundary's other side were inlined, if some were.
func (r *Recorder) inlined(fn string, out bool) string {
	found, err := place.Find(r.process.File, fn)
	if err != nil {
		return ""
	}
	var into []string
	for _, f := range found.Functions {
		for _, s := range f.Sites {
			if s.Into != "" && r.boundary.Inside(s.Into) == out && !slices.Contains(into, s.Into) {
				into = append(into, s.Into)
			}
		}
	}
	if len(into) == 0 {
		return ""
	}
	others := ""
	if n := len(into) - 1; n > 0 {
		others = fmt.Sprintf(" and %s", rows.Plural(int64(n), "other"))
	}
	pkg, _, _ := boundary.Parts(fn)
	return fmt.Sprintf("it was inlined into %s%s: what it gives there isn't recorded, and of what it is given some is "+
		"gone; a program built with -gcflags=%s=-l has all of it", into[0], others, pkg)
}

// Close lets go of the process.
func (r *Recorder) Close() error { return r.plan.Close() }

// Boundary is what will be recorded, and what won't.
func (r *Recorder) Boundary() calls.Boundary {
	out := calls.Boundary{Of: r.boundary.Of}
	functions := map[string]trace.Function{}
	for _, f := range r.plan.Functions() {
		functions[f.Name] = f
	}
	all := slices.Clone(r.owners)
	for _, m := range r.others {
		all = append(all, owner{m, true})
	}
	for _, o := range all {
		f, ok := functions[o.Func]
		if !ok {
			continue // it is among those that were missed
		}
		fn := calls.Func{Name: o.Func, Short: r.process.File.ShortName(o.Func), Interface: o.Interface, Field: o.Field,
			Receiver: o.Receiver, Callback: o.Callback}
		var results compile.Scope
		for _, v := range f.Params {
			switch v.Kind {
			case place.Argument:
				fn.Params = append(fn.Params, calls.Var{Name: v.Name, Type: v.Type.Name})
			case place.Result:
				results.Results = append(results.Results, compile.Argument{Name: v.Name, Type: v.Type})
			}
		}
		for i, v := range results.Results { // by the names that rules have for them
			fn.Results = append(fn.Results, calls.Var{Name: results.ResultName(i), Type: v.Type.Name})
		}
		if o.out {
			out.Out = append(out.Out, fn)
		} else {
			out.In = append(out.In, fn)
		}
	}
	for _, m := range r.boundary.Missed {
		out.Missed = append(out.Missed, calls.Missed(m))
	}
	for _, m := range r.plan.Missed {
		out.Missed = append(out.Missed, calls.Missed{What: m.Func, Why: m.Why})
	}
	return out
}

// Record records until the time is over, or ctx is, and writes the recording. What is gathered meanwhile, redacted, is
// in a file without a name in folder. The error is rows.ErrPartial where the budget ended it.
func (r *Recorder) Record(ctx context.Context, w io.Writer, folder string) (*calls.End, *trace.Summary, error) {
	spool, err := newSpool(folder)
	if err != nil {
		return nil, nil, err
	}
	defer spool.Close()
	t := &tape{Recorder: r, spool: spool, receivers: numbers{}, state: map[int]*state{}, made: time.Now(),
		sends: map[int]calls.Channel{}, makes: map[uint64][]time.Time{},
		unreturned: map[uint64]map[int32]bool{}}
	t.enc = r.encoder(t)
	sum, err := r.plan.Follow(ctx, t.begun, t.hit)
	if sum == nil {
		return nil, nil, err
	}
	if err != nil && !errors.Is(err, rows.ErrPartial) {
		return nil, sum, err
	}
	end, written := t.write(w, sum)
	return end, sum, cmp.Or(written, err)
}

func (r *Recorder) encoder(t *tape) *encoder {
	policy := r.opt.Policy
	if policy == nil {
		policy = &redact.Policy{}
	}
	file, bias := r.process.File, r.process.Bias
	excluded := file.LinkerStrings()
	constant := func(addr uint64, n int) bool {
		at := addr - bias
		return addr != 0 && n > 0 && file.ReadOnly(at, uint64(n)) && !overlaps(excluded, at, uint64(n))
	}
	return &encoder{policy: policy, tokens: redact.NewTokens(r.opt.Key), constant: constant, receiver: t.referred,
		errors: r.errorVars(), layouts: map[layoutKey]*redact.Layout{}, channels: numbers{},
		crosses: map[int]calls.Channel{}, leaves: map[int]calls.Channel{},
		kept: map[string]bool{}, denied: map[string]bool{}, callbacks: r.callbacks()}
}

// callbacks are the functions that the library may be given, whose calls are recorded.
func (r *Recorder) callbacks() map[string]bool {
	out := map[string]bool{}
	for _, m := range r.boundary.Out {
		if m.Callback {
			out[m.Func] = true
		}
	}
	return out
}

// arguments is how many a function has.
func (r *Recorder) arguments(fn string) (n int) {
	for _, f := range r.plan.Functions() {
		if f.Name == fn {
			for _, v := range f.Params {
				if v.Kind == place.Argument {
					n++
				}
			}
			return n
		}
	}
	return 0
}

// held is what a package variable holds. Values of no size all have one address, so the type counts, too.
type held struct {
	word uint64
	typ  string
}

// errorVars are the package variables that hold errors, by what is in them: programs compare with them.
func (r *Recorder) errorVars() map[held]string {
	out := map[held]string{}
	for _, v := range r.process.File.AllVars() {
		if v.Type == nil || v.Type.Name != "error" {
			continue
		}
		in, err := r.plan.Space().At(v.Addr+r.process.Bias, v.Type).Elem()
		if err != nil || in.Type == nil || in.Type.Kind != reflect.Pointer {
			continue
		}
		if word, err := in.Word(); err == nil && word != 0 {
			out[held{word, in.Type.Name}] = v.Name
		}
	}
	return out
}

func overlaps(ranges []sparse.Range, at, n uint64) bool {
	return slices.ContainsFunc(ranges, func(r sparse.Range) bool { return at < r.End && r.Start < at+n })
}
