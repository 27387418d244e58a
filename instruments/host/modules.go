package host

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync"

	"ri/instruments/lang"

	lua "github.com/yuin/gopher-lua"
)

// loadingModule marks a module whose file is being run.
var loadingModule = lua.LString("(loading)")

// require loads a module from the script folders, once: require 'list' is list.lua or lib/list.lua.
func (h *Host) require(L *lua.LState) int {
	name := L.CheckString(1)
	m, err := findModule(name, h.opt.Folders, h.requiring, h.script)
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
