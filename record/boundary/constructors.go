package boundary

import (
	"reflect"
	"strings"

	"ri/probe/place"
	"ri/symbols"
)

// constructors takes the exported functions of a type's package that give one: recorded from the start, a value is made
// again as it was made. What they are given may have interfaces through which the library calls.
func (w *worker) constructors(t *symbols.Type, pkg string) {
	bodies := map[string]bool{}
	for _, e := range w.f.FuncEntries() {
		if !w.isFunction(e.Name, pkg) {
			continue
		}
		bodies[e.Name] = true
		vars := w.f.FuncVars(e.Entry).At(e.Entry, 0)
		gives := false
		for _, v := range vars {
			gives = gives || v.Result && v.Type != nil && strings.TrimPrefix(v.Type.Name, "*") == t.Name
		}
		if !gives {
			continue
		}
		w.in(e.Name)
		for _, v := range vars {
			if v.Argument && !v.Result && v.Type != nil {
				w.reached(v.Type, v.Name, 0)
			}
		}
	}
	for _, name := range w.f.InlinedNames() {
		_, _, fn := Parts(name)
		if !bodies[name] && w.isFunction(name, pkg) && (strings.HasPrefix(fn, "New") || strings.HasPrefix(fn, "Open")) {
			w.miss(name, "it was inlined everywhere: what it makes is known from the first call on it")
		}
	}
}

func (w *worker) isFunction(name, pkg string) bool {
	p, receiver, fn := Parts(name)
	return p == pkg && receiver == "" && exported(fn)
}

// reached takes the interfaces that an argument is, or has in its exported fields.
func (w *worker) reached(t *symbols.Type, field string, depth int) {
	switch {
	case depth > 2:
	case t.Kind == reflect.Pointer && t.Elem() != nil:
		w.reached(t.Elem(), field, depth+1)
	case t.Kind == reflect.Struct:
		for _, f := range t.Fields() {
			if exported(f.Name) {
				w.reached(f.Type, f.Name, depth+1)
			}
		}
	case t.Kind == reflect.Interface:
		w.through(t, field)
	}
}

// through takes an interface that a field holds.
func (w *worker) through(t *symbols.Type, field string) {
	// A context is asked by Go's own packages as well, whose calls don't go out of the library.
	if t.Name == "error" || t.Name == "context.Context" || symbols.IsUnnamed(t.Name) {
		return
	}
	if err := w.out(t.Name, "", field); err != nil {
		w.miss(t.Name+" ("+field+")", err.Error())
	}
}

// given takes the interfaces that a method is given.
func (w *worker) given(fn string) {
	found, err := place.Find(w.f, fn)
	if err != nil {
		return
	}
	for _, f := range found.Functions {
		for i, v := range f.Params() {
			if i > 0 && v.Kind == place.Argument && v.Type != nil { // the first is its receiver
				w.reached(v.Type, v.Name, 0)
			}
		}
	}
}
