package host

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// string.find, match, gmatch and gsub over the matcher of patterns.go.

func (h *Host) stringFind(L *lua.LState, find bool) int {
	text, pattern := L.CheckString(1), L.CheckString(2)
	from := L.OptInt(3, 1)
	if from < 0 {
		from = max(len(text)+from+1, 1)
	} else if from == 0 {
		from = 1
	}
	if from > len(text)+1 {
		L.Push(lua.LNil)
		return 1
	}
	if find && (lua.LVAsBool(L.Get(4)) || !strings.ContainsAny(pattern, "^$*+?.([%-")) {
		i := strings.Index(text[from-1:], pattern)
		if i < 0 {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LNumber(from + i))
		L.Push(lua.LNumber(from + i + len(pattern) - 1))
		return 2
	}
	m := &matcher{host: h, lua: L, text: text, pattern: pattern}
	s, e := m.search(from - 1)
	if s < 0 {
		L.Push(lua.LNil)
		return 1
	}
	n := 0
	if find {
		L.Push(lua.LNumber(s + 1))
		L.Push(lua.LNumber(e))
		n = 2
	}
	return n + m.pushAll(s, e, !find)
}

// pushAll gives all captures; the whole match if there is none and whole.
func (m *matcher) pushAll(s, e int, whole bool) int {
	if m.level == 0 && whole {
		m.lua.Push(m.capture(0, s, e))
		return 1
	}
	for i := range m.level {
		m.lua.Push(m.capture(i, s, e))
	}
	return m.level
}

func (h *Host) stringMatches(L *lua.LState) int {
	text, pattern := L.CheckString(1), L.CheckString(2)
	from := 0
	L.Push(h.function(func(L *lua.LState) int {
		m := &matcher{host: h, lua: L, text: text, pattern: pattern}
		if from > len(text) {
			L.Push(lua.LNil)
			return 1
		}
		s, e := m.search(from)
		if s < 0 {
			from = len(text) + 1
			L.Push(lua.LNil)
			return 1
		}
		from = e
		if e == s {
			from++
		}
		return m.pushAll(s, e, true)
	}))
	return 1
}

func (h *Host) stringReplace(L *lua.LState) int {
	text, pattern := L.CheckString(1), L.CheckString(2)
	replace := L.CheckAny(3)
	limit := L.OptInt(4, len(text)+1)
	m := &matcher{host: h, lua: L, text: text, pattern: pattern}
	var b strings.Builder
	count, at := 0, 0
	for count < limit && at <= len(text) {
		s, e := m.search(at)
		if s < 0 {
			break
		}
		count++
		b.WriteString(text[at:s])
		b.WriteString(m.replacement(replace, s, e))
		if b.Len() > maxString {
			L.RaiseError("string.gsub: the result has more than %d MiB", maxString>>20)
		}
		at = e
		if e == s {
			if s < len(text) {
				b.WriteByte(text[s])
			}
			at = s + 1
		}
		if pattern != "" && pattern[0] == '^' {
			break
		}
	}
	if at < len(text) {
		b.WriteString(text[at:])
	}
	L.Push(lua.LString(b.String()))
	L.Push(lua.LNumber(count))
	return 2
}

func (m *matcher) replacement(replace lua.LValue, s, e int) string {
	L := m.lua
	var value lua.LValue
	switch r := replace.(type) {
	case lua.LNumber:
		return numberText(r)
	case lua.LString:
		return m.expand(string(r), s, e)
	case *lua.LTable:
		value = L.GetTable(r, m.capture(0, s, e))
	case *lua.LFunction:
		L.Push(r)
		n := m.pushAll(s, e, true)
		L.Call(n, 1)
		value = L.Get(-1)
		L.Pop(1)
	default:
		L.ArgError(3, "string, table or function expected")
	}
	switch v := value.(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return numberText(v)
	}
	if exact, ok := exactOf(value); ok {
		return exact.String()
	}
	if lua.LVAsBool(value) {
		L.RaiseError("string.gsub: the replacement is %s", m.host.describe(value))
	}
	return m.text[s:e]
}

func (m *matcher) expand(r string, s, e int) string {
	if strings.IndexByte(r, '%') < 0 {
		return r
	}
	var b strings.Builder
	for i := 0; i < len(r); i++ {
		if r[i] != '%' || i+1 == len(r) {
			b.WriteByte(r[i])
			continue
		}
		i++
		switch c := r[i]; {
		case c == '0':
			b.WriteString(m.text[s:e])
		case c >= '1' && c <= '9':
			switch v := m.capture(int(c-'1'), s, e).(type) {
			case lua.LString:
				b.WriteString(string(v))
			case lua.LNumber:
				b.WriteString(numberText(v))
			}
		default:
			b.WriteByte(c)
		}
		if b.Len() > maxString {
			m.fail("the result is too long")
		}
	}
	return b.String()
}
