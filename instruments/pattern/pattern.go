// Package pattern matches Lua's patterns, after lstrlib.c of Lua 5.1, since the Lua machine's own can neither be
// interrupted nor bounded: a script's pattern may need exponential time.
package pattern

import "strings"

const (
	maxCaptures   = 32
	captureOpen   = -1
	capturePlace  = -2
	maxMatchDepth = 200
)

type capture struct{ start, length int }

// Capture is what a part of a pattern in parentheses matched.
type Capture struct {
	Text  string
	Place int // of a (), the place in the text, counted from 1, and no Text; else 0
}

// Matcher matches one pattern against one text.
type Matcher struct {
	Text, Pattern string
	// Step is called again and again while it goes on; it may panic to end that.
	Step func()
	// Fail is called with what is wrong about the pattern, and doesn't return.
	Fail func(what string)

	level    int // captures so far
	captures [maxCaptures]capture
	depth    int
}

// match gives the end of a match of pattern[p:] at text[s:], or -1.
func (m *Matcher) match(s, p int) int {
	m.depth++
	defer func() { m.depth-- }()
	if m.depth > maxMatchDepth {
		m.Fail("is too complex")
	}
	for p < len(m.Pattern) {
		m.Step()
		switch m.Pattern[p] {
		case '(':
			return m.open(s, p+1)
		case ')':
			return m.close(s, p+1)
		case '$':
			if p+1 == len(m.Pattern) {
				if s == len(m.Text) {
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
		if end < len(m.Pattern) {
			suffix = m.Pattern[end]
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
			if s >= len(m.Text) || !m.single(m.Text[s], p, end) {
				return -1
			}
			s++
			p = end
		}
	}
	return s
}

// once matches what may be there or not with it there.
func (m *Matcher) once(s, p, end int) int {
	if s >= len(m.Text) || !m.single(m.Text[s], p, end) {
		return -1
	}
	return m.match(s+1, end+1)
}

// escape matches %b, %f and %1 to %9 at pattern[p:], and gives where the text and the pattern go on; at is -1 where
// there is no match. Any other escape is a class.
func (m *Matcher) escape(s, p int) (at, next int, special bool) {
	if p+1 == len(m.Pattern) {
		return 0, 0, false
	}
	switch c := m.Pattern[p+1]; {
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
func (m *Matcher) frontier(s, p int) int {
	if p >= len(m.Pattern) || m.Pattern[p] != '[' {
		m.Fail("[ missing after %f")
	}
	end := m.classEnd(p)
	var before, at byte
	if s > 0 {
		before = m.Text[s-1]
	}
	if s < len(m.Text) {
		at = m.Text[s]
	}
	if m.set(before, p, end-1) || !m.set(at, p, end-1) {
		return -1
	}
	return end
}

// most matches as many as possible of the class pattern[p:end], and least at least, before what follows its suffix.
func (m *Matcher) most(s, p, end, least int) int {
	n := 0
	for s+n < len(m.Text) && m.single(m.Text[s+n], p, end) {
		m.Step()
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
func (m *Matcher) fewest(s, p, end int) int {
	for {
		m.Step()
		if r := m.match(s, end+1); r >= 0 {
			return r
		}
		if s >= len(m.Text) || !m.single(m.Text[s], p, end) {
			return -1
		}
		s++
	}
}

// open begins a capture, whose ( stands before pattern[p:].
func (m *Matcher) open(s, p int) int {
	what := captureOpen
	if p < len(m.Pattern) && m.Pattern[p] == ')' {
		what, p = capturePlace, p+1
	}
	if m.level >= maxCaptures {
		m.Fail("too many captures")
	}
	m.captures[m.level] = capture{s, what}
	m.level++
	r := m.match(s, p)
	if r < 0 {
		m.level--
	}
	return r
}

func (m *Matcher) close(s, p int) int {
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
	m.Fail("a ) without its (")
	return -1
}

func (m *Matcher) balance(s, p int) int {
	if p+1 >= len(m.Pattern) {
		m.Fail("%b needs two characters")
	}
	if s >= len(m.Text) || m.Text[s] != m.Pattern[p] {
		return -1
	}
	depth := 1
	for i := s + 1; i < len(m.Text); i++ {
		m.Step()
		switch m.Text[i] {
		case m.Pattern[p+1]:
			if depth--; depth == 0 {
				return i + 1
			}
		case m.Pattern[p]:
			depth++
		}
	}
	return -1
}

func (m *Matcher) again(s int, digit byte) int {
	l := int(digit) - '1'
	if l < 0 || l >= m.level || m.captures[l].length == captureOpen {
		m.Fail("no such capture")
	}
	c := m.captures[l]
	if c.length < 0 || !strings.HasPrefix(m.Text[s:], m.Text[c.start:c.start+c.length]) {
		return -1
	}
	return s + c.length
}

// classEnd gives where the single-character class at p ends.
func (m *Matcher) classEnd(p int) int {
	c := m.Pattern[p]
	p++
	switch c {
	case '%':
		if p >= len(m.Pattern) {
			m.Fail("ends with %")
		}
		return p + 1
	case '[':
		if p < len(m.Pattern) && m.Pattern[p] == '^' {
			p++
		}
		for {
			if p >= len(m.Pattern) {
				m.Fail("a [ without its ]")
			}
			c := m.Pattern[p]
			p++
			if c == '%' {
				p++
			}
			if p < len(m.Pattern) && m.Pattern[p] == ']' {
				return p + 1
			}
		}
	}
	return p
}

func (m *Matcher) single(c byte, p, end int) bool {
	switch m.Pattern[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.Pattern[p+1])
	case '[':
		return m.set(c, p, end-1)
	}
	return m.Pattern[p] == c
}

// set says whether c is in the set from [ at p to ] at end.
func (m *Matcher) set(c byte, p, end int) bool {
	in := true
	p++
	if m.Pattern[p] == '^' {
		in = false
		p++
	}
	for ; p < end; p++ {
		switch {
		case m.Pattern[p] == '%':
			p++
			if inClass(c, m.Pattern[p]) {
				return in
			}
		case p+2 < end && m.Pattern[p+1] == '-':
			if m.Pattern[p] <= c && c <= m.Pattern[p+2] {
				return in
			}
			p += 2
		case m.Pattern[p] == c:
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

// Captures is how many the last match has.
func (m *Matcher) Captures() int { return m.level }

// Capture gives a capture of the last match, which is from s to e: the whole, if it has none and i is 0.
func (m *Matcher) Capture(i, s, e int) Capture {
	if i >= m.level {
		if i > 0 {
			m.Fail("no such capture")
		}
		return Capture{Text: m.Text[s:e]}
	}
	c := m.captures[i]
	switch c.length {
	case capturePlace:
		return Capture{Place: c.start + 1}
	case captureOpen:
		m.Fail("a ( without its )")
	}
	return Capture{Text: m.Text[c.start : c.start+c.length]}
}

// Search finds the first match at or after from: where it begins and ends, or -1.
func (m *Matcher) Search(from int) (s, e int) {
	p := 0
	anchored := strings.HasPrefix(m.Pattern, "^")
	if anchored {
		p = 1
	}
	for s = from; s <= len(m.Text); s++ {
		m.Step()
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
