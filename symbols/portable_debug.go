package symbols

import (
	"maps"
	"reflect"
	"slices"

	"ri/symbols/dwarf"
	"ri/symbols/sparse"
)

// debugInformation reads entries: of types, variables and functions.
func (p *packing) debugInformation() {
	f, n := p.file, p.noting
	f.mu.Lock()
	laid, touched := []uint64{}, f.uses.list(usedDescribed)
	for off, t := range f.types {
		if t.laid.Load() {
			laid = append(laid, off)
		} else if !f.uses.before[off] {
			touched = append(touched, off)
		}
	}
	functions := slices.Collect(maps.Keys(f.vars))
	f.mu.Unlock()
	for _, off := range append(laid, f.uses.list(usedTypes)...) {
		p.reached(n.typeAt(off))
	}
	for _, off := range touched {
		p.known(n.typeAt(off))
	}
	for _, off := range functions {
		if v := n.readFuncVars(off); v != nil {
			p.scope(v.unit, &v.scope)
		}
	}
	for _, off := range f.uses.list(usedVars) {
		p.variable(off)
	}
	if f.uses.everyVar() {
		for _, e := range f.index.vars.entries {
			p.variable(e.value)
		}
	}
}

func (p *packing) variable(off uint64) {
	n := p.noting
	var e dwarf.Entry
	if u := n.dwarf.At(off); u != nil && n.dwarf.Read(u, off, &e) == nil {
		n.dwarf.StaticAddress(u, e.Location)
		p.known(n.typeAt(e.Type))
	}
}

// scope reads the lists that say where variables are, to their ends.
func (p *packing) scope(u *dwarf.Unit, s *scope) {
	for i := range s.vars {
		if v := &s.vars[i]; v.hasList {
			p.noting.dwarf.Location(u, v.locList, ^uint64(0))
		}
		p.reached(s.vars[i].Type)
	}
	for i := range s.children {
		p.scope(u, &s.children[i])
	}
}

// reached reads all of a type, and of what its fields lead to.
func (p *packing) reached(t *Type) {
	p.complete(t)
	p.complete(t.Elem())
	for _, fd := range t.Fields() {
		p.complete(fd.Type.Elem())
		p.complete(fd.Type.Key())
	}
}

// complete reads all of a type that lies in it by value, and what is promoted through embedded pointers.
func (p *packing) complete(t *Type) {
	if t == nil || p.full[t] {
		return
	}
	p.full[t] = true
	p.known(t)
	if t.Kind == reflect.Array {
		p.complete(t.Elem())
	}
	for _, fd := range t.Fields() {
		switch fd.Type.Kind {
		case reflect.Struct, reflect.Array, reflect.String:
			p.complete(fd.Type)
		case reflect.Pointer:
			if fd.Embedded {
				p.complete(fd.Type.Elem())
			}
		}
		p.known(fd.Type)
	}
}

// known reads what a type is, and what it leads to without a field between; constants have their names.
func (p *packing) known(t *Type) {
	if t == nil || p.head[t] {
		return
	}
	p.head[t] = true
	p.known(t.Elem())
	p.known(t.Key())
	p.known(t.Repr())
	t.constants()
}

// withoutVars are the functions that travel and that no debug information describes.
func (p *packing) withoutVars() (entries []uint64) {
	for i := range p.funcs {
		if entry := p.noting.pcln.entry(i); p.file.functionAt(entry) == nil {
			entries = append(entries, entry)
		}
	}
	slices.Sort(entries)
	return entries
}

// units are the headers of those units of which entries travel.
func (p *packing) units() []dwarf.UnitHeader {
	noted := p.noting.dwarf.Parts()[".debug_info"].Noted()
	var out []dwarf.UnitHeader
	for _, u := range p.noting.dwarf.Units {
		i, _ := slices.BinarySearchFunc(noted, u.First, func(r sparse.Range, at uint64) int {
			if r.End <= at {
				return -1
			}
			return 1
		})
		if !u.IsGo || !p.whole && (i == len(noted) || noted[i].Start >= u.End) {
			continue
		}
		p.noting.dwarf.Abbreviations(u)
		h := u.UnitHeader
		h.Path, h.Pkg = "", ""
		out = append(out, h)
	}
	return out
}

// debugSections writes them. Of a unit the first entry is left out: it names folders of the machine that built it.
func (p *packing) debugSections(parts map[string][]byte, units []dwarf.UnitHeader) {
	var entries []sparse.Range
	if p.whole && p.file.travelled != nil {
		entries = p.noting.dwarf.Parts()[".debug_info"].Ranges()
	} else if p.whole {
		for _, h := range units {
			var e dwarf.Entry
			if u := p.file.dwarf.At(h.First); u != nil && p.file.dwarf.Read(u, h.First, &e) == nil {
				entries = append(entries, sparse.Range{Start: e.Next, End: h.End})
			}
		}
	}
	texts := p.noting.dwarf.UsesTexts()
	for name, section := range p.noting.dwarf.Parts() {
		switch {
		case name == ".debug_info":
			parts[name] = sparse.Encode(sparse.Merge(append(section.Noted(), entries...)), section.Slice)
		case name == ".debug_abbrev", !texts && (name == ".debug_str" || name == ".debug_line_str"):
			parts[name] = sparse.Encode(section.Noted(), section.Slice)
		default:
			parts[name] = p.section(section)
		}
	}
}

// index writes the names of what travels, and those that would be taken for one of them.
func (p *packing) index(parts map[string][]byte) {
	x := p.file.index
	x.prepareNames()
	noted := p.noting.dwarf.Parts()[".debug_info"].Noted()
	travels := func(off uint64) bool {
		i, ok := slices.BinarySearchFunc(noted, off, func(r sparse.Range, off uint64) int {
			if off >= r.End {
				return -1
			} else if off < r.Start {
				return 1
			}
			return 0
		})
		return p.whole || ok && i < len(noted)
	}
	chosen := func(pairs []pair) []pair {
		return slices.DeleteFunc(slices.Clone(pairs), func(c pair) bool { return !travels(c.value) })
	}
	parts["runtime types"], parts["constants"] = bytesOf(chosen(x.runtimeTypes)), bytesOf(chosen(x.constants))
	parts["functions"] = bytesOf(slices.DeleteFunc(slices.Clone(x.functions),
		func(fn function) bool { return !travels(fn.off) }))
	for _, table := range []struct {
		name        string
		full, short *names
	}{{"types", &x.types, &x.shortTypes}, {"vars", &x.vars, &x.shortVars}} {
		var list []named
		for i, e := range table.full.entries {
			name := table.full.at(i)
			if travels(e.value) || len(name) > 0 && slices.ContainsFunc(table.short.all(x.short(name)),
				func(other uint64) bool {
					return other < uint64(len(table.full.entries)) && travels(table.full.entries[other].value)
				}) {
				list = append(list, named{name: name, value: e.value})
			}
		}
		made := newNames(list, true)
		parts[table.name], parts[table.name+".blob"] = bytesOf(made.entries), made.blob
	}
}
