package values_test

import (
	"strings"
	"testing"

	"ri/attach"
	"ri/symbols/testprogram"
)

// Generic methods, which Go has since 1.27, are named as the runtime names them, and their variables have the types
// that they were called with.
func TestGenericMethods(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	// Older gofmt can't read the source, so it isn't called main.go.
	const overlay = "-overlay=overlay.json"
	for _, v := range []testprogram.Variant{
		{Name: "go1.27", Toolchain: "go1.27.3", Flags: []string{overlay}},
		{Name: "go1.27NoOpt", Toolchain: "go1.27.3", Flags: []string{overlay, "-gcflags=all=-N -l"}},
	} {
		t.Run(v.Name, func(t *testing.T) {
			p := testprogram.Start(t, testprogram.Build(t, "testdata/methods", v))
			dump := parseDump(t, p.Stacks())
			l := lookAt(t, p, attach.Stopped)
			compared, typed := 0, map[string]int{}
			for _, g := range l.goroutines(t) {
				if g.ID == 1 || dump[g.ID].frames == nil {
					continue // it makes the dump, or is the runtime's own
				}
				stack, err := g.Stack(0)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, text := range frameTexts(stack) {
					if name, _, _ := strings.Cut(text, " "); shown(name) {
						got = append(got, text)
					}
				}
				if want := dump[g.ID].frames; strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Errorf("goroutine %d:\n\t%s\nwant\n\t%s", g.ID, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
				}
				compared++
				for i := range stack {
					vars, _ := g.Vars(&stack[i])
					for _, v := range vars {
						typed[v.Name+" "+v.Value.Type.Name]++
					}
				}
			}
			if compared != 7 {
				t.Errorf("%d goroutines compared, want 7", compared)
			}
			want := map[string]int{"extra string": 1, "extra float64": 1, "extra []int": 1, "extra int16": 1,
				"extra int8": 1, "u []string": 1, "v string": 1,
				"first int": 3, "first map[string]int": 1}
			for what, n := range want {
				if typed[what] < n && !(v.Optimised() && what == "extra int8") {
					t.Errorf("%s: %d, want %d; there are %v", what, typed[what], n, typed)
				}
			}
			for what := range typed {
				name, _, _ := strings.Cut(what, " ")
				if (name == "extra" || name == "first" || name == "u" || name == "v") && want[what] == 0 &&
					!strings.Contains(what, "go.shape.") {
					t.Errorf("no variable is %s", what)
				}
			}
		})
	}
}
