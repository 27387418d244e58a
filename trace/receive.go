package trace

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"ri/probe"
	"ri/probe/compile"
	"ri/probe/place"
	"ri/symbols"
	"ri/values"
)

// Receives asks for what code receives from channels: for [Plan.Follow], as a Probe of its own with nothing else.
type Receives struct {
	In    func(function string) bool // whose code
	Elems []*symbols.Type            // of which channels: the elements' types; of others what was received isn't known
}

// Received is what was received. Of a call it isn't there.
type Received struct {
	Channel uint64 // the address of its runtime.hchan
	// Elem is what it was, or why that isn't there. Of a closed channel, and of an element that is thrown away, there
	// is none, and no error.
	Elem   compile.Value
	Closed bool
	Unsure bool // whether it was closed can't be told
	Polled bool // it would not have waited
}

// caseSize is that of a runtime.scase: the channel, where the element comes to (runtime/select.go, Go 1.18 to 1.27).
const caseSize = 16

// receives makes the probes of a request for what is received: one for all places that look alike.
func (p *Plan) receives(w *Probe) error {
	l := &p.space.Layouts().Channel
	if err := l.Err(); err != nil || !l.ElemType.Known() {
		return errors.Join(errors.New("what is received from channels can't be recorded: the layout of channels isn't known"),
			err)
	}
	found, refused := place.Receives(p.process.File, w.Receives.In)
	for _, r := range refused {
		p.refused(r)
	}
	groups := map[place.Receive]int{}
	for _, r := range found {
		key := r
		key.At, key.Back = probe.Site{}, probe.Site{}
		n, ok := groups[key]
		if !ok {
			one, o, err := p.receive(w, r)
			if err != nil {
				p.Missed = append(p.Missed, Missed{Func: r.At.Func, File: r.At.File, Line: r.At.Line, Why: err.Error()})
				continue
			}
			n = len(p.probes)
			groups[key] = n
			p.probes, p.owners = append(p.probes, one), append(p.owners, o)
		}
		p.probes[n].Sites = append(p.probes[n].Sites, r.At)
		p.probes[n].Returns = append(p.probes[n].Returns, r.Back)
	}
	return nil
}

// receive makes the probe of a place at which something is received.
func (p *Plan) receive(w *Probe, r place.Receive) (probe.Probe, owner, error) {
	register := func(kind probe.BaseKind, n int, size uint8) probe.Word {
		return probe.Word{Path: probe.Path{Base: probe.Base{Kind: kind, N: n}}, InPlace: true, Size: size, Signed: size == 8}
	}
	one, in := probe.Probe{Name: r.At.Func}, r.Kind.Registers()
	var channel, elem probe.Path // to the channel, to the element
	switch r.Kind {
	case place.Plain:
		channel.Base, elem.Base = probe.Base{Kind: probe.EntryRegister, N: in.Channel}, probe.Base{Kind: probe.CFA}
		elem.Last = r.Into
	case place.Polled:
		channel.Base, elem.Base = probe.Base{Kind: probe.EntryRegister, N: in.Channel}, probe.Base{Kind: probe.CFA}
		elem.Last = r.Into
		one.Back.When = probe.Compare{Left: register(probe.Register, in.Got, 1), Op: probe.NotEqual}
	case place.Select:
		nth := probe.Base{Kind: probe.Nth, N: in.Which, Off: r.Into, Word: caseSize}
		channel, elem = probe.Path{Base: nth, Steps: []int64{0}}, probe.Path{Base: nth, Steps: []int64{8}}
		sends := register(probe.EntryRegister, in.Sends, 8)
		one.At.When = probe.Compare{Left: register(probe.Register, in.Receives, 8), Op: probe.NotEqual}
		one.Back.When = probe.Compare{Left: register(probe.Register, in.Which, 8), Op: probe.GreaterEqual, With: &sends}
	}
	word := p.process.File.NewType("uintptr", reflect.Uintptr, 8)
	l := &p.space.Layouts().Channel
	desc := channel
	desc.Last = l.ElemType.Offset
	scope := compile.Scope{Space: p.space, Package: packageOf(r.At.Func), Returns: true,
		Results: []compile.Argument{{Name: "type", Type: word, At: &desc}}}
	if r.Kind == place.Select {
		cases := probe.Path{Base: channel.Base}
		scope.Results = append(scope.Results, compile.Argument{Name: "channel", Type: word, At: &cases})
	}
	for _, t := range w.Receives.Elems {
		base := p.process.File.TypesBase()
		if r.Thrown || t.Size <= 0 || t.RuntimeOffset() == 0 || base == 0 {
			continue
		}
		is := probe.Compare{Left: probe.Word{Path: desc, Size: 8}, Right: base + t.RuntimeOffset() + p.space.Bias()}
		open := probe.Compare{Left: register(probe.Register, in.Open, 1), Op: probe.NotEqual}
		scope.Results = append(scope.Results, compile.Argument{Name: t.Name, Type: t, At: &elem,
			When: []probe.Compare{is, open}})
	}
	program, err := compile.Compile(&scope, compile.Wanted{Limit: p.request.Limits})
	if err != nil {
		return one, owner{}, err
	}
	one.At.Reads, one.Back.Reads = program.At.Reads, program.Back.Reads
	return one, owner{wanted: w, probe: p.index(w), function: &place.Function{Name: r.At.Func}, program: program,
		receive: &r}, nil
}

// received is what a hit of such a probe says. It is nil of a call that isn't one, or had not received when the trace
// ended.
func (p *Plan) received(o *owner, ev *probe.Event, results []compile.Value) *Received {
	if o.receive == nil || ev.Return == nil {
		return nil
	}
	out := &Received{Elem: compile.Value{Name: "element"}}
	words := map[string]uint64{}
	for _, v := range results[:min(len(results), 2)] {
		if n, err := v.Value.Uint(); v.Err == nil && err == nil {
			words[v.Name] = n
		}
	}
	in := o.receive.Kind.Registers()
	if o.receive.Kind == place.Select {
		out.Channel, out.Polled = words["channel"], ev.Registers[in.Waits]&0xff == 0
	} else {
		out.Channel, out.Polled = ev.Registers[in.Channel], o.receive.Kind == place.Polled
	}
	out.Unsure = !o.receive.Closed
	if out.Closed = !out.Unsure && ev.Return.Registers[in.Open]&0xff == 0; out.Closed || o.receive.Thrown {
		return out
	}
	t, err := p.space.RuntimeType(words["type"])
	switch {
	case err != nil:
		out.Elem.Err = fmt.Errorf("the type of what was received isn't known: %w", err)
	case t.Size == 0:
		out.Elem.Value = p.space.Local(nil, t)
	default:
		out.Elem.Err = fmt.Errorf("what was received, a %s: %w", t.Name, compile.ErrNotCaptured)
		if i := slices.IndexFunc(results, func(v compile.Value) bool { return v.Name == t.Name }); i >= 0 {
			out.Elem = results[i]
		}
		if errors.Is(out.Elem.Err, values.ErrNil) { // there was nowhere to put it
			out.Elem.Err = nil
		}
	}
	return out
}
