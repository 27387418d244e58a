package commands

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"ri/instruments/host"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/symbols"
	"ri/values"
)

// Exploring is asking a program that nobody here knows what it is made of: its names (this file), layouts, where values
// of a type live, and what changes. Names and layouts are the executable's, so that asking for them stops nothing.

// NameKind is what ListNames lists.
type NameKind int

const (
	TypeNames NameKind = iota
	VariableNames
	FunctionNames
)

func (k NameKind) String() string { return [...]string{"type", "variable", "function"}[k] }

// ListNames writes the program's types, package variables or functions whose full or short names match a regular
// expression (Go's syntax). Types that have no name of their own, such as *T, []T and func(), are listed only where
// every is set.
func ListNames(out *rows.Output, kind NameKind, pattern string, every bool, choice looks.TargetChoice) error {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return rows.Usagef("%s: %w", rows.QuoteName(pattern), err)
	}
	s, err := looks.OpenSession(choice)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, note := range s.Missing() {
		out.Log("note: " + note)
	}
	if kind != FunctionNames {
		if err := s.NeedSymbols(); err != nil {
			return err
		}
	}
	out.Of = &rows.Result{Target: s.Info}
	found := nameList{s: s, all: every, match: match, paths: out.Format != rows.Table}
	switch kind {
	case TypeNames:
		found.types()
	case VariableNames:
		found.variables()
	case FunctionNames:
		found.functions()
	}
	if err := out.WriteRows(found.columns, found.rows); err != nil {
		return err
	}
	if found.unnamed > 0 {
		out.Log(fmt.Sprintf("not shown: %s without a name of its own, such as *T, []T and func() (--all)",
			rows.Plural(int64(found.unnamed), "type")))
	} else if len(found.rows) == 0 {
		out.Log(fmt.Sprintf("no %s matches %s%s", kind, rows.QuoteName(pattern), nearNames(pattern, found.names)))
	}
	return out.Commit()
}

// nameList is what ListNames writes.
type nameList struct {
	s     *looks.Session
	match *regexp.Regexp
	all   bool // types without a name of their own, too
	paths bool // of files, whole

	columns []rows.Column
	rows    []rows.Row
	names   []string // all of the kind
	unnamed int      // types that were left out for having no name of their own
}

func (l *nameList) matches(name string) bool {
	return l.match.MatchString(name) || l.match.MatchString(l.s.File.ShortName(name))
}

func (l *nameList) types() {
	l.columns = []rows.Column{{Name: "name", Cut: rows.CutPaths}, {Name: "kind"}, {Name: "size", Type: rows.ColumnInt}}
	l.names = l.s.File.TypeNames()
	for _, name := range l.names {
		if !l.matches(name) {
			continue
		}
		if !l.all && symbols.IsUnnamed(name) {
			l.unnamed++
			continue
		}
		if t, err := l.s.File.Type(name); err == nil {
			l.rows = append(l.rows, rows.Of("name", name, "kind", t.Kind.String(), "size", t.Size))
		}
	}
}

func (l *nameList) variables() {
	l.columns = []rows.Column{{Name: "name", Cut: rows.CutPaths}, {Name: "type", Cut: rows.CutPaths},
		{Name: "size", Type: rows.ColumnInt}, {Name: "addr", Whole: true}}
	l.names = l.s.File.Vars()
	for _, v := range l.s.File.AllVars() {
		if l.matches(v.Name) {
			l.rows = append(l.rows, rows.Of("name", v.Name, "type", v.Type.Name, "size", v.Type.Size,
				"addr", rows.AddressCell(v.Addr+l.s.Bias)))
		}
	}
	slices.SortFunc(l.rows, byName)
}

func (l *nameList) functions() {
	l.columns = []rows.Column{{Name: "name", Cut: rows.CutPaths}, {Name: "source", Cut: "left"},
		{Name: "addr", Whole: true}}
	l.names = l.s.File.Funcs()
	for _, name := range l.names {
		if !l.matches(name) {
			continue
		}
		line, entry, err := l.s.File.Func(name)
		if err != nil {
			continue
		}
		file := line.File
		if !l.paths {
			file = shortFile(file)
		}
		l.rows = append(l.rows, rows.Of("name", name, "source", fmt.Sprintf("%s:%d", file, line.Line),
			"addr", rows.AddressCell(entry+l.s.Bias)))
	}
	slices.SortFunc(l.rows, byName)
}

func byName(a, b rows.Row) int { return cmp.Compare(a[0].Value.(string), b[0].Value.(string)) }

// shortFile is the last two parts of a path, as much as tells people where.
func shortFile(file string) string {
	dir, base := filepath.Split(file)
	return filepath.Join(filepath.Base(dir), base)
}

// nearNames are names like one that a person typed as a pattern.
func nearNames(pattern string, all []string) string {
	plain := strings.Trim(pattern, "^$.*()")
	if near := symbols.Near(plain, all, 3); len(near) > 0 {
		return "; near names: " + strings.Join(near, ", ")
	}
	return "; without an expression all are listed"
}

// FindOptions bound FindValues.
type FindOptions struct {
	Depth int  // pointers followed where no variable holds the type itself; 0: the default, 3
	Max   int  // values; 0: 1000
	Heap  bool // what the heap walk reaches, in place of variables and frames
}

// FindValues writes where values of a type live: package variables, arguments and locals in goroutines' frames, what
// closures captured, and where those have none, what they lead to.
func FindValues(ctx context.Context, out *rows.Output, typeName string, opt FindOptions, how looks.Options,
	choice looks.TargetChoice) error {
	if opt.Depth < 0 || opt.Max < 0 {
		return rows.Usagef("--depth and --max must not be negative")
	}
	s, plan, err := looks.Explore("find", how, choice)
	if err != nil {
		return err
	}
	defer s.Close()
	t, err := s.File.Type(strings.TrimPrefix(typeName, "*"))
	if err != nil {
		return rows.Refused(err)
	}
	columns := []rows.Column{{Name: "expr", Whole: true}, {Name: "where", Cut: rows.CutPaths},
		{Name: "goroutine", Type: rows.ColumnInt}, {Name: "value"}}
	res, err := s.Look(ctx, plan, s.Collector(plan, out, nil), func(ctx context.Context, look *looks.Look,
		sink rows.Sink) error {
		defer looks.CountValues(look)()
		if opt.Heap {
			return findInHeap(ctx, look, sink, t, opt.Max)
		}
		found, truncated, err := look.Space.Find(t, values.FindOptions{Depth: opt.Depth, Limit: opt.Max})
		if err != nil && len(found) == 0 {
			return fmt.Errorf("find %s: %w", t.Name, err)
		}
		for _, f := range found {
			expr := fmt.Sprintf("(*%s)(%#x)", t.ShortName(), f.Value.Addr)
			if values.IsLocal(f.Value.Addr) {
				expr = ""
			}
			var goroutine any
			if f.Goroutine != 0 {
				goroutine = f.Goroutine
			}
			text := f.Value.Dump(values.DumpOptions{OneLine: true, Depth: 1, Elems: 8, Bytes: 64})
			if err := sink.Emit(rows.Of("expr", orNil(expr), "where", f.Where, "goroutine", goroutine,
				"value", text)); err != nil {
				return err
			}
		}
		if truncated {
			return host.NewLimitError(host.ErrRows,
				"the search was broken off after %s: give it more (--max), or a smaller --depth",
				rows.Plural(int64(len(found)), "value"))
		}
		return nil
	})
	if err != nil {
		return err
	}
	res.Columns = columns
	if res.Empty() && res.Err == nil && opt.Heap {
		sayEmpty(out, res, fmt.Sprintf("no object of the heap is a %s; one may be a part of another, or lie on a stack: "+
			"without --heap, variables and frames are asked", t.Name))
	} else if res.Empty() && res.Err == nil {
		sayEmpty(out, res, fmt.Sprintf("no value of %s in package variables, goroutines' frames or what they point to; "+
			"look further: --depth 6", t.Name))
	}
	return out.Conclude(res)
}

// sayEmpty says why there are no rows, where "no rows" would say less.
func sayEmpty(o *rows.Output, res *rows.Result, why string) {
	o.Log(why)
	if o.Format == rows.Table {
		res.Columns = nil
	}
}
