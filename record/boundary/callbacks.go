package boundary

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"ri/probe/place"
	"ri/record/redact"
	"ri/symbols"
)

// mostCallbacks is how many functions may have the signature of one that the library is given.
const mostCallbacks = 48

// callbacks takes what the library is given as functions: of each signature the program's closures and method values
// that have it, for what the library calls of these goes out.
func (w *worker) callbacks() {
	given := map[string]string{} // signatures, and where each was seen first
	for _, m := range slices.Clone(w.b.In) {
		found, err := place.Find(w.f, m.Func)
		if err != nil {
			continue
		}
		for _, f := range found.Functions {
			for _, v := range f.Params() {
				switch {
				case v.Type == nil:
				case v.Kind == place.Result && v.Type.Kind == reflect.Func:
					w.miss(m.Func, "it gives a function: calls of that are not recorded, and not made in a replay")
				case v.Kind == place.Argument:
					w.signatures(v.Type, m.Func+"."+v.Name, 0, given)
				}
			}
		}
	}
	if len(given) == 0 {
		return
	}
	have := map[string][]string{}
	for _, e := range w.f.FuncEntries() {
		if w.mayBeGiven(e.Name) {
			if s := w.signatureOf(e.Entry); given[s] != "" {
				have[s] = append(have[s], e.Name)
			}
		}
	}
	for _, s := range slices.Sorted(maps.Keys(given)) {
		list := have[s]
		if len(list) > mostCallbacks {
			w.miss(given[s], fmt.Sprintf("%d closures are %s: name those that matter with --also", len(list), s))
			continue
		}
		for _, fn := range list {
			if !w.left(fn) && !slices.ContainsFunc(w.b.Out, func(m Method) bool { return m.Func == fn }) {
				w.b.Out = append(w.b.Out, Method{Func: fn, Callback: true})
			}
		}
	}
}

// signatures notes those of the functions that a value is, or has in its exported fields.
func (w *worker) signatures(t *symbols.Type, where string, depth int, into map[string]string) {
	switch {
	case depth > 3:
	case t.Kind == reflect.Func:
		if !strings.HasPrefix(t.Name, "func(") { // what debug information says of it is its name only
			w.miss(where, "a "+t.Name+": calls of functions that are given so are recorded if --also names them, "+
				"as main.main.func1")
			return
		}
		if s := plain(t.Name); strings.HasPrefix(s, "func(") && into[s] == "" {
			into[s] = where
		}
	case t.Kind == reflect.Struct && w.b.Inside(redact.PackageOf(t.Name)+"."):
		for _, f := range t.Fields() {
			if exported(f.Name) {
				w.signatures(f.Type, where+"."+f.Name, depth+1, into)
			}
		}
	case t.Elem() != nil && slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Map}, t.Kind):
		w.signatures(t.Elem(), where, depth+1, into)
	}
}

// mayBeGiven tells whether a function is a closure or a method's value of the program's own code, or of a module that
// isn't the library's.
func (w *worker) mayBeGiven(fn string) bool {
	pkg, _, name := Parts(fn)
	main, _ := w.f.MainModule()
	others := pkg == "main" || pkg == main || strings.HasPrefix(pkg, main+"/") ||
		strings.Contains(strings.SplitN(pkg, "/", 2)[0], ".")
	closure := name[strings.LastIndexByte(name, '.')+1:]
	return others && !w.b.Inside(fn) && !strings.Contains(fn, "[") && (strings.HasSuffix(name, "-fm") ||
		closure != name && isClosure(closure) && !strings.Contains(name, "wrap"))
}

// signatureOf is a function's, as types are called.
func (w *worker) signatureOf(entry uint64) string {
	var params, results []string
	for _, v := range w.f.FuncVars(entry).At(entry, 0) {
		switch {
		case v.Type == nil:
		case v.Result:
			results = append(results, v.Type.Name)
		case v.Argument:
			params = append(params, v.Type.Name)
		}
	}
	out := "func(" + strings.Join(params, ", ") + ")"
	switch len(results) {
	case 0:
	case 1:
		out += " " + results[0]
	default:
		out += " (" + strings.Join(results, ", ") + ")"
	}
	return plain(out)
}

// plain is a signature without the names that debug information may have in it, and with its last list as one.
func plain(s string) string {
	return spaces.ReplaceAllString(strings.ReplaceAll(s, "...", "[]"), "$1")
}

var spaces = regexp.MustCompile(`\s*([,({})])\s*`)
