package pattern

import (
	"reflect"
	"testing"
)

type failed string

// find searches a text from its beginning, in a bounded number of steps.
func find(text, source string, steps int) (s, e int, captures []Capture, why string) {
	defer func() {
		if what := recover(); what != nil {
			why = string(what.(failed))
		}
	}()
	m := Matcher{Text: text, Pattern: source, Fail: func(what string) { panic(failed(what)) }, Step: func() {
		if steps--; steps < 0 {
			panic(failed("too long"))
		}
	}}
	if s, e = m.Search(0); s >= 0 {
		for i := range m.Captures() {
			captures = append(captures, m.Capture(i, s, e))
		}
	}
	return s, e, captures, ""
}

func TestSearch(t *testing.T) {
	for _, c := range []struct {
		text, pattern string
		s, e          int
		captures      []Capture
		why           string
	}{
		{"key = value", "(%w+)%s*=%s*(%w+)", 0, 11, []Capture{{Text: "key"}, {Text: "value"}}, ""},
		{"f(a(b)c)d", "%b()", 1, 8, nil, ""},
		{"THE (quick) fox", "%f[%a]%a+%f[%A]", 0, 3, nil, ""},
		{"aaab", "a-b", 0, 4, nil, ""},
		{"hello", "()ll()", 2, 4, []Capture{{Place: 3}, {Place: 5}}, ""},
		{"abab", "(ab)%1", 0, 4, []Capture{{Text: "ab"}}, ""},
		{"x]", "[]]", 1, 2, nil, ""},
		{"x-y", "[a%-]", 1, 2, nil, ""},
		{"abc", "^b", -1, -1, nil, ""},
		{"abc", "c$", 2, 3, nil, ""},
		{"abc", "[a", 0, 0, nil, "a [ without its ]"},
		{"abc", "%", 0, 0, nil, "ends with %"},
		{"abc", "(a", 0, 0, nil, "a ( without its )"},
		{"abc", "a)", 0, 0, nil, "a ) without its ("},
		{"abc", "%1", 0, 0, nil, "no such capture"},
	} {
		s, e, captures, why := find(c.text, c.pattern, 1000)
		if why != c.why || why == "" && (s != c.s || e != c.e || !reflect.DeepEqual(captures, c.captures)) {
			t.Errorf("%q in %q: %d to %d, %v, %q", c.pattern, c.text, s, e, captures, why)
		}
	}
}

// FuzzSearch: whatever the pattern, a match lies in the text, or Fail says why there is none.
func FuzzSearch(f *testing.F) {
	for _, pattern := range []string{"(%w+)%s*=", "%b()", "%f[%a]", "a-b", "()", "[^]-]*$", "(((((", "%"} {
		f.Add("key = (value)", pattern)
	}
	f.Fuzz(func(t *testing.T, text, pattern string) {
		s, e, captures, why := find(text, pattern, 100000)
		if why == "" && s >= 0 && (s > e || e > len(text)) {
			t.Errorf("%d to %d of %d", s, e, len(text))
		}
		for _, c := range captures {
			if c.Place > len(text)+1 || len(c.Text) > len(text) {
				t.Errorf("%+v", c)
			}
		}
	})
}
