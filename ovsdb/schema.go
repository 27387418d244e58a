package ovsdb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
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
	Name    string
	Columns map[string]*Column
	IsRoot  bool // else a row goes when nothing refers to it any more
	MaxRows int
	Indexes [][]string // sets of columns whose values no two rows share
	Fixed   bool       // the schema says "mutable": false
}

// Column of a table.
type Column struct {
	Name      string
	Type      ColumnType
	Fixed     bool // it has the value that it was inserted with
	Ephemeral bool // its value isn't written to the file
}

var schemaVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)

// ParseSchema reads a schema's JSON. The error is ErrSchema, and of type *Error what is wrong with it.
func ParseSchema(text []byte) (*Schema, error) {
	var j any
	if err := decode(text, &j); err != nil {
		return nil, fmt.Errorf("schema: %w: %w", err, ErrSchema)
	}
	s, err := SchemaFromJSON(j)
	if err != nil {
		return nil, fmt.Errorf("schema: %w: %w", err, ErrSchema)
	}
	s.text = text
	return s, nil
}

// SchemaFromJSON reads a schema that is decoded (with json.Number). Errors are of type *Error.
func SchemaFromJSON(j any) (*Schema, error) {
	o := NewObject(j, "database schema")
	name, _ := o.Member("name", IsID).(string)
	version, versioned := o.Member("version", IsString|IsOptional).(string)
	cksum, _ := o.Member("cksum", IsString|IsOptional).(string)
	tables, _ := o.Member("tables", IsObject).(map[string]any)
	if err := o.Finish(); err != nil {
		return nil, err
	}
	if versioned && !schemaVersion.MatchString(version) {
		return nil, Syntaxf(j, "", "schema version \"%s\" not in format x.y.z", version)
	}
	s := &Schema{Name: name, Version: version, Cksum: cksum, Tables: map[string]*Table{}}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		if err := nameable(name, j); err != nil {
			return nil, err
		}
		t, err := tableFromJSON(name, tables[name])
		if err != nil {
			return nil, err
		}
		s.Tables[name] = t
	}
	s.text = []byte(Text(j))
	return s, s.finish()
}

// nameable refuses names of tables and columns that are reserved, or no names.
func nameable(name string, j any) error {
	if name != "" && name[0] == '_' {
		return Syntaxf(j, "", `names beginning with "_" are reserved`)
	}
	if !ID(name) {
		return Syntaxf(j, "", "name must be a valid id")
	}
	return nil
}

// finish checks what needs all tables: without any root all are roots, as before there was garbage collection;
// references lead to tables that are there.
func (s *Schema) finish() error {
	roots := false
	for _, t := range s.Tables {
		roots = roots || t.IsRoot
	}
	if !roots {
		for _, t := range s.Tables {
			t.IsRoot = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Tables)) {
		t := s.Tables[name]
		for _, column := range slices.Sorted(maps.Keys(t.Columns)) {
			c := t.Columns[column]
			parts := []*BaseType{&c.Type.Key, c.Type.Value}
			for i, b := range parts {
				if b == nil || b.RefTable == "" {
					continue
				}
				to := s.Tables[b.RefTable]
				if to == nil {
					return Errorf(SyntaxTag, "column %s %s refers to undefined table %s", column,
						[]string{"key", "value"}[i], b.RefTable)
				}
				if !b.Weak && !to.IsRoot {
					// Without the reference in the file, the row would be garbage when the file is read.
					c.Ephemeral = false
				}
			}
		}
	}
	return nil
}

func tableFromJSON(name string, j any) (*Table, error) {
	o := NewObject(j, "table schema for table "+name)
	columns, _ := o.Member("columns", IsObject).(map[string]any)
	mutable := o.Member("mutable", IsBoolean|IsOptional)
	most, limited := o.Member("maxRows", IsInteger|IsOptional).(json.Number)
	root, _ := o.Member("isRoot", IsBoolean|IsOptional).(bool)
	indexes, _ := o.Member("indexes", IsArray|IsOptional).([]any)
	if err := o.Finish(); err != nil {
		return nil, err
	}
	t := &Table{Name: name, Columns: map[string]*Column{}, IsRoot: root, MaxRows: Unlimited, Fixed: mutable == false}
	if limited {
		n, _, _ := Number(most)
		if n <= 0 {
			return nil, Syntaxf(j, "", "maxRows must be at least 1")
		}
		t.MaxRows = int(min(n, int64(Unlimited)))
	}
	if len(columns) == 0 {
		return nil, Syntaxf(j, "", "table must have at least one column")
	}
	for _, column := range slices.Sorted(maps.Keys(columns)) {
		if err := nameable(column, j); err != nil {
			return nil, err
		}
		c, err := columnFromJSON(column, columns[column])
		if err != nil {
			return nil, err
		}
		t.Columns[column] = c
	}
	for _, index := range indexes {
		set, err := t.ColumnSet(index)
		if err != nil {
			return nil, err
		}
		if len(set) == 0 {
			return nil, Syntaxf(j, "", "index must have at least one column")
		}
		for _, column := range set {
			if c := t.Columns[column]; c != nil && c.Ephemeral {
				return nil, Syntaxf(j, "", "ephemeral columns (such as %s) may not be indexed", column)
			}
		}
		t.Indexes = append(t.Indexes, set)
	}
	return t, nil
}

// ColumnSet reads an array of distinct names of columns. _uuid and _version are such, too.
func (t *Table) ColumnSet(j any) ([]string, error) {
	wrong := Syntaxf(j, "", "array of distinct column names expected")
	list, ok := j.([]any)
	if !ok {
		return nil, wrong
	}
	set := []string{}
	for _, e := range list {
		name, ok := e.(string)
		if !ok {
			return nil, wrong
		}
		if t.Column(name) == nil {
			return nil, Syntaxf(j, "", "%s is not a valid column name", name)
		}
		if slices.Contains(set, name) {
			return nil, wrong
		}
		set = append(set, name)
	}
	return set, nil
}

// Columns that each table has (RFC 7047, section 3.2).
var (
	uuidColumn    = &Column{Name: "_uuid", Type: ColumnType{Key: BaseType{Type: UUIDs}, Min: 1, Max: 1}, Fixed: true}
	versionColumn = &Column{Name: "_version", Type: ColumnType{Key: BaseType{Type: UUIDs}, Min: 1, Max: 1},
		Fixed: true, Ephemeral: true}
)

// Column finds a column by name, those that each table has included; nil if there is none.
func (t *Table) Column(name string) *Column {
	switch name {
	case uuidColumn.Name:
		return uuidColumn
	case versionColumn.Name:
		return versionColumn
	}
	return t.Columns[name]
}

func columnFromJSON(name string, j any) (*Column, error) {
	o := NewObject(j, "schema for column "+name)
	mutable := o.Member("mutable", IsBoolean|IsOptional)
	ephemeral, _ := o.Member("ephemeral", IsBoolean|IsOptional).(bool)
	what := o.Member("type", IsString|IsObject)
	if err := o.Finish(); err != nil {
		return nil, err
	}
	c := &Column{Name: name, Ephemeral: ephemeral, Fixed: mutable == false}
	var err error
	if c.Type, err = TypeFromJSON(what); err != nil {
		return nil, err
	}
	if c.Type.weak() {
		c.Fixed = false // a row that is referred to may go, and its references with it
	}
	return c, nil
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

// JSON is the schema as the protocol gives it (get_schema), and as Open vSwitch writes it: what has its default is left
// out.
func (s *Schema) JSON() map[string]any {
	tables := map[string]any{}
	all := true
	for _, t := range s.Tables {
		all = all && t.IsRoot
	}
	for name, t := range s.Tables {
		tables[name] = t.json(all)
	}
	out := map[string]any{"name": s.Name, "tables": tables}
	if s.Version != "" {
		out["version"] = s.Version
	}
	if s.Cksum != "" {
		out["cksum"] = s.Cksum
	}
	return out
}

// json leaves isRoot out where all tables are roots, for readers that don't know it.
func (t *Table) json(allRoots bool) map[string]any {
	columns := map[string]any{}
	for name, c := range t.Columns {
		columns[name] = c.json()
	}
	out := map[string]any{"columns": columns}
	if t.Fixed {
		out["mutable"] = false
	}
	if t.IsRoot != allRoots {
		out["isRoot"] = t.IsRoot
	}
	if t.MaxRows != Unlimited {
		out["maxRows"] = t.MaxRows
	}
	if len(t.Indexes) > 0 {
		out["indexes"] = t.Indexes
	}
	return out
}

// TableFromJSON reads a table's schema, for tests and tools. Errors are of type *Error.
func TableFromJSON(name string, j any) (*Table, error) { return tableFromJSON(name, j) }

// ColumnFromJSON reads a column's schema. Errors are of type *Error.
func ColumnFromJSON(name string, j any) (*Column, error) { return columnFromJSON(name, j) }

// JSON is a table's schema; isRoot is left out where it is the default.
func (t *Table) JSON(rootByDefault bool) map[string]any { return t.json(rootByDefault) }

// JSON is a column's schema.
func (c *Column) JSON() map[string]any { return c.json() }

func (c *Column) json() map[string]any {
	out := map[string]any{"type": c.Type.JSON()}
	if c.Fixed {
		out["mutable"] = false
	}
	if c.Ephemeral {
		out["ephemeral"] = true
	}
	return out
}
