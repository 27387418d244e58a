package main

import (
	"fmt"
	"sort"
	"testing"
)

func TestTree(t *testing.T) {
	for _, test := range []struct {
		fanout, names int
		name          func(i int) string
	}{
		{3, 0, func(i int) string { return "" }},
		{3, 1, func(i int) string { return "only" }},
		{3, 500, func(i int) string { return fmt.Sprintf("up-%05d", i) }},
		{4, 500, func(i int) string { return fmt.Sprintf("down-%05d", 99999-i) }},
		{5, 2000, func(i int) string { return fmt.Sprintf("%x", mix(1, uint64(i))) }},
		{16, 5000, func(i int) string { return seedName(7, i) }},
	} {
		t.Run(fmt.Sprintf("fanout %d, %d names", test.fanout, test.names), func(t *testing.T) {
			tree := newTree(test.fanout)
			model := make(map[string]Fid)
			compare := func() {
				t.Helper()
				tree.check(t.Errorf)
				var want, got []string
				for name := range model {
					want = append(want, name)
				}
				sort.Strings(want)
				tree.scan("", func(name string, fid Fid) bool {
					if model[name] != fid {
						t.Errorf("%q: %v, want %v", name, fid, model[name])
					}
					got = append(got, name)
					return true
				})
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("names differ: %d, want %d", len(got), len(want))
				}
			}
			for i := 0; i < test.names; i++ {
				fid := Fid{1, uint64(i)}
				tree.insert(test.name(i), fid)
				model[test.name(i)] = fid
			}
			compare()
			for i := 0; i < test.names; i += 3 {
				if !tree.remove(test.name(i)) || tree.remove(test.name(i)) {
					t.Errorf("remove %q", test.name(i))
				}
				delete(model, test.name(i))
			}
			compare()
			for i := 0; i < test.names; i += 2 {
				fid := Fid{2, uint64(i)}
				tree.insert(test.name(i), fid)
				model[test.name(i)] = fid
			}
			compare()
			for i := 0; i < test.names; i++ {
				want, there := model[test.name(i)]
				if got, ok := tree.lookup(test.name(i)); ok != there || got != want {
					t.Errorf("lookup %q: %v, %v", test.name(i), got, ok)
				}
				path := tree.path(test.name(i))
				if len(path) != tree.height || path[0] != tree.root || path[len(path)-1].level != 0 {
					t.Errorf("path of %q: %v", test.name(i), path)
				}
			}
		})
	}
}

func TestTreeScanPrefix(t *testing.T) {
	tree := newTree(3)
	for i, name := range []string{"a", "ab", "ab/1", "ab/2", "ab/3", "ac", "b"} {
		tree.insert(name, Fid{0, uint64(i)})
	}
	for _, test := range []struct {
		prefix string
		want   string
	}{
		{"", "[a ab ab/1 ab/2 ab/3 ac b]"},
		{"ab", "[ab ab/1 ab/2 ab/3]"},
		{"ab/", "[ab/1 ab/2 ab/3]"},
		{"c", "[]"},
		{"aa", "[]"},
	} {
		got := []string{}
		tree.scanPrefix(test.prefix, func(name string, _ Fid) bool {
			got = append(got, name)
			return true
		})
		if fmt.Sprint(got) != test.want {
			t.Errorf("prefix %q: %v, want %s", test.prefix, got, test.want)
		}
	}
}

func TestTreeCheckFinds(t *testing.T) {
	for name, damage := range map[string]func(*Tree){
		"order":   func(t *Tree) { k := t.leaf("").keys; k[0], k[1] = k[1], k[0] },
		"size":    func(t *Tree) { t.size++ },
		"chain":   func(t *Tree) { t.leaf("").next = nil },
		"level":   func(t *Tree) { t.leaf("").level = 1 },
		"height":  func(t *Tree) { t.height++ },
		"range":   func(t *Tree) { t.leaf("").keys[0] = "zzz" },
		"unknown": func(t *Tree) { delete(t.nodes, t.leaf("").id) },
	} {
		tree := newTree(4)
		for i := 0; i < 100; i++ {
			tree.insert(seedName(1, i), Fid{})
		}
		damage(tree)
		found := 0
		tree.check(func(string, ...interface{}) { found++ })
		if found == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}
