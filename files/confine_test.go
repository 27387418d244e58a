package files

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestConfine has nothing be opened outside of the folder, by whatever way it is named.
func TestConfine(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(dir, "outside")
	within := filepath.Join(dir, "within")
	if err := os.Mkdir(within, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{outside, filepath.Join(within, "x")} {
		if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir, filepath.Join(within, "up")); err != nil {
		t.Fatal(err)
	}
	Confine(within)
	defer Confine("")
	t.Chdir(within)
	for _, path := range []string{outside, "../outside", within + "/../outside", "up/outside", within, "/etc/passwd"} {
		if _, err := Read(path, 100); !errors.Is(err, ErrElsewhere) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"x", filepath.Join(within, "x"), "./x"} {
		if _, err := Read(path, 100); err != nil {
			t.Error(err)
		}
	}
	if err := Outside("up/new"); !errors.Is(err, ErrElsewhere) {
		t.Errorf("a file is made outside: %v", err)
	}
	if err := Outside("new"); err != nil {
		t.Error(err)
	}
	if _, err := ReadBelieved(outside, 100); errors.Is(err, ErrElsewhere) {
		t.Errorf("the agent's own: %v", err)
	}
}
