package rows

import (
	"os"
	"path/filepath"
	"testing"
)

// TestUnnamedFile proves that nothing is seen of a file before it is whole, that it is its owner's only, and that it
// takes nobody's place.
func TestUnnamedFile(t *testing.T) {
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
		f, err := NewUnnamedFile(path)
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
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 || info.Size() != 5 {
		t.Error(info, err)
	}
}
