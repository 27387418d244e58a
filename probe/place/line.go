package place

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ri/probe"
	"ri/symbols"
)

// isLine splits "file.go:123".
func isLine(what string) (file string, line int, ok bool) {
	file, number, ok := strings.Cut(what, ":")
	if !ok || !strings.Contains(file, ".") {
		return "", 0, false
	}
	line, err := strconv.Atoi(number)
	return file, line, err == nil && line > 0 && file != ""
}

// findLine finds where a line is reached: once for each time that control comes to it, though not again where it is a
// loop's head. Where the line is that of a function's declaration, the function's entry is the place.
func findLine(f *symbols.File, file string, line int) (*Found, error) {
	full, ranges, err := f.LineRanges(file, line)
	if err != nil {
		return nil, err
	}
	l := lineFinder{file: f, name: full, line: line, found: &Found{}, byName: map[string]*Function{}}
	for len(ranges) > 0 {
		n := slices.IndexFunc(ranges, func(r symbols.LineRange) bool { return r.Entry != ranges[0].Entry })
		if n < 0 {
			n = len(ranges)
		}
		l.host(ranges[:n])
		ranges = ranges[n:]
	}
	for _, fn := range l.all {
		if len(fn.Sites) > 0 {
			l.found.Functions = append(l.found.Functions, fn)
		} else {
			l.found.Refused = append(l.found.Refused, fn.Refused...)
		}
	}
	return l.found, nil
}

type lineFinder struct {
	file   *symbols.File
	name   string // of the file
	line   int
	found  *Found
	all    []*Function
	byName map[string]*Function
}

// host takes the ranges that lie in one function.
func (l *lineFinder) host(ranges []symbols.LineRange) {
	entry := ranges[0].Entry
	b := read(l.file, entry)
	if b == nil {
		info, _ := l.file.FuncInfo(entry)
		l.found.Refused = append(l.found.Refused, Refused{Func: info.Name, File: l.name, Line: l.line, PC: entry,
			Why: "its code can't be read"})
		return
	}
	g := b.graph()
	owners := map[int32]bool{}
	onLine := func(i int32) bool {
		pc := b.list[i].pc
		return slices.ContainsFunc(ranges, func(r symbols.LineRange) bool { return pc >= r.Start && pc < r.End })
	}
	in := make([]bool, len(b.list))
	for i := range in {
		if in[i] = onLine(int32(i)); in[i] {
			owners[g.owner[i]] = true
		}
	}
	for call := int32(-1); int(call) < len(g.calls); call++ {
		if owners[call] {
			l.reach(g, call, func(i int32) bool { return in[i] && g.owner[i] == call })
		}
	}
}

// reach adds the sites of the line in a function, or in a call that was inlined in it.
func (l *lineFinder) reach(g *graph, call int32, in func(int32) bool) {
	name, into := g.info.Name, ""
	if call >= 0 {
		name, into = g.calls[call].Func, g.info.Name
	}
	fn := l.byName[name]
	if fn == nil {
		fn = &Function{Name: name, File: l.name, Line: l.line, file: l.file, inlined: map[uint64]inlinedAt{},
			NoReturns: "it is a line"}
		l.byName[name] = fn
		l.all = append(l.all, fn)
	}
	refuse := func(pc uint64, why string) {
		fn.Refused = append(fn.Refused, Refused{Func: name, Into: into, File: l.name, Line: l.line, PC: pc, Why: why})
	}
	if call < 0 && len(g.list) > 0 && in(0) {
		s, why := g.entry()
		if fn.Entry = g.info.Entry; why != "" {
			refuse(g.info.Entry, why)
			return
		}
		fn.Sites = append(fn.Sites, s)
		return
	}
	first := g.first(in)
	for i, at := range first {
		if i > 0 && slices.ContainsFunc(first[:i], func(from int32) bool {
			return g.leads(from, map[int32]bool{at: true}, nil)
		}) {
			continue // it was reached before
		}
		one, why := g.probeable(at)
		if why != "" {
			refuse(g.list[at].pc, why)
			continue
		}
		s := g.site(one, probe.Line)
		s.Func, s.Into, s.File, s.Line = name, into, l.name, l.line
		fn.inlined[s.PC] = inlinedAt{g.list[at].pc, g.depth(int(call))}
		fn.Sites = append(fn.Sites, s)
	}
}

// splitMethod splits "pkg.Interface.Method".
func splitMethod(what string) (iface, method string, ok bool) {
	i := strings.LastIndexByte(what, '.')
	if i <= 0 || i < strings.LastIndexByte(what, ']') || i < strings.LastIndexByte(what, '/') {
		return "", "", false
	}
	return strings.Trim(what[:i], "()"), what[i+1:], true
}

// findInterface finds what implements an interface's method. It is nil where there is no interface of that name.
func findInterface(f *symbols.File, what string) (*Found, error) {
	iface, method, ok := splitMethod(what)
	if !ok {
		return nil, nil
	}
	list, err := f.Implementations(iface, method)
	if err != nil {
		if isInterface(f, iface) {
			return nil, err
		}
		return nil, nil
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no type of the program implements %s: %w", iface, ErrNoPlace)
	}
	var full []string
	var refused []Refused
	for _, one := range list {
		name, why := callee(f, one.Entry)
		if why != "" {
			info, ok := f.FuncInfo(one.Entry)
			if !ok {
				info.Name = iface + " (of one type)"
			}
			refused = append(refused, Refused{Func: info.Name, File: info.File, Line: info.Line, PC: one.Entry, Why: why})
			continue
		}
		full = append(full, name)
	}
	slices.Sort(full)
	found, err := find(f, slices.Compact(full), false)
	if err == nil {
		found.Refused = append(found.Refused, refused...)
	}
	return found, err
}
