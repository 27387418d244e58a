package host

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/rows"
	"ri/symbols"
	"ri/values"
)

// maxMembers bounds the keys of a map that are given as names after its dot.
const maxMembers = 2000

// Names are Lua's words, the globals of Lua and ri, those that lines left, and the program's packages.
func (p *Prompt) Names() []string {
	names := slices.Clone(LuaWords)
	for _, k := range KeysOf(p.Lua.G.Global) {
		names = append(names, k.String())
	}
	for k := range p.left {
		names = append(names, k.String())
	}
	return append(names, rows.SortedKeys(p.PackageNames())...)
}

// Members are the names that a value's dot reads.
func (p *Prompt) Members(v lua.LValue, method bool) (names []string) {
	if r, ok := refOf(v); ok {
		if t := r.binding.structure(); t != nil {
			return FieldNames(t)
		}
		target := r.value()
		if target.Type.Kind == reflect.Map {
			for e, err := range target.Entries() {
				if err != nil || len(names) > maxMembers {
					break
				}
				if key, _, err := e.Key.Text(64); err == nil && LastWord.FindString(key) == key {
					names = append(names, key)
				}
			}
		}
		return names
	}
	if at, ok := placeOf(v); ok {
		return FieldNames(at.value.Type)
	}
	switch v := v.(type) {
	case *lua.LTable:
		for _, k := range KeysOf(v) {
			if name := k.String(); !strings.HasPrefix(name, "__") {
				names = append(names, name)
			}
		}
	case lua.LString:
		if method {
			library, _ := p.Lua.Env.RawGetString("string").(*lua.LTable)
			if library != nil {
				return p.Members(library, false)
			}
		}
	case *lua.LUserData:
		switch v.Value.(type) {
		case *goroutine:
			names = []string{"id", "addr", "status", "wait_reason", "wait", "parent", "created_by", "start", "thread", "system"}
			if method {
				names = []string{"stack", "locals", "labels", "outermost"}
			}
		case *heap:
			names = slices.Clone(heapMethods)
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return LastWord.FindString(n) != n })
}

// FieldNames are a struct's fields, promoted ones too.
func FieldNames(t *symbols.Type) (names []string) {
	for range 4 {
		if t.Kind == reflect.Pointer && t.Elem() != nil {
			t = t.Elem()
		}
	}
	seen := map[*symbols.Type]bool{}
	var add func(t *symbols.Type, depth int)
	add = func(t *symbols.Type, depth int) {
		if t.Kind == reflect.Pointer && t.Elem() != nil {
			t = t.Elem()
		}
		if t.Kind != reflect.Struct || seen[t] || depth > 8 {
			return
		}
		seen[t] = true
		for _, f := range t.Fields() {
			if f.Name != "_" {
				names = append(names, f.Name)
			}
			if f.Embedded {
				add(f.Type, depth+1)
			}
		}
	}
	add(t, 0)
	return names
}

// ElementFields are the fields of what a list or map has in it, even if nothing is in it now.
func (p *Prompt) ElementFields(v lua.LValue) []string {
	if r, ok := refOf(v); ok && r.value().Type.Elem() != nil {
		return FieldNames(r.value().Type.Elem())
	}
	return nil
}

// MapKey is a key of a table or map. Text is what stands between the quotes of a string in Lua, else what Go prints.
type MapKey struct {
	Text     string
	IsString bool
}

// Keys are keys of a table or map, at most max of a map.
func (p *Prompt) Keys(v lua.LValue, max int) (keys []MapKey) {
	if t, ok := v.(*lua.LTable); ok {
		for _, k := range KeysOf(t) {
			if s, ok := k.(lua.LString); ok {
				keys = append(keys, MapKey{LuaQuote(string(s)), true})
			}
		}
	}
	r, ok := refOf(v)
	if !ok || r.value().Type.Kind != reflect.Map {
		return keys
	}
	for e, err := range r.value().Entries() {
		if err != nil || len(keys) >= max {
			break
		}
		text := e.Key.Dump(values.DumpOptions{OneLine: true, Depth: 1, Bytes: 256})
		if key, err := strconv.Unquote(text); err == nil && text[0] == '"' {
			keys = append(keys, MapKey{LuaQuote(key), true})
		} else if err != nil {
			keys = append(keys, MapKey{Text: text})
		}
	}
	return keys
}
