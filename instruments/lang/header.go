package lang

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/rows"
	"ri/values/layout"
)

// Header is what an instrument declares of itself.
type Header struct {
	Title       string
	Description string
	Category    string
	Params      []Param
	Needs       Needs
	Columns     []rows.Column
	Profile     []rows.ProfileValue // what the numbers of its samples are; none: it gives no stacks
	Sample      string              // sample output, as a table
	Probes      []Probe             // what it traces; none: it looks
	Modules     []string            // what it reaches outside of the process by: ModuleNames
	OneOf       []string            // parameters of which at least one has to be given
	Less        bool                // it answers on live memory too, where a copy can't be had within the limits
	Line        int                 // of the table that the file returns
}

// Needs is what must be in a program for the instrument to fit it.
type Needs struct {
	Vars   []string // package variables
	Types  []string
	Fields []string // type and field: "main.Object.fid"
	Funcs  []string
	// Runtime is structures of the Go runtime, by the names that package layout gives them: "goroutine", "queue".
	Runtime []string
}

// ParamType is the type of a parameter.
type ParamType string

const (
	ParamString   ParamType = "string"
	ParamInt      ParamType = "int"
	ParamFloat    ParamType = "float"
	ParamBool     ParamType = "bool"
	ParamDuration ParamType = "duration" // Lua: nanoseconds, as Go's time.Duration reads
	ParamExpr     ParamType = "expr"     // Lua: the text, for ri.eval
	ParamHit      ParamType = "hit"      // of a probe: a Go expression over a hit, as ri trace --when and --show take it
	ParamGoType   ParamType = "type"     // Lua: the name
	ParamAddress  ParamType = "address"  // Lua: an integer
	ParamEnum     ParamType = "enum"     // Lua: one of Values
	ParamEnums    ParamType = "enums"    // Lua: the text, some of Values with commas between, or ""
)

var paramTypes = []ParamType{ParamString, ParamInt, ParamFloat, ParamBool, ParamDuration, ParamExpr, ParamHit,
	ParamGoType, ParamAddress, ParamEnum, ParamEnums}

// Param is a declared parameter.
type Param struct {
	Name     string
	Type     ParamType
	Default  any      // nil: none. string, int64, float64, bool, time.Duration or (address) uint64
	Min, Max any      // nil: none. int64, float64 or time.Duration, as Type
	Values   []string // of an enum; of a string that is a filter, what it may choose from
	Required bool
	Help     string
	Line     int
}

// headerKeys are the keys of the table that an instrument returns.
var headerKeys = []string{"title", "description", "category", "params", "one_of", "needs", "columns",
	"profile", "sample", "less", "probes", "modules", "run"}

// ModuleNames are the modules that reach outside of the process.
var ModuleNames = []string{"file", "http", "ovsdb"}

// headerDecoder turns a Lua table into a Header; every oddity is an error with a line.
type headerDecoder struct {
	path  string
	lines map[string]int // of each key, where the table is written out
	errs  []error
}

// DecodeHeader reads what the file returned. lines may be empty.
func DecodeHeader(path string, table *lua.LTable, lines map[string]int) (*Header, error) {
	d := &headerDecoder{path: path, lines: lines}
	h := &Header{Line: lines[""]}
	d.keys(table, "", headerKeys...)
	h.Title = d.text(table, "", "title")
	h.Description = strings.TrimSpace(d.text(table, "", "description"))
	h.Category = d.text(table, "", "category")
	h.Sample = strings.Trim(d.text(table, "", "sample"), "\n")
	if h.Title == "" {
		d.fail("title", "title is missing")
	}
	if run := table.RawGetString("run"); run.Type() != lua.LTFunction {
		d.fail("run", "run must be a function, is %s", run.Type())
	}
	d.each(table, "params", func(key string, t *lua.LTable) { h.Params = append(h.Params, d.param(key, t)) })
	d.each(table, "columns", func(key string, t *lua.LTable) { h.Columns = append(h.Columns, d.column(key, t)) })
	d.each(table, "profile", func(key string, t *lua.LTable) { h.Profile = append(h.Profile, d.profileValue(key, t)) })
	h.Less = d.truth(table, "", "less")
	d.each(table, "probes", func(key string, t *lua.LTable) { h.Probes = append(h.Probes, d.probe(key, t)) })
	d.checkProbes(h)
	for _, m := range d.texts(table, "", "modules") {
		if !slices.Contains(ModuleNames, m) {
			d.fail("modules", "there is no module %q that reaches outside of the process: %s", m, joinWords(ModuleNames))
		}
		h.Modules = append(h.Modules, m)
	}
	h.Needs = d.needs(table)
	h.OneOf = d.texts(table, "", "one_of")
	for _, name := range h.OneOf {
		if !slices.ContainsFunc(h.Params, func(p Param) bool { return p.Name == name && !p.Required && p.Default == nil }) {
			d.fail("one_of", "there is no parameter %q without a default that needn't be given", name)
		}
	}
	d.unique("parameter", "params", len(h.Params), func(i int) string { return h.Params[i].Name })
	d.unique("column", "columns", len(h.Columns), func(i int) string { return h.Columns[i].Name })
	if len(d.errs) > 0 {
		return nil, errors.Join(d.errs...)
	}
	return h, nil
}

func (d *headerDecoder) param(key string, t *lua.LTable) Param {
	d.keys(t, key, "name", "type", "default", "min", "max", "values", "required", "help")
	p := Param{
		Name: d.text(t, key, "name"), Help: d.text(t, key, "help"), Type: ParamType(d.text(t, key, "type")),
		Required: d.truth(t, key, "required"), Values: d.texts(t, key, "values"), Line: d.line(key),
	}
	d.identifier(key, "parameter", p.Name)
	if !slices.Contains(paramTypes, p.Type) {
		d.fail(key+".type", "parameter %s: unknown type %q; there are %s", p.Name, p.Type, joinWords(paramTypes))
		return p
	}
	if enum := p.Type == ParamEnum || p.Type == ParamEnums; enum != (len(p.Values) > 0) && p.Type != ParamString {
		d.fail(key+".values", "parameter %s: values belong to type enum, enums or string, and only there", p.Name)
	}
	p.Default = d.paramValue(t, key, "default", &p)
	d.paramRange(t, key, &p)
	if p.Default != nil && p.Required {
		d.fail(key+".required", "parameter %s: is required, so its default can't be used", p.Name)
	}
	if text, ok := p.Default.(string); ok && len(p.Values) > 0 && p.Type == ParamEnum && !slices.Contains(p.Values, text) {
		d.fail(key+".default", "parameter %s: the default %q is none of its values", p.Name, text)
	}
	return p
}

// paramRange reads a parameter's bounds.
func (d *headerDecoder) paramRange(t *lua.LTable, key string, p *Param) {
	ranged := p.Type == ParamInt || p.Type == ParamFloat || p.Type == ParamDuration
	for _, bound := range []struct {
		name string
		to   *any
	}{{"min", &p.Min}, {"max", &p.Max}} {
		if t.RawGetString(bound.name) != lua.LNil && !ranged {
			d.fail(key+"."+bound.name, "parameter %s: type %s has no %s", p.Name, p.Type, bound.name)
			continue
		}
		*bound.to = d.paramValue(t, key, bound.name, p)
	}
	if p.Min != nil && p.Max != nil && compareParam(p.Min, p.Max) > 0 {
		d.fail(key+".min", "parameter %s: min is above max", p.Name)
	} else if p.Default != nil && (p.Min != nil && compareParam(p.Default, p.Min) < 0 || p.Max != nil &&
		compareParam(p.Default, p.Max) > 0) {
		d.fail(key+".default", "parameter %s: the default is out of its own range", p.Name)
	}
}

// paramValue reads a default or bound in the parameter's own type.
func (d *headerDecoder) paramValue(t *lua.LTable, key, field string, p *Param) any {
	switch v := t.RawGetString(field).(type) {
	case *lua.LNilType:
		return nil
	case lua.LBool:
		if p.Type == ParamBool {
			return bool(v)
		}
	case lua.LNumber:
		whole, integral := WholeNumber(v)
		switch {
		case p.Type == ParamFloat:
			return float64(v)
		case p.Type == ParamInt && integral:
			return whole
		case p.Type == ParamDuration && integral:
			return time.Duration(whole)
		case p.Type == ParamAddress && integral && whole >= 0:
			return uint64(whole)
		}
	case lua.LString:
		switch p.Type {
		case ParamString, ParamExpr, ParamHit, ParamGoType, ParamEnum, ParamEnums:
			return string(v)
		case ParamDuration:
			if span, err := time.ParseDuration(string(v)); err == nil {
				return span
			}
		}
	}
	d.fail(key+"."+field, "parameter %s: %s %s is no %s", p.Name, field, LuaText(t.RawGetString(field)), p.Type)
	return nil
}

func compareParam(a, b any) int {
	asFloat := func(v any) float64 {
		switch v := v.(type) {
		case int64:
			return float64(v)
		case time.Duration:
			return float64(v)
		case float64:
			return v
		}
		return 0
	}
	x, y := asFloat(a), asFloat(b)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func (d *headerDecoder) column(key string, t *lua.LTable) rows.Column {
	d.keys(t, key, "name", "help", "type", "align", "width", "cut", "optional", "hidden", "key", "change")
	c := rows.Column{
		Name: d.text(t, key, "name"), Help: d.text(t, key, "help"), Type: rows.ColumnType(d.text(t, key, "type")),
		Align: d.text(t, key, "align"), Cut: d.text(t, key, "cut"), Optional: d.truth(t, key, "optional"),
		Hidden: d.truth(t, key, "hidden"), Change: d.truth(t, key, "change"),
		Key: d.columnKey(t, key), Line: d.line(key),
	}
	d.identifier(key, "column", c.Name)
	if c.Type != rows.ColumnAny && !slices.Contains(rows.ColumnTypes, c.Type) {
		d.fail(key+".type", "column %s: unknown type %q; there are %s", c.Name, c.Type, joinWords(rows.ColumnTypes))
	}
	if c.Key != rows.NoKey && (c.Type == rows.ColumnFloat || c.Type == rows.ColumnDuration) {
		d.fail(key+".key", "column %s: a measure is no key: in the next look the same thing has another one", c.Name)
	}
	if c.Align != "" && c.Align != "left" && c.Align != "right" {
		d.fail(key+".align", "column %s: align is left or right, not %q", c.Name, c.Align)
	}
	if c.Cut != "" && c.Cut != "left" && c.Cut != "right" {
		d.fail(key+".cut", "column %s: cut is left or right, not %q", c.Name, c.Cut)
	}
	switch w := t.RawGetString("width").(type) {
	case *lua.LNilType:
	case lua.LNumber:
		width, integral := WholeNumber(w)
		if !integral || width < 1 || width > 10000 {
			d.fail(key+".width", "column %s: width is an integer from 1 to 10000", c.Name)
		}
		c.Width = int(width)
	default:
		d.fail(key+".width", "column %s: width must be a number, is %s", c.Name, w.Type())
	}
	return c
}

// columnKey reads key = true, or key = "alone".
func (d *headerDecoder) columnKey(t *lua.LTable, key string) rows.Key {
	switch v := t.RawGetString("key"); v {
	case lua.LNil, lua.LFalse:
	case lua.LTrue:
		return rows.KeyPart
	case lua.LString("alone"):
		return rows.KeyAlone
	default:
		d.fail(key+".key", "%s.key is true or \"alone\", not %s", key, LuaText(v))
	}
	return rows.NoKey
}

func (d *headerDecoder) profileValue(key string, t *lua.LTable) rows.ProfileValue {
	d.keys(t, key, "type", "unit")
	v := rows.ProfileValue{Type: d.text(t, key, "type"), Unit: d.text(t, key, "unit")}
	if v.Type == "" || v.Unit == "" {
		d.fail(key, "%s needs a type and a unit: {type = 'goroutine', unit = 'count'}", key)
	}
	return v
}

func (d *headerDecoder) needs(table *lua.LTable) (n Needs) {
	switch t := table.RawGetString("needs").(type) {
	case *lua.LNilType:
	case *lua.LTable:
		d.keys(t, "needs", "vars", "types", "fields", "funcs", "runtime")
		n = Needs{Vars: d.texts(t, "needs", "vars"), Types: d.texts(t, "needs", "types"),
			Fields: d.texts(t, "needs", "fields"), Funcs: d.texts(t, "needs", "funcs"),
			Runtime: d.texts(t, "needs", "runtime")}
		for i, f := range n.Fields {
			if !strings.Contains(f, ".") {
				d.fail(fmt.Sprintf("needs.fields[%d]", i+1), "needs: field %q has no type before it (main.Object.fid)", f)
			}
		}
		for i, name := range n.Runtime {
			if !slices.Contains(layout.Groups(), name) {
				d.fail(fmt.Sprintf("needs.runtime[%d]", i+1),
					"needs: ri knows no structures of the runtime named %q%s; it knows %s", name,
					rows.DidYouMean(name, layout.Groups()),
					strings.Join(layout.Groups(), ", "))
			}
		}
	default:
		d.fail("needs", "needs must be a table, is %s", t.Type())
	}
	return n
}

// None tells whether nothing is asked of the program's names.
func (n Needs) None() bool { return len(n.Vars)+len(n.Types)+len(n.Fields)+len(n.Runtime) == 0 }

// What the header decoder reads from tables: each reader takes the table's own key path,
// so that the error has the line of what is wrong.

var identifierPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

func (d *headerDecoder) fail(key, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if line := d.line(key); line > 0 {
		d.errs = append(d.errs, fmt.Errorf("%s:%d: %s", d.path, line, text))
	} else {
		d.errs = append(d.errs, fmt.Errorf("%s: %s", d.path, text))
	}
}

// line of the key, or of the innermost table around it that was written out.
func (d *headerDecoder) line(key string) int {
	for {
		if line := d.lines[key]; line > 0 || key == "" {
			return line
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
}

func keyPath(key, field string) string {
	if key == "" {
		return field
	}
	return key + "." + field
}

// keys says of every key of t that isn't allowed.
func (d *headerDecoder) keys(t *lua.LTable, key string, allowed ...string) {
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		name, ok := k.(lua.LString)
		if !ok {
			d.fail(keyPath(key, "["+k.String()+"]"), "%s has an element without a key, %s", orHeader(key), LuaText(t.RawGet(k)))
			continue
		}
		if !slices.Contains(allowed, string(name)) {
			d.fail(keyPath(key, string(name)), "unknown key %q in %s; there are %s", string(name), orHeader(key),
				strings.Join(allowed, ", "))
		}
	}
}

func orHeader(key string) string {
	if key == "" {
		return "the instrument's header"
	}
	return key
}

func (d *headerDecoder) text(t *lua.LTable, key, field string) string {
	switch v := t.RawGetString(field).(type) {
	case *lua.LNilType:
	case lua.LString:
		return string(v)
	default:
		d.fail(keyPath(key, field), "%s must be a string, is %s", keyPath(key, field), v.Type())
	}
	return ""
}

func (d *headerDecoder) truth(t *lua.LTable, key, field string) bool {
	switch v := t.RawGetString(field).(type) {
	case *lua.LNilType:
	case lua.LBool:
		return bool(v)
	default:
		d.fail(keyPath(key, field), "%s must be true or false, is %s", keyPath(key, field), v.Type())
	}
	return false
}

// list reads a table with elements 1..n and nothing else.
func (d *headerDecoder) list(t *lua.LTable, key, field string) []lua.LValue {
	path := keyPath(key, field)
	switch v := t.RawGetString(field).(type) {
	case *lua.LNilType:
	case *lua.LTable:
		var elems []lua.LValue
		for k, e := v.Next(lua.LNil); k != lua.LNil; k, e = v.Next(k) {
			if n, ok := k.(lua.LNumber); !ok || int(n) != len(elems)+1 {
				d.fail(path, "%s must be a list; it has the key %s", path, LuaText(k))
				return nil
			}
			elems = append(elems, e)
		}
		return elems
	default:
		d.fail(path, "%s must be a list, is %s", path, v.Type())
	}
	return nil
}

func (d *headerDecoder) texts(t *lua.LTable, key, field string) []string {
	var texts []string
	for i, e := range d.list(t, key, field) {
		s, ok := e.(lua.LString)
		if !ok {
			path := keyPath(key, field) + "[" + strconv.Itoa(i+1) + "]"
			d.fail(path, "%s must be a string, is %s", path, e.Type())
			continue
		}
		texts = append(texts, string(s))
	}
	return texts
}

func (d *headerDecoder) each(t *lua.LTable, field string, f func(key string, t *lua.LTable)) {
	for i, e := range d.list(t, "", field) {
		key := field + "[" + strconv.Itoa(i+1) + "]"
		elem, ok := e.(*lua.LTable)
		if !ok {
			d.fail(key, "%s must be a table, is %s", key, e.Type())
			continue
		}
		f(key, elem)
	}
}

func (d *headerDecoder) identifier(key, what, name string) {
	if !identifierPattern.MatchString(name) {
		d.fail(key+".name", "%s name %q is no name: letters, digits, _, - and . only", what, name)
	}
}

func (d *headerDecoder) unique(what, field string, n int, name func(int) string) {
	seen := map[string]bool{}
	for i := range n {
		if seen[name(i)] && name(i) != "" {
			d.fail(field+"["+strconv.Itoa(i+1)+"]", "%s %s is declared twice", what, name(i))
		}
		seen[name(i)] = true
	}
}

func joinWords[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}

// LuaText shows a Lua value in a message.
func LuaText(v lua.LValue) string {
	switch v := v.(type) {
	case lua.LString:
		text := string(v)
		if len(text) > 60 {
			text = text[:60] + "..."
		}
		return strconv.Quote(text)
	case *lua.LTable, *lua.LFunction, *lua.LUserData, *lua.LState:
		return "a " + v.Type().String()
	}
	return v.String()
}

// WholeNumber gives the integer that a Lua number is, if it is one that Lua holds exactly.
func WholeNumber(v lua.LNumber) (int64, bool) {
	if v != lua.LNumber(int64(v)) || v > MaxPlain || v < -MaxPlain {
		return 0, false
	}
	return int64(v), true
}

// MaxPlain is the largest integer up to which every integer is a Lua number (float64).
const MaxPlain = 1 << 53
