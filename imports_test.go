package ri_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// room is a line of the table in docs/design.md.
type room struct {
	imports, tests, modules []string
}

// rooms reads the table "What a room may import" of docs/design.md.
func rooms(t *testing.T) map[string]room {
	t.Helper()
	text, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]room{}
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		words := func(cell string) []string {
			return strings.Fields(strings.NewReplacer("`", "", ",", " ", "–", " ").Replace(cell))
		}
		for _, name := range words(cells[1]) {
			table[name] = room{words(cells[2]), words(cells[3]), words(cells[4])}
		}
	}
	if len(table) < 15 {
		t.Fatalf("the table of docs/design.md has %d rooms", len(table))
	}
	return table
}

// TestImports holds the rooms to the table of docs/design.md: what each imports of the others, its tests too, and which
// modules.
func TestImports(t *testing.T) {
	table := rooms(t)
	list := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for d := json.NewDecoder(bufio.NewReader(bytes.NewReader(out))); d.More(); {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name := roomOf(p.ImportPath)
		r, ok := table[name]
		if !ok {
			t.Errorf("%s is in no line of the table of docs/design.md", name)
			continue
		}
		seen[name] = true
		check := func(imports []string, test bool) {
			for _, path := range imports {
				of := roomOf(path)
				own, module := of != "", strings.Contains(strings.Split(path, "/")[0], ".")
				switch {
				case own && of == name:
				case own && (slices.Contains(r.imports, of) || test && slices.Contains(r.tests, of)):
				case own:
					what := "imports"
					if test {
						what = "imports in its tests"
					}
					t.Errorf("%s -> %s: %s %s %s, which docs/design.md doesn't allow", name, of, name, what, of)
				case module && !test && !slices.ContainsFunc(r.modules,
					func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") }):
					t.Errorf("%s -> %s: that module has no place in %s by docs/design.md", name, path, name)
				}
			}
		}
		check(p.Imports, false)
		check(append(p.TestImports, p.XTestImports...), true)
	}
	for name := range table {
		if !seen[name] {
			t.Errorf("docs/design.md has a room %s, and there is no such package", name)
		}
	}
}

// TestImportsOneWay says of the table itself that no way leads back.
func TestImportsOneWay(t *testing.T) {
	table := rooms(t)
	var path []string
	var visit func(name string)
	visit = func(name string) {
		if i := slices.Index(path, name); i >= 0 {
			t.Fatalf("a circle: %s", strings.Join(append(path[i:], name), " -> "))
		}
		path = append(path, name)
		for _, next := range table[name].imports {
			visit(next)
		}
		path = path[:len(path)-1]
	}
	for name := range table {
		visit(name)
	}
}

// roomOf is the room of a package of ours, "" of any other.
func roomOf(path string) string {
	if path == "ri" {
		return "ri"
	}
	name, _ := strings.CutPrefix(path, "ri/")
	if name == path {
		return ""
	}
	return name
}

// TestLines holds Go files to what a screen shows, and a person keeps in mind: lines of at most 120 columns, and files
// of at most 500 lines, tests apart.
func TestLines(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			if columns := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); columns > 120 {
				t.Errorf("%s:%d has %d columns", path, n, columns)
			}
		}
		if n > 500 && !strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s has %d lines", path, n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
