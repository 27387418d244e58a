package place

import "ri/symbols"

// Called are the functions that some functions call by name, inlined or not, among those that are wanted: each with who
// calls it first, by name. What is called through an interface or a func value isn't known.
func Called(f *symbols.File, in, wanted func(function string) bool) (callers map[string]string) {
	callers = map[string]string{}
	note := func(callee, caller string) {
		if first, ok := callers[callee]; wanted(callee) && (!ok || caller < first) {
			callers[callee] = caller
		}
	}
	for _, e := range f.FuncEntries() {
		if !in(e.Name) {
			continue
		}
		calls, _ := f.Inlined(e.Entry)
		for _, c := range calls {
			note(c.Func, e.Name)
		}
		b := read(f, e.Entry)
		if b == nil {
			continue
		}
		for _, i := range b.list {
			if i.flow == call {
				note(b.name(i.target), e.Name)
			}
		}
	}
	return callers
}
