package boundary

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ri/symbols"
)

// program is one with a library whose path ends in a version.
var program = map[string]string{
	"go.mod": "module example.com\n\ngo 1.22\n",
	"main.go": `package main

import "example.com/store.v3"

type mine struct{}

//go:noinline
func (mine) Next() int { return 1 }

func main() {
	c := store.New(mine{})
	c.Set(1)
	store.Open(c).Put(2)
	store.Open(c).Put(3)
	c.Each(func(n int) error { println(n); return nil })
	func() {}()
}
`,
	"store.v3/store.go": `package store

type Source interface{ Next() int }

type engine interface{ Run(n int) int }

type turbine struct{ n int }

//go:noinline
func (t *turbine) Run(n int) int { t.n += n; return t.n }

type cache struct {
	source Source
	engine engine
}

//go:noinline
func (c *cache) Set(n int) int { return c.engine.Run(n) + c.source.Next() }

//go:noinline
func (c *cache) Each(f func(n int) error) error { return f(c.engine.Run(0)) }

// Cache hides what it does, as github.com/patrickmn/go-cache does.
type Cache struct{ *cache }

//go:noinline
func New(s Source) *Cache { return &Cache{&cache{s, &turbine{}}} }

type Putter interface{ Put(n int) int }

type putter struct{ c *Cache }

//go:noinline
func (p *putter) Put(n int) int { return p.c.Set(n) }

//go:noinline
func Open(c *Cache) Putter { return &putter{c} }
`}

// TestOf: methods come in through a type that embeds another without an exported name, and through an interface of the
// package; what is the library's own behind an interface of its own doesn't go out, a closure that
// it may be given does; a package whose path ends in a
// version is found by its name, too.
func TestOf(t *testing.T) {
	dir := t.TempDir()
	for name, text := range program {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", "program", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	exe, err := os.Open(filepath.Join(dir, "program"))
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	f, err := symbols.Open(exe, exe.Name())
	if err != nil {
		t.Fatal(err)
	}
	const pkg = "example.com/store.v3."
	for _, one := range []struct {
		of      string
		in, out []string
	}{
		{"store.Cache", []string{"(*cache).Each", "(*cache).Set", "New"}, []string{"main.mine.Next", "main.main.func1"}},
		{"store",
			[]string{"(*cache).Each", "(*cache).Set", "(*putter).Put", "New", "Open"},
			[]string{"main.mine.Next", "main.main.func1"}},
		{"store.v3",
			[]string{"(*cache).Each", "(*cache).Set", "(*putter).Put", "New", "Open"},
			[]string{"main.mine.Next", "main.main.func1"}},
	} {
		b, err := Of(f, []string{one.of}, Options{})
		if err != nil {
			t.Errorf("%s: %v", one.of, err)
			continue
		}
		var in, out []string
		for _, m := range b.In {
			in = append(in, strings.TrimPrefix(m.Func, pkg))
		}
		for _, m := range b.Out {
			if !slices.Contains(one.in, strings.TrimPrefix(m.Func, pkg)) {
				out = append(out, m.Func)
			}
		}
		slices.Sort(in)
		if !slices.Equal(in, one.in) || !slices.Equal(out, one.out) {
			t.Errorf("%s: in %q, out %q", one.of, in, out)
		}
	}
}
