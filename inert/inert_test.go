package inert

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for _, test := range []struct{ in, cell, line, text, styled string }{
		{"plain text, é, 日本, 🙂", "=", "=", "=", "="},
		{"a\tb", `a\tb`, "=", "=", "="},
		{"a\nb", `a\nb`, `a\nb`, "=", "="},
		{"a\r\nb", `a\r\nb`, `a\r\nb`, "a\\r\nb", "a\\r\nb"},
		{"a\rb", `a\rb`, `a\rb`, `a\rb`, `a\rb`},
		{"\x1b]0;title\a", `\x1b]0;title\a`, `\x1b]0;title\a`, `\x1b]0;title\a`, `\x1b]0;title\a`},
		{"\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`, `\x1b[31mred\x1b[0m`, `\x1b[31mred\x1b[0m`, "="},
		{"\x1b[8mhidden\x1b[2J", `\x1b[8mhidden\x1b[2J`, `\x1b[8mhidden\x1b[2J`, `\x1b[8mhidden\x1b[2J`,
			`\x1b[8mhidden\x1b[2J`},
		{"C1 \u009b31m \x9b31m", `C1 \u009b31m \x9b31m`, `C1 \u009b31m \x9b31m`, `C1 \u009b31m \x9b31m`,
			`C1 \u009b31m \x9b31m`},
		{"DEL \x7f", `DEL \x7f`, `DEL \x7f`, `DEL \x7f`, `DEL \x7f`},
		{"bidi \u202e\u2066", `bidi \u202e\u2066`, `bidi \u202e\u2066`, `bidi \u202e\u2066`, `bidi \u202e\u2066`},
		{"tag \U000e0041 zero\u200bwidth", `tag \U000e0041 zero\u200bwidth`, `tag \U000e0041 zero\u200bwidth`,
			`tag \U000e0041 zero\u200bwidth`, `tag \U000e0041 zero\u200bwidth`},
	} {
		for what, got := range map[string][2]string{"Cell": {Cell(test.in), test.cell}, "Line": {Line(test.in), test.line},
			"Text": {Text(test.in), test.text}, "Styled": {Styled(test.in), test.styled}} {
			want := got[1]
			if want == "=" {
				want = test.in
			}
			if got[0] != want {
				t.Errorf("%s(%q) = %q, want %q", what, test.in, got[0], want)
			}
		}
		var out bytes.Buffer
		if n, err := NewWriter(&out).Write([]byte(test.in)); err != nil || n != len(test.in) ||
			out.String() != Styled(test.in) {
			t.Errorf("Write(%q) = %d, %v, and wrote %q", test.in, n, err, out.String())
		}
	}
}

// FuzzInert: nothing that a terminal obeys comes through, twice is as once, and JSON has the text that it was given.
func FuzzInert(f *testing.F) {
	for _, s := range []string{"", "a\x1b[0mb", "\x9b\u009b\u202e\x7f\U000e0041", "\"\\\n\r\t\u2028", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cell := Cell(s)
		if !Is(strings.ReplaceAll(cell, "\ufffd", "")) || Cell(cell) != cell {
			t.Errorf("Cell(%q) = %q", s, cell)
		}
		if text := Text(s); Text(text) != text || !Is(strings.NewReplacer("\n", "", "\t", "", "\ufffd", "").Replace(text)) {
			t.Errorf("Text(%q) = %q", s, text)
		}
		var back string
		quoted := AppendJSON(nil, s)
		if err := json.Unmarshal(quoted, &back); err != nil || utf8.ValidString(s) && back != s {
			t.Errorf("AppendJSON(%q) = %s: %q, %v", s, quoted, back, err)
		}
		if !Is(strings.ReplaceAll(string(quoted), "\ufffd", "")) {
			t.Errorf("AppendJSON(%q) = %q", s, quoted)
		}
	})
}

func TestColourWriter(t *testing.T) {
	for in, want := range map[string]string{
		"\x1b[92mx\x1b[1my\x1b[34m\x1b[0m\n":    "=",
		"\x1b[7m\x1b[m\x1b[98m":                 `\x1b[7m\x1b[m\x1b[98m`,
		"\x1b[1;31m\x1b[0000000m\x1b[-1m\x1b[3": `\x1b[1;31m\x1b[0000000m\x1b[-1m\x1b[3`,
		"\x1b]0;title\a\r":                      `\x1b]0;title\a\r`,
	} {
		var b strings.Builder
		if n, err := NewColourWriter(&b).Write([]byte(in)); n != len(in) || err != nil {
			t.Error(n, err)
		}
		if want == "=" {
			want = in
		}
		if b.String() != want {
			t.Errorf("%q: %q, want %q", in, b.String(), want)
		}
	}
}
