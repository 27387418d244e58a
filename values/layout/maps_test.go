package layout

import (
	"errors"
	"os"
	"strings"
	"testing"

	"ri/symbols"
	"ri/symbols/testprogram"
)

// Each map type of a program has a layout, and lacks it when a field of the runtime's structure is hidden, whichever it
// is.
func TestMaps(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		exe, err := os.Open(testprogram.Build(t, "../testdata/kinds", v))
		if err != nil {
			t.Fatal(err)
		}
		defer exe.Close()
		f, err := symbols.Open(exe, "kinds")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, name := range f.TypeNames() {
			if !strings.HasPrefix(name, "map[") || strings.Contains(name, "go.shape") {
				continue
			}
			typ, err := f.Type(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Of(f).Map(typ); err != nil {
				t.Error(err)
			}
			n++
		}
		if n < 20 {
			t.Errorf("%d map types", n)
		}
		typ, err := f.Type("map[string]int")
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Of(f).Map(typ)
		if err != nil {
			t.Fatal(err)
		}
		parts := map[*symbols.Type][]string{whole.Type: {"used", "dirPtr", "dirLen", "globalDepth"},
			whole.Table.Type: {"localDepth", "groups"}, whole.Slots.Type: nil}
		if whole.Swiss {
			for _, field := range whole.Slots.Type.Fields() { // ctrl, and slots or keys and elems
				parts[whole.Slots.Type] = append(parts[whole.Slots.Type], field.Name)
			}
		} else {
			parts = map[*symbols.Type][]string{whole.Type: {"count", "B", "flags", "buckets", "oldbuckets"},
				whole.Bucket.Type: {"tophash", "keys", "values", "overflow"}}
		}
		for part, fields := range parts {
			for _, field := range fields {
				restore := part.Without(field)
				if _, err := Of(f).Map(typ); !errors.Is(err, symbols.ErrNotFound) || !strings.Contains(err.Error(), "no ") {
					t.Errorf("without %s.%s: %v", part.Name, field, err)
				}
				restore()
			}
		}
	})
}
