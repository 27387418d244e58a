package recipes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ri/instruments/host"
	"ri/instruments/lang"
	"ri/instruments/rows"
	"ri/symbols"
	"ri/values/layout"
)

// noSymbols is what a stripped program lacks.
var noSymbols = []string{"debug information (the executable is stripped)"}

// ScriptLacks is Lacks for a script, whether its header says so or not.
func ScriptLacks(f *symbols.File, s *host.Script) []string {
	needs := HeaderOf(s).Needs
	// Of a stripped program only the runtime is known: what doesn't say that it needs no more, needs more.
	if !f.HasDWARF() && s.NeedsSymbols() && (needs.None() || takesNames(s)) {
		return noSymbols
	}
	return Lacks(f, needs)
}

// Lacks says what the program lacks of what an instrument needs, a line each; none: it fits.
func Lacks(f *symbols.File, n lang.Needs) []string {
	var lacks []string
	if !f.HasDWARF() && !f.RuntimeOnly() && !n.None() {
		if why := f.NoRuntime(); why != nil {
			return []string{noSymbols[0] + "; nor can its runtime be read: " + why.Error()}
		}
		return noSymbols
	}
	lack := func(what, name string, err error) {
		if err == nil {
			return
		}
		if errors.Is(err, symbols.ErrNoDWARF) {
			lacks = noSymbols
			return
		}
		if len(lacks) > 0 && &lacks[0] == &noSymbols[0] {
			return
		}
		text := what + " " + name
		if !errors.Is(err, symbols.ErrNotFound) {
			text += ": " + err.Error()
		}
		if !slices.Contains(lacks, text) {
			lacks = append(lacks, text)
		}
	}
	layouts := layout.Of(f)
	// What is of a map's or a channel's type can only be read if the runtime's structure behind it is known.
	readable := func(t *symbols.Type) {
		for _, m := range layouts.Behind(t) {
			lack(m.What, m.Name, m.Err)
		}
	}
	for _, name := range n.Vars {
		v, err := f.Var(name)
		lack("variable", name, err)
		readable(v.Type)
	}
	for _, name := range n.Types {
		lack("type", name, f.KnowsType(name))
	}
	for _, name := range n.Fields {
		t, err := findField(f, name)
		lack("field", name, err)
		readable(t)
	}
	for _, name := range n.Funcs {
		_, _, err := f.Func(name)
		lack("function", name, err)
	}
	for _, name := range n.Runtime {
		missing, err := layouts.Lacks(name)
		lack("runtime", name, err)
		for _, m := range missing {
			lack(m.What, m.Name, m.Err)
		}
	}
	return lacks
}

// takesNames tells whether a script can't do without expressions or types that a person gives.
func takesNames(s *host.Script) bool {
	return slices.ContainsFunc(HeaderOf(s).Params, func(p lang.Param) bool {
		return p.Required && (p.Type == lang.ParamExpr || p.Type == lang.ParamGoType)
	})
}

// findField looks for "main.Object.fid", or "main.Object.meta.version" through fields.
func findField(f *symbols.File, name string) (*symbols.Type, error) {
	typ, rest, err := splitType(f, name)
	if err != nil {
		return nil, err
	}
	for step := range strings.SplitSeq(rest, ".") {
		path, err := typ.FieldByName(step)
		if err != nil {
			return nil, err
		}
		typ = path.Field.Type
		for e := typ.Elem(); e != nil && len(typ.Name) > 0 && typ.Name[0] == '*'; e = typ.Elem() {
			typ = e
		}
	}
	return typ, nil
}

// splitType finds the type that name begins with: the shortest prefix up to a dot that is one. Dots occur
// in package paths (yaml.v3) and in type arguments too.
func splitType(f *symbols.File, name string) (*symbols.Type, string, error) {
	start := strings.LastIndexByte(strings.SplitN(name, "[", 2)[0], '/') + 1
	first := strings.IndexByte(name[start:], '.')
	if first < 0 {
		return nil, "", fmt.Errorf("%s has no type before the field", name)
	}
	depth := 0
	var notFound error
	for i := start + first + 1; i < len(name); i++ {
		switch name[i] {
		case '[':
			depth++
		case ']':
			depth--
		case '.':
			if depth > 0 {
				continue
			}
			typ, err := f.Type(name[:i])
			if err == nil {
				return typ, name[i+1:], nil
			}
			if notFound == nil {
				notFound = err
			}
		}
	}
	if notFound == nil {
		notFound = fmt.Errorf("%s has no field after the type", name)
	}
	return nil, "", notFound
}

// CheckFit is an error where the program lacks something, before it is stopped. Of a bare file, which somebody may be
// writing, it guesses what was meant.
func CheckFit(f *symbols.File, r *Recipe, n lang.Needs) error {
	lacks := Lacks(f, n)
	if len(lacks) == 0 {
		return nil
	}
	near := ""
	if strings.HasSuffix(r.Origin.File, ".lua") && f.HasDWARF() {
		for _, name := range n.Types {
			if f.KnowsType(name) != nil {
				near += nearText(name, f.TypeNames())
			}
		}
		for _, name := range n.Vars {
			if _, err := f.Var(name); err != nil {
				near += nearText(name, f.Vars())
			}
		}
	}
	return rows.Refused(fmt.Errorf("recipe %s doesn't fit this program, which lacks %s%s", r.Name, LacksText(lacks), near))
}

// nearText names what is near a name.
func nearText(name string, all []string) string {
	near := symbols.Near(name, all, 3)
	if len(near) == 0 {
		return ""
	}
	return "; near " + name + ": " + strings.Join(near, ", ")
}

// LacksText names the first few.
func LacksText(lacks []string) string {
	const most = 2
	if len(lacks) <= most+1 {
		return strings.Join(lacks, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(lacks[:most], ", "), len(lacks)-most)
}
