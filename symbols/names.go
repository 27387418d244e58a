package symbols

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"ri/symbols/dwarf"
)

// prepareNames builds the tables of short names, once, where the cache didn't bring them.
func (x *index) prepareNames() {
	x.once.Do(func() {
		if x.shortTypes.entries == nil {
			x.shortTypes = x.shortNames(&x.types,
				func(name string) (string, bool) { return normal(name), !isLinkers(name) })
		}
		if x.shortVars.entries == nil {
			x.shortVars = x.shortNames(&x.vars, func(name string) (string, bool) { return name, true })
		}
	})
}

// isLinkers tells the linker's own types: hash<..>, map<..>, closures' structs.
func isLinkers(name string) bool {
	return strings.IndexByte(name, '<') >= 0 || strings.Contains(name, "·") || strings.HasPrefix(name, "noalg.")
}

func (x *index) shortNames(full *names, use func(string) (string, bool)) names {
	list := make([]named, 0, len(full.entries))
	for i := range full.entries {
		if name, ok := use(full.at(i)); ok {
			list = append(list, named{name: x.short(name), value: uint64(i)})
		}
	}
	return newNames(list, false)
}

// fullNames gives the full names that a short one stands for.
func fullNames(short, full *names, name string) (out []string) {
	for _, i := range short.all(name) {
		if i < uint64(len(full.entries)) {
			out = append(out, full.at(int(i)))
		}
	}
	slices.Sort(out)
	return out
}

// normal brings the ways to write a type to one: no spaces after commas, "interface {}" for any.
func normal(s string) string {
	s = strings.ReplaceAll(s, ", ", ",")
	s = strings.ReplaceAll(s, "interface{}", "interface {}")
	s = strings.ReplaceAll(s, "struct{}", "struct {}")
	if !strings.Contains(s, "any") && !strings.Contains(s, "byte") && !strings.Contains(s, "rune") {
		return s
	}
	return mapWords(s, func(w string) string {
		switch w {
		case "any":
			return "interface {}"
		case "byte":
			return "uint8"
		case "rune":
			return "int32"
		}
		return w
	})
}

// mapWords applies f to each maximal run of characters of a qualified name in a type expression.
func mapWords(s string, f func(string) string) string {
	var out strings.Builder
	start := -1
	for i := 0; i <= len(s); i++ {
		if i < len(s) && !strings.ContainsRune("[]*(){},; ", rune(s[i])) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			out.WriteString(f(s[start:i]))
			start = -1
		}
		if i < len(s) {
			out.WriteByte(s[i])
		}
	}
	return out.String()
}

// short cuts every import path in a name to its package's name.
func (x *index) short(s string) string {
	return mapWords(s, func(w string) string {
		slash := strings.LastIndexByte(w, '/')
		dot := strings.LastIndexByte(w, '.')
		if slash < 0 && dot < 0 {
			return w
		}
		// The path ends at a dot behind the last slash: the first one for which there is such a package. Import paths
		// ("gopkg.in/yaml.v3") and methods ("T.m") have dots too.
		for at := slash + 1; at < len(w); at++ {
			if w[at] != '.' {
				continue
			}
			if pkg, ok := x.packages[w[:at]]; ok {
				return pkg + w[at:]
			}
		}
		return w[slash+1:]
	})
}

// ShortName is the type's name with import paths cut to package names: "server.Client".
func (t *Type) ShortName() string {
	if t.file == nil {
		return t.Name
	}
	return t.file.ShortName(t.Name)
}

// ShortName cuts every import path in a name to its package's name.
func (f *File) ShortName(name string) string { return f.index.short(name) }

// Var finds a package variable by its full name ("github.com/x/y/pkg.Var"), by its
// short one ("pkg.Var"), or, in package main, without one ("Var").
func (f *File) Var(name string) (Var, error) {
	if !f.HasDWARF() {
		return f.runtimeVar(name)
	}
	off, ok := f.index.vars.get(name)
	if !ok {
		full, err := f.oneOf("variable", name,
			func(n string) []string { return fullNames(&f.index.shortVars, &f.index.vars, n) }, f.Vars)
		if err != nil {
			return Var{}, f.notVariable(name, err)
		}
		name = full
		off, _ = f.index.vars.get(full)
	}
	u := f.dwarf.At(off)
	var e dwarf.Entry
	if u == nil || f.dwarf.Read(u, off, &e) != nil {
		if err := f.notRecorded("variable %s was", name); err != nil {
			return Var{}, err
		}
		return Var{}, fmt.Errorf("variable %s: %w", name, dwarf.ErrMalformed)
	}
	note(f.uses, usedVars, off)
	addr, ok := f.dwarf.StaticAddress(u, e.Location)
	if addr, proved := f.Placed(addr); ok && !proved {
		return Var{}, say(ErrNotFound, "variable %s lies at %#x in %s, in a section of which it isn't proved where "+
			"the program has it", name, addr, f.lenderName())
	}
	addr, _ = f.Placed(addr)
	if !ok {
		return Var{}, say(ErrNotFound, "variable %s has no fixed address in the executable", name)
	}
	return Var{Name: name, Addr: addr, Type: f.typeAt(e.Type)}, nil
}

// AllVars gives every package variable that has a place in memory. The slice must not be changed.
func (f *File) AllVars() []Var {
	if f.uses.tracking.Load() {
		f.uses.useAllVars()
	}
	f.varsOnce.Do(func() {
		if f.runtime != nil {
			for _, name := range f.runtime.names {
				f.allVars = append(f.allVars, f.runtime.vars[name])
			}
		}
		for i, e := range f.index.vars.entries {
			var d dwarf.Entry
			u := f.dwarf.At(e.value)
			if u == nil || f.dwarf.Read(u, e.value, &d) != nil {
				continue
			}
			addr, ok := f.dwarf.StaticAddress(u, d.Location)
			if addr, proved := f.Placed(addr); ok && proved {
				f.allVars = append(f.allVars, Var{Name: f.index.vars.at(i), Addr: addr, Type: f.typeAt(d.Type)})
			}
		}
	})
	return f.allVars
}

// notVariable says why there is no variable of a name, where the reason is known: it is a type's name, or that of a
// variable which the linker dropped.
func (f *File) notVariable(name string, err error) error {
	if !errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotRecorded) {
		return err
	}
	for _, try := range []string{name, "main." + name} {
		_, full := f.index.types.get(try)
		if full || len(fullNames(&f.index.shortTypes, &f.index.types, try)) == 1 {
			return say(ErrNotFound, "%s is a type, not a variable; ri.find1'%s' finds a value of it, find(%s) in an "+
				"expression", name, try, try)
		}
	}
	return say(ErrNotFound, "%v (variables that the program never uses are not in it)", err)
}

// oneOf resolves a short name, or says which are near.
func (f *File) oneOf(what, name string, lookup func(string) []string, all func() []string) (string, error) {
	f.index.prepareNames()
	tries := []string{name}
	if !strings.Contains(name, ".") {
		tries = append(tries, "main."+name)
	}
	for _, try := range tries {
		switch full := lookup(try); len(full) {
		case 0:
		case 1:
			return full[0], nil
		default:
			shown := full[:min(len(full), 8)]
			return "", say(ErrAmbiguous, "%s %s stands for %d: %s; give the full name", what, name, len(full),
				strings.Join(shown, ", "))
		}
	}
	return "", f.notFound(what, name, all)
}

// notFound is an error that names near ones. They are looked for when it is read: that takes long, and most errors of
// this kind only answer a question. They are looked for once: each hit of a trace shows the same error.
func (f *File) notFound(what, name string, all func() []string) error {
	f.isAbsent(name)
	if f.travelled != nil && !f.travelled.knownAbsent(name) {
		return say(errUnrecorded, "%s %s was not recorded, or %s has none; %s", what, name, f.name, recordIt)
	}
	return &said{fmt.Sprintf("no %s %s in %s", what, name, f.name), ErrNotFound, sync.OnceValue(func() string {
		near := nearest(name, all())
		if len(near) == 0 {
			return ""
		}
		return "; near names: " + strings.Join(near, ", ")
	})}
}

// Vars lists the full names of all package variables, sorted.
func (f *File) Vars() []string {
	if f.runtime != nil {
		return slices.Clone(f.runtime.names)
	}
	out := make([]string, 0, len(f.index.vars.entries))
	for i, e := range f.index.vars.entries {
		if f.has(e.value) {
			out = append(out, f.index.vars.at(i))
		}
	}
	return out
}

// TypeNames lists the full names of all types that DWARF describes, sorted.
func (f *File) TypeNames() []string {
	if f.runtime != nil {
		names := append(f.runtime.typeNames(), f.descriptorNames()...)
		slices.Sort(names)
		return slices.Compact(names)
	}
	var out []string
	for i, e := range f.index.types.entries {
		if name := f.index.types.at(i); !isLinkers(name) && f.has(e.value) {
			out = append(out, name)
		}
	}
	return out
}

// has tells whether an entry is there: names that only a recorded one could be taken for have none.
func (f *File) has(off uint64) bool { return f.travelled == nil || f.dwarf.Has(off) }

// Packages lists the import paths of all packages, sorted.
func (f *File) Packages() []string {
	var out []string
	for p := range f.index.packages {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// PackageName is the name of the package with this import path; ok is false for one that isn't in the program.
func (f *File) PackageName(path string) (name string, ok bool) {
	name, ok = f.index.packages[path]
	return name, ok
}

// Type finds a type by its full or short name, as Go prints it: "main.Object",
// "*server.Client", "map[string][]int", "main.Pair[int,string]". Pointers, slices and arrays of a known type
// need not occur in the program.
func (f *File) Type(name string) (*Type, error) {
	if !f.HasDWARF() {
		return f.runtimeType(normal(strings.TrimSpace(name)))
	}
	name = strings.TrimSpace(name)
	if off, ok := f.index.types.get(name); ok { // with the spaces that DWARF has in func(string, string)
		return f.namedType(off, name)
	}
	name = normal(name)
	if off, ok := f.index.types.get(name); ok {
		return f.namedType(off, name)
	}
	switch {
	case strings.HasPrefix(name, "*"):
		elem, err := f.Type(name[1:])
		if err != nil {
			return nil, err
		}
		return f.PointerTo(elem), nil
	case strings.HasPrefix(name, "[]"):
		elem, err := f.Type(name[2:])
		if err != nil {
			return nil, err
		}
		return f.SliceOf(elem), nil
	case strings.HasPrefix(name, "["):
		if end := strings.IndexByte(name, ']'); end > 0 {
			if n, err := strconv.ParseInt(name[1:end], 10, 64); err == nil && n >= 0 {
				elem, err := f.Type(name[end+1:])
				if err != nil {
					return nil, err
				}
				return f.arrayOf(elem, n)
			}
		}
	}
	full, err := f.oneOf("type", name,
		func(n string) []string { return fullNames(&f.index.shortTypes, &f.index.types, n) }, f.TypeNames)
	if err != nil {
		if t := f.ofShape(name); t != nil {
			return t, nil
		}
		return nil, err
	}
	off, _ := f.index.types.get(full)
	return f.namedType(off, full)
}

// namedType is typeAt for a type that was asked for by name.
func (f *File) namedType(off uint64, name string) (*Type, error) {
	if !f.has(off) {
		return nil, f.notRecorded("type %s was", name)
	}
	note(f.uses, usedTypes, off)
	return f.typeAt(off), nil
}

// PointerTo gives the type *t.
func (f *File) PointerTo(t *Type) *Type {
	return f.composed("*"+t.Name, func() *Type { return &Type{Kind: reflect.Pointer, Size: 8, elemType: t} })
}

// SliceOf gives the type []t.
func (f *File) SliceOf(t *Type) *Type {
	return f.composed("[]"+t.Name, func() *Type { return &Type{Kind: reflect.Slice, Size: 24, elemType: t} })
}

// arrayOf gives the type [n]t.
func (f *File) arrayOf(t *Type, n int64) (*Type, error) {
	if t.Size > 0 && n > (1<<47)/t.Size {
		return nil, say(ErrNotFound, "type [%d]%s is larger than the address space", n, t.Name)
	}
	return f.composed(fmt.Sprintf("[%d]%s", n, t.Name), func() *Type {
		return &Type{Kind: reflect.Array, Size: t.Size * n, elemType: t, length: n}
	}), nil
}

func (f *File) composed(name string, build func() *Type) *Type {
	if off, ok := f.index.types.get(name); ok {
		if t := f.typeAt(off); t.Kind != reflect.Invalid {
			return t
		}
	}
	if f.runtime != nil && f.runtime.types[name] != nil {
		return f.runtime.types[name]
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.made[name]; t != nil {
		return t
	}
	t := build()
	t.Name, t.file, t.dictIndex = name, f, -1
	f.made[name] = t
	return t
}

// RuntimeType finds the type whose descriptor lies at this offset from runtime.types.
func (f *File) RuntimeType(offset uint64) (*Type, bool) {
	pairs := f.index.runtimeTypes
	i := find(pairs, offset)
	if i == len(pairs) || pairs[i].key != offset {
		return nil, false
	}
	note(f.uses, usedDescribed, pairs[i].value)
	return f.typeAt(pairs[i].value), true
}
