package values_test

import (
	"fmt"
	"strings"
	"testing"

	"ri/attach"
	"ri/symbols/testprogram"
	"ri/values"
)

// checkFrames compares variables in frames. Optimised code keeps what is used after the wait.
func checkFrames(t *testing.T, l *looked, variant testprogram.Variant) {
	for _, want := range l.Frames {
		if variant.Optimised() && !want.Optimised {
			continue
		}
		var seen []string
		for _, g := range l.goroutines(t) {
			stack, _ := g.Stack(0)
			for i := range stack {
				if plain(stack[i].Func) != want.Where {
					continue
				}
				vars, lost := g.Vars(&stack[i])
				for _, v := range vars {
					if v.Name == want.Name {
						seen = append(seen, v.Value.Type.ShortName()+" "+text(v.Value))
					}
				}
				if len(seen) == 0 {
					t.Logf("%s: has %v, lost %d", want.Where, vars, lost)
				}
			}
		}
		wanted := l.typeName(want.Type) + " " + want.Text
		if !strings.Contains("\n"+strings.Join(seen, "\n")+"\n", "\n"+wanted+"\n") {
			t.Errorf("%s: %s is %q, want %q", want.Where, want.Name, seen, wanted)
		}
	}
}

// checkFind looks for servers that no package variable leads to.
func checkFind(t *testing.T, l *looked, variant testprogram.Variant) {
	for _, want := range l.Hidden {
		if variant.Optimised() && !want.Optimised {
			continue
		}
		if want.Type == "main.serverFunc" && !l.recordsCaptures() {
			continue
		}
		typ, err := l.Type(want.Type)
		if err != nil {
			t.Errorf("%s: %v", want.Type, err)
			continue
		}
		found, truncated, err := l.Find(typ, values.FindOptions{})
		if err != nil || truncated {
			t.Errorf("%s: truncated %v, %v", want.Type, truncated, err)
		}
		var places []string
		hit := false
		for _, f := range found {
			places = append(places, fmt.Sprintf("%s (%s)", f.Where, f.Value))
			name, err := f.Value.Field("Name")
			if err != nil {
				t.Errorf("%s: %v", f.Where, err)
				continue
			}
			if got, _, err := name.Text(100); err != nil || got != want.Name {
				t.Errorf("%s: Name is %q (%v), want %q", f.Where, got, err, want.Name)
				continue
			}
			if f.Goroutine == 0 {
				t.Errorf("%s is in no goroutine", f.Where)
			}
			hit = true
		}
		if !hit {
			t.Errorf("%s was not found in %s: %v", want.Type, want.Func, places)
		}
	}
}

// TestFindBounds: package variables, limits, and types that nothing holds.
func TestFindBounds(t *testing.T) {
	l := look(t, testprogram.Variants[0], attach.Live)
	find := func(name string, opt values.FindOptions) ([]values.Found, bool) {
		t.Helper()
		typ, err := l.Type(name)
		if err != nil {
			t.Fatal(err)
		}
		found, truncated, err := l.Find(typ, opt)
		if err != nil {
			t.Fatal(err)
		}
		return found, truncated
	}
	found, truncated := find("main.top", values.FindOptions{})
	if len(found) != 1 || truncated || found[0].Where != "main.tall" || found[0].Goroutine != 0 {
		t.Errorf("main.top: %v, %v; want main.tall", found, truncated)
	}
	// A variable that points to it, and one that holds a pointer in an interface.
	found, _ = find("main.writer", values.FindOptions{})
	if len(found) != 1 || found[0].Where != "main.aWriter" {
		t.Errorf("main.writer: %v, want main.aWriter", found)
	}
	if found, truncated = find("main.node", values.FindOptions{Limit: 1}); len(found) != 1 || !truncated {
		t.Errorf("one main.node of several: %v, truncated %v", found, truncated)
	}
	if found, _ = find("main.holderInner", values.FindOptions{Depth: -1}); len(found) != 0 {
		t.Errorf("main.holderInner without following fields: %v", found)
	}
	if found, _ = find("main.holderInner", values.FindOptions{}); len(found) != 1 ||
		!strings.Contains(found[0].Where, "blockedHolder: h.inner") {
		t.Errorf("main.holderInner: %v", found)
	}
	if found, _ = find("main.deadHolder", values.FindOptions{}); len(found) != 1 ||
		!strings.Contains(found[0].Where, "blockedDead: h") {
		t.Errorf("main.deadHolder: %v", found)
	}
	if found, _ = find("main.deadInner", values.FindOptions{}); len(found) != 0 {
		t.Errorf("main.deadInner, through a variable that nothing uses any more: %v", found)
	}
	if found, truncated = find("[40]uint32", values.FindOptions{}); len(found) != 0 || truncated {
		t.Errorf("a type of which there is no value: %v, %v", found, truncated)
	}
}
