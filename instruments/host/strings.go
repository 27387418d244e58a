package host

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/lang"
	"ri/instruments/pattern"
	"ri/instruments/rows"
	"ri/values"
)

// openStrings replaces those functions of Lua's string library that can take
// all memory or never end, and format, which has to print exact integers.
func (h *Host) openStrings() {
	library := h.lua.GetGlobal("string").(*lua.LTable)
	set := func(name string, f func(L *lua.LState) int) { library.RawSetString(name, h.function(f)) }
	set("rep", func(L *lua.LState) int {
		s, n := L.CheckString(1), L.CheckInt(2)
		if n > 0 && len(s) > 0 && n > maxString/len(s) {
			L.RaiseError("string.rep: the result would have more than %d MiB", maxString>>20)
		}
		L.Push(lua.LString(strings.Repeat(s, max(n, 0))))
		return 1
	})
	set("format", h.format)
	set("find", func(L *lua.LState) int { return h.stringFind(L, true) })
	set("match", func(L *lua.LState) int { return h.stringFind(L, false) })
	set("gmatch", h.stringMatches)
	library.RawSetString("gfind", library.RawGetString("gmatch"))
	set("gsub", h.stringReplace)
	library.RawSetString("dump", lua.LNil)
}

func (h *Host) openTables() {
	library := h.lua.GetGlobal("table").(*lua.LTable)
	library.RawSetString("concat", h.function(h.tableConcat))
}

// concat is what a..b..c calls.
func (h *Host) concat(L *lua.LState) int {
	texts := make([]string, L.GetTop())
	size := 0
	for i := range texts {
		texts[i] = h.concatText(L, i+1, len(texts))
		if size += len(texts[i]); size > maxString {
			L.RaiseError("a string of more than %d MiB", maxString>>20)
		}
	}
	L.Push(lua.LString(strings.Join(texts, "")))
	return 1
}

func (h *Host) concatText(L *lua.LState, n, operands int) string {
	switch v := L.Get(n).(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return numberText(v)
	case *lua.LUserData:
		if e, ok := v.Value.(*exact); ok {
			return e.String()
		}
		if v == h.null {
			return "nil"
		}
		L.RaiseError("can't join %s to a string: use tostring or ri.dump", h.describe(v))
	case *lua.LTable:
		if f, ok := L.GetMetaField(v, "__tostring").(*lua.LFunction); ok {
			L.Push(f)
			L.Push(v)
			L.Call(1, 1)
			text := L.Get(-1).String()
			L.Pop(1)
			return text
		}
		L.RaiseError("can't join a table to a string")
	default:
		L.RaiseError("can't join %s to a string", h.describe(v))
	}
	return ""
}

func (h *Host) tableConcat(L *lua.LState) int {
	t, sep := L.CheckTable(1), L.OptString(2, "")
	from, to := L.OptInt(3, 1), L.OptInt(4, t.Len())
	var b strings.Builder
	for i := from; i <= to; i++ {
		h.check(L)
		switch v := t.RawGetInt(i).(type) {
		case lua.LString:
			b.WriteString(string(v))
		case lua.LNumber:
			b.WriteString(numberText(v))
		default:
			if v == lua.LValue(h.null) {
				b.WriteString("nil")
				break
			}
			e, ok := exactOf(v)
			if !ok {
				L.RaiseError("table.concat: element %d is %s", i, h.describe(v))
			}
			b.WriteString(e.String())
		}
		if i < to {
			b.WriteString(sep)
		}
		if b.Len() > maxString {
			L.RaiseError("table.concat: the result has more than %d MiB", maxString>>20)
		}
	}
	L.Push(lua.LString(b.String()))
	return 1
}

// numberText is a Lua number's text: integral ones without an exponent up to 2^53, others with the 14 digits
// that Lua prints, without an exponent up to 1e15.
func numberText(v lua.LNumber) string {
	if whole, ok := lang.WholeNumber(v); ok {
		return strconv.FormatInt(whole, 10)
	}
	return rows.Decimal(float64(v), 14)
}

// exactText has all digits of a number.
func exactText(v lua.LNumber) string {
	if whole, ok := lang.WholeNumber(v); ok {
		return strconv.FormatInt(whole, 10)
	}
	return rows.Decimal(float64(v), -1)
}

// textOf is what print and tostring say of a value.
func textOf(L *lua.LState, v lua.LValue) string {
	if n, ok := v.(lua.LNumber); ok {
		return numberText(n)
	}
	return L.ToStringMeta(v).String()
}

// format is string.format as Lua 5.1 has it; %d, %i, %u, %o, %x and %X take exact integers.
func (h *Host) format(L *lua.LState) int {
	layout := L.CheckString(1)
	var b strings.Builder
	arg := 1
	for i := 0; i < len(layout); i++ {
		c := layout[i]
		if c != '%' {
			b.WriteByte(c)
			continue
		}
		if i+1 < len(layout) && layout[i+1] == '%' {
			b.WriteByte('%')
			i++
			continue
		}
		start := i
		for i++; i < len(layout) && strings.IndexByte("-+ #0123456789.", layout[i]) >= 0; i++ {
		}
		if i >= len(layout) {
			L.RaiseError("string.format: the layout ends in the middle of %q", layout[start:])
		}
		flags := layout[start+1 : i]
		if len(flags) > 8 || slices.ContainsFunc(strings.FieldsFunc(flags, func(r rune) bool {
			return r < '0' || r > '9'
		}), func(n string) bool { return len(n) > 3 }) {
			L.RaiseError("string.format: %q is too wide", layout[start:i+1])
		}
		arg++
		if arg > L.GetTop() {
			L.RaiseError("string.format: no argument for %q", layout[start:i+1])
		}
		h.formatOne(L, &b, flags, layout[i], arg)
		if b.Len() > maxString {
			L.RaiseError("string.format: the result has more than %d MiB", maxString>>20)
		}
	}
	L.Push(lua.LString(b.String()))
	return 1
}

func (h *Host) formatOne(L *lua.LState, b *strings.Builder, flags string, verb byte, arg int) {
	switch verb {
	case 'd', 'i', 'u', 'x', 'X', 'o', 'c':
		formatWhole(b, flags, verb, h.formatInteger(L, arg))
	case 'e', 'E', 'f', 'F', 'g', 'G':
		f, ok := float(L.Get(arg))
		if !ok {
			n, isText := L.Get(arg).(lua.LString)
			var err error
			if f, err = strconv.ParseFloat(string(n), 64); !isText || err != nil {
				L.ArgError(arg, "number expected, got "+h.describe(L.Get(arg)))
			}
		}
		fmt.Fprintf(b, "%"+flags+string(verb), f)
	case 's':
		text := L.ToStringMeta(L.Get(arg)).String()
		if n, ok := L.Get(arg).(lua.LNumber); ok {
			text = numberText(n)
		}
		if flags == "" {
			b.WriteString(text)
			return
		}
		if strings.Contains(flags, ".") && h.tokens() && values.IsToken(text) {
			h.raise(L, values.NewTokenError("string.format with a part of a text"))
		}
		fmt.Fprintf(b, "%"+flags+"s", text)
	case 'q':
		b.WriteString(strconv.Quote(L.CheckString(arg)))
	default:
		L.RaiseError("string.format: %%%c is not known; there are d i u x X o c e E f g G s q", verb)
	}
}

// formatWhole is formatOne of an integer.
func formatWhole(b *strings.Builder, flags string, verb byte, i *big.Int) {
	switch {
	case verb == 'c':
		b.WriteByte(byte(i.Int64()))
		return
	case verb == 'i' || verb == 'u':
		verb = 'd'
	case verb != 'd' && i.Sign() < 0:
		i = new(big.Int).SetUint64(uint64(i.Int64())) // two's complement, as C prints it
	}
	if width, precision, ok := strings.Cut(flags, "."); ok && strings.Contains(width, "0") {
		flags = strings.ReplaceAll(width, "0", "") + "." + precision
	}
	switch layout := "%" + flags + string(verb); {
	case i.IsInt64():
		fmt.Fprintf(b, layout, i.Int64())
	case i.IsUint64():
		fmt.Fprintf(b, layout, i.Uint64())
	default:
		fmt.Fprintf(b, layout, i)
	}
}

func (h *Host) formatInteger(L *lua.LState, arg int) *big.Int {
	v := L.Get(arg)
	if s, ok := v.(lua.LString); ok {
		if value, ok := h.parseInteger(string(s)); ok {
			v = value
		} else if f, err := strconv.ParseFloat(string(s), 64); err == nil {
			v = lua.LNumber(f)
		}
	}
	if i, ok := integer(v); ok {
		return i
	}
	if f, ok := v.(lua.LNumber); ok {
		i := new(big.Int)
		if b := new(big.Float); f == f && f < 1e300 && f > -1e300 {
			b.SetFloat64(float64(f)).Int(i) // toward zero, as Lua 5.1 does
			return i
		}
	}
	L.ArgError(arg, "integer expected, got "+h.describe(v))
	return nil
}

// matcher is a pattern over a text, for string.find, match, gmatch and gsub.
type matcher struct {
	pattern.Matcher
	host *Host
	lua  *lua.LState
}

func (h *Host) matcher(L *lua.LState, text, source string) *matcher {
	return &matcher{host: h, lua: L, Matcher: pattern.Matcher{Text: text, Pattern: source,
		Step: func() { h.check(L) },
		Fail: func(what string) { L.RaiseError("pattern %s: %s", lang.LuaText(lua.LString(source)), what) }}}
}

// capture is one as Lua has it.
func (m *matcher) capture(i, s, e int) lua.LValue {
	c := m.Capture(i, s, e)
	if c.Place > 0 {
		return lua.LNumber(c.Place)
	}
	return lua.LString(c.Text)
}

func (h *Host) stringFind(L *lua.LState, find bool) int {
	text, source := L.CheckString(1), L.CheckString(2)
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
	if find && (lua.LVAsBool(L.Get(4)) || !strings.ContainsAny(source, "^$*+?.([%-")) {
		i := strings.Index(text[from-1:], source)
		if i < 0 {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LNumber(from + i))
		L.Push(lua.LNumber(from + i + len(source) - 1))
		return 2
	}
	m := h.matcher(L, text, source)
	s, e := m.Search(from - 1)
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
	if m.Captures() == 0 && whole {
		m.lua.Push(m.capture(0, s, e))
		return 1
	}
	for i := range m.Captures() {
		m.lua.Push(m.capture(i, s, e))
	}
	return m.Captures()
}

func (h *Host) stringMatches(L *lua.LState) int {
	text, source := L.CheckString(1), L.CheckString(2)
	from := 0
	L.Push(h.function(func(L *lua.LState) int {
		m := h.matcher(L, text, source)
		if from > len(text) {
			L.Push(lua.LNil)
			return 1
		}
		s, e := m.Search(from)
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
	text, source := L.CheckString(1), L.CheckString(2)
	replace := L.CheckAny(3)
	limit := L.OptInt(4, len(text)+1)
	m := h.matcher(L, text, source)
	var b strings.Builder
	count, at := 0, 0
	for count < limit && at <= len(text) {
		s, e := m.Search(at)
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
		if source != "" && source[0] == '^' {
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
	return m.Text[s:e]
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
			b.WriteString(m.Text[s:e])
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
			m.Fail("the result is too long")
		}
	}
	return b.String()
}
