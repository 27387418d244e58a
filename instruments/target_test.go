package instruments

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ri/attach"
	"ri/symbols"
	"ri/values"
)

// kinds is the fixture's executable, built once.
var kinds = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "kinds")
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, func() { os.RemoveAll(dir) })
	exe := filepath.Join(dir, "kinds")
	if out, err := exec.Command("go", "build", "-o", exe, "./testdata/kinds").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v\n%s", err, out)
	}
	return exe, nil
})

var kindsFile = sync.OnceValues(func() (*symbols.File, error) {
	exe, err := kinds()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(exe)
	if err != nil {
		return nil, err
	}
	return symbols.Open(f, exe)
})

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
	exe, err := kinds()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "GOGC=off")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		in.Close()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		rest, _ := io.ReadAll(out)
		t.Fatalf("the fixture says %q %s, %v", line, rest, err)
	}
	target, err := attach.OpenProcess(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	file, err := kindsFile()
	if err != nil {
		t.Fatal(err)
	}
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
	h := New(Options{Space: space, Sink: out, Folders: []fs.FS{os.DirFS("../scripts/lua")}, Target: TargetInfo{PID: 1, Describe: "kinds", View: attach.Live}})
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
