package recipes

import (
	"strings"
	"testing"
	"time"

	"ri/instruments/host"
	"ri/instruments/lang"
	"ri/instruments/rows"
)

func testHeader(t *testing.T) *lang.Header {
	t.Helper()
	s, err := host.CompileScript("go/list.lua", string(testScripts["go/list.lua"].Data))
	if err != nil {
		t.Fatal(err)
	}
	return s.Header
}

func TestParams(t *testing.T) {
	h := testHeader(t)
	got, err := lang.ParseParams(h, nil, strings.Fields("expr=main.list limit=0x10 order=down age=2m all=yes "+
		"at=0xc000012000 share=0.5"))
	if err != nil {
		t.Fatal(err)
	}
	want := lang.Params{"expr": "main.list", "limit": int64(16), "order": "down", "age": 2 * time.Minute, "all": true,
		"at": uint64(0xc000012000), "share": 0.5}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s: got %v (%T), want %v", name, got[name], got[name], v)
		}
	}
}

func TestParamMistakes(t *testing.T) {
	h := testHeader(t)
	for args, want := range map[string]string{
		"expr=x lmit=3":                    "no parameter lmit; did you mean limit?",
		"expr=x zzzz=3":                    "no parameter zzzz; there are expr, limit, order, age, all, at, share",
		"limit=3":                          "needs expr=EXPR (the list)",
		"main.list":                        "main.list is no parameter: write NAME=VALUE, such as expr=main.list",
		"expr=x expr=y":                    "parameter expr is given twice",
		"expr=x limit=ten":                 `parameter limit: "ten" is no integer`,
		"expr=x limit=0":                   "parameter limit: 0 is below its minimum, 1",
		"expr=x limit=1001":                "parameter limit: 1001 is above its maximum, 1000",
		"expr=x order=sideways":            "parameter order: sideways is none of up, down",
		"expr=x order=dwon":                "parameter order: dwon is none of up, down; did you mean down?",
		"expr=x age=3":                     `parameter age: "3" is no duration such as 250ms, 3s or 2h`,
		"expr=x all=maybe":                 `parameter all: "maybe" is no truth value: true or false`,
		"expr=x at=here":                   `parameter at: "here" is no address such as 0xc000012000`,
		"expr=x share=half":                `parameter share: "half" is no number`,
		"expr= limit=3":                    `parameter expr: "" is no expression`,
		"expr=x limit=9223372036854775808": `parameter limit: "9223372036854775808" is no integer`,
	} {
		_, err := lang.ParseParams(h, nil, strings.Fields(args))
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", args, err, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"goroutines", "buildinfo", "list", "map", "tree", "vars"}
	for typed, want := range map[string]string{
		"gorutines": "; did you mean goroutines?",
		"lsit":      "; did you mean list?",
		"build":     "; did you mean buildinfo?",
		"xyzzy":     "",
		"":          "",
	} {
		if got := rows.DidYouMean(typed, names); got != want {
			t.Errorf("%q: got %q, want %q", typed, got, want)
		}
	}
}
