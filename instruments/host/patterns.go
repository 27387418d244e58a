package host

import (
	"fmt"
	"regexp"
	"strings"

	"ri/instruments/lang"

	lua "github.com/yuin/gopher-lua"

	"ri/values"
)

// Lua's patterns, after lstrlib.c of Lua 5.1, since the machine's own can neither be interrupted nor
// bounded: a script's pattern may need exponential time.

const (
	maxCaptures   = 32
	captureOpen   = -1
	capturePlace  = -2
	maxMatchDepth = 200
)

type capture struct{ start, length int }

// matcher matches one pattern against one string.
type matcher struct {
	host     *Host
	lua      *lua.LState
	text     string
	pattern  string
	level    int // captures so far
	captures [maxCaptures]capture
	depth    int
}

func (m *matcher) fail(what string) {
	m.lua.RaiseError("pattern %s: %s", lang.LuaText(lua.LString(m.pattern)), what)
}

// match gives the end of a match of pattern[p:] at text[s:], or -1.
func (m *matcher) match(s, p int) int {
	m.depth++
	defer func() { m.depth-- }()
	if m.depth > maxMatchDepth {
		m.fail("is too complex")
	}
	for p < len(m.pattern) {
		m.host.check(m.lua)
		switch m.pattern[p] {
		case '(':
			return m.open(s, p+1)
		case ')':
			return m.close(s, p+1)
		case '$':
			if p+1 == len(m.pattern) {
				if s == len(m.text) {
					return s
				}
				return -1
			}
		case '%':
			if at, next, special := m.escape(s, p); special {
				if at < 0 {
					return -1
				}
				s, p = at, next
				continue
			}
		}
		end := m.classEnd(p)
		suffix := byte(0)
		if end < len(m.pattern) {
			suffix = m.pattern[end]
		}
		switch suffix {
		case '?':
			if r := m.once(s, p, end); r >= 0 {
				return r
			}
			p = end + 1
		case '*':
			return m.most(s, p, end, 0)
		case '+':
			return m.most(s, p, end, 1)
		case '-':
			return m.fewest(s, p, end)
		default:
			if s >= len(m.text) || !m.single(m.text[s], p, end) {
				return -1
			}
			s++
			p = end
		}
	}
	return s
}

// once matches what may be there or not with it there.
func (m *matcher) once(s, p, end int) int {
	if s >= len(m.text) || !m.single(m.text[s], p, end) {
		return -1
	}
	return m.match(s+1, end+1)
}

// escape matches %b, %f and %1 to %9 at pattern[p:], and gives where the text and the pattern go on; at is -1 where
// there is no match. Any other escape is a class.
func (m *matcher) escape(s, p int) (at, next int, special bool) {
	if p+1 == len(m.pattern) {
		return 0, 0, false
	}
	switch c := m.pattern[p+1]; {
	case c == 'b':
		return m.balance(s, p+2), p + 4, true
	case c == 'f':
		end := m.frontier(s, p+2)
		if end < 0 {
			s = -1
		}
		return s, end, true
	case c >= '0' && c <= '9':
		return m.again(s, c), p + 2, true
	}
	return 0, 0, false
}

// frontier matches the place where a set at pattern[p:] begins to hold, and gives where the pattern goes on, or -1.
func (m *matcher) frontier(s, p int) int {
	if p >= len(m.pattern) || m.pattern[p] != '[' {
		m.fail("[ missing after %f")
	}
	end := m.classEnd(p)
	var before, at byte
	if s > 0 {
		before = m.text[s-1]
	}
	if s < len(m.text) {
		at = m.text[s]
	}
	if m.set(before, p, end-1) || !m.set(at, p, end-1) {
		return -1
	}
	return end
}

// most matches as many as possible of the class pattern[p:end], and least at least, before what follows its suffix.
func (m *matcher) most(s, p, end, least int) int {
	n := 0
	for s+n < len(m.text) && m.single(m.text[s+n], p, end) {
		m.host.check(m.lua)
		n++
	}
	for ; n >= least; n-- {
		if r := m.match(s+n, end+1); r >= 0 {
			return r
		}
	}
	return -1
}

// fewest matches as few as possible of the class pattern[p:end] before what follows its suffix.
func (m *matcher) fewest(s, p, end int) int {
	for {
		m.host.check(m.lua)
		if r := m.match(s, end+1); r >= 0 {
			return r
		}
		if s >= len(m.text) || !m.single(m.text[s], p, end) {
			return -1
		}
		s++
	}
}

// open begins a capture, whose ( stands before pattern[p:].
func (m *matcher) open(s, p int) int {
	what := captureOpen
	if p < len(m.pattern) && m.pattern[p] == ')' {
		what, p = capturePlace, p+1
	}
	if m.level >= maxCaptures {
		m.fail("too many captures")
	}
	m.captures[m.level] = capture{s, what}
	m.level++
	r := m.match(s, p)
	if r < 0 {
		m.level--
	}
	return r
}

func (m *matcher) close(s, p int) int {
	for l := m.level - 1; l >= 0; l-- {
		if m.captures[l].length == captureOpen {
			m.captures[l].length = s - m.captures[l].start
			r := m.match(s, p)
			if r < 0 {
				m.captures[l].length = captureOpen
			}
			return r
		}
	}
	m.fail("a ) without its (")
	return -1
}

func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pattern) {
		m.fail("%b needs two characters")
	}
	if s >= len(m.text) || m.text[s] != m.pattern[p] {
		return -1
	}
	depth := 1
	for i := s + 1; i < len(m.text); i++ {
		m.host.check(m.lua)
		switch m.text[i] {
		case m.pattern[p+1]:
			if depth--; depth == 0 {
				return i + 1
			}
		case m.pattern[p]:
			depth++
		}
	}
	return -1
}

func (m *matcher) again(s int, digit byte) int {
	l := int(digit) - '1'
	if l < 0 || l >= m.level || m.captures[l].length == captureOpen {
		m.fail("no such capture")
	}
	c := m.captures[l]
	if c.length < 0 || !strings.HasPrefix(m.text[s:], m.text[c.start:c.start+c.length]) {
		return -1
	}
	return s + c.length
}

// classEnd gives where the single-character class at p ends.
func (m *matcher) classEnd(p int) int {
	c := m.pattern[p]
	p++
	switch c {
	case '%':
		if p >= len(m.pattern) {
			m.fail("ends with %")
		}
		return p + 1
	case '[':
		if p < len(m.pattern) && m.pattern[p] == '^' {
			p++
		}
		for {
			if p >= len(m.pattern) {
				m.fail("a [ without its ]")
			}
			c := m.pattern[p]
			p++
			if c == '%' {
				p++
			}
			if p < len(m.pattern) && m.pattern[p] == ']' {
				return p + 1
			}
		}
	}
	return p
}

func (m *matcher) single(c byte, p, end int) bool {
	switch m.pattern[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pattern[p+1])
	case '[':
		return m.set(c, p, end-1)
	}
	return m.pattern[p] == c
}

// set says whether c is in the set from [ at p to ] at end.
func (m *matcher) set(c byte, p, end int) bool {
	in := true
	p++
	if m.pattern[p] == '^' {
		in = false
		p++
	}
	for ; p < end; p++ {
		switch {
		case m.pattern[p] == '%':
			p++
			if inClass(c, m.pattern[p]) {
				return in
			}
		case p+2 < end && m.pattern[p+1] == '-':
			if m.pattern[p] <= c && c <= m.pattern[p+2] {
				return in
			}
			p += 2
		case m.pattern[p] == c:
			return in
		}
	}
	return !in
}

// classes are those of a letter behind %, by the letter.
var classes = [26]func(c byte) bool{
	0:         isLetter, // a
	'c' - 'a': func(c byte) bool { return c < 0x20 || c == 0x7f },
	'd' - 'a': isDigit,
	'l' - 'a': isLower,
	'p' - 'a': func(c byte) bool { return c > 0x20 && c < 0x7f && !isLetter(c) && !isDigit(c) },
	's' - 'a': func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' },
	'u' - 'a': isUpper,
	'w' - 'a': func(c byte) bool { return isLetter(c) || isDigit(c) },
	'x' - 'a': func(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' },
	'z' - 'a': func(c byte) bool { return c == 0 },
}

func isLower(c byte) bool  { return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool  { return c >= 'A' && c <= 'Z' }
func isLetter(c byte) bool { return isLower(c) || isUpper(c) }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// inClass tells whether a character is in a class; that of a capital letter is all that isn't in the small one's.
func inClass(c, class byte) bool {
	if isLetter(class) {
		if in := classes[class|0x20-'a']; in != nil {
			return in(c) == isLower(class)
		}
	}
	return class == c
}

// push gives capture i (the whole match from s to e if there is none) to Lua.
func (m *matcher) capture(i, s, e int) lua.LValue {
	if i >= m.level {
		if i > 0 {
			m.fail("no such capture")
		}
		return lua.LString(m.text[s:e])
	}
	c := m.captures[i]
	switch c.length {
	case capturePlace:
		return lua.LNumber(c.start + 1)
	case captureOpen:
		m.fail("a ( without its )")
	}
	return lua.LString(m.text[c.start : c.start+c.length])
}

// search finds the first match at or after from.
func (m *matcher) search(from int) (s, e int) {
	p := 0
	anchored := strings.HasPrefix(m.pattern, "^")
	if anchored {
		p = 1
	}
	for s = from; s <= len(m.text); s++ {
		m.host.check(m.lua)
		m.level = 0
		if e = m.match(s, p); e >= 0 {
			return s, e
		}
		if anchored {
			break
		}
	}
	return -1, -1
}

// riMatch tells whether a pattern is part of a text, as it is written or as a regular expression: people type
// main.(*Handler).run, which is no regular expression, as well as ^main\..
func (h *Host) riMatch(L *lua.LState) int {
	text, pattern := L.CheckString(1), L.CheckString(2)
	if pattern != "" && isToken(L.Get(1)) != isToken(L.Get(2)) {
		h.raise(L, values.NewTokenError("ri.match"))
	}
	if strings.Contains(text, pattern) {
		L.Push(lua.LTrue)
		return 1
	}
	re, known := h.patterns[pattern]
	if !known {
		var err error
		if re, err = regexp.Compile(pattern); err != nil && !isName(pattern) {
			h.raise(L, fmt.Errorf("ri.match: %w", err))
		}
		if h.patterns == nil || len(h.patterns) > 1000 {
			h.patterns = map[string]*regexp.Regexp{}
		}
		h.patterns[pattern] = re
	}
	L.Push(lua.LBool(re != nil && re.MatchString(text)))
	return 1
}

// isName says whether a pattern that is no regular expression may be meant as it is: the name of a method, or of a
// generic function.
func isName(pattern string) bool {
	return strings.Contains(pattern, "(*") || strings.Contains(pattern, "[")
}
