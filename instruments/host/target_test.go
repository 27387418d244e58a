package host

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ri/attach"
	"ri/attach/process"
	"ri/symbols"
	"ri/symbols/testprogram"
	"ri/values"
)

// startKinds runs testdata/kinds, built by this Go, and looks at it.
func startKinds(t testing.TB, args ...string) *values.Space { return startKindsOf(t, "local", args...) }

// startKindsOf is startKinds for another Go.
func startKindsOf(t testing.TB, toolchain string, args ...string) *values.Space {
	t.Helper()
	exe := testprogram.Build(t, "testdata/kinds", testprogram.Variant{Name: toolchain, Toolchain: toolchain})
	f, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	file, err := symbols.Open(f, exe)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "GOGC=off")
	testprogram.Ready(t, cmd)
	target, err := process.Open(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	view, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { view.Close() })
	return values.New(file, attach.NewCache(view), target.Entry()-file.Entry())
}

// ask runs Lua text on a space and gives what it printed, or the error's text.
func ask(t testing.TB, space *values.Space, source string) string {
	t.Helper()
	out := &sink{}
	h := New(Options{Space: space, Sink: out, Folders: []fs.FS{os.DirFS("../../scripts/lua")},
		Limits: Limits{Time: time.Minute}, Target: TargetInfo{PID: 1, Kind: "process", Describe: "kinds", View: attach.Live}})
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
