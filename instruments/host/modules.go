package host

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/lang"
	"ri/values/walk"
)

// loadingModule marks a module whose file is being run.
var loadingModule = lua.LString("(loading)")

// require loads a module from the script folders, once: require 'list' is list.lua or lib/list.lua.
func (h *Host) require(L *lua.LState) int {
	name := L.CheckString(1)
	m, err := findModule(name, h.opt.Folders, h.requiring, h.script)
	if errors.Is(err, fs.ErrNotExist) {
		if t := h.outsideModule(name); t != nil {
			L.Push(t)
			return 1
		}
	}
	if err != nil {
		if !h.trusting || !errors.Is(err, fs.ErrNotExist) {
			h.raise(L, err)
		}
		L.Push(h.placeholder(name))
		return 1
	}
	value, err := h.loadModule(L, m)
	if err != nil {
		h.raise(L, err)
	}
	L.Push(value)
	return 1
}

// module is the file of a module.
type module struct {
	folder int // of the folders of scripts
	file   string
	source string
}

// loadModule runs a module's file, unless it was run before.
func (h *Host) loadModule(L *lua.LState, m module) (lua.LValue, error) {
	key := moduleKey{m.folder, m.file}
	switch value := h.modules[key]; value {
	case nil:
	case loadingModule:
		return nil, errors.New("require: module " + m.file + " requires itself")
	default:
		return value, nil
	}
	proto, err := compiledModules.compile(m.file, m.source, h.tokens())
	if err != nil {
		return nil, err
	}
	h.modules[key] = loadingModule
	loading, requiring := h.loading, h.requiring
	h.loading, h.requiring = true, m.folder
	defer func() {
		h.loading, h.requiring = loading, requiring
		if h.modules[key] == loadingModule {
			delete(h.modules, key)
		}
	}()
	L.Push(h.lua.NewFunctionFromProto(proto))
	L.Call(0, 1)
	value := L.Get(-1)
	L.Pop(1)
	if value == lua.LNil {
		value = lua.LTrue
	}
	h.modules[key] = value
	return value, nil
}

// moduleKey is which module it is: two folders may have files of one name.
type moduleKey struct {
	folder int
	file   string
}

// compiledModules are the modules of all machines: ri recipes runs some seventy scripts that require the same few.
var compiledModules moduleCache

// moduleCache keeps compiled modules, which machines may share, by name and text.
type moduleCache struct {
	mu    sync.Mutex
	bytes int
	kept  map[[2]string]*lua.FunctionProto
}

// mostModules bounds the cache, in bytes of source.
const mostModules = 4 << 20

func (c *moduleCache) compile(file, source string, tokens bool) (*lua.FunctionProto, error) {
	if tokens {
		return lang.CompileForTokens(file, source)
	}
	key := [2]string{file, source}
	c.mu.Lock()
	proto := c.kept[key]
	c.mu.Unlock()
	if proto != nil {
		return proto, nil
	}
	proto, _, err := lang.CompileLua(file, source)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || c.bytes > mostModules {
		c.kept, c.bytes = map[[2]string]*lua.FunctionProto{}, 0
	}
	c.kept[key], c.bytes = proto, c.bytes+len(source)
	return proto, nil
}

// findModule finds a module's file. Names have no way out of the folders. What a module requires is looked for where it
// lies itself, first: whatever lies beside a script, the modules that ri brings find each other. The script itself is
// no module: timers.lua may require the timers of the library.
func findModule(name string, folders []fs.FS, requiring int, script *Script) (module, error) {
	clean := strings.TrimSuffix(name, ".lua")
	if !strings.Contains(clean, "/") {
		clean = strings.ReplaceAll(clean, ".", "/")
	}
	if !fs.ValidPath(clean) || clean == "." || strings.ContainsAny(clean, "\\\x00:") {
		return module{}, errors.New("require: " + lang.LuaText(lua.LString(name)) +
			" is no module name: it stays inside the script folders")
	}
	for at := range folders {
		at = (at + requiring) % len(folders)
		for _, file := range []string{clean + ".lua", path.Join("lib", clean) + ".lua"} {
			if at == 0 && script != nil && script.Path == file {
				continue
			}
			data, err := fs.ReadFile(folders[at], file)
			if err == nil {
				return module{at, file, string(data)}, nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return module{}, err
			}
		}
	}
	return module{}, &moduleError{name}
}

// moduleError: there is no such module.
type moduleError struct{ name string }

func (e *moduleError) Error() string {
	return "require: no module " + lang.LuaText(lua.LString(e.name)) + " in the script folders"
}
func (e *moduleError) Unwrap() error { return fs.ErrNotExist }

// placeholder stands for a module while a header is read without the folders.
func (h *Host) placeholder(name string) lua.LValue {
	meta := h.lua.NewTable()
	refuse := h.function(func(L *lua.LState) int {
		L.RaiseError("module %q is not available while the file loads", name)
		return 0
	})
	meta.RawSetString("__index", refuse)
	meta.RawSetString("__call", refuse)
	t := h.lua.NewTable()
	t.Metatable = meta
	return t
}

// Walkers are Lua functions that go through a type's values: each module of lib/ has a table
// `walkers`, from a type's name (without type arguments) to a function that gives an iterator.

// walker finds the walker of a type, or nil.
func (h *Host) walker(L *lua.LState, b *binding) (*lua.LFunction, error) {
	if h.walkers == nil {
		if err := h.loadWalkers(L); err != nil {
			return nil, err
		}
	}
	name, _, _ := strings.Cut(b.goType.Name, "[")
	return h.walkers[name], nil
}

func (h *Host) loadWalkers(L *lua.LState) error {
	h.walkers = map[string]*lua.LFunction{}
	for at, folder := range h.opt.Folders {
		files, err := fs.Glob(folder, "lib/*.lua")
		if err != nil {
			return err
		}
		for _, file := range files {
			source, err := fs.ReadFile(folder, file)
			if err != nil {
				return err
			}
			loaded, err := h.loadModule(L, module{at, file, string(source)})
			if err != nil {
				return err
			}
			table, ok := loaded.(*lua.LTable)
			if !ok {
				continue
			}
			if walkers, ok := table.RawGetString("walkers").(*lua.LTable); ok {
				walkers.ForEach(func(k, v lua.LValue) {
					if f, ok := v.(*lua.LFunction); ok && h.walkers[k.String()] == nil {
						h.walkers[k.String()] = f
					}
				})
			}
		}
	}
	return nil
}

func (h *Host) walkerNames() string {
	names := make([]string, 0, len(h.walkers))
	for n := range h.walkers {
		names = append(names, n)
	}
	sort.Strings(names)
	if len(names) == 0 {
		return ""
	}
	return ", " + strings.Join(names, ", ")
}

// riLinked goes along a chain of structs in Go. Reductions take it, too, where all nodes are of one type. A chain that
// leads back into itself ends with an error: found by Brent's algorithm, which compares each node with one seen before
// and needs neither a counter nor memory.
func (h *Host) riLinked(L *lua.LState) int {
	name := L.CheckString(2)
	node, ok := refOf(L.Get(1))
	if !ok && L.Get(1) != lua.LNil {
		L.ArgError(1, "a Go value expected, got "+h.describe(L.Get(1)))
	}
	value, head := L.Get(1), node
	var marked uint64
	i, power, steps := 0, 1, 0
	var field linkField
	L.Push(h.declare(func(L *lua.LState) int {
		if value == nil { // go on from the node given last
			next, err := h.nextNode(L, node, name, &field)
			if err != nil {
				h.raise(L, err)
			}
			value = next
		}
		if value == lua.LNil {
			return 0
		}
		h.check(L)
		next, ok := refOf(value)
		if !ok {
			L.RaiseError("%s.%s leads to %s, not to a node", node.path(), name, h.describe(value))
		}
		node = next
		if node.addr == marked {
			h.raise(L, &pathError{node.path(), fmt.Errorf("the list is a ring: after %d nodes it is at 0x%x again", i,
				node.addr)})
		}
		if steps == power || marked == 0 {
			if marked != 0 {
				power, steps = power*2, 0
			}
			marked = node.addr
		}
		steps++
		L.Push(lua.LNumber(i))
		L.Push(value)
		i++
		value = nil
		return 2
	}, func() (*way, error) {
		if head == nil {
			return &way{}, nil
		}
		w, err := walk.Linked(head.value(), name)
		if err != nil {
			return nil, &pathError{head.path(), err}
		}
		return h.checked(&way{Walk: w, root: head, path: head.path()}), nil
	}))
	return 1
}

// linkField is the field along which a chain goes, compiled for the type of the node before.
type linkField struct {
	of *binding
	at *accessor
}

func (h *Host) nextNode(L *lua.LState, node *ref, name string, field *linkField) (lua.LValue, error) {
	if field.of != node.binding {
		if node.binding.structure() == nil {
			return h.indexValue(L, node, lua.LString(name))
		}
		a, err := node.binding.field(name)
		if err != nil {
			return nil, &pathError{node.path(), err}
		}
		field.of, field.at = node.binding, a
	}
	a := field.at
	addr := node.addr + a.offset
	var err error
	if len(a.steps) > 0 {
		addr, err = a.address(h, node.addr)
	}
	var v lua.LValue
	if err == nil {
		v, err = h.load(a.to, addr, node, fieldStep(&a.name))
	}
	if err != nil {
		return nil, &pathError{node.path() + "." + a.name, err}
	}
	return v, nil
}
