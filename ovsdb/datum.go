package ovsdb

import (
	"cmp"
	"slices"
	"strings"
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
	d.Sort()
	return d
}

// Map is a map from text to text.
func Map(m map[string]string) Datum {
	d := Datum{Values: []Atom{}}
	for k, v := range m {
		d.Keys, d.Values = append(d.Keys, k), append(d.Values, v)
	}
	d.Sort()
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

// CompareAtoms orders two atoms of one type.
func CompareAtoms(a, b Atom) int {
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

// Sort orders the keys, each with its value.
func (d *Datum) Sort() {
	order := make([]int, len(d.Keys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return CompareAtoms(d.Keys[a], d.Keys[b]) })
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

// JSON is the datum as the protocol has it: an atom, or ["set", [...]], or ["map", [[key, value], ...]].
func (d Datum) JSON(t ColumnType) any {
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

// Format is the datum as Open vSwitch's messages have it.
func (d Datum) Format(t ColumnType) string {
	var parts []string
	for i, k := range d.Keys {
		text := AtomText(k)
		if t.Value != nil {
			text += "=" + AtomText(d.Values[i])
		}
		parts = append(parts, text)
	}
	text := strings.Join(parts, ", ")
	switch {
	case t.Max == 1 && len(d.Keys) > 0:
		return text
	case t.Value != nil:
		return "{" + text + "}"
	}
	return "[" + text + "]"
}

// Compare orders two data of one type. 0 means that they are equal.
func (d Datum) Compare(e Datum) int {
	if c := cmp.Compare(len(d.Keys), len(e.Keys)); c != 0 {
		return c
	}
	for i := range d.Keys {
		if c := CompareAtoms(d.Keys[i], e.Keys[i]); c != 0 {
			return c
		}
	}
	for i := range d.Values {
		if c := CompareAtoms(d.Values[i], e.Values[i]); c != 0 {
			return c
		}
	}
	return 0
}

// FromJSON reads a <value> of the type, checks how many elements it has, their constraints, and that none is there
// twice. Errors are of type *Error.
func (c ColumnType) FromJSON(j any, names Names) (Datum, error) { return c.read(j, names, false) }

// Lenient is FromJSON for what a server tells: a difference may have any number of elements, and a value is as it was
// once allowed.
func (c ColumnType) Lenient(j any) (Datum, error) { return c.read(j, nil, true) }

// read is FromJSON. loose: what a file holds; there may be any number of elements, as a difference has, and a number or
// a text is as it was once allowed.
func (c ColumnType) read(j any, names Names, loose bool) (d Datum, err error) {
	list, _ := j.([]any)
	isSet := len(list) > 0 && list[0] == "set"
	if c.Value == nil && !isSet {
		a, err := c.key(j, names, loose)
		if err == nil && !loose && c.Min > 1 {
			return d, Syntaxf(j, "", "set must have %d to %d members but 1 are present", c.Min, c.Max)
		}
		return Datum{Keys: []Atom{a}}, err
	}
	class := "set"
	if c.Value != nil {
		class = "map"
		d.Values = []Atom{}
	}
	inner, ok := second(list).([]any)
	if !ok || list[0] != class {
		return d, Syntaxf(j, "", "expected [\"%s\", <array>]", class)
	}
	if n := len(inner); !loose && (n < c.Min || n > c.Max) {
		if c.Min == 1 && c.Max == 1 {
			return d, Syntaxf(j, "", "%s must have exactly one member but %d are present", class, n)
		}
		return d, Syntaxf(j, "", "%s must have %d to %d members but %d are present", class, c.Min, c.Max, n)
	}
	for _, e := range inner {
		if err := c.element(&d, e, names, loose); err != nil {
			return d, err
		}
	}
	d.Sort()
	if d.duplicate() {
		if c.Value != nil {
			return d, Errorf("ovsdb error", "map contains duplicate key")
		}
		return d, Errorf("ovsdb error", "set contains duplicate")
	}
	return d, nil
}

// element appends an element of a set, or a pair of a map.
func (c ColumnType) element(d *Datum, key any, names Names, loose bool) error {
	if c.Value != nil {
		pair, ok := key.([]any)
		if !ok || len(pair) != 2 {
			return Syntaxf(key, "", "expected 2-element array")
		}
		key = pair[0]
		v, err := atomOf(c.Value, pair[1], names, loose)
		if err != nil {
			return err
		}
		d.Values = append(d.Values, v)
	}
	k, err := c.key(key, names, loose)
	if err != nil {
		return err
	}
	d.Keys = append(d.Keys, k)
	return nil
}

func (c ColumnType) key(j any, names Names, loose bool) (Atom, error) {
	return atomOf(&c.Key, j, names, loose)
}

func atomOf(b *BaseType, j any, names Names, loose bool) (Atom, error) {
	if loose {
		return b.atom(j, names)
	}
	return b.FromJSON(j, names)
}

// duplicate: two keys of a sorted datum are the same.
func (d Datum) duplicate() bool {
	for i := 1; i < len(d.Keys); i++ {
		if CompareAtoms(d.Keys[i-1], d.Keys[i]) == 0 {
			return true
		}
	}
	return false
}

func second(list []any) any {
	if len(list) == 2 {
		return list[1]
	}
	return nil
}

// Find gives the index of a key in a sorted datum, -1 if it isn't there.
func (d Datum) Find(key Atom) int {
	i, ok := slices.BinarySearchFunc(d.Keys, key, CompareAtoms)
	if !ok {
		return -1
	}
	return i
}

// has: d has the key, and of a map with the value.
func (d Datum) has(e Datum, i int) bool {
	at := d.Find(e.Keys[i])
	return at >= 0 && (e.Values == nil || d.Values == nil || CompareAtoms(d.Values[at], e.Values[i]) == 0)
}

// Includes: all elements of e are in d.
func (d Datum) Includes(e Datum) bool {
	for i := range e.Keys {
		if !d.has(e, i) {
			return false
		}
	}
	return true
}

// Excludes: no element of e is in d.
func (d Datum) Excludes(e Datum) bool {
	for i := range e.Keys {
		if d.has(e, i) {
			return false
		}
	}
	return true
}

// Plus is d with the elements of e whose keys d lacks.
func (d Datum) Plus(e Datum) Datum {
	return d.filter(func(int) bool { return true }, e, func(i int) bool { return d.Find(e.Keys[i]) < 0 })
}

// Minus is d without the elements of e. Of a map, e may be a set of keys.
func (d Datum) Minus(e Datum) Datum {
	return d.filter(func(i int) bool {
		at := e.Find(d.Keys[i])
		return at < 0 || e.Values != nil && d.Values != nil && CompareAtoms(e.Values[at], d.Values[i]) != 0
	}, Datum{}, nil)
}

// Diff is what ApplyDiff makes the other of: the elements that one of both has; of a map, keys with another value have
// the new one; a column of one atom at most, the other.
func (d Datum) Diff(t ColumnType, other Datum) Datum {
	if t.Max == 1 {
		return other
	}
	return d.filter(func(i int) bool { return other.Find(d.Keys[i]) < 0 }, other, func(i int) bool {
		at := d.Find(other.Keys[i])
		return at < 0 || t.Value != nil && CompareAtoms(d.Values[at], other.Values[i]) != 0
	})
}

// filter takes elements of both, in order.
func (d Datum) filter(mine func(i int) bool, e Datum, yours func(i int) bool) (out Datum) {
	if d.Values != nil {
		out.Values = []Atom{}
	}
	add := func(from Datum, i int) {
		out.Keys = append(out.Keys, from.Keys[i])
		if d.Values != nil {
			out.Values = append(out.Values, from.Values[i])
		}
	}
	for i := range d.Keys {
		if mine(i) {
			add(d, i)
		}
	}
	n := len(out.Keys)
	for i := range e.Keys {
		if yours(i) {
			add(e, i)
		}
	}
	if len(out.Keys) > n && n > 0 {
		out.Sort()
	}
	return out
}

// ApplyDiff is what ovsdb_datum_apply_diff makes of it (Open vSwitch, lib/ovsdb-data.c). A column of one element gets
// the new value. A set gets the elements that one of the two has. A map does too, but a key with another value gets
// that value.
func (d Datum) ApplyDiff(t ColumnType, diff Datum) (Datum, error) {
	out := diff
	if t.Max > 1 {
		out = d.changed(t, diff)
	}
	if len(out.Keys) < t.Min || len(out.Keys) > t.Max {
		return d, Errorf("ovsdb error", "Datum crated by diff has size error")
	}
	return out, nil
}

func (d Datum) changed(t ColumnType, diff Datum) Datum {
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
		at := diff.Find(k)
		switch {
		case at < 0:
			keep(d, i)
		case t.Value != nil && CompareAtoms(d.Values[i], diff.Values[at]) != 0:
			keep(diff, at)
		}
	}
	for i, k := range diff.Keys {
		if d.Find(k) < 0 {
			keep(diff, i)
		}
	}
	out.Sort()
	return out
}
