package trace

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"ri/probe"
	"ri/probe/compile"
	"ri/probe/place"
	"ri/symbols"
	"ri/values"
)

// Receives asks for what code receives from channels, and sends into them: for [Plan.Follow], as a Probe of its own
// with nothing else.
type Receives struct {
	In    func(function string) bool // whose code
	Elems []*symbols.Type            // of which channels: the elements' types; of others what was received isn't known
}

// Received is what was received, or sent. Of a call it isn't there.
type Received struct {
	Sent    bool   // else it was received; Closed: it was closed there
	Made    bool   // nothing passed: the channel was made
	Channel uint64 // the address of its runtime.hchan
	// Elem is what it was, or why that isn't there. Of a closed channel, and of an element that is thrown away, there
	// is none, and no error.
	Elem   compile.Value
	Closed bool
	Unsure bool // whether it was closed can't be told
	Polled bool // it would not have waited
	// Others are channels from which a select would have received as well: of its first maxCases.
	Others []uint64
	// Word are the first bytes of the element, at most 8, as far as they are known: it tells elements apart.
	Word, WordBytes uint64
}

// caseSize is that of a runtime.scase: the channel, where the element comes to (runtime/select.go, Go 1.18 to 1.27).
const caseSize = 16

// maxCases bounds how many channels of a select are taken along.
const maxCases = 8

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
	case place.Made:
		channel.Base = probe.Base{Kind: probe.Register, N: in.Channel}
	case place.Sent, place.Closing:
		channel.Base = probe.Base{Kind: probe.EntryRegister, N: in.Channel}
		elem.Base = probe.Base{Kind: probe.Register, N: in.Into}
	case place.Offered:
		channel.Base = probe.Base{Kind: probe.EntryRegister, N: in.Channel}
		elem.Base = probe.Base{Kind: probe.Register, N: in.Into}
		one.Back.When = probe.Compare{Left: register(probe.Register, in.Got, 1), Op: probe.NotEqual}
	case place.Select:
		nth := probe.Base{Kind: probe.Nth, N: in.Which, Off: r.Into, Word: caseSize}
		channel, elem = probe.Path{Base: nth, Steps: []int64{0}}, probe.Path{Base: nth, Steps: []int64{8}}
		one.Back.When = probe.Compare{Left: register(probe.Register, in.Which, 8), Op: probe.GreaterEqual} // not default
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
		for i := range maxCases {
			at := probe.Path{Base: probe.Base{Kind: probe.CFA}, Last: r.Into + int64(i)*caseSize}
			scope.Results = append(scope.Results, compile.Argument{Name: caseName(i), Type: word, At: &at})
		}
	}
	kept := &scope.Results
	if r.Kind.Sends() {
		kept = &scope.Arguments // where it lies is known before the call only
	}
	if !r.Thrown && r.Kind < place.Closing {
		*kept = append(*kept, compile.Argument{Name: "word", Type: word, At: &elem})
	}
	for _, t := range w.Receives.Elems {
		base := p.process.File.TypesBase()
		if r.Thrown || r.Kind >= place.Closing || t.Size <= 0 || t.RuntimeOffset() == 0 || base == 0 {
			continue
		}
		is := probe.Compare{Left: probe.Word{Path: desc, Size: 8}, Right: base + t.RuntimeOffset() + p.space.Bias()}
		when := []probe.Compare{is}
		if r.Kind.Sends() {
			when[0].Left.Path.Base.Kind = probe.Register
		} else if r.Kind != place.Select { // a select may have sent
			when = append(when, probe.Compare{Left: register(probe.Register, in.Open, 1), Op: probe.NotEqual})
		}
		*kept = append(*kept, compile.Argument{Name: t.Name, Type: t, At: &elem, When: when})
	}
	program, err := compile.Compile(&scope, compile.Wanted{Limit: p.request.Limits})
	if err != nil {
		return one, owner{}, err
	}
	one.At.Reads, one.Back.Reads = program.At.Reads, program.Back.Reads
	return one, owner{wanted: w, probe: p.index(w), function: &place.Function{Name: r.At.Func}, program: program,
		receive: &r}, nil
}

func caseName(i int) string { return "case " + strconv.Itoa(i) }

// received is what a hit of such a probe says. It is nil of a call that isn't one, or had not received when the trace
// ended.
func (p *Plan) received(o *owner, ev *probe.Event, entry, results []compile.Value) *Received {
	if o.receive == nil || ev.Return == nil {
		return nil
	}
	out := &Received{Sent: o.receive.Kind.Sends(), Elem: compile.Value{Name: "element"}}
	if o.receive.Kind == place.Made {
		out.Made, out.Channel = true, ev.Return.Registers[o.receive.Kind.Registers().Channel]
		return out
	}
	all := slices.Concat(results, entry)
	words := map[string]uint64{}
	for _, v := range all {
		if v.Value.Type == nil || v.Value.Type.Name != "uintptr" {
			continue
		}
		if n, err := v.Value.Uint(); v.Err == nil && err == nil {
			words[v.Name] = n
		}
	}
	in := o.receive.Kind.Registers()
	if o.receive.Kind == place.Select {
		out.Channel, out.Polled = words["channel"], ev.Registers[in.Waits]&0xff == 0
		which, sends := ev.Return.Registers[in.Which], ev.Registers[in.Sends]
		out.Sent = which < sends
		for i := sends; i < min(sends+ev.Registers[in.Receives], maxCases); i++ {
			if c := words[caseName(int(i))]; i != which && c != 0 {
				out.Others = append(out.Others, c)
			}
		}
	} else {
		out.Channel = ev.Registers[in.Channel]
		out.Polled = o.receive.Kind == place.Polled || o.receive.Kind == place.Offered
	}
	out.Unsure = !out.Sent && !o.receive.Closed
	out.Closed = o.receive.Kind == place.Closing || !out.Sent && !out.Unsure && ev.Return.Registers[in.Open]&0xff == 0
	if out.Closed || !out.Sent && o.receive.Thrown {
		return out
	}
	t, err := p.space.RuntimeType(words["type"])
	if _, ok := words["word"]; ok && err == nil {
		out.WordBytes = uint64(min(max(t.Size, 0), 8))
		out.Word = words["word"] & (1<<(8*out.WordBytes) - 1)
	}
	switch {
	case err != nil:
		out.Elem.Err = fmt.Errorf("the type of what was received isn't known: %w", err)
	case t.Size == 0:
		out.Elem.Value = p.space.Local(nil, t)
	default:
		out.Elem.Err = fmt.Errorf("what was received, a %s: %w", t.Name, compile.ErrNotCaptured)
		if i := slices.IndexFunc(all, func(v compile.Value) bool { return v.Name == t.Name }); i >= 0 {
			out.Elem = all[i]
		}
		if errors.Is(out.Elem.Err, values.ErrNil) { // there was nowhere to put it
			out.Elem.Err, out.WordBytes = nil, 0
		}
	}
	return out
}
