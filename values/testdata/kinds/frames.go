package main

import (
	"reflect"
	"runtime"
)

// Box is a generic type with a method that blocks: its frame's variables have shape types.
type Box[T any] struct {
	Name  string
	Value T
}

//go:noinline
func (b *Box[T]) hold(gate chan struct{}, extra T) {
	<-gate
	use(b, extra)
}

//go:noinline
func holdPair[A ~int, B any](gate chan struct{}, a A, b []B) {
	<-gate
	use(a, b)
}

//go:noinline
func use(...any) {}

// everyLocal has a local of many kinds; what is used after the wait is alive during it.
//
//go:noinline
func everyLocal(n int, label string, list []int, ratio float64, something any, p *point) (result string) {
	doubled := n * 2
	pair := Pair[string, int]{label, n}
	array := [3]int16{1, 2, 3}
	escaped := point{n, n}
	kept := &escaped
	var iface any = pair
	m := map[string]int{label: n}
	<-gate
	use(n, label, list, ratio, something, p, doubled, pair, array, kept, iface, m)
	escaped.X++
	return label
}

// The servers below are in no package variable: each lives in frames only.
type (
	serverInMain    struct{ Name string }
	serverDeep      struct{ Name string }
	serverClosure   struct{ Name string }
	serverInterface struct{ Name string }
	serverByValue   struct {
		Name string
		Pad  [8]int
	}
	serverInField struct{ Name string }
	serverGeneric struct{ Name string }
	serverFunc    struct{ Name string }
	serverBig     struct{ Name string }
)

type holder struct {
	n     int
	inner *holderInner
}

type holderInner struct{ servers map[string]*serverInField }

// Sixteen frames and more between the receiver and the place where the goroutine waits.
//
//go:noinline
func (s *serverDeep) serve(depth int) int {
	n := descend(depth)
	return n + len(s.Name)
}

//go:noinline
func descend(depth int) int {
	if depth == 0 {
		blockedDeep()
		return 0
	}
	return ascend(depth-1) + 1
}

//go:noinline
func ascend(depth int) int {
	n := sideways(depth, func(d int) int { return descend(d) + depth })
	return n + 1
}

//go:noinline
func sideways(depth int, f func(int) int) int {
	defer use()
	return f(depth)
}

//go:noinline
func blockedDeep() { <-gate }

func (s *serverClosure) loop() {
	for s.Name != "" {
		blockedClosure()
	}
}

//go:noinline
func blockedClosure() { <-gate }

type runner interface{ run() }

func (s *serverInterface) run() { blockedInterface() }

//go:noinline
func blockedInterface() { <-gate }

//go:noinline
func runAll(r runner) {
	r.run()
	use(r)
}

//go:noinline
func blockedByValue(s serverByValue) int {
	<-gate
	return len(s.Name) + s.Pad[3]
}

//go:noinline
func blockedHolder(h *holder) {
	<-gate
	use(h)
}

// What a dead variable leads to may be freed: it is looked at only where it is what is searched for.
type (
	deadHolder struct{ inner *deadInner }
	deadInner  struct{ n [20]int }
)

//go:noinline
func blockedDead(h *deadHolder, gate chan struct{}) {
	for i := 0; i < 3; i++ {
		if h.inner.n[i] == 7 {
			return
		}
		use(h)
	}
	<-gate
	use(gate)
}

//go:noinline
func blockedGeneric[T any](items []T, first *T) {
	<-gate
	use(items, first)
}

//go:noinline
func blockedFunc(f func() string) {
	<-gate
	use(f())
}

//go:noinline
func blockedBig(values [100]any, s **serverBig) {
	<-gate
	use(values, s)
}

func hide(r *report) {
	in := func(typ, name, fn string, optimised bool) {
		r.Hidden = append(r.Hidden, hidden{"main." + typ, name, fn, optimised})
	}
	start("blockedDeep", func() { (&serverDeep{"deep"}).serve(20) })
	in("serverDeep", "deep", "main.(*serverDeep).serve", true)
	s := &serverClosure{"closure"}
	start("blockedClosure", func() { s.loop() })
	in("serverClosure", "closure", "main.(*serverClosure).loop", true)
	start("blockedInterface", func() { runAll(&serverInterface{"interface"}) })
	in("serverInterface", "interface", "main.runAll", true)
	start("blockedByValue", func() { blockedByValue(serverByValue{Name: "value"}) })
	in("serverByValue", "value", "main.blockedByValue", true)
	start("blockedHolder", func() {
		blockedHolder(&holder{1, &holderInner{map[string]*serverInField{"x": {"field"}}}})
	})
	in("serverInField", "field", "main.blockedHolder", true)
	start("blockedDead", func() { blockedDead(&deadHolder{&deadInner{}}, gate) })
	start("blockedGeneric[...]", func() { blockedGeneric([]serverGeneric{{"generic"}}, &serverGeneric{"generic"}) })
	in("serverGeneric", "generic", "main.blockedGeneric[...]", true)
	f := &serverFunc{"func"}
	start("blockedFunc", func() { blockedFunc(func() string { return f.Name }) })
	in("serverFunc", "func", "main.blockedFunc", true)
	big := &serverBig{"big"}
	start("blockedBig", func() { blockedBig([100]any{}, &big) })
	in("serverBig", "big", "main.blockedBig", true)

	p := &points[0]
	start("everyLocal", func() { everyLocal(21, "label", []int{1, 2}, 0.5, point{1, 2}, p) })
	note := func(name string, v any, optimised bool) {
		rv := reflect.New(reflect.TypeOf(v)).Elem()
		rv.Set(reflect.ValueOf(v))
		r.Frames = append(r.Frames, local{"main.everyLocal", name, rv.Type().String(), text(rv), optimised})
	}
	pair := Pair[string, int]{"label", 21}
	note("n", 21, true)
	note("label", "label", true)
	note("ratio", 0.5, true)
	note("p", p, true)
	note("doubled", 42, false)
	note("pair", pair, false)
	note("array", [3]int16{1, 2, 3}, false)
	note("escaped", point{21, 21}, false)
	note("m", map[string]int{"label": 21}, false)
	r.Frames = append(r.Frames, local{"main.everyLocal", "something", "interface {}", "<main.point>{X: 1, Y: 2, }", true})
	r.Frames = append(r.Frames, local{"main.everyLocal", "iface", "interface {}", `<main.Pair[string,int]>{Key: "label", Val: 21, }`, false})
	for _, g := range []local{
		{"main.(*Box[...]).hold", "extra", "main.point", "{X: 5, Y: 6, }", true},
		{"main.(*Box[...]).hold", "extra", "string", `"extra"`, true},
		{"main.holdPair[...]", "b", "[]main.point", "1 of 1 [{X: 7, Y: 8, }, ]", true},
	} {
		r.Frames = append(r.Frames, g)
	}
	runtime.KeepAlive(s)
}
