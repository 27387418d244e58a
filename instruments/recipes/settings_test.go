package recipes

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Settings are followed where the user wrote them and nobody else could, and where they have no mistake.
func TestSettings(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	if s, err := ReadSettings(); err != nil || s != (Settings{}) {
		t.Errorf("without a file: %+v, %v", s, err)
	}
	path := filepath.Join(dir, "ri", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		mode os.FileMode
		want bool
		says string // "": it is followed
	}{
		{"precopy: true\n", 0o600, true, ""},
		{"precopy: true\n", 0o644, true, ""},
		{"precopy: false\n", 0o600, false, ""},
		{"# nothing yet\n", 0o600, false, ""},
		{"", 0o600, false, ""},
		{"precopy: true\n", 0o620, false, "others may write to "},
		{"precopy: true\n", 0o602, false, "others may write to "},
		{"precopi: true\n", 0o600, false, "line 1: field precopi not found"},
		{"precopy: perhaps\n", 0o600, false, "cannot unmarshal"},
		{"precopy: true\n---\nprecopy: true\n", 0o600, false, "more than one document"},
		{strings.Repeat("#", mostSettings+1), 0o600, false, "more than "},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		s, err := ReadSettings()
		if s.Precopy != c.want || (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40q with mode %o: %+v, %v", c.text, c.mode, s, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSettings(); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a FIFO: %v", err)
	}
}
