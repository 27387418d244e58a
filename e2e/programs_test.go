package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come. It is no measure of anything: a machine may be busy.
var patience = 2 * time.Minute

// build is a way to build examples/target.
type build struct {
	flags   []string
	env     []string
	overlay map[string]string // source files that the build finds in the program's folder
}

// cgoSource is the least that needs a C compiler.
const cgoSource = `package main

/*
static int twice(int n) { return 2*n; }
*/
import "C"

var viaC = int(C.twice(21))
`

// signalsSource has the target say each SIGUSR1 that it got.
const signalsSource = `package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func init() {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	go func() {
		for n := 1; ; n++ {
			<-got
			fmt.Println("signal", n)
		}
	}()
}
`

// builds are the ways by name. Other releases of Go come through the module proxy.
var builds = map[string]build{
	"local":      {},
	"go1.22.5":   {env: []string{"GOTOOLCHAIN=go1.22.5"}},
	"go1.24.6":   {env: []string{"GOTOOLCHAIN=go1.24.6"}},
	"go1.25.3":   {env: []string{"GOTOOLCHAIN=go1.25.3"}},
	"go1.27.3":   {env: []string{"GOTOOLCHAIN=go1.27.3"}},
	"pie":        {flags: []string{"-buildmode=pie"}},
	"pie-go1.22": {flags: []string{"-buildmode=pie"}, env: []string{"GOTOOLCHAIN=go1.22.5"}},
	"static":     {env: []string{"CGO_ENABLED=0"}},
	"external": {flags: []string{"-ldflags=-linkmode=external"}, env: []string{"CGO_ENABLED=1"},
		overlay: map[string]string{"viac.go": cgoSource}},
	"unoptimised":          {flags: []string{"-gcflags=all=-N -l"}},
	"trimpath":             {flags: []string{"-trimpath"}},
	"w":                    {flags: []string{"-ldflags=-w"}},
	"stripped":             {flags: []string{"-ldflags=-s -w"}},
	"stripped-unoptimised": {flags: []string{"-ldflags=-s -w", "-gcflags=all=-N -l"}},
	"signals":              {overlay: map[string]string{"signals.go": signalsSource}},
	"386":                  {env: []string{"GOARCH=386", "CGO_ENABLED=0"}},
	"arm64":                {env: []string{"GOARCH=arm64", "CGO_ENABLED=0"}},
}

var (
	buildsMu sync.Mutex
	built    = map[string]func() error{}
	building = make(chan struct{}, 2) // builds at the same time
)

// buildTarget gives the executable of the target built in a way that builds names; it builds each but once.
func buildTarget(name string) (string, error) {
	way, ok := builds[name]
	if !ok {
		return "", fmt.Errorf("no build is called %q", name)
	}
	exe := filepath.Join(bin, name, "target")
	buildsMu.Lock()
	once := built[name]
	if once == nil {
		once = sync.OnceValue(func() error {
			building <- struct{}{}
			defer func() { <-building }()
			return goBuild(way, exe)
		})
		built[name] = once
	}
	buildsMu.Unlock()
	return exe, once()
}

func goBuild(way build, exe string) error {
	const folder = "../examples/target"
	args := append([]string{"build", "-o", exe}, way.flags...)
	if way.overlay != nil {
		replace := map[string]string{}
		for name, text := range way.overlay {
			at, err := filepath.Abs(filepath.Join(folder, name))
			if err != nil {
				return err
			}
			replace[at] = exe + "-" + name
			if err := os.MkdirAll(filepath.Dir(exe), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(exe+"-"+name, []byte(text), 0o644); err != nil {
				return err
			}
		}
		list, err := json.Marshal(map[string]any{"Replace": replace})
		if err != nil {
			return err
		}
		if err := os.WriteFile(exe+"-overlay.json", list, 0o644); err != nil {
			return err
		}
		args = append(args, "-overlay", exe+"-overlay.json")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), way.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the target, %v %v: %v\n%s", way.env, way.flags, err, out)
	}
	return nil
}

// program is a running program that says what it does on stdout, a line each time.
type program struct {
	cmd   *exec.Cmd
	pid   int
	facts map[string]string // "store on ADDRESS" is facts["store"]
	lines chan string       // what it says after "ready"
}

// launch starts a program and waits until it says that it is ready. The caller ends it.
func launch(cmd *exec.Cmd) (*program, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &program{cmd: cmd, pid: cmd.Process.Pid, facts: map[string]string{}, lines: make(chan string, 1000)}
	ready := make(chan bool, 1)
	go func() {
		scanner, isReady := bufio.NewScanner(out), false
		for scanner.Scan() {
			switch line := scanner.Text(); {
			case isReady:
				p.lines <- line
			case line == "ready":
				isReady = true
				ready <- true
			default:
				if what, value, ok := strings.Cut(line, " on "); ok {
					p.facts[what] = value
				}
			}
		}
		close(p.lines)
		ready <- false // it ended
	}()
	select {
	case ok := <-ready:
		if ok {
			return p, nil
		}
		cmd.Wait()
		return nil, fmt.Errorf("%v ended before it was ready: %s", cmd, stderr.String())
	case <-time.After(patience):
		p.end()
		return nil, fmt.Errorf("%v is not ready", cmd)
	}
}

func (p *program) end() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// startTarget starts a target that a Go test looks at.
func startTarget(t *testing.T, how string, flags ...string) *program {
	t.Helper()
	exe, err := buildTarget(how)
	if err != nil {
		t.Fatal(err)
	}
	p, err := launch(exec.Command(exe, flags...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	return p
}

func (p *program) admin(what string) string { return p.facts["admin"] + "/admin/" + what }

// request asks over HTTP; an answer other than 2xx is an error.
func request(method, url string) ([]byte, error) {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Timeout: patience}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s\n%s", method, url, answer.Status, body)
	}
	return body, err
}

// eventually waits for what must come.
func eventually(what string, holds func() (bool, error)) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v in vain: %s", patience, what)
		}
	}
}

// beats waits for three ticks of a target's heartbeat, told by itself: it runs and it answers.
func beats(admin string) error {
	if _, err := request("GET", admin+"/heartbeat"); err != nil { // which starts to count anew
		return err
	}
	ticks := 0
	return eventually("the target's heartbeat goes on", func() (bool, error) {
		body, err := request("GET", admin+"/heartbeat")
		if err != nil {
			return false, err
		}
		var said struct{ Ticks int }
		err = json.Unmarshal(body, &said)
		ticks += said.Ticks
		return ticks >= 3, err
	})
}

// status gives a field of each of a process's threads' status: State, TracerPid. A thread that ended has none.
func status(pid int, field string) ([]string, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("there is no process %d", pid)
	}
	var all []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if value, ok := strings.CutPrefix(line, field+":"); ok {
				all = append(all, strings.TrimSpace(value))
			}
		}
	}
	return all, nil
}

// isTraced says whether a thread of a process has a tracer.
func isTraced(pid int) (bool, error) {
	tracers, err := status(pid, "TracerPid")
	for _, tracer := range tracers {
		if tracer != "0" {
			return true, err
		}
	}
	return false, err
}

// isFree says, with an error, what is left of somebody's hold on a process: a tracer, a thread that was stopped.
func isFree(pid int) error {
	traced, err := isTraced(pid)
	if err != nil || traced {
		return fmt.Errorf("process %d: traced is %v, %v", pid, traced, err)
	}
	states, err := status(pid, "State")
	for _, state := range states {
		if state[0] == 't' || state[0] == 'T' {
			return fmt.Errorf("process %d has a thread in state %s", pid, state)
		}
	}
	return err
}

// awaitState waits until all of a process's threads are in a state: T, Z.
func awaitState(pid int, state string) error {
	return eventually(fmt.Sprintf("process %d is in state %s", pid, state), func() (bool, error) {
		states, err := status(pid, "State")
		for _, s := range states {
			if !strings.HasPrefix(s, state) {
				return false, err
			}
		}
		return len(states) > 0, err
	})
}

func awaitTraced(pid int) error {
	return eventually(fmt.Sprintf("process %d is traced", pid), func() (bool, error) { return isTraced(pid) })
}

// awaitHeld waits until a process is traced by a stop that came about: one that doesn't is given up after 25 ms, and
// tried again later.
func awaitHeld(pid int) error {
	const enough = 250 // looks in a row, 2 ms apart
	seen := 0
	return eventually(fmt.Sprintf("process %d stays traced", pid), func() (bool, error) {
		is, err := isTraced(pid)
		if seen++; !is {
			seen = 0
		}
		return seen >= enough, err
	})
}

// riCommand is ri with arguments; a stop may take as long as it takes unless the test says otherwise.
func riCommand(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, "ri"), unhurried(args)...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "XDG_CONFIG_HOME="+filepath.Join(bin, ".config"))
	cmd.Dir = "testdata"
	return cmd
}

// unhurried gives a run of ri a long --max-stop where a test names none: the machine may be busy, and most tests
// aren't about time.
func unhurried(args []string) []string {
	if len(args) == 0 || args[0] != "run" && args[0] != "exec" && args[0] != "print" && args[0] != "set" &&
		args[0] != "undo" &&
		args[0] != "find" && args[0] != "path" && args[0] != "whatis" && args[0] != "diff" && args[0] != "top" {
		return args
	}
	for _, a := range args {
		if strings.HasPrefix(a, "--max-stop") || a == "--help" {
			return args
		}
	}
	return append(append([]string{}, args...), "--max-stop", "5m")
}

// runRi runs ri, which must exit with code.
func runRi(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	cmd := riCommand(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		t.Fatalf("ri %s exits with %v, want %d\n%s%s", strings.Join(args, " "), err, code, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func init() {
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 2 * runtime.NumCPU()
}
