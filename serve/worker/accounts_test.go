package worker

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPlace has nothing that comes from elsewhere lie outside of the worker's folder, whatever it is called.
func TestPlace(t *testing.T) {
	top := t.TempDir()
	own.Root = filepath.Join(top, "root")
	defer func() { own = Task{} }()
	for _, path := range []string{"", "x.lua", "../x.lua", "/../x.lua", "/a/../../x.lua", "/a/./x.lua", "/x.lua/"} {
		if err := (File{Path: path, Text: []byte("x")}).place(); err == nil {
			t.Errorf("%q is placed", path)
		}
	}
	if err := (File{Path: "/home/ann/x.lua", Text: []byte("x")}).place(); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(own.Root, "home/ann/x.lua")); err != nil || string(text) != "x" {
		t.Errorf("%q, %v", text, err)
	}
	if entries, err := os.ReadDir(top); err != nil || len(entries) != 1 {
		t.Errorf("outside there are %v, %v", entries, err)
	}
}
