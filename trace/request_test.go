package trace

import (
	"slices"
	"testing"
)

func TestParseShow(t *testing.T) {
	for text, want := range map[string][]string{
		"a":                              {"a"},
		"u.Name, pw,tries":               {"u.Name", "pw", "tries"},
		`m["a,b"],f(x, y),s[1],` + "`,`": {`m["a,b"]`, "f(x, y)", "s[1]", "`,`"},
		`x == ',', "\\",y`:               {`x == ','`, `"\\"`, "y"},
		" , ":                            nil,
		`"not closed, x`:                 {`"not closed, x`},
	} {
		var got []string
		for _, s := range ParseShow(text) {
			got = append(got, s.Expr)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
