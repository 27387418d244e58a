package commands

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"ri/inert"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/symbols"
	"ri/values"
	"ri/values/eval"
)

// layoutRow is a field of a struct, or a hole between two.
type layoutRow struct {
	offset, size int64
	name         string // "": a hole
	goType       *symbols.Type
	embedded     bool
	level        int // of nesting
}

// WhatIs writes what an expression or a type is: its type, and a struct's layout with offsets, sizes and holes. depth
// is how many levels of structs in structs are opened.
func WhatIs(ctx context.Context, out *rows.Output, what string, depth int, how looks.Options,
	choice looks.TargetChoice) error {
	if depth < 1 {
		return rows.Usagef("--depth %d: must be 1 or more", depth)
	}
	s, plan, err := looks.Explore("whatis", how, choice)
	if err != nil {
		return err
	}
	defer s.Close()
	out.Of = &rows.Result{Target: s.Info}
	t, typeErr := s.File.Type(what)
	if _, err := s.File.Var(what); err == nil {
		typeErr = errors.New("a variable") // what is both, in some package, is the variable
	}
	if typeErr == nil {
		return writeLayout(out, t, nil, "", depth)
	}
	var addr uint64
	var note string
	if err := s.CheckExpr(ctx, what); err != nil {
		if near := symbols.Near(what, s.File.TypeNames(), 3); len(near) > 0 && strings.HasPrefix(err.Error(), "no variable") {
			err = fmt.Errorf("%w; near types: %s", err, strings.Join(near, ", "))
		}
		return err
	}
	res, err := s.Look(ctx, plan, s.Collector(plan, out, nil), func(_ context.Context, look *looks.Look,
		_ rows.Sink) error {
		defer looks.CountValues(look)()
		v, err := eval.Expression(look.Space, what)
		if err != nil {
			return err
		}
		t, addr, note = v.Type, v.Addr, ""
		for range 4 { // what is behind pointers and interfaces has the layout
			if v.Type.Kind != reflect.Pointer && v.Type.Kind != reflect.Interface {
				break
			}
			inner, err := v.Elem()
			if err != nil {
				break
			}
			if v.Type.Kind == reflect.Interface {
				note = "it holds a " + inner.Type.Name
				t = inner.Type
			}
			v = inner
		}
		return nil
	})
	if err != nil {
		return err
	}
	if res.Err != nil || len(res.Partial) > 0 {
		return out.Conclude(res)
	}
	out.Of = res
	where := map[string]any{"addr": nil}
	if !values.IsLocal(addr) {
		where["addr"] = rows.AddressCell(addr)
	}
	if err := writeLayout(out, t, where, note, depth); err != nil {
		return err
	}
	if !out.Quiet {
		out.Log(res.Cost())
	}
	return nil
}

// writeLayout writes a type; where is nil for what is no value.
func writeLayout(out *rows.Output, t *symbols.Type, where map[string]any, note string, depth int) error {
	structure := t
	for structure.Kind == reflect.Pointer && structure.Elem() != nil {
		structure = structure.Elem()
	}
	list, holes, lost := layoutRows(structure, depth)
	switch out.Format {
	case rows.Table:
		var b strings.Builder
		fmt.Fprintf(&b, "%s: %s\n", inert.Cell(t.Name), layoutSentence(t, structure, holes, lost))
		if where != nil && where["addr"] != nil {
			fmt.Fprintf(&b, "at %s\n", where["addr"])
		}
		if note != "" {
			fmt.Fprintf(&b, "%s\n", inert.Cell(note))
		}
		for _, line := range partsOf(t) {
			fmt.Fprintf(&b, "%s\n", inert.Cell(line))
		}
		if err := out.WriteText(b.String()); err != nil {
			return err
		}
		if len(list) > 0 {
			var table []rows.Row
			for _, r := range list {
				name, typ := strings.Repeat("  ", r.level)+r.name, ""
				switch {
				case r.name == "":
					name = strings.Repeat("  ", r.level) + "(hole)"
				case r.embedded:
					typ = r.goType.Name + " (embedded)"
				default:
					typ = r.goType.Name
				}
				table = append(table, rows.Of("offset", r.offset, "size", r.size, "field", name, "type", orNil(typ)))
			}
			if err := out.WriteRows([]rows.Column{{Name: "offset", Type: rows.ColumnInt}, {Name: "size", Type: rows.ColumnInt},
				{Name: "field", Whole: true}, {Name: "type", Cut: rows.CutPaths}}, table); err != nil {
				return err
			}
		}
	default:
		fields := []any{}
		for _, r := range layoutCells(list) {
			fields = append(fields, r)
		}
		doc := append(typeCells(t, where), rows.Cell{Name: "struct", Value: orNil(structName(structure))},
			rows.Cell{Name: "fields", Value: fields})
		if err := out.WriteOne(doc); err != nil {
			return err
		}
	}
	return out.Commit()
}

// typeCells are what there is to say of any type, and of the value, where there is one.
func typeCells(t *symbols.Type, where map[string]any) rows.Row {
	var elem, key any
	if e := t.Elem(); e != nil {
		elem = e.Name
	}
	if k := t.Key(); k != nil {
		key = k.Name
	}
	return rows.Of("type", t.Name, "kind", t.Kind.String(), "size_bytes", t.Size, "constants", rows.Texts(t.Constants()),
		"addr", where["addr"], "elem", elem, "key", key)
}

func structName(t *symbols.Type) string {
	if t.Kind != reflect.Struct {
		return ""
	}
	return t.Name
}

func layoutCells(list []layoutRow) (cells []rows.Row) {
	for _, r := range list {
		var typ, name any
		if r.name != "" {
			typ, name = r.goType.Name, r.name
		}
		cells = append(cells, rows.Of("offset", r.offset, "size", r.size, "field", name, "type", typ,
			"embedded", r.embedded, "hole", r.name == "", "level", int64(r.level)))
	}
	return cells
}

// layoutRows are a struct's fields with the holes between and behind them.
func layoutRows(t *symbols.Type, depth int) (rows []layoutRow, holes int, lost int64) {
	if t.Kind != reflect.Struct {
		return nil, 0, 0
	}
	var add func(t *symbols.Type, base int64, level int)
	add = func(t *symbols.Type, base int64, level int) {
		hole := func(from, to int64) {
			if to > from {
				rows = append(rows, layoutRow{offset: base + from, size: to - from, level: level})
				holes++
				lost += to - from
			}
		}
		end := int64(0)
		for _, f := range t.Fields() {
			hole(end, f.Offset)
			rows = append(rows, layoutRow{base + f.Offset, f.Type.Size, f.Name, f.Type, f.Embedded, level})
			if f.Type.Kind == reflect.Struct && level+1 < depth {
				add(f.Type, base+f.Offset, level+1)
			}
			end = max(end, f.Offset+f.Type.Size)
		}
		hole(end, t.Size)
	}
	add(t, 0, 0)
	return rows, holes, lost
}

func layoutSentence(t, structure *symbols.Type, holes int, lost int64) string {
	text := fmt.Sprintf("%s, %s", t.Kind, rows.Plural(t.Size, "byte"))
	if structure.Kind != reflect.Struct {
		return text
	}
	if structure != t {
		text += fmt.Sprintf("; %s is a struct of %s", inert.Cell(structure.Name), rows.Plural(structure.Size, "byte"))
	}
	text += ", " + rows.Plural(int64(len(structure.Fields())), "field")
	if holes > 0 {
		text += fmt.Sprintf(", %s of %s together", rows.Plural(int64(holes), "hole"), rows.Plural(lost, "byte"))
	}
	return text
}

// partsOf says what a type that is no struct is made of.
func partsOf(t *symbols.Type) (lines []string) {
	if k := t.Key(); k != nil {
		lines = append(lines, "key "+k.Name)
	}
	switch e := t.Elem(); {
	case e == nil:
	case t.Kind == reflect.Array:
		lines = append(lines, fmt.Sprintf("%s of %s", rows.Plural(t.Len(), "element"), e.Name))
	case t.Kind != reflect.Pointer:
		lines = append(lines, "element "+e.Name)
	}
	if names := t.Constants(); len(names) > 0 {
		lines = append(lines, "constants "+strings.Join(names, ", "))
	}
	return lines
}
