package kit

import "reflect"

// function stands in for one that the library is given: what it was called with is compared, and what it gave is
// given.
func (r *riReplay) function(name string, t reflect.Type) reflect.Value {
	return reflect.MakeFunc(t, func(args []reflect.Value) []reflect.Value {
		var with, to []any
		var out []reflect.Value
		for _, a := range args {
			with = append(with, a.Interface())
		}
		for i := range t.NumOut() {
			p := reflect.New(t.Out(i))
			to, out = append(to, p.Interface()), append(out, p.Elem())
		}
		r.goesOut(name, riFunction, with, to...)
		return out
	})
}

// unknownFunction stands in for one of which no calls are recorded.
func (r *riReplay) unknownFunction(path string, t reflect.Type) reflect.Value {
	return reflect.MakeFunc(t, func([]reflect.Value) (out []reflect.Value) {
		r.fail(r.lastSeq(), "the library calls the function that it was given in %s, and calls of that are not recorded: "+
			"record with --also and its name, or put one in by riSetup", path)
		if r.wait != nil {
			select {}
		}
		for i := range t.NumOut() {
			out = append(out, reflect.Zero(t.Out(i)))
		}
		return out
	})
}
