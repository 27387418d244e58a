package host

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

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
			d.fail(keyPath(key, "["+k.String()+"]"), "%s has an element without a key, %s", orHeader(key), luaText(t.RawGet(k)))
			continue
		}
		if !slices.Contains(allowed, string(name)) {
			d.fail(keyPath(key, string(name)), "unknown key %q in %s; there are %s", string(name), orHeader(key), strings.Join(allowed, ", "))
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
				d.fail(path, "%s must be a list; it has the key %s", path, luaText(k))
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

// luaText shows a Lua value in a message.
func luaText(v lua.LValue) string {
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

// wholeNumber gives the integer that a Lua number is, if it is one that Lua holds exactly.
func wholeNumber(v lua.LNumber) (int64, bool) {
	if v != lua.LNumber(int64(v)) || v > maxPlain || v < -maxPlain {
		return 0, false
	}
	return int64(v), true
}

// maxPlain is the largest integer up to which every integer is a Lua number (float64).
const maxPlain = 1 << 53
