package host

import (
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
	if t, ok := from.(*lua.LTable); ok && value == lua.LNil && key.Type() == lua.LTString {
		token := isToken(key)
		t.ForEach(func(k, _ lua.LValue) {
			if k.Type() == lua.LTString && isToken(k) != token {
				h.raise(L, values.NewTokenError("looking a text up in a table"))
			}
		})
	}
	L.Push(value)
	return 1
}

// tokenless are the functions that take texts apart, or look into them.
var tokenless = map[string][]string{
	"string": {"byte", "find", "gfind", "gmatch", "gsub", "lower", "match", "reverse", "sub", "upper"},
	"ri":     {"int", "float", "duration"},
}

// refuseTokens has those functions refuse tokens, where there may be any.
func (h *Host) refuseTokens() {
	if !h.tokens() {
		return
	}
	for library, names := range tokenless {
		t, ok := h.lua.GetGlobal(library).(*lua.LTable)
		if !ok {
			continue
		}
		for _, name := range names {
			f, ok := t.RawGetString(name).(*lua.LFunction)
			if !ok || !f.IsG {
				continue
			}
			plain := f.GFunction
			guarded := h.function(func(L *lua.LState) int {
				for i := 1; i <= L.GetTop(); i++ {
					if isToken(L.Get(i)) {
						h.raise(L, values.NewTokenError(library+"."+name))
					}
				}
				return plain(L)
			})
			guarded.Upvalues = f.Upvalues
			t.RawSetString(name, guarded)
		}
	}
}
