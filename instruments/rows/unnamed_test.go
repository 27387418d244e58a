package rows

import (
	"os"
	"path/filepath"
	"testing"
)

// TestUnnamedFile proves that nothing is seen of a file before it is whole, that it is its owner's only, and that it
// takes nobody's place.
func TestUnnamedFile(t *testing.T) {
	for name, open := range map[string]func(string) (*unnamedFile, error){"without a name": NewUnnamedFile,
		"with another name": newNamedFile} {
		t.Run(name, func(t *testing.T) { testUnnamedFile(t, open) })
	}
}

func testUnnamedFile(t *testing.T, open func(string) (*unnamedFile, error)) {
	folder := t.TempDir()
	path := filepath.Join(folder, "core")
	names := func() int {
		list, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	begin := func() *unnamedFile {
		f, err := open(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("whole"); err != nil {
			t.Fatal(err)
		}
		return f
	}
	dropped := begin()
	dropped.Drop()
	if n := names(); n != 0 {
		t.Errorf("%d files are left of one that was dropped", n)
	}
	first, second := begin(), begin()
	defer second.Drop()
	if err := first.Appear(path); err != nil {
		t.Fatal(err)
	}
	first.Drop()
	if err := second.Appear(path); !os.IsExist(err) {
		t.Errorf("a second file of that name: %v", err)
	}
	third := begin()
	third.WriteString(", and more")
	if err := third.Replace(path); err != nil {
		t.Fatal(err)
	}
	third.Drop()
	second.Drop()
	if n := names(); n != 1 {
		t.Errorf("%d files are there", n)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 || info.Size() != 15 {
		t.Error(info, err)
	}
}

// TestTemporaries: what a ri that was killed left is taken away by the next, and not what another one is about to
// write; one that ends in haste leaves nothing.
func TestTemporaries(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "report")
	var list []*Temporary
	for _, folder := range []bool{true, false, true} {
		temporary, err := NewTemporary(path, folder)
		if err != nil {
			t.Fatal(err)
		}
		if folder {
			if err := os.WriteFile(filepath.Join(temporary.Path, "index.html"), []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, temporary)
	}
	others := filepath.Join(parent, ".report.mine")
	if err := os.WriteFile(others, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	there := func(what string, want ...bool) {
		t.Helper()
		for i, temporary := range list {
			if _, err := os.Lstat(temporary.Path); (err == nil) != want[i] {
				t.Errorf("%s: the %d. is there: %v", what, i, !want[i])
			}
		}
		if _, err := os.Lstat(others); err != nil {
			t.Error(err)
		}
	}
	there("others are locked", true, true, true)
	list[0].lock.Close() // as when its ri is killed
	list[1].lock.Close()
	dropLeft(filepath.Join(parent, "other"))
	there("of another path", true, true, true)
	dropLeft(path)
	there("of this path", false, false, true)
	DropTemporaries()
	there("at the end", false, false, false)
}
