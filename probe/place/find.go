package place

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"ri/probe"
	"ri/symbols"
)

// ErrNoPlace: nothing that can be probed has that name; the error's text says what is near, or why not.
var ErrNoPlace = errors.New("nothing to probe")

// Find finds what a name stands for:
//   - a function or method as Go prints it, "net/http.(*conn).serve", also with packages' names instead of their paths,
//     without the marks of a pointer receiver, of a generic one without its type arguments (then all instances), and in
//     package main without the package, "(*conn).serve" where one package has it;
//   - a pattern, in which a star stands for any text: "net/http.(*conn).*"; a star behind an opening parenthesis is
//     that of a pointer. Closures match only a pattern with "func";
//   - a method of an interface, "net/http.Handler.ServeHTTP": all methods of the program's types that implement it;
//   - a line, "file.go:123", with as much of the path in front as tells the file.
//
// Errors: symbols.ErrNotFound, symbols.ErrAmbiguous, ErrNoPlace.
func Find(f *symbols.File, what string) (*Found, error) {
	if file, line, ok := isLine(what); ok {
		return findLine(f, file, line)
	}
	n := namesOf(f)
	if isPattern(what) {
		full := n.matching(f, what)
		if len(full) == 0 {
			return nil, fmt.Errorf("no function matches %s: %w", what, symbols.ErrNotFound)
		}
		return find(f, full, true)
	}
	full, err := n.resolve(f, what)
	if err != nil {
		return nil, err
	}
	if len(full) > 0 {
		return find(f, full, false)
	}
	if found, err := findInterface(f, what); found != nil || err != nil {
		return found, err
	}
	if _, _, err = f.Func(what); err == nil {
		err = fmt.Errorf("function %s: %w", what, symbols.ErrNotFound)
	}
	return nil, err
}

// Matching is how many names a pattern stands for, without a look at their code, some of which may have none; of what
// is no pattern it is 1.
func Matching(f *symbols.File, what string) int {
	if _, _, ok := isLine(what); ok || !isPattern(what) {
		return 1
	}
	return len(namesOf(f).matching(f, what))
}

// isInterface tells whether a type of that name is known to be an interface.
func isInterface(f *symbols.File, name string) bool {
	t, err := f.Type(name)
	return err == nil && t.Kind == reflect.Interface
}

// find finds functions by their full names. Of those that the compiler made to call others only those that were named
// are of interest.
func find(f *symbols.File, full []string, pattern bool) (*Found, error) {
	search := &search{file: f, found: &Found{}, byName: map[string]*Function{}, bodies: map[uint64]*Function{},
		hosts: map[uint64]bool{}}
	for _, name := range full {
		search.want(name, pattern)
	}
	search.run()
	return search.found, nil
}

// search looks for the sites of some functions. It goes through the functions that have them in order, so that one
// function's code is in memory at a time.
type search struct {
	file   *symbols.File
	found  *Found
	all    []*Function
	byName map[string]*Function // whose inlined calls are wanted
	bodies map[uint64]*Function // by entry
	hosts  map[uint64]bool      // entries of functions that have inlined calls of them
}

// want adds a function to what is searched for.
func (s *search) want(name string, pattern bool) {
	entries := slices.Clone(namesOf(s.file).bodies[name])
	// What the compiler made under the name of what it calls, to go between the ABIs, is none.
	real := slices.DeleteFunc(slices.Clone(entries), func(entry uint64) bool {
		info, ok := s.file.FuncInfo(entry)
		return !ok || info.Wrapper
	})
	inlined := s.file.InlinedIn(name)
	if len(real) > 0 || pattern || len(inlined) > 0 {
		entries = real
	}
	if len(entries) == 0 && len(inlined) == 0 {
		return
	}
	for i := range max(len(entries), 1) {
		fn := &Function{Name: name, file: s.file, inlined: map[uint64]inlinedAt{}}
		if i < len(entries) {
			fn.Entry = entries[i]
			s.bodies[fn.Entry] = fn
		}
		if i == 0 && len(inlined) > 0 {
			s.byName[name] = fn
			for _, host := range inlined {
				s.hosts[host] = true
			}
		}
		s.all = append(s.all, fn)
	}
}

func (s *search) run() {
	entries := make([]uint64, 0, len(s.bodies)+len(s.hosts))
	for entry := range s.bodies {
		entries = append(entries, entry)
	}
	for entry := range s.hosts {
		if s.bodies[entry] == nil {
			entries = append(entries, entry)
		}
	}
	slices.Sort(entries)
	for _, entry := range entries {
		b := read(s.file, entry)
		if fn := s.bodies[entry]; fn != nil {
			fn.own(b)
		}
		if b != nil && s.hosts[entry] {
			s.inline(b.graph())
		}
	}
	for _, fn := range s.all {
		if len(fn.Sites) > 0 {
			s.found.Functions = append(s.found.Functions, fn)
			continue
		}
		s.found.Refused = append(s.found.Refused, fn.Refused...)
	}
	slices.SortStableFunc(s.found.Functions, func(a, b *Function) int {
		return cmp.Or(cmp.Compare(a.Entry-1, b.Entry-1), cmp.Compare(a.Name, b.Name)) // those without one last
	})
}

// own takes what the function's own body has.
func (fn *Function) own(b *body) {
	if b == nil {
		info, _ := fn.file.FuncInfo(fn.Entry)
		fn.File, fn.Line = info.File, info.Line
		fn.Refused = append(fn.Refused, Refused{Func: fn.Name, File: info.File, Line: info.Line, PC: fn.Entry,
			Why: "its code can't be read"})
		return
	}
	fn.File, fn.Line = b.info.File, b.info.Line
	if used, ok := fn.used(b.info); ok {
		b.used = used
	}
	s, why := b.entry()
	if why != "" {
		fn.Refused = append(fn.Refused, Refused{Func: fn.Name, File: fn.File, Line: fn.Line, PC: fn.Entry, Why: why})
		fn.NoReturns = why
		return
	}
	fn.Sites = append([]probe.Site{s}, fn.Sites...)
	fn.Returns, fn.NoReturns = b.returns()
}

// inline adds sites of calls that were inlined in a function.
func (s *search) inline(g *graph) {
	for n := range g.calls {
		if fn := s.byName[g.calls[n].Func]; fn != nil {
			fn.inlineCall(g, n)
		}
	}
}
