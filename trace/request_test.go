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
		"who=u.Name,n = len(s), a==b":    {"who is u.Name", "n is len(s)", "a==b"},
		`x["a=b"], é=f("=")`:             {`x["a=b"]`, `é is f("=")`},
		`"not closed, x`:                 {`"not closed, x`},
	} {
		var got []string
		for _, s := range ParseShow(text) {
			if s.Name != s.Expr {
				s.Expr = s.Name + " is " + s.Expr
			}
			got = append(got, s.Expr)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// A name is given once, and none that hits have already.
func TestShowNames(t *testing.T) {
	for text, ok := range map[string]bool{"a=x,b=y": true, "a=x,a=x": true, "a=x,a=y": false, "time=x": false,
		"time": true, "x,x=y": false} {
		r := Request{Probes: []Probe{{Functions: []string{"main.f"}, Show: ParseShow(text)}}}
		if err := r.check(); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
