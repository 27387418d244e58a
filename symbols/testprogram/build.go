// Package testprogram builds the programs that tests look at, in the many ways in which
// Go programs are built, and runs them. Only tests import it.
package testprogram

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Variant is one way to build a program.
type Variant struct {
	Name      string
	Flags     []string
	Toolchain string // "local" if empty
	Cgo       bool
	Env       []string
	Full      bool // not with -short
	Rare      bool // only with RI_VERSIONS=all: it has the standard library compiled once more, or differs little
}

// Variants are those that every table of tests runs on.
var Variants = []Variant{
	{Name: "default"},
	{Name: "NoOpt", Flags: []string{"-gcflags=all=-N -l"}},
	{Name: "pie", Flags: []string{"-buildmode=pie"}},
	{Name: "trimpath", Flags: []string{"-trimpath"}, Rare: true},
	{Name: "cgo", Cgo: true, Full: true},
	{Name: "external", Cgo: true, Flags: []string{"-tags=withcgo", "-ldflags=-linkmode=external"}, Full: true},
	{Name: "externalPIE", Cgo: true, Flags: []string{"-tags=withcgo", "-buildmode=pie", "-ldflags=-linkmode=external"},
		Rare: true},
	{Name: "dwarf4", Env: []string{"GOEXPERIMENT=nodwarf5"}, Rare: true},
	{Name: "uncompressed", Flags: []string{"-ldflags=-compressdwarf=false"}, Rare: true},
	{Name: "go1.20", Toolchain: "go1.20.14", Full: true},
	{Name: "go1.20NoOpt", Toolchain: "go1.20.14", Flags: []string{"-gcflags=all=-N -l"}, Rare: true},
	{Name: "go1.22", Toolchain: "go1.22.5", Full: true},
	{Name: "go1.22pie", Toolchain: "go1.22.5", Flags: []string{"-buildmode=pie"}, Rare: true},
	{Name: "go1.24", Toolchain: "go1.24.6", Full: true},
	{Name: "go1.24NoOpt", Toolchain: "go1.24.6", Flags: []string{"-gcflags=all=-N -l"}, Rare: true},
	{Name: "go1.25", Toolchain: "go1.25.3", Rare: true},
	{Name: "go1.27", Toolchain: "go1.27.3", Full: true},
	{Name: "go1.27NoOpt", Toolchain: "go1.27.3", Flags: []string{"-gcflags=all=-N -l"}, Rare: true},
	{Name: "go1.27split", Toolchain: "go1.27.3", Env: []string{"GOEXPERIMENT=mapsplitgroup"}, Rare: true},
	{Name: "go1.27pie", Toolchain: "go1.27.3", Flags: []string{"-buildmode=pie"}, Rare: true},
}

// Releases are the other releases of Go, beside the one that runs the tests, that programs are built with: the oldest
// and the newest, and in the long round those between. They come through the module proxy.
var Releases = releases()

func releases() []string {
	if All() {
		return []string{"go1.20.14", "go1.22.5", "go1.24.6", "go1.25.3", "go1.27.3"}
	}
	return []string{"go1.20.14", "go1.27.3"}
}

// All tells whether this is the long round (make test-all), with all that is rare.
func All() bool { return os.Getenv("RI_VERSIONS") == "all" }

// Skip skips a test of a variant that isn't of this round.
func (v Variant) Skip(t *testing.T) {
	if v.Full && testing.Short() {
		t.Skip("not with -short")
	}
	if v.Rare && !All() {
		t.Skip("only with RI_VERSIONS=all")
	}
}

// Optimised tells whether the compiler optimises.
func (v Variant) Optimised() bool { return !strings.Contains(strings.Join(v.Flags, " "), "-N") }

// Each runs a test on each variant, of -short those that need neither another toolchain nor a C compiler.
func Each(t *testing.T, f func(t *testing.T, v Variant)) {
	for _, v := range Variants {
		t.Run(v.Name, func(t *testing.T) {
			v.Skip(t)
			f(t, v)
		})
	}
}

// Build makes an executable of the module in dir, unless the temporary directory has one that was made of the same
// sources in the same way. Tests of several packages may do so at once.
func Build(t testing.TB, dir string, v Variant) string {
	t.Helper()
	if v.Cgo {
		if _, err := exec.LookPath("gcc"); err != nil {
			t.Skip("no C compiler")
		}
	}
	toolchain := v.Toolchain
	if toolchain == "" {
		toolchain = "local"
	}
	exe := filepath.Join(cacheDir(t), fmt.Sprintf("%s-%s-%x", filepath.Base(dir), v.Name, digest(t, dir, toolchain, v)))
	if _, err := os.Stat(exe); err == nil {
		return exe
	}
	// Whoever comes second waits for the first.
	lock, err := os.OpenFile(exe+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(exe); err == nil {
		return exe
	}
	made, err := os.CreateTemp(filepath.Dir(exe), "making-*")
	if err != nil {
		t.Fatal(err)
	}
	made.Close()
	defer os.Remove(made.Name())
	cmd := exec.Command("go", append(append([]string{"build", "-o", made.Name()}, v.Flags...), ".")...)
	cmd.Dir = dir
	cgo := "CGO_ENABLED=0"
	if v.Cgo {
		cgo = "CGO_ENABLED=1"
	}
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain, "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", cgo)
	cmd.Env = append(cmd.Env, v.Env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v (GOTOOLCHAIN=%s): %v\n%s", cmd, toolchain, err, out)
	}
	if err := os.Rename(made.Name(), exe); err != nil {
		t.Fatal(err)
	}
	return exe
}

// cacheDir is a folder that no other user can put executables into.
func cacheDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("ri-testprograms-%d", os.Getuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return t.TempDir()
	}
	return dir
}

// digest names what an executable is made of: the sources and the way.
func digest(t testing.TB, dir, toolchain string, v Variant) []byte {
	t.Helper()
	h := sha256.New()
	dir, err := filepath.Abs(dir) // which its DWARF has
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(h, runtime.Version(), toolchain, v.Flags, v.Env, v.Cgo, dir)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintln(h, path, len(data))
		h.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return h.Sum(nil)[:8]
}
