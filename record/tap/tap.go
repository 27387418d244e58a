package tap

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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
	"ri/symbols"
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

// callerFrames is how much of the stack tells who called: wrappers stand between.
const callerFrames = 4

// Recorder records calls at a boundary of a process.
type Recorder struct {
	boundary *boundary.Boundary
	process  trace.Process
	opt      Options
	plan     *trace.Plan
	owners   []owner // of each probe of the request
}

// owner is what a probe is of.
type owner struct {
	boundary.Method
	out bool
}

// New finds where the boundary can be probed. Nothing is probed yet.
func New(ctx context.Context, process trace.Process, b *boundary.Boundary, opt Options) (*Recorder, error) {
	r := &Recorder{boundary: b, process: process, opt: opt}
	request := trace.Request{Stack: callerFrames, Limit: opt.Limit, For: opt.For, Budget: opt.Budget, Limits: opt.Limits}
	add := func(m boundary.Method, out bool) {
		results, err := r.hasResults(m.Func)
		if err != nil {
			b.Missed = append(b.Missed, boundary.Missed{What: m.Func, Why: err.Error()})
			return
		}
		one := trace.Probe{Functions: []string{m.Func}, Returns: results, Optional: true}
		if m.Receiver {
			one.Shallow = 1
		}
		request.Probes = append(request.Probes, one)
		r.owners = append(r.owners, owner{m, out})
	}
	for _, m := range b.In {
		add(m, false)
	}
	for _, m := range b.Out {
		if !slices.ContainsFunc(b.In, func(in boundary.Method) bool { return in.Func == m.Func }) {
			add(m, true)
		}
	}
	if len(request.Probes) == 0 {
		return nil, rows.Refused(errors.New("the boundary has no function that can be probed"))
	}
	plan, err := trace.Prepare(ctx, process, request)
	if err != nil {
		return nil, err
	}
	r.plan = plan
	return r, nil
}

// hasResults tells whether a function gives anything: only then is its return probed, which costs more than the call.
func (r *Recorder) hasResults(fn string) (bool, error) {
	found, err := place.Find(r.process.File, fn)
	if err != nil {
		return false, err
	}
	for _, f := range found.Functions {
		for _, v := range f.Params() {
			if v.Kind == place.Result {
				return true, nil
			}
		}
	}
	return false, nil
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
	for _, o := range r.owners {
		f, ok := functions[o.Func]
		if !ok {
			continue // it is among those that were missed
		}
		fn := calls.Func{Name: o.Func, Interface: o.Interface, Field: o.Field, Receiver: o.Receiver}
		for _, v := range f.Params {
			name := calls.Var{Name: v.Name, Type: v.Type.Name}
			switch v.Kind {
			case place.Argument:
				fn.Params = append(fn.Params, name)
			case place.Result:
				fn.Results = append(fn.Results, name)
			}
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
	t := &tape{Recorder: r, spool: spool, receivers: map[uint64]int{}, stated: map[int]bool{}, made: time.Now()}
	t.enc = r.encoder(t)
	sum, err := r.plan.Follow(ctx, t)
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
	return &encoder{policy: policy, tokens: redact.NewTokens(r.opt.Key), layouts: map[layoutKey]*redact.Layout{},
		channels: map[uint64]int{}, kept: map[string]bool{}, denied: map[string]bool{}, receiver: t.referred, errors: r.errorVars(), constant: func(addr uint64, n int) bool {
			at := addr - bias
			return addr != 0 && n > 0 && file.ReadOnly(at, uint64(n)) && !overlaps(excluded, at, uint64(n))
		}}
}

// errorVars are the package variables that hold errors, by the address that is in them: programs compare with them.
func (r *Recorder) errorVars() map[uint64]string {
	out := map[uint64]string{}
	for _, v := range r.process.File.AllVars() {
		if v.Type == nil || v.Type.Name != "error" {
			continue
		}
		if word, err := r.plan.Space().Uint64(v.Addr + r.process.Bias + 8); err == nil && word != 0 {
			out[word] = v.Name
		}
	}
	return out
}

func overlaps(ranges []sparse.Range, at, n uint64) bool {
	return slices.ContainsFunc(ranges, func(r sparse.Range) bool { return at < r.End && r.Start < at+n })
}

// tape gathers events.
type tape struct {
	*Recorder
	spool     *spool
	enc       *encoder
	made      time.Time
	receivers map[uint64]int  // ids, by address
	stated    map[int]bool    // those whose state was read
	types     map[string]bool // of receivers, pointers
	state     []calls.Receiver
	index     []entry
}

// Armed implements trace.Follower.
func (t *tape) Armed(f kernel.Forecast) {
	t.made = time.Now()
	if t.opt.Armed != nil {
		t.opt.Armed(f)
	}
}

// Call implements trace.Follower.
func (t *tape) Call(c *trace.Call) error {
	o := t.owners[c.Probe]
	if t.stranger(c, o.out) {
		return nil
	}
	ev := calls.Event{Goroutine: c.Event.Goroutine, Kind: calls.Call, Func: o.Func, Out: o.out}
	args := c.Args
	if o.Receiver && len(args) > 0 {
		ev.On = t.receiver(args[0], o.out)
		args = args[1:]
	}
	t.values(&ev, args, o.Func)
	number := len(t.index)
	if err := t.keep(&ev, c.Begun, -1); err != nil {
		return err
	}
	switch {
	case c.Event.Return != nil:
		back := calls.Event{Goroutine: c.Event.Goroutine, Kind: calls.Return, Func: o.Func, Out: o.out, On: ev.On}
		t.values(&back, c.Results, o.Func)
		return t.keep(&back, c.Begun.Add(c.Event.Return.Time-c.Event.Time), number)
	case c.Event.Ended:
		// It ended before the next call at the same depth, and nobody knows when: at once after what it called.
		back := calls.Event{Goroutine: c.Event.Goroutine, Kind: calls.Return, Func: o.Func, Out: o.out, On: ev.On,
			Ended: "panic or Goexit"}
		return t.keep(&back, c.Begun, number)
	}
	return nil
}

// stranger tells whether a call doesn't cross the boundary, by who called: what is inside calls its own functions too,
// and what is outside calls what the library would.
func (t *tape) stranger(c *trace.Call, out bool) bool {
	for _, pc := range c.Event.Stack {
		for _, f := range t.plan.Space().FramesAt(pc, false) {
			if f.Wrapper {
				continue
			}
			return t.boundary.Inside(f.Func) != out
		}
	}
	return false
}

// values writes what a call was given or gave.
func (t *tape) values(ev *calls.Event, list []compile.Value, fn string) {
	t.enc.begin()
	for i, v := range list {
		if v.Err != nil {
			ev.Values = append(ev.Values, t.enc.absent(v.Err))
			continue
		}
		ev.Values = append(ev.Values, t.enc.encode(v.Value, fn+"."+v.Name, fmt.Sprintf("values[%d]", i)))
	}
	ev.Missing, ev.Tokens = t.enc.missing, t.enc.replaced
}

// receiver is the number of what a call was made on. What it holds is read when it is first seen.
func (t *tape) receiver(v compile.Value, out bool) int {
	if v.Err != nil || v.Value.Type.Kind != reflect.Pointer {
		return 0
	}
	addr, err := v.Value.Word()
	if err != nil || addr == 0 {
		return 0
	}
	id := t.number(addr)
	if t.stated[id] {
		return id
	}
	t.stated[id] = true
	one := calls.Receiver{ID: id, Type: v.Value.Type.Name}
	if elem := v.Value.Type.Elem(); elem != nil && !out {
		t.enc.begin()
		t.enc.outside = true
		t.plan.Space().Reset()
		one.Value = t.enc.encode(t.plan.Space().At(addr, elem), "", fmt.Sprintf("state[%d]", len(t.state)))
		one.Missing, t.enc.outside = t.enc.missing, false
	}
	t.state = append(t.state, one)
	return id
}

// number is that of a receiver.
func (t *tape) number(addr uint64) int {
	id, ok := t.receivers[addr]
	if !ok {
		id = len(t.receivers) + 1
		t.receivers[addr] = id
	}
	return id
}

// referred is the number of what a value leads to, if it is one on which calls are recorded: it isn't written again.
func (t *tape) referred(typ *symbols.Type, addr uint64) (id int, ok bool) {
	if t.types == nil {
		t.types = map[string]bool{}
		for _, f := range t.plan.Functions() {
			if o := t.owners[f.Probe]; o.Receiver && len(f.Params) > 0 && f.Params[0].Type.Kind == reflect.Pointer {
				t.types[f.Params[0].Type.Name] = true
			}
		}
	}
	if addr == 0 || !t.types[typ.Name] {
		return 0, false
	}
	return t.number(addr), true
}

// entry is where an event lies in the spool, and when it was.
type entry struct {
	at     time.Time
	off    int64
	size   int32
	number int32 // in the order in which they came
	call   int32 // of a return: the number of its call; else -1
}

func (t *tape) keep(ev *calls.Event, at time.Time, call int) error {
	ev.Wall, ev.At = at.UTC(), at.Sub(t.made)
	b, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	off, err := t.spool.add(b)
	if err != nil {
		return err
	}
	t.index = append(t.index, entry{at, off, int32(len(b)), int32(len(t.index)), int32(call)})
	return nil
}

// write writes the recording, in order.
func (t *tape) write(w io.Writer, sum *trace.Summary) (*calls.End, error) {
	for i := range t.state {
		t.state[i].Value = t.enc.deny(t.state[i].Value)
	}
	slices.SortStableFunc(t.index, func(a, b entry) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.number, b.number))
	})
	out, err := calls.NewWriter(w, t.header())
	if err != nil {
		return nil, err
	}
	o := order{seq: map[int32]int64{}, open: map[uint64][]int32{}, returns: map[int32]bool{}}
	for _, e := range t.index {
		if e.call >= 0 {
			o.returns[e.call] = true
		}
	}
	for _, e := range t.index {
		b, err := t.spool.at(e.off, int(e.size))
		if err != nil {
			return nil, err
		}
		var ev calls.Event
		if err := json.NewDecoder(bytes.NewReader(b)).Decode(&ev); err != nil {
			return nil, err
		}
		o.place(&ev, e)
		for i := range ev.Values {
			ev.Values[i] = t.enc.deny(ev.Values[i])
		}
		if err := out.Event(&ev); err != nil {
			return nil, err
		}
		o.seq[e.number] = ev.Seq
	}
	end := calls.End{Why: sum.Why, Lost: sum.Counts.Lost, Refused: sum.Counts.Refused, Length: sum.Cost.Length,
		CPU: sum.Cost.CPU}
	for field := range t.enc.kept {
		end.Kept = append(end.Kept, field)
	}
	slices.Sort(end.Kept)
	return out.Close(end)
}

// order finds what belongs to what, in the order of time.
type order struct {
	seq     map[int32]int64    // by number
	open    map[uint64][]int32 // calls that have not returned and will, by goroutine
	returns map[int32]bool     // calls that will
}

func (o *order) place(ev *calls.Event, e entry) {
	open := o.open[ev.Goroutine]
	if ev.Kind == calls.Return {
		ev.Call = o.seq[e.call]
		if i := slices.Index(open, e.call); i >= 0 {
			open = slices.Delete(open, i, i+1)
		}
	}
	if len(open) > 0 {
		ev.Parent = o.seq[open[len(open)-1]]
	}
	if ev.Kind == calls.Call && o.returns[e.number] {
		open = append(open, e.number)
	}
	o.open[ev.Goroutine] = open
}

func (t *tape) header() *calls.Header {
	file := t.process.File
	h := &calls.Header{By: t.opt.By, Made: t.made.UTC(), Boundary: t.Boundary(), FromStart: t.opt.FromStart,
		Budget: t.opt.Budget, State: t.state, Policy: calls.Policy{KeyKept: t.opt.KeyKept}}
	if p := t.opt.Policy; p != nil {
		h.Policy.Rules, h.Policy.DenyNumbers = len(p.Rules), p.DenyNumbers
	}
	h.Program.Module, h.Program.Version = file.MainModule()
	h.Program.Go = file.GoVersion()
	h.Program.Modules = map[string]string{}
	for _, m := range file.Modules() {
		if m[0] == t.boundary.Module() {
			h.Program.Modules[m[0]] = m[1]
		}
	}
	return h
}

// spool is a file without a name for what has no place yet.
type spool struct {
	file *os.File
	size int64
	room []byte
}

func newSpool(folder string) (*spool, error) {
	f, err := os.CreateTemp(folder, ".ri-calls-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return &spool{file: f}, nil
}

const spoolRoom = 4 << 20

func (s *spool) add(b []byte) (off int64, err error) {
	off = s.size + int64(len(s.room))
	s.room = append(s.room, b...)
	if len(s.room) >= spoolRoom {
		err = s.flush()
	}
	return off, err
}

func (s *spool) flush() error {
	n, err := s.file.Write(s.room)
	s.size += int64(n)
	s.room = s.room[:0]
	return err
}

func (s *spool) at(off int64, n int) ([]byte, error) {
	if off >= s.size {
		return s.room[off-s.size:][:n], nil
	}
	b := make([]byte, n)
	_, err := s.file.ReadAt(b, off)
	return b, err
}

func (s *spool) Close() error { return s.file.Close() }
