package layout

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ri/symbols"
	"ri/symbols/layouts"
	"ri/symbols/testprogram"
)

// table is the runtime of one release of Go, as the tables for stripped programs have it, and without some of its
// fields.
type table struct {
	release string // "go1.26"
	minor   int
	types   map[string]*symbols.Type
	vars    map[string]symbols.Var
}

func (t *table) GoVersion() string { return t.release }

func (t *table) Type(name string) (*symbols.Type, error) {
	if typ := t.types[name]; typ != nil {
		return typ, nil
	}
	return nil, fmt.Errorf("no type %s: %w", name, symbols.ErrNotFound)
}

func (t *table) Var(name string) (symbols.Var, error) {
	if v, ok := t.vars[name]; ok {
		return v, nil
	}
	return symbols.Var{}, fmt.Errorf("no variable %s: %w", name, symbols.ErrNotFound)
}

var tables = map[string]layouts.Table{}

// read makes the types of a table; hide leaves out the fields whose name it says yes to: "runtime.g.goid".
func read(t testing.TB, path string, hide func(field string) bool) *table {
	t.Helper()
	raw, ok := tables[path]
	if !ok {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		z, err := gzip.NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewDecoder(z).Decode(&raw); err != nil {
			t.Fatal(err)
		}
		tables[path] = raw
	}
	out := &table{release: strings.TrimSuffix(filepath.Base(path), ".json.gz"), types: map[string]*symbols.Type{},
		vars: map[string]symbols.Var{}}
	if _, err := fmt.Sscanf(out.release, "go1.%d", &out.minor); err != nil {
		t.Fatal(err)
	}
	var none symbols.File
	all := make([]*symbols.Type, len(raw.Types)+1)
	for i, lt := range raw.Types {
		all[i+1] = none.NewType(lt.Name, reflect.Kind(lt.Kind), lt.Size)
		if out.types[lt.Name] == nil {
			out.types[lt.Name] = all[i+1]
		}
	}
	for i, lt := range raw.Types {
		p := symbols.Parts{Elem: all[lt.Elem], Key: all[lt.Key], Repr: all[lt.Repr], Len: lt.Len}
		for _, f := range lt.Fields {
			if !hide(lt.Name + "." + f.Name) {
				p.Fields = append(p.Fields, symbols.Field{Name: f.Name, Offset: f.Offset, Type: all[f.Type], Embedded: f.Embedded})
			}
		}
		all[i+1].Complete(p)
	}
	for _, v := range raw.Vars {
		out.vars[v.Name] = symbols.Var{Name: v.Name, Addr: 1 << 20, Type: all[v.Type]}
	}
	// The code of the runtime doesn't tell where this one is, so the tables lack it.
	out.vars["runtime.pollcache"] = symbols.Var{Name: "runtime.pollcache", Addr: 1 << 20,
		Type: out.types["runtime.pollCache"]}
	return out
}

func nothingHidden(string) bool { return false }

// each runs a test on the runtime of each release.
func each(t *testing.T, f func(t *testing.T, path string)) {
	paths, err := filepath.Glob("../../symbols/layouts/*.json.gz")
	if err != nil || len(paths) < 7 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json.gz"), func(t *testing.T) { f(t, path) })
	}
}

// No release lacks anything that is required, and what is said of the releases that have a field is so.
func TestReleases(t *testing.T) {
	each(t, func(t *testing.T, path string) {
		runtime := read(t, path, nothingHidden)
		c := &compiler{source: runtime}
		for _, g := range compile(c).groups() {
			if err := g.Err(); err != nil {
				t.Errorf("%s: %v", g.Name, err)
			}
		}
		if len(c.fields) < 100 {
			t.Fatalf("%d fields are declared", len(c.fields))
		}
		for _, d := range c.fields {
			if want := runtime.minor >= d.releases.first &&
				(d.releases.last == 0 || runtime.minor <= d.releases.last); want != (d.found != "") {
				t.Errorf("%s.%s: declared for Go 1.%d to 1.%d, found: %q", d.in.name, d.paths[0], d.releases.first,
					d.releases.last, d.found)
			}
		}
	})
}

// A program that lacks a field, each of them in turn, lacks exactly the groups that require it, and says which field.
// What is optional is then not Known, and nothing else changes.
func TestHiddenFields(t *testing.T) {
	each(t, func(t *testing.T, path string) {
		runtime := read(t, path, nothingHidden)
		whole := &compiler{source: runtime}
		compile(whole)
		hidden := map[string]bool{}
		for _, d := range whole.fields {
			if d.found != "" {
				hidden[owner(t, d)] = true
			}
		}
		for name := range hidden {
			c := &compiler{source: read(t, path, func(field string) bool { return field == name })}
			l := compile(c)
			want := map[string]bool{}
			for i, d := range c.fields {
				if was := whole.fields[i]; was.found == "" || owner(t, was) != name {
					if d.found != was.found {
						t.Errorf("without %s: %s.%s is %q, was %q", name, d.in.name, d.paths[0], d.found, was.found)
					}
				} else if d.required && d.found == "" {
					want[d.group] = true
				}
			}
			for _, g := range l.groups() {
				direct := want[g.Name]
				err := g.Err()
				switch {
				case direct && err == nil:
					t.Errorf("without %s: %s is available", name, g.Name)
				case err == nil:
				case !errors.Is(err, symbols.ErrNotFound):
					t.Errorf("without %s: %s: %v", name, g.Name, err)
				case !slices.ContainsFunc(g.missing, func(m Missing) bool { return strings.Contains(err.Error(), m.Name) }):
					t.Errorf("without %s: %s: %v", name, g.Name, err)
				}
			}
		}
		if len(hidden) < 90 {
			t.Errorf("%d fields were hidden", len(hidden))
		}
	})
}

// owner names the last field of a declared path with the type that it stands in.
func owner(t *testing.T, d declared) string {
	typ := d.in.Type
	steps := strings.Split(d.found, ".")
	for _, step := range steps[:len(steps)-1] {
		p, err := typ.FieldByName(step)
		if err != nil {
			t.Fatal(err)
		}
		typ = p.Field.Type
	}
	last := steps[len(steps)-1]
	for _, f := range typ.Fields() {
		if f.Name == last {
			return typ.Name + "." + last
		}
	}
	for _, f := range typ.Fields() { // promoted
		if _, err := f.Type.FieldByName(last); f.Embedded && err == nil {
			return f.Type.Name + "." + last
		}
	}
	t.Fatalf("no field %s in %s", last, typ.Name)
	return ""
}

// The smallest programs have all that is required: linkers leave out of debug information what a program doesn't use.
func TestSmallPrograms(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		exe, err := os.Open(testprogram.Build(t, "testdata/nothing", v))
		if err != nil {
			t.Fatal(err)
		}
		defer exe.Close()
		f, err := symbols.Open(exe, "nothing")
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range Of(f).groups() {
			if err := g.Err(); err != nil && g.Name != "poller" { // a program that neither opens files nor connections has none
				t.Errorf("%s: %v", g.Name, err)
			}
		}
	})
}

func TestField(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	for _, c := range []struct {
		f    Field
		want uint64
	}{
		{Field{}, 0},
		{Field{Offset: 1, Size: 1}, 2},
		{Field{Offset: 1, Size: 2}, 0x0302},
		{Field{Offset: 4, Size: 4}, 0x08070605},
		{Field{Offset: 8, Size: 8}, 0x100f0e0d0c0b0a09},
		{Field{Offset: 0, Size: 16}, 0x0807060504030201},
		{Field{Offset: 0, Size: 24}, 0x0807060504030201},
		{Field{Offset: 12, Size: 8}, 0}, // beyond the end
		{Field{Offset: 16, Size: 1}, 0},
		{Field{Offset: -8, Size: 8}, 0},
		{Field{Offset: 14, Size: 3}, 0},
	} {
		if got := c.f.Uint(b); got != c.want {
			t.Errorf("%v: %#x, want %#x", c.f, got, c.want)
		}
	}
	if new(Field).Known() || !(Field{Offset: 0, Size: 4}).Known() {
		t.Error("Known")
	}
}

func TestUnknownGroup(t *testing.T) {
	l := compile(&compiler{source: nothing{}})
	if _, err := l.Lacks("gorouting"); err == nil || !strings.Contains(err.Error(), "goroutine") {
		t.Error(err)
	}
	for _, name := range Groups() {
		if lacks, err := l.Lacks(name); err != nil || len(lacks) == 0 && name != "lock" {
			t.Error(name, lacks, err)
		}
	}
}
