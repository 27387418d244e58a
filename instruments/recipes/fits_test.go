package recipes

import (
	"os"
	"slices"
	"strings"
	"testing"

	"ri/instruments/lang"
	"ri/symbols"
	"ri/symbols/testprogram"
)

// What a map or a channel holds can only be read if the runtime's structure behind it is known.
func TestLacksLayouts(t *testing.T) {
	exe, err := os.Open(testprogram.Build(t, "../../values/testdata/kinds", testprogram.Variants[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	// Layouts are compiled once for a file, so what is hidden for good is hidden in a file of its own.
	open := func(name string) (*symbols.File, *symbols.Type) {
		f, err := symbols.Open(exe, "kinds")
		if err != nil {
			t.Fatal(err)
		}
		typ, err := f.Type(name)
		if err != nil {
			t.Fatal(err)
		}
		return f, typ
	}
	needs := lang.Needs{Vars: []string{"main.smallMap", "main.buffered"}}
	f, typ := open("map[string]int")
	if lacks := Lacks(f, needs); lacks != nil {
		t.Fatal(lacks)
	}
	typ.Repr().Elem().Without("used")
	if lacks := Lacks(f, needs); len(lacks) != 1 || !strings.HasSuffix(lacks[0], ".used") {
		t.Error(lacks)
	}
	f, typ = open("runtime.hchan")
	typ.Without("closed")
	want := []string{"field runtime.hchan.closed"}
	for _, needs := range []lang.Needs{needs, {Runtime: []string{"channel"}},
		{Runtime: []string{"goroutine", "queue", "heap"}}} {
		if lacks := Lacks(f, needs); !slices.Equal(lacks, want) {
			t.Errorf("%v: %v", needs, lacks)
		}
	}
	if lacks := Lacks(f, lang.Needs{Runtime: []string{"goroutine", "thread", "lock", "map"}}); lacks != nil {
		t.Error(lacks)
	}
}
