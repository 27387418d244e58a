package place

import (
	"fmt"
	"slices"
	"strings"

	"ri/symbols"
)

// names are the functions that a program has, by the ways to write them.
type names struct {
	bodies map[string][]uint64 // entries, by full name
	all    []string            // full names, sorted; also of those that were only inlined
	short  map[string][]string // full names, by each of their other ways to write them
}

type namesKey struct{}

func namesOf(f *symbols.File) *names {
	return f.Keep(namesKey{}, func() any {
		n := &names{bodies: map[string][]uint64{}, short: map[string][]string{}}
		for _, e := range f.FuncEntries() {
			if n.bodies[e.Name] == nil {
				n.all = append(n.all, e.Name)
			}
			n.bodies[e.Name] = append(n.bodies[e.Name], e.Entry)
		}
		for _, name := range f.InlinedNames() {
			if n.bodies[name] == nil {
				n.all = append(n.all, name)
			}
		}
		slices.Sort(n.all)
		for _, full := range n.all {
			for _, way := range ways(f, full) {
				n.short[way] = append(n.short[way], full)
			}
		}
		return n
	}).(*names)
}

// ways gives the other ways to write a function's full name: without import paths, without type arguments, without what
// tells a pointer's method, and a pointer's method without its package.
func ways(f *symbols.File, full string) (out []string) {
	bare := withoutArguments(full)
	names := []string{full}
	for _, name := range []string{bare, strings.ReplaceAll(full, "go.shape.", "")} {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		short := f.ShortName(name)
		for _, way := range []string{name, short, loose(name), loose(short)} {
			if way != full && !slices.Contains(out, way) {
				out = append(out, way)
			}
		}
	}
	if i := strings.Index(bare, ".(*"); i >= 0 {
		out = append(out, bare[i+1:])
	}
	return out
}

// loose is a name without parentheses and the star of a pointer receiver.
func loose(name string) string {
	if !strings.ContainsAny(name, "()") {
		return name
	}
	return parentheses.Replace(name)
}

var parentheses = strings.NewReplacer("(*", "", ")", "")

// withoutArguments cuts type arguments.
func withoutArguments(name string) string {
	if !strings.Contains(name, "[") {
		return name
	}
	var out strings.Builder
	depth := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case depth == 0:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// closure tells names that are not in the source: closures, and what the compiler made of go, defer, range-over-func
// and method values (cmd/compile/internal/ir: closureName).
func closure(name string) bool {
	if strings.Contains(name, "-fm") || strings.Contains(name, "-range") {
		return true
	}
	for _, mark := range []string{".func", ".gowrap", ".deferwrap"} {
		for rest := name; ; {
			_, behind, ok := strings.Cut(rest, mark)
			if !ok {
				break
			}
			if behind != "" && behind[0] >= '0' && behind[0] <= '9' {
				return true
			}
			rest = behind
		}
	}
	return false
}

// compiled tells functions that the compiler made to compare and hash values of a type.
func compiled(name string) bool {
	return strings.HasPrefix(name, "type:") || strings.HasPrefix(name, "type..")
}

// resolve gives the full names that a name stands for; none if it stands for none.
func (n *names) resolve(f *symbols.File, what string) ([]string, error) {
	tries := []string{what}
	if bare := withoutArguments(what); bare != what && len(n.short[what]) == 0 && !n.has(what) {
		// Go 1.20 names all instances "Map[...]".
		if slices.ContainsFunc(n.short[bare], func(s string) bool { return strings.Contains(s, "[...]") }) {
			tries = append(tries, bare)
		}
	}
	if !strings.Contains(what, ".") || strings.HasPrefix(what, "(*") {
		tries = append(tries, "main."+what)
	}
	for _, try := range tries {
		full := n.short[try]
		if n.has(try) {
			// A generic function without its arguments is all of its instances; otherwise a full name is that one.
			return append([]string{try}, slices.DeleteFunc(slices.Clone(full), func(s string) bool {
				return withoutArguments(s) != try
			})...), nil
		}
		// Beside a value's method there may be a pointer's that calls it, which may be written alike.
		exact := slices.DeleteFunc(slices.Clone(full), func(s string) bool { return f.ShortName(withoutArguments(s)) != try })
		if len(exact) > 0 {
			full = exact
		}
		bare := map[string]bool{}
		for _, one := range full {
			bare[withoutArguments(one)] = true
		}
		if len(bare) > 1 {
			shown := full[:min(len(full), 8)]
			return nil, fmt.Errorf("function %s stands for %d: %s; give the full name: %w", what, len(bare),
				strings.Join(shown, ", "), symbols.ErrAmbiguous)
		}
		if len(full) > 0 {
			return full, nil
		}
	}
	return nil, nil
}

func (n *names) has(full string) bool {
	_, ok := slices.BinarySearch(n.all, full)
	return ok
}

// isPattern tells a pattern from a name: a star that is not that of a pointer receiver.
func isPattern(what string) bool {
	return strings.Contains(strings.ReplaceAll(what, "(*", "("), "*")
}

// matching gives the full names that a pattern stands for. A star stands for any text, except behind an opening
// parenthesis, where it is that of a pointer receiver. Names that are not in the source match only patterns that have
// their mark.
func (n *names) matching(f *symbols.File, pattern string) (out []string) {
	parts := strings.Split(strings.ReplaceAll(pattern, "(*", "(\x00"), "*")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], "(\x00", "(*")
	}
	hidden := compiled(pattern) || strings.Contains(pattern, "func") || strings.Contains(pattern, "wrap") ||
		strings.Contains(pattern, "-")
	for _, full := range n.all {
		bare := withoutArguments(full)
		if (matches(parts, bare) || matches(parts, f.ShortName(bare))) && (hidden || !closure(bare) && !compiled(bare)) {
			out = append(out, full)
		}
	}
	return out
}

// matches tells whether a name is made of parts with any text between them.
func matches(parts []string, name string) bool {
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	if len(rest) < len(last) || !strings.HasSuffix(rest, last) {
		return false
	}
	rest = rest[:len(rest)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return true
}
