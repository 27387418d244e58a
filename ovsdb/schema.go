package ovsdb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
)

// Schema is a database's schema, RFC 7047 section 3.2.
type Schema struct {
	Name    string
	Version string // x.y.z: x for what old readers can't read, y for what was added, z for looks
	Cksum   string // "CRC SIZE" of the text without the line that says it, as cksum(1) has it; may be empty
	Tables  map[string]*Table
	text    []byte // as it was parsed
}

// Table of a schema.
type Table struct {
	Columns map[string]ColumnType
	IsRoot  bool // else a row goes when nothing refers to it any more
}

// ColumnType is the type of a column, with how many atoms it may have.
type ColumnType struct {
	Key      BaseType
	Value    *BaseType // of a map
	Min, Max int
}

// BaseType is the type of an atom, with its constraints. Only those that ri's schemas use are checked.
type BaseType struct {
	Type     AtomType
	Enum     []Atom
	RefTable string
}

var schemaName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
var schemaVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)

// ParseSchema reads a schema's JSON.
func ParseSchema(text []byte) (*Schema, error) {
	var j struct {
		Name, Version, Cksum string
		Tables               map[string]struct {
			Columns map[string]struct{ Type json.RawMessage }
			IsRoot  bool
		}
	}
	if err := decode(text, &j); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if !schemaName.MatchString(j.Name) || j.Tables == nil {
		return nil, fmt.Errorf("schema: no name, or no tables: %w", ErrSchema)
	}
	if j.Version != "" && !schemaVersion.MatchString(j.Version) {
		return nil, fmt.Errorf("schema %s: version %q is not x.y.z: %w", j.Name, j.Version, ErrSchema)
	}
	s := &Schema{Name: j.Name, Version: j.Version, Cksum: j.Cksum, Tables: map[string]*Table{}, text: text}
	for name, table := range j.Tables {
		t := &Table{Columns: map[string]ColumnType{}, IsRoot: table.IsRoot}
		for column, c := range table.Columns {
			ct, err := parseColumnType(c.Type)
			if err != nil {
				return nil, fmt.Errorf("schema %s: column %s of table %s: %w", j.Name, column, name, err)
			}
			t.Columns[column] = ct
		}
		s.Tables[name] = t
	}
	return s, nil
}

func parseColumnType(text json.RawMessage) (c ColumnType, err error) {
	c.Min, c.Max = 1, 1
	if len(text) > 0 && text[0] == '"' {
		c.Key, err = parseBaseType(text)
		return c, err
	}
	var j struct {
		Key, Value json.RawMessage
		Min        *int
		Max        any
	}
	if err := decode(text, &j); err != nil {
		return c, err
	}
	if c.Key, err = parseBaseType(j.Key); err != nil {
		return c, err
	}
	if len(j.Value) > 0 {
		value, err := parseBaseType(j.Value)
		if err != nil {
			return c, err
		}
		c.Value = &value
	}
	if j.Min != nil {
		c.Min = *j.Min
	}
	switch most := j.Max.(type) {
	case nil:
	case string:
		c.Max = math.MaxInt
	case json.Number:
		n, err := most.Int64()
		if err != nil {
			return c, fmt.Errorf("max %s: %w", most, ErrSchema)
		}
		c.Max = int(n)
	}
	if c.Min < 0 || c.Min > 1 || c.Max < 1 || c.Max < c.Min {
		return c, fmt.Errorf("min %d, max %d: %w", c.Min, c.Max, ErrSchema)
	}
	return c, nil
}

func parseBaseType(text json.RawMessage) (b BaseType, err error) {
	var j struct {
		Type     AtomType
		Enum     any
		RefTable string
	}
	if len(text) > 0 && text[0] == '"' {
		err = decode(text, &j.Type)
	} else {
		err = decode(text, &j)
	}
	if err != nil {
		return b, err
	}
	if !j.Type.valid() {
		return b, fmt.Errorf("type %q: %w", j.Type, ErrSchema)
	}
	b.Type, b.RefTable = j.Type, j.RefTable
	if j.Enum != nil {
		d, err := datumFromJSON(ColumnType{Key: b, Max: math.MaxInt}, j.Enum)
		if err != nil {
			return b, err
		}
		b.Enum = d.Keys
	}
	return b, nil
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
		if err := c.Key.check(k); err != nil {
			return err
		}
	}
	for _, v := range d.Values {
		if err := c.Value.check(v); err != nil {
			return err
		}
	}
	return nil
}

func (b BaseType) check(a Atom) error {
	if err := b.Type.check(a); err != nil {
		return err
	}
	if b.Enum != nil && !slices.ContainsFunc(b.Enum, func(e Atom) bool { return compareAtoms(e, a) == 0 }) {
		return fmt.Errorf("%v is none of %v: %w", a, b.Enum, ErrValue)
	}
	return nil
}

// zero is what a column has that a row doesn't mention.
func (c ColumnType) zero() Datum {
	d := Datum{}
	if c.Value != nil {
		d.Values = []Atom{}
	}
	if c.Min > 0 {
		d.Keys = []Atom{c.Key.Type.zero()}
		if c.Value != nil {
			d.Values = []Atom{c.Value.Type.zero()}
		}
	}
	return d
}

// Checksum is the checksum of a schema's text, computed as Open vSwitch's build does it: cksum(1) of the lines without
// "cksum" in them.
func Checksum(text []byte) string {
	var rest []byte
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, []byte("cksum")) {
			rest = append(rest, line...)
		}
	}
	return fmt.Sprintf("%d %d", posixCksum(rest), len(rest))
}

// CheckChecksum fails if the schema was changed and its checksum was not. Whoever changes one changes the version, too.
func (s *Schema) CheckChecksum() error {
	if want := Checksum(s.text); s.Cksum != want {
		return fmt.Errorf("schema %s has been changed: raise its version (now %s), and set its cksum to %q: %w", s.Name,
			s.Version, want, ErrSchema)
	}
	return nil
}

// posixCksum is the CRC of cksum(1), POSIX.1: polynomial 0x04c11db7, the length appended.
func posixCksum(data []byte) uint32 {
	crc := uint32(0)
	add := func(b byte) {
		crc ^= uint32(b) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
	}
	for _, b := range data {
		add(b)
	}
	for n := len(data); n > 0; n >>= 8 {
		add(byte(n))
	}
	return ^crc
}

// compact is the schema on one line, as a database file has it.
func (s *Schema) compact() []byte {
	var out bytes.Buffer
	if json.Compact(&out, s.text) != nil {
		return s.text
	}
	return out.Bytes()
}
