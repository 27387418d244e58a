package instruments

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ri/attach"
	"ri/symbols"
	"ri/symbols/testprogram"
	"ri/values"
)

// fixture is testdata/kinds, built.
type fixture struct {
	exe  string
	file *symbols.File
}

// kinds is the fixture as this Go builds it.
var kinds = sync.OnceValues(func() (*fixture, error) { return buildKinds("local") })

// buildKinds builds the fixture, as a module of its own that old releases take.
func buildKinds(toolchain string) (*fixture, error) {
	dir, err := os.MkdirTemp("", "kinds")
	if err != nil {
		return nil, err
	}
	cleanups = append(cleanups, func() { os.RemoveAll(dir) })
	if err := os.CopyFS(dir, os.DirFS("testdata/kinds")); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module kinds\n\ngo 1.20\n"), 0o600); err != nil {
		return nil, err
	}
	exe := filepath.Join(dir, "kinds")
	cmd := exec.Command("go", "build", "-o", exe, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOTOOLCHAIN="+toolchain, "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%v\n%s", err, out)
	}
	f, err := os.Open(exe)
	if err != nil {
		return nil, err
	}
	file, err := symbols.Open(f, exe)
	return &fixture{exe, file}, err
}

var cleanups []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, f := range cleanups {
		f()
	}
	os.Exit(code)
}

// startKinds runs the fixture and looks at it.
func startKinds(t testing.TB, args ...string) *values.Space {
	t.Helper()
	f, err := kinds()
	if err != nil {
		t.Fatal(err)
	}
	return f.start(t, args...)
}

func (f *fixture) start(t testing.TB, args ...string) *values.Space {
	t.Helper()
	cmd := exec.Command(f.exe, args...)
	cmd.Env = append(os.Environ(), "GOGC=off")
	testprogram.Ready(t, cmd)
	target, err := attach.OpenProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	view, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { view.Close() })
	return values.New(f.file, attach.NewCache(view), target.Entry()-f.file.Entry())
}

// ask runs Lua text on a space and gives what it printed, or the error's text.
func ask(t testing.TB, space *values.Space, source string) string {
	t.Helper()
	out := &sink{}
	h := New(Options{Space: space, Sink: out, Folders: []fs.FS{os.DirFS("../scripts/lua")}, Limits: Limits{Time: time.Minute}, Target: TargetInfo{PID: 1, Kind: "process", Describe: "kinds", View: attach.Live}})
	defer h.Close()
	script, err := CompileExpression("ask", source)
	if err != nil {
		return err.Error()
	}
	if err := h.Run(context.Background(), script, nil); err != nil {
		return err.Error()
	}
	return strings.Join(out.printed, "\n")
}
