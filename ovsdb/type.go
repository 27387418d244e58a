package ovsdb

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// Unlimited is the largest number of elements, rows or characters: none is said. Open vSwitch counts in 32 bits.
const Unlimited = math.MaxUint32

// ColumnType is the type of a column, with how many atoms it may have.
type ColumnType struct {
	Key      BaseType
	Value    *BaseType // of a map
	Min, Max int
}

// BaseType is the type of an atom, with its constraints.
type BaseType struct {
	Type     AtomType
	Enum     []Atom // in order; nil: any
	Integers *[2]int64
	Reals    *[2]float64
	Length   *[2]int // of a text, in characters
	RefTable string
	Weak     bool // references go with the row that they lead to
}

// Scalar, Set, Map and Optional tell what a column holds: one atom; atoms; pairs; an atom or none.
func (c ColumnType) Scalar() bool   { return c.Value == nil && c.Min == 1 && c.Max == 1 }
func (c ColumnType) Set() bool      { return c.Value == nil && (c.Min != 1 || c.Max != 1) }
func (c ColumnType) Map() bool      { return c.Value != nil }
func (c ColumnType) Optional() bool { return c.Value == nil && c.Min == 0 && c.Max == 1 }

func (c ColumnType) weak() bool {
	return c.Key.Weak || c.Value != nil && c.Value.Weak
}

// English says what type it is, as Open vSwitch's errors do.
func (c ColumnType) English() string {
	if c.Scalar() {
		return string(c.Key.Type)
	}
	text := "set"
	if c.Map() {
		text = "map"
	}
	switch {
	case c.Max == Unlimited && c.Min > 0:
		text += fmt.Sprintf(" of %d or more", c.Min)
	case c.Max == Unlimited:
		text += " of"
	case c.Min > 0:
		text += fmt.Sprintf(" of %d to %d", c.Min, c.Max)
	default:
		text += fmt.Sprintf(" of up to %d", c.Max)
	}
	if c.Map() {
		return text + fmt.Sprintf(" (%s, %s) pairs", c.Key.Type, c.Value.Type)
	}
	return text + fmt.Sprintf(" %ss", c.Key.Type)
}

// TypeFromJSON reads a <type>. Errors are of type *Error.
func TypeFromJSON(j any) (c ColumnType, err error) {
	c.Min, c.Max = 1, 1
	switch j.(type) {
	case string:
		c.Key, err = BaseTypeFromJSON(j)
		return c, err
	case map[string]any:
	default:
		return c, Syntaxf(j, "", "ovsdb type expected")
	}
	o := NewObject(j, "ovsdb type")
	key := o.Member("key", IsString|IsObject)
	value := o.Member("value", IsString|IsObject|IsOptional)
	least := o.Member("min", IsInteger|IsOptional)
	most := o.Member("max", IsInteger|IsString|IsOptional)
	if err := o.Finish(); err != nil {
		return c, err
	}
	if c.Key, err = BaseTypeFromJSON(key); err != nil {
		return c, err
	}
	if value != nil {
		b, err := BaseTypeFromJSON(value)
		if err != nil {
			return c, err
		}
		c.Value = &b
	}
	if err := elements(least, &c.Min); err != nil {
		return c, err
	}
	if most == "unlimited" {
		c.Max = Unlimited
	} else if err := elements(most, &c.Max); err != nil {
		return c, err
	}
	if c.Min > 1 || c.Max < 1 {
		return c, Syntaxf(j, "", "ovsdb type fails constraint checks")
	}
	return c, nil
}

func elements(j any, into *int) error {
	if j == nil {
		return nil
	}
	if n, ok := j.(json.Number); ok {
		if i, _, whole := Number(n); whole && i >= 0 && i < Unlimited {
			*into = int(i)
			return nil
		}
	}
	return Syntaxf(j, "", "bad min or max value")
}

// AtomTypeFromJSON reads an <atomic-type>. Errors are of type *Error.
func AtomTypeFromJSON(j any) (AtomType, error) {
	s, ok := j.(string)
	if !ok {
		return "", Syntaxf(j, "", "atomic-type expected")
	}
	if t := AtomType(s); t.valid() {
		return t, nil
	}
	return "", Syntaxf(j, "", "\"%s\" is not an atomic-type", s)
}

// BaseTypeFromJSON reads a <base-type>. Errors are of type *Error.
func BaseTypeFromJSON(j any) (b BaseType, err error) {
	if _, ok := j.(string); ok {
		b.Type, err = AtomTypeFromJSON(j)
		return b, err
	}
	o := NewObject(j, "ovsdb type")
	name := o.Member("type", IsString)
	if o.Err() != nil {
		return b, o.Finish()
	}
	if b.Type, err = AtomTypeFromJSON(name); err != nil {
		return b, err
	}
	if enum := o.Member("enum", IsAny|IsOptional); enum != nil {
		d, err := ColumnType{Key: BaseType{Type: b.Type}, Min: 1, Max: Unlimited}.FromJSON(enum, nil)
		if err != nil {
			return b, err
		}
		b.Enum = d.Keys
		return b, o.Finish()
	}
	switch b.Type {
	case Integer:
		err = b.integers(o, j)
	case Real:
		err = b.reals(o, j)
	case String:
		err = b.length(o, j)
	case UUIDs:
		err = b.reference(o)
	}
	if err != nil {
		return b, err
	}
	return b, o.Finish()
}

func (b *BaseType) integers(o *Object, j any) error {
	bounds := [2]int64{math.MinInt64, math.MaxInt64}
	for i, name := range []string{"minInteger", "maxInteger"} {
		if n, ok := o.Member(name, IsInteger|IsOptional).(json.Number); ok {
			bounds[i], _, _ = Number(n)
			b.Integers = &bounds
		}
	}
	if bounds[0] > bounds[1] {
		return Syntaxf(j, "", "minInteger exceeds maxInteger")
	}
	return nil
}

func (b *BaseType) reals(o *Object, j any) error {
	bounds := [2]float64{-math.MaxFloat64, math.MaxFloat64}
	for i, name := range []string{"minReal", "maxReal"} {
		if n, ok := o.Member(name, IsNumber|IsOptional).(json.Number); ok {
			_, bounds[i], _ = Number(n)
			b.Reals = &bounds
		}
	}
	if bounds[0] > bounds[1] {
		return Syntaxf(j, "", "minReal exceeds maxReal")
	}
	return nil
}

func (b *BaseType) length(o *Object, j any) error {
	bounds := [2]int{0, Unlimited}
	for i, name := range []string{"minLength", "maxLength"} {
		n, ok := o.Member(name, IsInteger|IsOptional).(json.Number)
		if !ok {
			continue
		}
		v, _, _ := Number(n)
		if v < 0 || v > Unlimited {
			return Syntaxf(n, "", "%s out of valid range 0 to %d", name, uint32(Unlimited))
		}
		bounds[i] = int(v)
		b.Length = &bounds
	}
	if bounds[0] > bounds[1] {
		return Syntaxf(j, "", "minLength exceeds maxLength")
	}
	return nil
}

func (b *BaseType) reference(o *Object) error {
	table, ok := o.Member("refTable", IsID|IsOptional).(string)
	if !ok {
		return nil
	}
	b.RefTable = table
	switch how := o.Member("refType", IsID|IsOptional); how {
	case nil, "strong":
	case "weak":
		b.Weak = true
	default:
		return Syntaxf(o.JSON, "", "refType must be \"strong\" or \"weak\" (not \"%s\")", how)
	}
	return nil
}

// Constrained: not every atom of the type will do.
func (b BaseType) Constrained() bool {
	return b.Enum != nil || b.Integers != nil && *b.Integers != [2]int64{math.MinInt64, math.MaxInt64} ||
		b.Reals != nil && *b.Reals != [2]float64{-math.MaxFloat64, math.MaxFloat64} ||
		b.Length != nil && *b.Length != [2]int{0, Unlimited} || b.RefTable != ""
}

// JSON is the type as a schema has it.
func (b BaseType) JSON() any {
	if !b.Constrained() {
		return string(b.Type)
	}
	out := map[string]any{"type": string(b.Type)}
	if b.Enum != nil {
		out["enum"] = Datum{Keys: b.Enum}.JSON(ColumnType{Max: Unlimited})
	}
	if r := b.Integers; r != nil {
		if r[0] != math.MinInt64 {
			out["minInteger"] = r[0]
		}
		if r[1] != math.MaxInt64 {
			out["maxInteger"] = r[1]
		}
	}
	if r := b.Reals; r != nil {
		if r[0] != -math.MaxFloat64 {
			out["minReal"] = r[0]
		}
		if r[1] != math.MaxFloat64 {
			out["maxReal"] = r[1]
		}
	}
	if r := b.Length; r != nil {
		if r[0] != 0 {
			out["minLength"] = r[0]
		}
		if r[1] != Unlimited {
			out["maxLength"] = r[1]
		}
	}
	if b.RefTable != "" {
		out["refTable"] = b.RefTable
		if b.Weak {
			out["refType"] = "weak"
		}
	}
	return out
}

// JSON is the type as a schema has it.
func (c ColumnType) JSON() any {
	if c.Scalar() && !c.Key.Constrained() {
		return c.Key.JSON()
	}
	out := map[string]any{"key": c.Key.JSON()}
	if c.Value != nil {
		out["value"] = c.Value.JSON()
	}
	if c.Min != 1 {
		out["min"] = c.Min
	}
	switch c.Max {
	case 1:
	case Unlimited:
		out["max"] = "unlimited"
	default:
		out["max"] = c.Max
	}
	return out
}

// check tells whether a datum is of the column's type.
func (c ColumnType) check(d Datum) error {
	if len(d.Keys) < c.Min || len(d.Keys) > c.Max {
		return fmt.Errorf("%d elements: %w", len(d.Keys), ErrValue)
	}
	if (c.Value != nil) != (d.Values != nil) || c.Value != nil && len(d.Keys) != len(d.Values) {
		return fmt.Errorf("a map in the place of a set, or the reverse: %w", ErrValue)
	}
	for _, k := range d.Keys {
		if err := c.Key.Type.check(k); err != nil {
			return err
		}
	}
	for _, v := range d.Values {
		if err := c.Value.Type.check(v); err != nil {
			return err
		}
	}
	return c.Constraints(d)
}

// Constraints checks the atoms of a datum that is of the type. The error is of type *Error.
func (c ColumnType) Constraints(d Datum) error {
	for _, k := range d.Keys {
		if err := c.Key.Allows(k); err != nil {
			return err
		}
	}
	for _, v := range d.Values {
		if err := c.Value.Allows(v); err != nil {
			return err
		}
	}
	return nil
}

// Allows checks an atom of the type against its constraints; references aren't looked up. The error is of type *Error.
func (b BaseType) Allows(a Atom) error {
	if b.Enum != nil && !slices.ContainsFunc(b.Enum, func(e Atom) bool { return CompareAtoms(e, a) == 0 }) {
		return Errorf(ConstraintTag, "%s is not one of the allowed values (%s)", AtomText(a),
			Datum{Keys: b.Enum}.Format(ColumnType{Max: Unlimited}))
	}
	switch a := a.(type) {
	case int64:
		if r := b.Integers; r != nil {
			return outside(a, r[0], r[1], r[0] != math.MinInt64, r[1] != math.MaxInt64,
				func(n int64) string { return fmt.Sprint(n) })
		}
	case float64:
		if r := b.Reals; r != nil {
			return outside(a, r[0], r[1], r[0] != -math.MaxFloat64, r[1] != math.MaxFloat64, realText)
		}
	case string:
		return b.text(a)
	}
	return nil
}

// outside says how a number isn't within its bounds.
func outside[T int64 | float64](a, low, high T, hasLow, hasHigh bool, text func(T) string) error {
	switch {
	case a >= low && a <= high:
		return nil
	case hasLow && hasHigh:
		return Errorf(ConstraintTag, "%s is not in the valid range %s to %s (inclusive)", text(a), text(low), text(high))
	case hasLow:
		return Errorf(ConstraintTag, "%s is less than minimum allowed value %s", text(a), text(low))
	}
	return Errorf(ConstraintTag, "%s is greater than maximum allowed value %s", text(a), text(high))
}

func (b BaseType) text(s string) error {
	if !utf8.ValidString(s) {
		return Errorf(ConstraintTag, "not a valid UTF-8 string: %q", s)
	}
	if b.Length == nil {
		return nil
	}
	switch n := utf8.RuneCountInString(s); {
	case n < b.Length[0]:
		return Errorf(ConstraintTag, "\"%s\" length %d is less than minimum allowed length %d", s, n, b.Length[0])
	case n > b.Length[1]:
		return Errorf(ConstraintTag, "\"%s\" length %d is greater than maximum allowed length %d", s, n, b.Length[1])
	}
	return nil
}

// Default is what a column has that a row doesn't mention.
func (c ColumnType) Default() Datum {
	d := Datum{}
	if c.Value != nil {
		d.Values = []Atom{}
	}
	if c.Min > 0 {
		d.Keys = []Atom{c.Key.Default()}
		if c.Value != nil {
			d.Values = []Atom{c.Value.Default()}
		}
	}
	return d
}

// Default is the atom that a column has which must have one: 0, false, "".
func (b BaseType) Default() Atom { return b.Type.zero() }
