package waits

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"

	"ri/symbols"
	"ri/symbols/flow"
	"ri/values"
)

// This file asks whether somebody may still come who does what goroutines wait for: a handler that is called for the
// next request, a worker that is started for the next job. It goes through the code that goroutines may still come
// to, and that of func values and methods which somebody holds, however deep.

// maxFollowed is how many functions are gone through. Of a program in which more have to be, nothing is claimed.
const maxFollowed = 30_000

// maxLed is how many objects are gone through for all that is wanted together. Of what comes after that nothing is
// claimed.
const maxLed = 32 << 20

// laterSearch is one run of Later.
type laterSearch struct {
	s      *values.Space
	p      *flow.Program
	check  func()
	nodes  map[uint64]*laterNode // functions, by entry
	list   []uint64
	roots  []laterRoot
	stacks []laterStack
	full   bool
	doers  map[string]*laterDoers
	refer  map[string]map[uint64]bool // functions from which calls lead to one that refers to some variables
	led    int
}

// laterStack is what goroutines with one stack may still refer to.
type laterStack struct {
	ids  []int64
	root laterRoot
}

// Later is who may still come.
type Later struct {
	Why   string  // a function that somebody may call; "": none was found
	Guess bool    // that it concerns what was asked for is guessed: types aren't known
	May   []int64 // goroutines that do it to one that can't be told, and that it may be
}

// laterNode is a function that may be called.
type laterNode struct {
	calls   map[uint64][]uint64 // own functions, and where they are called
	refs    []flow.Call
	callers []uint64
	uses    []flow.Use
	at      *flow.State
	known   bool
	sent    []flow.Use // what it does, also by what it calls; once asked for
	sends   bool
}

// laterRoot is where a call may begin.
type laterRoot struct {
	entries []uint64
	refs    []flow.Call
	leads   func(*values.Leading) bool
	name    uint64 // entry of a function to be named
}

// Later gives for each of wanted why somebody may still do it though no goroutine is about to, as far as Users sees:
// "" where nothing was found. elems are the types of the channels' elements, "" where not known, may is what Users
// found. Somebody may where code is called that has such a use, and that is given, has captured, or refers to a
// package variable with, what leads to it. callable is nil where it isn't known: then only the goroutines' own code
// counts. The error is ErrNotRecorded where code is missing.
func (r *Reader) Later(wanted []Wanted, elems []string, groups []*values.StackGroup, may map[string]May,
	callable *values.Callable, check func()) ([]Later, error) {
	if err := r.readUses(); err != nil {
		return nil, err
	}
	l := &laterSearch{s: r.s, p: r.uses, check: check, nodes: map[uint64]*laterNode{},
		doers: map[string]*laterDoers{}, refer: map[string]map[uint64]bool{}}
	for _, group := range groups {
		l.stack(group)
	}
	if callable != nil {
		for i := range callable.Closures {
			f := &callable.Closures[i]
			l.root(f.Entry, func(lead *values.Leading) bool { return f.More || slices.ContainsFunc(f.Objects, lead.Object) })
		}
		for _, m := range callable.Methods {
			// What an interface holds by itself may be a part of something: its own type leads nowhere then.
			_, use := l.p.UseOf(m.Entry)
			l.root(m.Entry, func(lead *values.Leading) bool {
				return use || m.More || lead.Type(m.Receiver) || slices.ContainsFunc(m.Objects, lead.Object)
			})
		}
	}
	l.explore()
	out := make([]Later, len(wanted))
	for i, w := range wanted {
		if check != nil {
			check()
		}
		if l.led > maxLed {
			out[i].Why = "too much leads to what is waited for"
			continue
		}
		var err error
		if out[i], err = l.ask(w, elems[i], may[w.Kind], callable); err != nil {
			return nil, err
		}
	}
	return out, l.p.Lacks()
}

// own tells whether an entry is that of a function of the program's own.
func (l *laterSearch) own(entry uint64) bool {
	info, ok := l.s.File().PC(entry)
	return ok && info.Entry == entry && (info.Err != nil || !isStandard(l.s, info.Func))
}

// root begins where somebody may call a function: one of the program's own, or one that is itself what is wanted, as a
// func value or as a method.
func (l *laterSearch) root(entry uint64, leads func(*values.Leading) bool) {
	if _, use := l.p.UseOf(entry); use || l.own(entry) {
		l.push(entry)
		l.roots = append(l.roots, laterRoot{entries: []uint64{entry}, leads: leads, name: entry})
	}
}

// stack begins with what goroutines' code still comes to, further away than Users looks.
func (l *laterSearch) stack(group *values.StackGroup) {
	r := laterRoot{leads: func(lead *values.Leading) bool {
		return slices.ContainsFunc(group.IDs, func(id int64) bool { return lead.Goroutines[id] })
	}}
	seen := map[uint64]bool{}
	var near func(pc uint64, next bool, depth int)
	near = func(pc uint64, next bool, depth int) {
		calls, refs := l.p.CallsAt(pc, next)
		r.refs = append(r.refs, refs...)
		for _, call := range calls {
			key := call.Target<<2 | uint64(depth)
			if seen[key] || !l.own(call.Target) {
				continue
			}
			seen[key] = true
			if depth < flow.UseLevels {
				near(call.Target, true, depth+1)
			} else {
				l.push(call.Target)
				r.entries = append(r.entries, call.Target)
			}
		}
	}
	for i := range group.Frames {
		f := &group.Frames[i]
		if !f.Inlined && !isStandard(l.s, f.Func) {
			near(f.At-l.s.Bias(), f.At == f.PC, 0)
			r.name = f.At - l.s.Bias()
		}
	}
	if l.stacks = append(l.stacks, laterStack{group.IDs, r}); len(r.entries) > 0 {
		l.roots = append(l.roots, r)
	}
}

func (l *laterSearch) push(entry uint64) {
	if l.nodes[entry] == nil {
		l.nodes[entry] = &laterNode{calls: map[uint64][]uint64{}}
		l.list = append(l.list, entry)
	}
}

// explore goes to all functions that are called from those that there are.
func (l *laterSearch) explore() {
	for i := 0; i < len(l.list); i++ {
		if i >= maxFollowed {
			l.full = true
			return
		}
		if l.check != nil {
			l.check()
		}
		entry := l.list[i]
		n := l.nodes[entry]
		calls, refs := l.p.CallsAt(entry, true)
		n.refs = refs
		uses := false
		for _, call := range calls {
			_, use := l.p.UseOf(call.Target)
			uses = uses || use
			if !l.own(call.Target) {
				continue
			}
			if n.calls[call.Target] == nil {
				l.push(call.Target)
				l.nodes[call.Target].callers = append(l.nodes[call.Target].callers, entry)
			}
			n.calls[call.Target] = append(n.calls[call.Target], call.At)
		}
		if n.known = true; uses {
			n.uses, n.at, n.known = l.p.EntryUses(entry)
		}
	}
}

// ask looks for a way to what is wanted.
func (l *laterSearch) ask(w Wanted, elem string, may May, callable *values.Callable) (out Later, err error) {
	if l.full {
		return Later{Why: fmt.Sprintf("more than %d functions may be called", maxFollowed)}, nil
	}
	lead := &values.Leading{All: true}
	if callable != nil {
		if lead, err = callable.Leading(w.Addr); err != nil {
			return out, err
		}
		l.led += lead.Objects
	}
	slots := false
	if w.Kind == "receive" && elem == "struct {}" {
		c, err := l.s.ChannelAt(w.Addr)
		slots = err == nil && c.Cap > 0
	}
	does, refers := l.does(w, elem, slots), l.refers(lead)
	knows := func(r *laterRoot) bool {
		return lead.All || refersTo(r.refs, lead) ||
			slices.ContainsFunc(r.entries, func(entry uint64) bool { return refers[entry] })
	}
	out.May = l.able(elem, may, lead, knows)
	for _, r := range l.roots {
		if slices.ContainsFunc(r.entries, func(entry uint64) bool { return does[entry] }) &&
			(r.leads(lead) || knows(&r)) {
			out.Why, out.Guess = l.named(r.name), l.s.File().RuntimeOnly()
			break
		}
	}
	return out, nil
}

// able are those goroutines of may that can use channels of the element type and know, or are led to, what is asked
// for.
func (l *laterSearch) able(elem string, may May, lead *values.Leading, knows func(*laterRoot) bool) (ids []int64) {
	if len(may) == 0 {
		return nil
	}
	for _, stack := range l.stacks {
		known := knows(&stack.root)
		for _, id := range stack.ids {
			types, ok := may[id]
			fits := elem == "" || slices.Contains(types, AnyType) || slices.Contains(types, elem)
			if ok && fits && (known || lead.Goroutines[id]) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// backwards gives the functions from which calls lead to one that is so. counts tells which calls count; nil: all do.
func (l *laterSearch) backwards(is func(n *laterNode, entry uint64) bool,
	counts func(at uint64, n *laterNode) bool) map[uint64]bool {
	out := map[uint64]bool{}
	var work []uint64
	for _, entry := range l.list {
		if is(l.nodes[entry], entry) {
			out[entry] = true
			work = append(work, entry)
		}
	}
	for len(work) > 0 {
		entry := work[len(work)-1]
		work = work[:len(work)-1]
		for _, caller := range l.nodes[entry].callers {
			if out[caller] {
				continue
			}
			n := l.nodes[caller]
			if counts != nil && !slices.ContainsFunc(n.calls[entry], func(at uint64) bool { return counts(at, n) }) {
				continue
			}
			out[caller] = true
			work = append(work, caller)
		}
	}
	return out
}

func refersTo(refs []flow.Call, lead *values.Leading) bool {
	for _, ref := range refs {
		for _, v := range lead.Variables {
			if ref.Target >= v[0] && ref.Target < v[1] {
				return true
			}
		}
	}
	return false
}

// refers gives the functions from which calls lead to one that refers to what leads there.
func (l *laterSearch) refers(lead *values.Leading) map[uint64]bool {
	key := fmt.Sprint(lead.Variables)
	known, ok := l.refer[key]
	if !ok {
		known = l.backwards(func(n *laterNode, _ uint64) bool { return refersTo(n.refs, lead) }, nil)
		l.refer[key] = known
	}
	return known
}

// named tells of a function.
func (l *laterSearch) named(pc uint64) string {
	info, ok := l.s.File().PC(pc)
	if !ok {
		return "code that may be called"
	}
	line := info.Lines[len(info.Lines)-1]
	return fmt.Sprintf("%s (%s:%d)", line.Func, filepath.Base(line.File), line.Line)
}

// fits tells whether an expression may be what is wanted, by its type, as far as that is known.
func (l *laterSearch) fits(kind, elem string, entry uint64, at *flow.State, e *flow.Expr) bool {
	if kind == "done" || elem == "" {
		return true
	}
	t := channelType(l.s, entry, at, e)
	return t == nil || t.Elem() == nil || t.Elem().Name == elem
}

// channelType is the type of a channel that a function uses, as far as it comes from its arguments.
func channelType(s *values.Space, entry uint64, at *flow.State, e *flow.Expr) *symbols.Type {
	var t *symbols.Type
	if e.Kind == flow.Load {
		base, off := pointsTo(s, entry, at, e.Base, 0)
		t = fieldAt(base, off+e.N)
	} else {
		t = argumentType(s, entry, at, e)
	}
	if t == nil || t.Kind != reflect.Chan {
		return nil
	}
	return t
}

// pointsTo gives the type that an expression leads into, and where in it; nil where that isn't known.
func pointsTo(s *values.Space, entry uint64, at *flow.State, e *flow.Expr, depth int) (t *symbols.Type, off int64) {
	if depth > 8 {
		return nil, 0
	}
	switch e.Kind {
	case flow.Sum:
		t, off = pointsTo(s, entry, at, e.Base, depth+1)
		return t, off + e.N
	case flow.Load:
		base, off := pointsTo(s, entry, at, e.Base, depth+1)
		t = fieldAt(base, off+e.N)
	default:
		t = argumentType(s, entry, at, e)
	}
	if t == nil || t.Kind != reflect.Pointer {
		return nil, 0
	}
	return t.Elem(), 0
}

// argumentType is the type of an argument that a function is given in a register.
func argumentType(s *values.Space, entry uint64, at *flow.State, e *flow.Expr) *symbols.Type {
	fv := s.File().FuncVars(entry)
	if fv == nil || e.Kind != flow.Entry {
		return nil
	}
	for _, v := range fv.At(entry, 0) {
		if !v.Argument || v.Type == nil || v.Type.Size != 8 {
			continue
		}
		if n, ok := s.InRegister(fv.Location(&v, entry)); ok && at.GivenIn(n) == e {
			return v.Type
		}
	}
	return nil
}

// fieldAt is the type of the field that begins at an offset of a type: the outermost that is no struct or array.
func fieldAt(t *symbols.Type, off int64) *symbols.Type {
	for range 32 {
		switch {
		case t == nil:
			return nil
		case t.Kind == reflect.Struct:
			var inner *symbols.Type
			for _, f := range t.Fields() {
				if off >= f.Offset && off < f.Offset+max(f.Type.Size, 1) {
					inner, off = f.Type, off-f.Offset
					break
				}
			}
			t = inner
		case t.Kind == reflect.Array && t.Elem() != nil && t.Elem().Size > 0:
			off, t = off%t.Elem().Size, t.Elem()
		case off == 0:
			return t
		default:
			return nil
		}
	}
	return nil
}
