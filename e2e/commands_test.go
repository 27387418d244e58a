package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// The commands of scripts; the package's comment says what each does.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"exits": exits, "begin": begin, "ends": ends, "target": target, "serve": serve, "http": httpCommand, "until": until,
	"get": get, "jsoncmp": jsoncmp, "json": jsonCommand, "signal": signalCommand, "state": state, "traced": traced,
	"held": held, "free": free, "thread": thread, "says": says,
}

// plain refuses "!", which says nothing about commands that check for themselves.
func plain(ts *testscript.TestScript, neg bool, args []string, least int, usage string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "exits CODE COMMAND ARGS...")
	code := 0
	if err := ts.Exec(args[1], riArguments(args[1], args[2:])...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	checkCode(ts, args[0], code, strings.Join(args[1:], " "))
}

func riArguments(command string, args []string) []string {
	if command != "ri" {
		return args
	}
	return unhurried(args)
}

func checkCode(ts *testscript.TestScript, want string, code int, what string) {
	if strconv.Itoa(code) != want {
		ts.Fatalf("%s exits with %d, want %s", what, code, want)
	}
}

// job is a command in the background of a script.
type job struct {
	cmd         *exec.Cmd
	out, errors text
}

// text is what a command has said so far.
type text struct {
	mu   sync.Mutex
	said strings.Builder
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.said.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.said.String()
}

type jobKey string

var jobs sync.Map // *job by script and name

func begin(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "begin NAME COMMAND ARGS...")
	path := filepath.Join(bin, args[1])
	if args[1] != "ri" {
		var err error
		path, err = exec.LookPath(args[1])
		ts.Check(err)
	}
	j := &job{cmd: exec.Command(path, riArguments(args[1], args[2:])...)}
	j.cmd.Dir = ts.Getenv("WORK")
	j.cmd.Stdout, j.cmd.Stderr = &j.out, &j.errors
	j.cmd.WaitDelay = time.Second // its children may have its stdout
	ts.Check(j.cmd.Start())
	ts.Defer(func() {
		if j.cmd.ProcessState == nil {
			j.cmd.Process.Kill()
			j.cmd.Wait()
		}
	})
	ts.Setenv(args[0]+"_PID", strconv.Itoa(j.cmd.Process.Pid))
	jobs.Store(jobKey(ts.Getenv("WORK")+" "+args[0]), j)
}

func says(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "says NAME TEXT")
	found, ok := jobs.Load(jobKey(ts.Getenv("WORK") + " " + args[0]))
	if !ok {
		ts.Fatalf("nothing was begun as %s", args[0])
	}
	ts.Check(eventually(args[0]+" says "+args[1], func() (bool, error) {
		return strings.Contains(found.(*job).errors.String(), args[1]), nil
	}))
}

func ends(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "ends CODE NAME")
	found, ok := jobs.LoadAndDelete(jobKey(ts.Getenv("WORK") + " " + args[1]))
	if !ok {
		ts.Fatalf("nothing was begun as %s", args[1])
	}
	j := found.(*job)
	late := time.AfterFunc(patience, func() { j.cmd.Process.Kill() })
	defer late.Stop()
	j.cmd.Wait()
	io.WriteString(ts.Stdout(), j.out.String())
	io.WriteString(ts.Stderr(), j.errors.String())
	checkCode(ts, args[0], j.cmd.ProcessState.ExitCode(), args[1])
}

func target(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 1, "target NAME [-build=WAY | -exe=FILE] [-ns | -core] [FLAGS...]")
	how, exe, apart, dumps := "local", "", false, false
	if b := ts.Getenv("BUILD"); b != "" {
		how = b
	}
	var flags []string
	for _, arg := range args[1:] {
		if way, ok := strings.CutPrefix(arg, "-build="); ok {
			how = way
		} else if file, ok := strings.CutPrefix(arg, "-exe="); ok {
			exe = ts.MkAbs(file)
		} else if arg == "-ns" {
			apart = true
		} else if arg == "-core" {
			dumps = true
		} else {
			flags = append(flags, arg)
		}
	}
	if exe == "" {
		var err error
		exe, err = buildTarget(how)
		ts.Check(err)
	}
	cmd := exec.Command(exe, append(flags, strings.Fields(ts.Getenv("FLAGS"))...)...)
	if apart {
		// The file lies where only this process sees it.
		const script = `mount -t tmpfs none /mnt && cp "$0" /mnt/service && mount -t proc none /proc &&
			exec /mnt/service "$@"`
		cmd = exec.Command("sh", append([]string{"-c", script, exe}, cmd.Args[1:]...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Cloneflags: syscall.CLONE_NEWPID}
	}
	if dumps {
		cmd = exec.Command("sh", append([]string{"-c", `ulimit -c unlimited; exec "$0" "$@"`, exe}, cmd.Args[1:]...)...)
		cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	}
	p := start(ts, args[0], cmd)
	for what, value := range p.facts {
		ts.Setenv(args[0]+"_"+strings.ToUpper(what), value)
	}
	ts.Setenv(args[0], strings.TrimSuffix(p.admin(""), "/"))
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "serve NAME PROGRAM [ARGS...]")
	start(ts, args[0], exec.Command(args[1], args[2:]...))
}

// start starts a program, waits until it is ready, and ends it with the script.
func start(ts *testscript.TestScript, name string, cmd *exec.Cmd) *program {
	cmd.Dir = ts.Getenv("WORK")
	p, err := launch(cmd)
	ts.Check(err)
	ts.Defer(p.end)
	ts.Setenv(name+"_PID", strconv.Itoa(p.pid))
	return p
}

func httpCommand(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "http METHOD URL")
	body, err := request(args[0], args[1])
	ts.Check(err)
	_, err = ts.Stdout().Write(body)
	ts.Check(err)
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "until URL PATH")
	ts.Check(eventually(args[0]+" has "+args[1], func() (bool, error) {
		body, err := request("GET", args[0])
		if err != nil {
			return false, err
		}
		var doc any
		if err := json.Unmarshal(body, &doc); err != nil {
			return false, err
		}
		_, err = follow(doc, steps(args[1]))
		return err == nil, nil
	}))
}

func jsonCommand(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 1, "json FILE [lines]")
	text := ts.ReadFile(args[0])
	documents := []string{text}
	if len(args) > 1 {
		documents = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	}
	for _, d := range documents {
		if !json.Valid([]byte(d)) {
			ts.Fatalf("%s is no JSON document: %s", args[0], d)
		}
	}
}

func pidOf(ts *testscript.TestScript, text string) int {
	pid, err := strconv.Atoi(text)
	ts.Check(err)
	return pid
}

func signalCommand(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "signal SIGNAL PID")
	number := unix.SignalNum("SIG" + args[0])
	if number == 0 {
		ts.Fatalf("no signal is called %s", args[0])
	}
	ts.Check(syscall.Kill(pidOf(ts, args[1]), number))
}

func state(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "state LETTER PID")
	ts.Check(awaitState(pidOf(ts, args[1]), args[0]))
}

func traced(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 1, "traced PID")
	ts.Check(awaitTraced(pidOf(ts, args[0])))
}

func held(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 1, "held PID")
	ts.Check(awaitHeld(pidOf(ts, args[0])))
}

func free(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 1, "free NAME")
	ts.Check(isFree(pidOf(ts, ts.Getenv(args[0]+"_PID"))))
	ts.Check(beats(ts.Getenv(args[0])))
}

func thread(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "thread NAME PID")
	entries, err := os.ReadDir("/proc/" + args[1] + "/task")
	ts.Check(err)
	for _, e := range entries {
		if e.Name() != args[1] {
			ts.Setenv(args[0], e.Name())
			return
		}
	}
	ts.Fatalf("process %s has one thread only", args[1])
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 3, "get NAME FILE PATH")
	value := part(ts, args[1], args[2])
	text, ok := value.(string)
	if !ok {
		text = encode(value)
	}
	ts.Setenv(args[0], text)
}

func jsoncmp(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 4, "jsoncmp FILE PATH FILE PATH")
	got, want := encode(part(ts, args[0], args[1])), encode(part(ts, args[2], args[3]))
	if got != want {
		ts.Fatalf("%s %s is\n%s\n%s %s is\n%s", args[0], args[1], got, args[2], args[3], want)
	}
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// part reads a JSON file, integers with all digits, and takes the part at path: rows[0].fid, rows[*].unit.
func part(ts *testscript.TestScript, file, path string) any {
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile(file)))
	decoder.UseNumber()
	var doc any
	if err := decoder.Decode(&doc); err != nil {
		ts.Fatalf("%s is no JSON: %v", file, err)
	}
	value, err := follow(doc, steps(path))
	if err != nil {
		ts.Fatalf("%s: %s: %v", file, path, err)
	}
	return value
}

func steps(path string) []string {
	return strings.FieldsFunc(strings.ReplaceAll(path, "[", ".["), func(r rune) bool { return r == '.' })
}

func follow(v any, steps []string) (any, error) {
	if len(steps) == 0 {
		return v, nil
	}
	step, rest := steps[0], steps[1:]
	if inner, ok := strings.CutPrefix(step, "["); ok {
		list, isList := v.([]any)
		if !isList {
			return nil, fmt.Errorf("%s: no list", step)
		}
		inner = strings.TrimSuffix(inner, "]")
		if inner == "*" {
			all := []any{}
			for _, e := range list {
				value, err := follow(e, rest)
				if err != nil {
					return nil, err
				}
				all = append(all, value)
			}
			return all, nil
		}
		i, err := strconv.Atoi(inner)
		if err != nil || i < 0 || i >= len(list) {
			return nil, fmt.Errorf("%s: there are %d elements", step, len(list))
		}
		return follow(list[i], rest)
	}
	object, isObject := v.(map[string]any)
	value, ok := object[step]
	if !isObject || !ok {
		return nil, fmt.Errorf("%s: no such key", step)
	}
	return follow(value, rest)
}
