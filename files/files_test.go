package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOpen(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	write := func(name string, size int) {
		if err := os.WriteFile(at(name), []byte(strings.Repeat("x", size)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("small", 10)
	write("large", MaxText+1)
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("pipe"), at("link")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path string
		want error
	}{
		{at("small"), nil}, {at("large"), ErrTooLarge}, {at("pipe"), ErrNotRegular}, {at("link"), ErrNotRegular},
		{folder, ErrNotRegular},
		{"/dev/zero", ErrNotRegular}, {at("none"), fs.ErrNotExist},
	} {
		if data, err := Read(test.path, MaxText); !errors.Is(err, test.want) || err == nil && len(data) != 10 {
			t.Errorf("%s: %d bytes, %v, want %v", test.path, len(data), err, test.want)
		}
		if filepath.Dir(test.path) == folder {
			if _, err := fs.ReadFile(Dir(folder, false), filepath.Base(test.path)); !errors.Is(err, test.want) {
				t.Errorf("in its folder, %s: %v, want %v", test.path, err, test.want)
			}
		}
	}
	for _, name := range []string{"../small", "/etc/passwd", "a/../small"} {
		if _, err := fs.ReadFile(Dir(folder, false), name); err == nil {
			t.Errorf("%s leads out of the folder", name)
		}
	}
	// What grows while it is read, or says that it is empty (as files of /proc do), is bounded all the same.
	if _, err := Read("/proc/self/maps", 10); !errors.Is(err, ErrTooLarge) {
		t.Errorf("/proc/self/maps: %v", err)
	}
}

func TestBelieve(t *testing.T) {
	folder := t.TempDir()
	inner := filepath.Join(folder, "a", "b")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(inner, "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(folder, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	change := func(path string, mode fs.FileMode) func() {
		return func() {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		what string
		do   func()
		want bool
	}{
		{"as it is", func() {}, true},
		{"others may write to it", change(file, 0o646), false},
		{"its group may", change(file, 0o664), false},
		{"nobody else may", change(file, 0o600), true},
		{"others may write to its folder", change(inner, 0o777), false},
		{"in a sticky folder", change(inner, 0o777|fs.ModeSticky), true},
		{"and again only the owner", change(inner, 0o755), true},
		{"others may write to a folder on the way", change(filepath.Join(folder, "a"), 0o775), false},
		{"and no longer", change(filepath.Join(folder, "a"), 0o700), true},
	} {
		test.do()
		for _, path := range []string{file, link} {
			if err := Believe(path); (err == nil) != test.want || err != nil && !errors.Is(err, ErrNotBelieved) {
				t.Errorf("%s, %s: %v", test.what, path, err)
			}
		}
		if _, err := fs.ReadFile(Dir(inner, true), "f"); (err == nil) != test.want {
			t.Errorf("%s, as a script: %v", test.what, err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(file, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if err := Believe(file); !errors.Is(err, ErrNotBelieved) {
			t.Errorf("another's file: %v", err)
		}
	}
}
