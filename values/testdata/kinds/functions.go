package main

import (
	"reflect"
	"runtime"
)

type counter struct{ N int }

func (c *counter) add(d int) { c.N += d }
func (c counter) get() int   { return c.N }

//go:noinline
func capture(n int, label string, p *point) (byValue, byReference func() int) {
	total := n
	byValue = func() int { return n + len(label) + p.X }
	byReference = func() int { total++; return total + n }
	return
}

var (
	nilFunc      func()
	topFunc      = capture
	noCapture    = func() string { return "none" }
	aCounter     = &counter{11}
	methodValue  = aCounter.add
	valueMethod  = counter{12}.get
	methodExpr   = (*counter).add
	byValueFn    func() int
	byRefFn      func() int
	genericFn    = identity[point]
	funcsByName  = map[string]func(int){"add": methodValue}
	nestedClosed func() func() string
	libraryFn    = reflect.DeepEqual
)

//go:noinline
func identity[T any](v T) T { return v }

func functions(r *report) {
	byValueFn, byRefFn = capture(5, "label", &points[0])
	byRefFn()
	word := "outer"
	nestedClosed = func() func() string { return func() string { return word } }
	say("main.nilFunc", &nilFunc)
	say("main.topFunc", &topFunc)
	say("main.noCapture", &noCapture)
	say("main.methodValue", &methodValue)
	say("main.valueMethod", &valueMethod)
	say("main.methodExpr", &methodExpr)
	say("main.byValueFn", &byValueFn)
	say("main.byRefFn", &byRefFn)
	say("main.genericFn", &genericFn)
	say("main.funcsByName", &funcsByName)
	say("main.nestedClosed", &nestedClosed)
	say("main.libraryFn", &libraryFn)
	caught(r, "main.byValueFn", "label", "label")
	caught(r, "main.byValueFn", "p", &points[0])
	caught(r, "main.byRefFn", "total", 6)
	caught(r, "main.byRefFn", "n", 5)
	caught(r, "main.nestedClosed", "word", "outer")
	caught(r, "main.methodValue", "receiver", aCounter)
	caught(r, "main.valueMethod", "receiver", counter{12})
}

func caught[T any](r *report, expr, name string, v T) {
	p := reflect.ValueOf(&v).Elem()
	r.Captured = append(r.Captured, local{expr, name, p.Type().String(), text(p), true})
}

func here() caller {
	var pcs [1]uintptr
	runtime.Callers(2, pcs[:])
	f, _ := runtime.CallersFrames(pcs[:]).Next()
	return caller{uint64(pcs[0]), f.Function, f.File, f.Line}
}

// callers notes program counters in several kinds of functions.
func callers() (all []caller) {
	all = append(all, here())
	all = append(all, inlinee(), (&counter{}).where(), generic[string]())
	func() { all = append(all, here()) }()
	func() {
		defer func() { all = append(all, here()) }()
	}()
	all = append(all, sorted())
	return all
}

func inlinee() caller { return deeper() }
func deeper() caller  { return here() }

//go:noinline
func (c *counter) where() caller { return here() }

func generic[T any]() caller { return here() }

//go:noinline
func sorted() (c caller) {
	once := func(f func() caller) { c = f() }
	once(here)
	once(func() caller { return here() })
	return c
}
