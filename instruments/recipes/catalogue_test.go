package recipes

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ri/attach"
	"ri/instruments/host"
	"ri/instruments/lang"
)

// testScripts holds an instrument with each type of parameter.
var testScripts = fstest.MapFS{
	"go/list.lua": {Data: []byte(`return {
  title = "elements of a list", category = "go",
  params = {
    { name = "expr", type = "expr", required = true, help = "the list" },
    { name = "limit", type = "int", default = 100, min = 1, max = 1000 },
    { name = "order", type = "enum", values = {"up", "down"}, default = "up" },
    { name = "age", type = "duration", default = "1s" },
    { name = "all", type = "bool", default = false },
    { name = "at", type = "address" },
    { name = "share", type = "float" },
  },
  columns = { { name = "name" }, { name = "size", type = "int" } },
  run = function(p) end,
}`)},
	"bare.lua": {Data: []byte(`print("hello")`)},
}

func testCatalogue(t *testing.T, text string) (*Catalogue, []error) {
	t.Helper()
	c, warnings, err := newCatalogue(testScripts, catalogueFile{Name: "a.yaml", Data: []byte(text), Scripts: testScripts})
	if err != nil {
		t.Fatal(err)
	}
	return c, warnings
}

func TestCatalogue(t *testing.T) {
	c, warnings := testCatalogue(t, `
queue:
  title: the queue
  instrument: go/list.lua
  params: {expr: main.queue, limit: 10}
  mode: read
  view: live
  max-stop: 250ms
  limits: {time: 3s, memory: 64MiB, rows: 1000}
  lock: main.queue.mu
`)
	if len(warnings) > 0 {
		t.Fatal(warnings)
	}
	r, err := c.Recipe("queue")
	if err != nil {
		t.Fatal(err)
	}
	if r.Title != "the queue" || r.Mode != Read || r.View != attach.Live || r.MaxStop != 250*time.Millisecond ||
		!slices.Equal(r.Locks, []string{"main.queue.mu"}) ||
		r.Limits != (host.Limits{Time: 3 * time.Second, Memory: 64 << 20, Rows: 1000}) || r.Presets["limit"] != "10" ||
		r.Origin != (Position{"a.yaml", 2}) {
		t.Errorf("decoded wrongly: %+v", r)
	}
	s, err := r.Script(c)
	if err != nil {
		t.Fatal(err)
	}
	params, err := lang.ParseParams(s.Header, r.Presets, []string{"order=down"})
	if err != nil {
		t.Fatal(err)
	}
	if params["expr"] != "main.queue" || params["limit"] != int64(10) || params["order"] != "down" ||
		params["age"] != time.Second {
		t.Errorf("params: %v", params)
	}
}

// Each mistake is told with its line, and doesn't take the good recipe with it.
func TestCatalogueMistakes(t *testing.T) {
	const good = "\ngood: {instrument: bare.lua}\n"
	for _, test := range []struct{ text, want string }{
		{"a: {instrument: go/list.lua, veiw: live}", `a.yaml:1: recipe a: unknown key veiw; did you mean view?`},
		{"a:\n  instrument: go/list.lua\n  view: stoped",
			`a.yaml:3: recipe a: stoped is none of live, snapshot, stopped; did you mean stopped?`},
		{"a:\n  instrument: go/list.lua\n  mode: rw", `a.yaml:3: recipe a: rw is none of read, write`},
		{"a:\n  instrument: go/lost.lua", `a.yaml:2: recipe a: instrument go/lost.lua: file does not exist`},
		{"a:\n  instrument: ../list.lua",
			`a.yaml:2: recipe a: instrument ../list.lua: must be a .lua file in the catalogue's folder or below it`},
		{"a:\n  title: x", `a.yaml:1: recipe a: no instrument: name the Lua file that it runs`},
		{"a: {instrument: bare.lua}\na: {instrument: bare.lua}", `a.yaml:2: recipe a is declared twice; first in line 1`},
		{"a:\n  instrument: go/list.lua\n  max-stop: 100", `a.yaml:3: recipe a: 100 is no duration such as 100ms or 2s`},
		{"a:\n  instrument: go/list.lua\n  limits: {rows: many}", `a.yaml:3: recipe a: many is no count`},
		{"a:\n  instrument: go/list.lua\n  limits: {row: 1}", `a.yaml:3: recipe a: unknown limit row; did you mean rows?`},
		{"a:\n  instrument: go/list.lua\n  limits: {memory: 1 potato}",
			`a.yaml:3: recipe a: "1 potato" is no size such as 64MiB`},
		{"a:\n  instrument: go/list.lua\n  params: [1]",
			`a.yaml:3: recipe a: params must be a mapping of parameters to values, not a list`},
		{"a:\n  instrument: go/list.lua\n  params: {x: [1]}",
			`a.yaml:3: recipe a: parameter x must be one value, not a list`},
		{"a:\n  instrument: go/list.lua\n  params: {x: }", `a.yaml:3: recipe a: parameter x must be one value, not nothing`},
		{"a: go/list.lua", `a.yaml:1: recipe a: must be a mapping with the key instrument, not go/list.lua`},
		{"a:\n  mode: write\n  instrument: go/list.lua\n  view: live",
			`a.yaml:1: recipe a: mode write needs view snapshot or stopped, not live`},
		{"A b: {instrument: go/list.lua}", `a.yaml:1: "A b" can't be a recipe's name: lower-case words joined by dashes`},
	} {
		c, warnings := testCatalogue(t, test.text+good)
		if len(warnings) != 1 || warnings[0].Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.text, warnings, test.want)
		}
		if _, err := c.Recipe("good"); err != nil {
			t.Errorf("%s: the good recipe is lost: %v", test.text, err)
		}
	}
	for _, test := range []struct{ text, want string }{
		{"a: [", "a.yaml:1: did not find expected node content"},
		{"- a", "a.yaml:1: a catalogue is a mapping of recipes' names to recipes, not a list"},
		{"a: {}\n---\nb: {}", "a.yaml: more than one document; a catalogue is one"},
	} {
		_, warnings := testCatalogue(t, test.text)
		if len(warnings) != 1 || warnings[0].Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.text, warnings, test.want)
		}
	}
}

// A preset is checked against the instrument's header, with the line of the preset.
func TestCataloguePresets(t *testing.T) {
	c, _ := testCatalogue(t, "a:\n  instrument: go/list.lua\n  params:\n    expr: main.x\n    limt: 3\n")
	r, _ := c.Recipe("a")
	_, err := r.Script(c)
	if want := "a.yaml:5: recipe a: no parameter limt; did you mean limit?"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCatalogueOverrides(t *testing.T) {
	source := func(name, text string, asked bool) catalogueFile {
		return catalogueFile{Name: name, Data: []byte(text), Scripts: testScripts, Asked: asked}
	}
	builtIn := source("built in", "a: {instrument: bare.lua}\nb: {instrument: bare.lua}", false)

	c, warnings, err := newCatalogue(testScripts, builtIn,
		source("user.yaml", "a: {instrument: bare.lua, title: mine}\nb: {instrument: lost.lua}", false))
	if err != nil || len(warnings) != 1 {
		t.Fatal(warnings, err)
	}
	if a, err := c.Recipe("a"); err != nil || a.Title != "mine" || len(a.Overrides) != 1 ||
		a.Overrides[0] != (Position{"built in", 1}) {
		t.Errorf("a isn't overridden: %+v, %v", a, err)
	}
	if b, err := c.Recipe("b"); err != nil || b.Origin.File != "built in" {
		t.Errorf("a broken recipe took the place of a good one: %+v, %v", b, err)
	}
	if _, _, err := newCatalogue(testScripts, builtIn, source("asked.yaml", "c: {}", true)); err == nil {
		t.Error("a catalogue that was asked for is broken, and nobody says so")
	}
	if _, err := c.Recipe("aa"); err == nil || err.Error() != "no recipe aa; did you mean a? (ri recipes lists them)" {
		t.Errorf("unknown recipe: %v", err)
	}
}

func TestFindSources(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	built := fstest.MapFS{"recipes.yaml": {Data: []byte("a: {instrument: x.lua}")},
		"scripts/lua/x.lua": {Data: []byte("print(1)")}}
	write("config/ri/recipes.d/10.yaml", "b: {instrument: b.lua}")
	write("config/ri/recipes.d/b.lua", "print(2)")
	vendor := write("vendor/recipes.yaml", "c: {instrument: deep/c.lua}")
	write("vendor/deep/c.lua", "print(3)")
	asked := write("asked.yaml", "d: {instrument: d.lua}")
	write("d.lua", "print(4)")
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	t.Setenv("RI_RECIPES", vendor+string(os.PathListSeparator)+filepath.Join(dir, "none"))

	c, warnings, err := OpenCatalogue(built, asked)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Error(), "none: no such file or directory") {
		t.Errorf("warnings: %v", warnings)
	}
	var names []string
	for _, r := range c.Recipes() {
		names = append(names, r.Name)
		if _, err := r.Script(c); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(names, " "); got != "a b c d" {
		t.Errorf("recipes: %s", got)
	}
	if _, _, err := OpenCatalogue(built, filepath.Join(dir, "none.yaml")); err == nil {
		t.Error("a catalogue that was asked for is missing, and nobody says so")
	}
}

func FuzzCatalogue(f *testing.F) {
	f.Add("a: {instrument: go/list.lua, params: {expr: x}}")
	f.Add("a: &x {instrument: bare.lua}\nb: *x\nc: {<<: *x}")
	f.Add("? [a]\n: b")
	f.Add("a: !!binary x")
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := newCatalogue(testScripts, catalogueFile{Name: "fuzz", Data: []byte(text), Scripts: fs.FS(testScripts)})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Recipes() {
			if r.Instrument == "" || !recipeName.MatchString(r.Name) {
				t.Errorf("a bad recipe passed: %+v", r)
			}
		}
	})
}

func TestLockKeys(t *testing.T) {
	c, warnings := testCatalogue(t,
		"one: {instrument: go/list.lua, lock: main.mu}\nmore: {instrument: go/list.lua, lock: [main.a, main.b]}\n"+
			"bad: {instrument: go/list.lua, lock: [{x: y}]}\n")
	one, _ := c.Recipe("one")
	more, _ := c.Recipe("more")
	if len(one.Locks) != 1 || len(more.Locks) != 2 || more.Locks[1] != "main.b" {
		t.Error(one.Locks, more.Locks)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Error(),
		":3: recipe bad: a text is needed here, not a mapping") {
		t.Error(warnings)
	}
}
