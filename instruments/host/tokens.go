package host

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/lang"
	"ri/values"
)

// Of a recording, texts may be tokens (see values.IsToken). Nothing is known of them but whether two are equal. What a
// script would take for false, or for no match, is an error there: scripts are compiled for that, and functions of
// strings refuse tokens.

// tokens tells whether texts may be tokens in this run.
func (h *Host) tokens() bool { return h.space != nil && h.space.HasTokens() }

// callScript calls a script's main function.
func (h *Host) callScript(script *Script, results int) ([]lua.LValue, error) {
	proto := script.proto
	if h.tokens() {
		var err error
		if proto, err = script.forTokens(); err != nil {
			return nil, err
		}
	}
	return h.call(h.lua.NewFunctionFromProto(proto), results)
}

// forTokens compiles a script anew.
func (s *Script) forTokens() (*lua.FunctionProto, error) {
	if s.packages {
		if proto, err := lang.CompileForTokens(s.Path, "return "+s.Source); err == nil {
			return proto, nil
		}
	}
	return lang.CompileForTokens(s.Path, s.Source)
}

func isToken(v lua.LValue) bool {
	s, ok := v.(lua.LString)
	return ok && values.IsToken(string(s))
}

// riToken tells whether a text is a token.
func (h *Host) riToken(L *lua.LState) int {
	L.Push(lua.LBool(values.IsToken(L.CheckString(1))))
	return 1
}

// equal is what a == b calls.
func (h *Host) equal(L *lua.LState) int {
	a, b := L.Get(1), L.Get(2)
	// No token is empty.
	if a.Type() == lua.LTString && b.Type() == lua.LTString && isToken(a) != isToken(b) &&
		a != lua.LString("") && b != lua.LString("") {
		h.raise(L, values.NewTokenError("comparing a text with another"))
	}
	L.Push(lua.LBool(L.Equal(a, b)))
	return 1
}

// get is what t[k] calls. A table that was filled with tokens may be asked for one; one with other texts can't say.
func (h *Host) get(L *lua.LState) int {
	from, key := L.Get(1), L.Get(2)
	value := L.GetTable(from, key)
	if t, ok := from.(*lua.LTable); ok && value == lua.LNil {
		h.lookedUp(L, t, key)
	}
	L.Push(value)
	return 1
}

// lookedUp refuses to say that a table hasn't a text which may be there as something else.
func (h *Host) lookedUp(L *lua.LState, t *lua.LTable, key lua.LValue) {
	if key.Type() != lua.LTString {
		return
	}
	token := isToken(key)
	t.ForEach(func(k, _ lua.LValue) {
		if k.Type() == lua.LTString && isToken(k) != token {
			h.raise(L, values.NewTokenError("looking a text up in a table"))
		}
	})
}

// key is what the key of t[k] = v calls.
func (h *Host) key(L *lua.LState) int {
	if t, ok := L.Get(1).(*lua.LTable); ok && isToken(L.Get(2)) {
		h.hasTokens(t)
	}
	L.Push(L.Get(2))
	return 1
}

// keys is what a table calls whose keys are worked out.
func (h *Host) keys(L *lua.LState) int {
	t := L.CheckTable(1)
	tokens := false
	t.ForEach(func(k, _ lua.LValue) { tokens = tokens || isToken(k) })
	if tokens {
		h.hasTokens(t)
	}
	L.Push(t)
	return 1
}

// hasTokens notes that a table has tokens for keys: t.name, which is no call, can't say that it isn't there. A table
// that has a metatable already is left alone.
func (h *Host) hasTokens(t *lua.LTable) {
	if t.Metatable != lua.LNil && t.Metatable != nil {
		return
	}
	if h.metas.tokens == nil {
		meta := h.lua.NewTable()
		meta.RawSetString("__index", h.function(func(L *lua.LState) int {
			if t, ok := L.Get(1).(*lua.LTable); ok {
				h.lookedUp(L, t, L.Get(2))
			}
			return 0
		}))
		meta.RawSetString(ownName, lua.LTrue)
		h.metas.tokens = meta
	}
	t.Metatable = h.metas.tokens
}

// ordered is what either side of a < b calls. How two texts are ordered isn't known of tokens; to sort by them is as
// good as by anything else.
func (h *Host) ordered(L *lua.LState) int {
	if isToken(L.Get(1)) && h.sorting == 0 {
		h.raise(L, values.NewTokenError("ordering texts"))
	}
	L.Push(L.Get(1))
	return 1
}

// textLength is what # is asked of: a text as long as what a token stands for.
func (h *Host) textLength(L *lua.LState) int {
	v := L.Get(1)
	if isToken(v) {
		n, ok := values.TokenLength(string(v.(lua.LString)))
		if !ok {
			h.raise(L, values.NewTokenError("the length of a text"))
		}
		v = lua.LString(strings.Repeat(".", min(n, maxString)))
	}
	L.Push(v)
	return 1
}

// tokenless are the functions that take texts apart, or look into them, by library; "" has none.
var tokenless = map[string][]string{
	"string": {"byte", "find", "gfind", "gmatch", "gsub", "lower", "match", "reverse", "sub", "upper"},
	"math":   {"max", "min"},
	"ri":     {"int", "float", "duration", "cmp", "hex"},
	"":       {"tonumber"},
}

// refuseTokens has those functions refuse tokens, where there may be any, and others know them.
func (h *Host) refuseTokens() {
	if !h.tokens() {
		return
	}
	for library, names := range tokenless {
		for _, name := range names {
			h.wrap(library, name, func(L *lua.LState, plain lua.LGFunction) int {
				for i := 1; i <= L.GetTop(); i++ {
					if isToken(L.Get(i)) && (name != "cmp" || h.sorting == 0) {
						h.raise(L, values.NewTokenError(strings.TrimPrefix(library+"."+name, ".")))
					}
				}
				return plain(L)
			})
		}
	}
	h.wrap("string", "len", func(L *lua.LState, _ lua.LGFunction) int {
		L.CheckString(1)
		h.textLength(L)
		L.Push(lua.LNumber(len(L.CheckString(L.GetTop()))))
		return 1
	})
	h.wrap("table", "sort", func(L *lua.LState, plain lua.LGFunction) int {
		h.sorting++
		defer func() { h.sorting-- }()
		return plain(L)
	})
	h.wrap("", "rawequal", func(L *lua.LState, plain lua.LGFunction) int {
		h.equal(L)
		L.Pop(1)
		return plain(L)
	})
	h.wrap("", "rawget", func(L *lua.LState, plain lua.LGFunction) int {
		if t, ok := L.Get(1).(*lua.LTable); ok && t.RawGet(L.Get(2)) == lua.LNil {
			h.lookedUp(L, t, L.Get(2))
		}
		return plain(L)
	})
}

// wrap puts a function in the place of a library's; "" are globals.
func (h *Host) wrap(library, name string, f func(L *lua.LState, plain lua.LGFunction) int) {
	t := h.lua.G.Global
	if library != "" {
		t, _ = h.lua.GetGlobal(library).(*lua.LTable)
	}
	if t == nil {
		return
	}
	was, ok := t.RawGetString(name).(*lua.LFunction)
	if !ok || !was.IsG {
		return
	}
	plain := was.GFunction
	guarded := h.function(func(L *lua.LState) int { return f(L, plain) })
	guarded.Upvalues = was.Upvalues
	t.RawSetString(name, guarded)
}
