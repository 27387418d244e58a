package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A crash is a way to die of testdata/crash, and what ri crash must say of it: of rows by part, a text that "what"
// contains, and one of "details".
type crash struct {
	way   string
	rows  [][3]string
	never string // a text that no row has
}

var crashes = []crash{
	{"nil", [][3]string{{"died", "panic in goroutine 1,", ""},
		{"panic", "invalid memory address or nil pointer dereference", "runtime.errorString"},
		{"fault", "SIGSEGV: read of address 0x10: a nil pointer", "n.value"}, {"frame", "main.(*node).valueOf", ""},
		{"frame", "main.(*list).sum", "size: 3"},
		{"others", "5 goroutines: chan receive", "main.main.func2"}, {"others", "3 goroutines: sleep", "main.main.func1"}},
		"runtime.gopanic"},
	{"bounds", [][3]string{{"panic", "runtime error: index out of range [7] with length 3", "runtime.boundsError"}}, ""},
	{"assert", [][3]string{{"panic", "interface conversion: *main.list is not fmt.Stringer",
		"*runtime.TypeAssertionError"}}, ""},
	{"divide", [][3]string{{"panic", "integer divide by zero", "runtime.errorString"}}, ""},
	{"maps", [][3]string{{"died", "fatal error: concurrent map writes in goroutine", ""},
		{"frame", "main.", "m = map[int]int{"}}, ""},
	{"custom", [][3]string{{"panic", `no key "answer" (404)`, `*main.notFound: &main.notFound{Key: "answer", Code: 404}`},
		{"frame", "main.lookup", `key = "answer"`}}, ""},
	{"again", [][3]string{{"panic", `no key "first" (404) [recovered]`, "*main.notFound"},
		{"panic", `wrapped: no key "first" (404)`, ""}, {"frame", "main.again", ""}}, ""},
	{"nested", [][3]string{{"panic", "first", `string: "first"`}, {"panic", "second, in a deferred function", ""},
		{"frame", "main.nested", ""}}, "recovered"},
	{"recovered", [][3]string{{"panic", `no key "after" (404)`, ""}}, "harmless"},
	{"oom", [][3]string{{"died", "fatal error: ", ""}, {"frame", "main.fill", ""}}, ""},
	{"stack", [][3]string{{"died", "fatal error: stack overflow in goroutine 1,", ""}, {"frame", "main.deep", ""},
		{"frame", "more calls of the same", ""}, {"frame", "main.main", ""}}, ""},
	{"deadlock", [][3]string{{"died", "fatal error: all goroutines are asleep - deadlock! in no goroutine", ""},
		{"system", "runtime.checkdead", ""},
		{"others", "1 goroutine: ", "main.main"}}, ""},
	{"goexit", [][3]string{{"died", "all goroutines are asleep - deadlock!", ""},
		{"others", "5 goroutines: chan receive", ""}}, ""},
	{"unlock", [][3]string{{"died", "fatal error: sync: unlock of unlocked mutex in goroutine 1,", ""}}, ""},
	{"closed", [][3]string{{"panic", "close of closed channel", "runtime.plainError"}, {"frame", "main.", "closed"}}, ""},
	{"value", [][3]string{{"panic", "42", "int"}}, ""},
	{"error", [][3]string{{"panic", "plain error", "*errors.errorString"}}, ""},
	{"fault", [][3]string{{"died", "fatal error: fault in goroutine 1,", ""},
		{"fault", "SIGSEGV: read of address 0x7fff12345678, no memory is mapped there", ""}}, ""},
	{"threads", [][3]string{{"died", "fatal error: thread exhaustion", ""}, {"system", "runtime.checkmcount", ""}}, ""},
	{"repanic", [][3]string{{"panic", `no key "again" (404) [recovered`, "*main.notFound"}, {"frame", "main.repanic", ""},
		{"frame", "main.lookup", ""}}, ""},
	{"candidates", [][3]string{{"fault", "SIGSEGV: read of address 0x10: a nil pointer", "n.value: "}}, ""},
	{"renil", [][3]string{{"panic", "runtime error: invalid memory address or nil pointer dereference [recovered",
		"runtime.errorString"},
		{"fault", "SIGSEGV: read of address 0x10: a nil pointer", ""}}, ""},
	{"jump", [][3]string{{"fault", "SIGSEGV: jump to address 0x1234000, no memory is mapped there", "called in main."}},
		""},
	{"mutual", [][3]string{{"died", "fatal error: stack overflow", ""}, {"frame", "more calls: the same 2 again, ", ""},
		{"frame", "main.main", ""}}, ""},
	{"endless", [][3]string{{"died", "fatal error: stack overflow", ""}, {"frame", "... at least ", ""},
		{"frame", "main.begin", ""}, {"frame", "main.main", ""}}, ""},
	{"long", [][3]string{{"panic", "long long long ", "text: long long"}, {"panic", "... (5000 bytes)", ""}}, ""},
	{"abort", [][3]string{{"died", "SIGABRT in ", ""}, {"fault", "SIGABRT sent by the program itself", ""}},
		"the runtime ends it"},
	{"background", [][3]string{{"panic", "index out of range [2] with length 2", ""}, {"frame", "main.work", ""},
		{"frame", "main.background", ""}}, "and recovered"},
}

// inC dies in C, called by Go.
var inC = crash{"inC", [][3]string{{"died", "SIGSEGV in goroutine 1,", ""},
	{"fault", "SIGSEGV: read of address 0x10", ""}, {"system", "call_it", ""}, {"frame", "main.inC", ""}}, ""}

func TestCrashes(t *testing.T) {
	if ok, err := condition("corefile"); !ok {
		t.Skip("the kernel gives cores to another program", err)
	}
	for _, toolchain := range releases {
		t.Run(toolchain, func(t *testing.T) {
			if toolchain != "local" && testing.Short() {
				t.Skip("not with -short")
			}
			exe := buildCrash(t, toolchain, "0")
			for _, c := range crashes {
				t.Run(c.way, func(t *testing.T) { c.check(t, exe) })
			}
		})
	}
	t.Run("cgo", func(t *testing.T) {
		if _, err := exec.LookPath("gcc"); err != nil {
			t.Skip("no C compiler")
		}
		inC.check(t, buildCrash(t, "local", "1"))
	})
}

// TestCrashCandidates has what may have been nil told with the likeliest first, without what is too small for the
// access.
func TestCrashCandidates(t *testing.T) {
	if ok, err := condition("corefile"); !ok {
		t.Skip("the kernel gives cores to another program", err)
	}
	out, _ := runRi(t, 0, "crash", "-c", dies(t, buildCrash(t, "local", "0"), "candidates"))
	right, spare := strings.Index(out, "n.value: "), strings.Index(out, "s.spare.value: ")
	if right < 0 || spare >= 0 && spare < right || strings.Contains(out, "s.tiny.flag: ") {
		t.Errorf("the variable isn't the first, or what can't be it is told:\n%s", out)
	}
}

var crashBuilds sync.Map

func buildCrash(t *testing.T, toolchain, cgo string, flags ...string) string {
	t.Helper()
	exe := filepath.Join(bin, "crash-"+toolchain+"-"+cgo+strings.Join(flags, ""))
	once, _ := crashBuilds.LoadOrStore(exe, sync.OnceValue(func() error {
		cmd := exec.Command("go", append(append([]string{"build", "-o", exe}, flags...), ".")...)
		cmd.Dir = "testdata/crash"
		cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain, "CGO_ENABLED="+cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building testdata/crash with %s: %v\n%s", toolchain, err, out)
		}
		return nil
	}))
	if err := once.(func() error)(); err != nil {
		t.Fatal(err)
	}
	return exe
}

// dies runs a program that dies and gives its core.
func dies(t *testing.T, exe, way string) string {
	t.Helper()
	limits := "ulimit -c unlimited"
	if way == "oom" {
		limits += " && ulimit -v 1000000"
	}
	cmd := exec.Command("/bin/sh", "-c", limits+` && exec "$0" "$1"`, exe, way)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	out, _ := cmd.CombinedOutput()
	cores, err := filepath.Glob(filepath.Join(cmd.Dir, "core*"))
	if err != nil || len(cores) != 1 {
		t.Fatalf("cores: %v, %v\n%s", cores, err, out)
	}
	return cores[0]
}

func (c crash) check(t *testing.T, exe string) {
	out, _ := runRi(t, 0, "crash", "-c", dies(t, exe, c.way), "--json")
	var said struct {
		Rows []struct {
			Part, What, Where string
			Details           []string
		}
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatal(err)
	}
	for _, want := range c.rows {
		found := false
		for _, r := range said.Rows {
			found = found || r.Part == want[0] && strings.Contains(r.What, want[1]) &&
				strings.Contains(strings.Join(r.Details, "\n"), want[2])
		}
		if !found {
			t.Errorf("no row %q in\n%s", want, out)
		}
	}
	if c.never != "" && strings.Contains(out, c.never) {
		t.Errorf("%q in\n%s", c.never, out)
	}
}

func TestCrashOfNone(t *testing.T) {
	p := startTarget(t, "local", "-objects", "10")
	if out, _ := runRi(t, 0, "crash", "-p", fmt.Sprint(p.pid)); !strings.Contains(out, "it is not dying") {
		t.Error(out)
	}
}

// TestBrokenCores cuts a core and changes bits of it at random places: there is an answer or an error, and never more
// than that.
func TestBrokenCores(t *testing.T) {
	if ok, err := condition("corefile"); !ok {
		t.Skip("the kernel gives cores to another program", err)
	}
	exe := buildCrash(t, "local", "0")
	whole, err := os.ReadFile(dies(t, exe, "nil"))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewSource(1))
	path := filepath.Join(t.TempDir(), "core")
	for n := range 24 {
		core := bytes.Clone(whole)
		if n%3 != 1 {
			core = core[:random.Intn(len(core))]
		}
		if n%3 != 0 && len(core) > 0 {
			for range 1 << random.Intn(12) {
				at := random.Intn(len(core))
				if random.Intn(2) == 0 {
					at = random.Intn(min(len(core), 20_000)) // the headers and notes
				}
				core[at] ^= 1 << random.Intn(8)
			}
		}
		if err := os.WriteFile(path, core, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"crash"}, {"run", "goroutines"}} {
			cmd := riCommand(append(args, "-c", path, "--exe", exe)...)
			out, err := cmd.CombinedOutput()
			switch code := cmd.ProcessState.ExitCode(); {
			case code != 0 && code != 1 && code != 4 && code != 5, bytes.Contains(out, []byte("internal error")):
				t.Errorf("core %d: ri %v: %v\n%s", n, args, err, out)
			case code != 0 && len(out) == 0:
				t.Errorf("core %d: ri %v exits with %d and says nothing", n, args, code)
			}
		}
	}
}

// TestCoreFindsProgram moves a core and its program together.
func TestCoreFindsProgram(t *testing.T) {
	if ok, err := condition("corefile"); !ok {
		t.Skip("the kernel gives cores to another program", err)
	}
	dir := t.TempDir()
	exe := filepath.Join(dir, "crash")
	text, err := os.ReadFile(buildCrash(t, "local", "0"))
	if err == nil {
		err = os.WriteFile(exe, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	core := dies(t, exe, "value")
	if err := os.Rename(exe, filepath.Join(filepath.Dir(core), "crash")); err != nil {
		t.Fatal(err)
	}
	runRi(t, 0, "crash", "-c", core)
	if err := os.Remove(filepath.Join(filepath.Dir(core), "crash")); err != nil {
		t.Fatal(err)
	}
	if _, errs := runRi(t, 4, "crash", "-c", core); !strings.Contains(errs, exe) || !strings.Contains(errs, "--exe") {
		t.Error(errs)
	}
}
