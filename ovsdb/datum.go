package ovsdb

import (
	"cmp"
	"fmt"
	"slices"
)

// Datum is a column's value: a set of atoms, of which a single atom is the case with one element, or, with Values, a
// map.
type Datum struct {
	Keys   []Atom
	Values []Atom // of a map, by the index of the key
}

// Row is a table's row by column. A column that isn't there has its default.
type Row map[string]Datum

// Scalar is a datum of one atom.
func Scalar(a Atom) Datum { return Datum{Keys: []Atom{a}} }

// Set is a set of atoms.
func Set[T any](atoms ...T) Datum {
	var d Datum
	for _, a := range atoms {
		d.Keys = append(d.Keys, a)
	}
	return d
}

// Map is a map from text to text.
func Map(m map[string]string) Datum {
	d := Datum{Values: []Atom{}}
	for k, v := range m {
		d.Keys, d.Values = append(d.Keys, k), append(d.Values, v)
	}
	d.sort()
	return d
}

// Int gives a scalar or optional integer, 0 if there is none.
func (d Datum) Int() int64 { return first[int64](d) }

// Text gives a scalar or optional string, "" if there is none.
func (d Datum) Text() string { return first[string](d) }

// Strings gives a map of strings.
func (d Datum) Strings() map[string]string {
	m := map[string]string{}
	for i := range d.Values {
		k, _ := d.Keys[i].(string)
		v, _ := d.Values[i].(string)
		m[k] = v
	}
	return m
}

// UUIDs gives a set of UUIDs.
func (d Datum) UUIDs() []UUID {
	var out []UUID
	for _, k := range d.Keys {
		if u, ok := k.(UUID); ok {
			out = append(out, u)
		}
	}
	return out
}

func first[T any](d Datum) (zero T) {
	if len(d.Keys) > 0 {
		if v, ok := d.Keys[0].(T); ok {
			return v
		}
	}
	return zero
}

func compareAtoms(a, b Atom) int {
	switch a := a.(type) {
	case int64:
		b, _ := b.(int64)
		return cmp.Compare(a, b)
	case float64:
		b, _ := b.(float64)
		return cmp.Compare(a, b)
	case string:
		b, _ := b.(string)
		return cmp.Compare(a, b)
	case bool:
		if a == b {
			return 0
		}
		if a {
			return 1
		}
		return -1
	case UUID:
		b, _ := b.(UUID)
		return slices.Compare(a[:], b[:])
	}
	return 0
}

// sort orders the keys, each with its value.
func (d *Datum) sort() {
	order := make([]int, len(d.Keys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return compareAtoms(d.Keys[a], d.Keys[b]) })
	keys := make([]Atom, len(order))
	for i, at := range order {
		keys[i] = d.Keys[at]
	}
	if d.Values != nil {
		vals := make([]Atom, len(order))
		for i, at := range order {
			vals[i] = d.Values[at]
		}
		d.Values = vals
	}
	d.Keys = keys
}

// find gives the index of a key, -1 if the datum doesn't have it.
func (d Datum) find(key Atom) int {
	return slices.IndexFunc(d.Keys, func(k Atom) bool { return compareAtoms(k, key) == 0 })
}

func (d Datum) json(t ColumnType) any {
	if t.Value != nil {
		pairs := []any{}
		for i := range d.Keys {
			pairs = append(pairs, []any{atomJSON(d.Keys[i]), atomJSON(d.Values[i])})
		}
		return []any{"map", pairs}
	}
	if len(d.Keys) == 1 {
		return atomJSON(d.Keys[0])
	}
	set := []any{}
	for _, k := range d.Keys {
		set = append(set, atomJSON(k))
	}
	return []any{"set", set}
}

// datumFromJSON reads a value of RFC 7047, section 5.1. How many elements it may have isn't asked: a difference may
// have more, or fewer.
func datumFromJSON(t ColumnType, j any) (d Datum, err error) {
	list, ok := j.([]any)
	kind := ""
	if ok && len(list) == 2 {
		kind, _ = list[0].(string)
	}
	switch {
	case t.Value != nil:
		pairs, ok := second(list).([]any)
		if kind != "map" || !ok {
			return d, fmt.Errorf("%v is no map: %w", j, ErrValue)
		}
		d.Values = []Atom{}
		for _, p := range pairs {
			pair, ok := p.([]any)
			if !ok || len(pair) != 2 {
				return d, fmt.Errorf("%v is no pair: %w", p, ErrValue)
			}
			k, err := t.Key.Type.fromJSON(pair[0])
			if err != nil {
				return d, err
			}
			v, err := t.Value.Type.fromJSON(pair[1])
			if err != nil {
				return d, err
			}
			d.Keys, d.Values = append(d.Keys, k), append(d.Values, v)
		}
		d.sort()
		return d, nil
	case kind == "set":
		atoms, ok := second(list).([]any)
		if !ok {
			return d, fmt.Errorf("%v is no set: %w", j, ErrValue)
		}
		for _, a := range atoms {
			k, err := t.Key.Type.fromJSON(a)
			if err != nil {
				return d, err
			}
			d.Keys = append(d.Keys, k)
		}
		d.sort()
		return d, nil
	}
	k, err := t.Key.Type.fromJSON(j)
	return Datum{Keys: []Atom{k}}, err
}

func second(list []any) any {
	if len(list) == 2 {
		return list[1]
	}
	return nil
}

// withDiff is what ovsdb_datum_apply_diff makes of it (Open vSwitch, lib/ovsdb-data.c). A column of one element gets
// the new value. A set gets the elements that one of the two has. A map does too, but a key with another value gets
// that value.
func (d Datum) withDiff(t ColumnType, diff Datum) Datum {
	if t.Max == 1 && t.Value == nil {
		return d.replaced(t, diff)
	}
	out := Datum{}
	if t.Value != nil {
		out.Values = []Atom{}
	}
	keep := func(from Datum, i int) {
		out.Keys = append(out.Keys, from.Keys[i])
		if t.Value != nil {
			out.Values = append(out.Values, from.Values[i])
		}
	}
	for i, k := range d.Keys {
		at := diff.find(k)
		switch {
		case at < 0:
			keep(d, i)
		case t.Value != nil && compareAtoms(d.Values[i], diff.Values[at]) != 0:
			keep(diff, at)
		}
	}
	for i, k := range diff.Keys {
		if d.find(k) < 0 {
			keep(diff, i)
		}
	}
	out.sort()
	return out
}

// replaced is withDiff for a column that holds one atom, or none.
func (d Datum) replaced(t ColumnType, diff Datum) Datum {
	if t.Min > 0 || len(d.Keys) != 1 {
		return diff
	}
	switch had := d.Keys[0]; {
	case len(diff.Keys) == 1 && compareAtoms(had, diff.Keys[0]) == 0: // it went away
		return Datum{}
	case len(diff.Keys) == 2: // the old one and the new
		for _, k := range diff.Keys {
			if compareAtoms(k, had) != 0 {
				return Datum{Keys: []Atom{k}}
			}
		}
	}
	return diff
}
