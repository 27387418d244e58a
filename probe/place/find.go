package place

import (
	"ri/probe"
	"ri/symbols"
)

// Find finds what a name stands for: a function or method as Go prints it, also with packages' names instead of their
// paths.
func Find(f *symbols.File, what string) (*Found, error) {
	line, entry, err := f.Func(what)
	if err != nil {
		return nil, err
	}
	found := &Found{}
	fn := &Function{Name: line.Func, File: line.File, Line: line.Line, Entry: entry, file: f, body: read(f, entry)}
	if fn.body == nil {
		found.Refused = append(found.Refused, Refused{Func: line.Func, File: line.File, Line: line.Line, PC: entry,
			Why: "its code can't be read"})
		return found, nil
	}
	if s, why := fn.body.entry(); why != "" {
		fn.Refused = append(fn.Refused, Refused{Func: line.Func, File: line.File, Line: line.Line, PC: s.PC, Why: why})
	} else {
		fn.Sites = append(fn.Sites, s)
	}
	fn.Returns, fn.NoReturns = fn.body.returns()
	found.Functions = append(found.Functions, fn)
	return found, nil
}

// inside gives an address within the inlined call of a site, and how deep it is inlined.
func (fn *Function) inside(site *probe.Site) (pc uint64, depth int) { return site.PC, 0 }
