package host

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"ri/attach"
	"ri/instruments/lang"
	"ri/instruments/rows"
	"ri/symbols"
	"ri/values"
	"ri/values/heap"
)

// Prompt is a host whose scripts are the lines that somebody types: each finds the globals that the lines before it
// left.
type Prompt struct {
	*Host
	globals *lua.LTable // that all lines have
	left    map[lua.LValue]lua.LValue
	named   bool // the line that ran last is no name of nothing
}

// NewPrompt makes a prompt on which no line has run. Close it after use.
func NewPrompt(opt Options) *Prompt {
	h := New(opt)
	return &Prompt{Host: h, globals: h.lua.NewTable(), left: map[lua.LValue]lua.LValue{}}
}

// LineOptions are what a look gives to one line.
type LineOptions struct {
	Sink    rows.Sink
	Limits  Limits
	View    attach.ViewKind
	Again   func(context.Context, time.Duration, attach.ViewKind) (over, err error)
	Bulk    func() bool
	MayBulk func() error
	Answers func() *heap.Answers
	Taken   func([]lua.LValue) // gets what the line returns, in the place of the sink; nil: it is printed
}

// soleName is a line that is a name, perhaps of a function of ri.
var soleName = regexp.MustCompile(`^\s*(?:ri\.)?([A-Za-z_]\w*)\s*$`)

// RunLine runs a line's script on copies of the globals that the lines before left, so that it may run more than once.
// Keep keeps what it leaves.
func (p *Prompt) RunLine(ctx context.Context, script *Script, opt LineOptions) error {
	h := p.Host
	h.opt.Sink, h.opt.Again, h.opt.Bulk, h.opt.MayBulk = opt.Sink, opt.Again, opt.Bulk, opt.MayBulk
	h.opt.Answers = opt.Answers
	h.opt.Limits, h.opt.Target.View = opt.Limits.WithDefaults(), opt.View
	h.Forget()
	p.named = true
	return h.limited(ctx, func() error {
		h.script, h.given, h.columns, h.unknown = script, given{}, nil, unknown{}
		h.freshEnvironment()
		p.inherit()
		h.params = h.lua.NewTable()
		h.exposePackages(script.packages)
		results, err := h.callScript(script, lua.MultRet)
		if err != nil {
			return err
		}
		if opt.Taken != nil {
			opt.Taken(results)
			return nil
		}
		if len(results) == 0 {
			return nil
		}
		if name := soleName.FindStringSubmatch(script.Source); name != nil && len(results) == 1 && results[0] == lua.LNil &&
			h.unknown.name == name[1] {
			p.named = false
			opt.Sink.Log(fmt.Sprintf("there is no variable, package or function %s%s", strings.TrimSpace(script.Source),
				h.meant(h.unknown)))
		}
		texts := make([]string, len(results))
		for i, v := range results {
			texts[i] = h.dumpLua(v, values.DumpOptions{Depth: 2}, 0)
		}
		return h.print(nil, strings.ReplaceAll(strings.Join(texts, "\n"), "\t", "    "))
	})
}

// Target says what the lines look at.
func (p *Prompt) Target() TargetInfo { return p.opt.Target }

// Named tells whether the line that ran last was more than a name of nothing.
func (p *Prompt) Named() bool { return p.named }

// Left tells whether a line left a global of this name.
func (p *Prompt) Left(name string) bool { _, ok := p.left[lua.LString(name)]; return ok }

// inherit makes the fresh globals, and copies of what the lines before left, the globals of all lines: functions of
// those see what follows.
func (p *Prompt) inherit() {
	fresh := p.lua.Env
	for _, k := range lang.KeysOf(p.globals) {
		p.globals.RawSet(k, lua.LNil)
	}
	fresh.ForEach(func(k, v lua.LValue) { p.globals.RawSet(k, v) })
	p.globals.RawSetString("_G", p.globals)
	p.globals.Metatable = fresh.Metatable
	seen := map[*lua.LTable]*lua.LTable{}
	for k, v := range p.left {
		p.globals.RawSet(k, p.copyLeft(v, seen, 0))
	}
	p.lua.Env = p.globals
}

// copyLeft copies tables, so that a line that is run more than once finds each time what the line before left.
func (p *Prompt) copyLeft(v lua.LValue, seen map[*lua.LTable]*lua.LTable, depth int) lua.LValue {
	t, ok := v.(*lua.LTable)
	if !ok || depth > 64 {
		return v
	}
	if done := seen[t]; done != nil {
		return done
	}
	dup := p.lua.NewTable()
	seen[t] = dup
	dup.Metatable = t.Metatable
	for k, e := t.Next(lua.LNil); k != lua.LNil; k, e = t.Next(k) {
		dup.RawSet(k, p.copyLeft(e, seen, depth+1))
	}
	return dup
}

// Keep keeps what the line that ran last has left in the globals.
func (p *Prompt) Keep() {
	known := map[lua.LValue]bool{lua.LString("_G"): true}
	library := p.lua.G.Global
	for _, k := range lang.KeysOf(library) {
		known[k] = true
	}
	p.left = map[lua.LValue]lua.LValue{}
	for _, k := range lang.KeysOf(p.globals) {
		v := p.globals.RawGet(k)
		if known[k] {
			if _, isTable := v.(*lua.LTable); isTable || v == library.RawGet(k) {
				continue // a library's own; what takes its place is kept
			}
		}
		p.left[k] = v
	}
}

// IsLibrary tells whether Lua, or ri, has a global of this name.
func (p *Prompt) IsLibrary(name string) bool { return p.lua.G.Global.RawGetString(name) != lua.LNil }

// maxMembers bounds the keys of a map that are given as names after its dot.
const maxMembers = 2000

// Names are Lua's words, the globals of Lua and ri, those that lines left, and the program's packages.
func (p *Prompt) Names() []string {
	names := slices.Clone(lang.LuaWords)
	for _, k := range lang.KeysOf(p.lua.G.Global) {
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
				if key, _, err := e.Key.Text(64); err == nil && lang.LastWord.FindString(key) == key {
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
		for _, k := range lang.KeysOf(v) {
			if name := k.String(); !strings.HasPrefix(name, "__") {
				names = append(names, name)
			}
		}
	case lua.LString:
		if method {
			library, _ := p.lua.Env.RawGetString("string").(*lua.LTable)
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
		case *walkedHeap:
			names = slices.Clone(heapMethods)
		}
	}
	return slices.DeleteFunc(names, func(n string) bool { return lang.LastWord.FindString(n) != n })
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

// keyName is a key of a table or map. Text is what stands between the quotes of a string in Lua, else what Go prints.
type keyName struct {
	Text     string
	IsString bool
}

// Keys are keys of a table or map, at most max of a map.
func (p *Prompt) Keys(v lua.LValue, max int) (keys []keyName) {
	if t, ok := v.(*lua.LTable); ok {
		for _, k := range lang.KeysOf(t) {
			if s, ok := k.(lua.LString); ok {
				keys = append(keys, keyName{lang.LuaQuote(string(s)), true})
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
			keys = append(keys, keyName{lang.LuaQuote(key), true})
		} else if err != nil {
			keys = append(keys, keyName{Text: text})
		}
	}
	return keys
}
