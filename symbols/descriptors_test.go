package symbols_test

import (
	"regexp"
	"testing"

	"ri/symbols"
	"ri/symbols/testprogram"
)

// A stripped program's descriptors are where debug information says that they are, and none that reflection may look up
// is missing.
func TestDescriptors(t *testing.T) {
	variants := []testprogram.Variant{{Name: "default"}, {Name: "pie", Flags: []string{"-buildmode=pie"}},
		{Name: "go1.27pie", Toolchain: "go1.27.3", Flags: []string{"-buildmode=pie"}, Full: true}}
	for _, release := range testprogram.Releases {
		variants = append(variants, testprogram.Variant{Name: release, Toolchain: release, Full: true})
	}
	for _, v := range variants {
		t.Run(v.Name, func(t *testing.T) {
			v.Skip(t)
			full := open(t, testprogram.Build(t, fixture, v))
			v.Name, v.Flags = v.Name+"-stripped", append([]string{"-ldflags=-s -w"}, v.Flags...)
			stripped := open(t, testprogram.Build(t, fixture, v))
			if stripped.NoRuntime() != nil {
				t.Fatal(stripped.NoRuntime())
			}
			found := symbols.Descriptors(stripped)
			known := 0
			for name, offset := range found {
				typ, ok := full.RuntimeType(offset)
				if !ok || !plainName.MatchString(typ.Name) {
					continue // debug information lacks it, or writes its parts in another way
				}
				if known++; name != full.ShortName(typ.Name) {
					t.Errorf("the descriptor at %#x is %s, want %s", offset, name, full.ShortName(typ.Name))
				}
			}
			missing := 0
			for _, name := range full.TypeNames() {
				typ, err := full.Type(name)
				if err != nil || typ.RuntimeOffset() == 0 || name[0] != '*' || !plainName.MatchString(name) {
					continue
				}
				if found[full.ShortName(name)] == 0 {
					missing++
					t.Errorf("no descriptor of %s", name)
				}
			}
			if known < 500 || missing > 0 {
				t.Errorf("%d descriptors, %d of them in debug information, %d missing", len(found), known, missing)
			}
		})
	}
}

// plainName is the name of a type, or of a pointer to it, with neither arguments nor the mark of a function's own type.
var plainName = regexp.MustCompile(`^\*?[\w/.]+$`)
