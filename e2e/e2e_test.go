// Package e2e runs ri's binary against real processes: each testdata/*.txt is a script of commands and what they must print.
//
// Beside testscript's own commands there are:
//
//	exits CODE COMMAND ARGS...      runs a command that must exit with CODE; stdout and stderr work on it
//	target NAME [FLAGS...]          starts examples/target; sets NAME_PID and NAME (the admin URL)
//	serve NAME PROGRAM [ARGS...]    starts another program and waits until it prints "ready"; sets NAME_PID
//	http METHOD URL                 stdout is the answer's body; an answer other than 2xx fails
//	get NAME FILE PATH              sets the variable NAME to what is at PATH in a JSON file: rows[0].fid
//	jsoncmp FILE PATH FILE PATH     the two must be equal; [*] takes a part of each element
//
// The condition [attach] says whether a process that isn't ri's child may be stopped here.
package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ri/attach"
)

var bin string // folder of the programs under test

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ri-e2e")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = dir
		if err := build("..", "ri", "./cmd/ri"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// build builds a program of the module in folder.
func build(folder, name, pkg string) error {
	cmd := exec.Command("go", "build", "-o", filepath.Join(bin, name), pkg)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %v\n%s", name, err, out)
	}
	return nil
}

var buildTarget = sync.OnceValue(func() error { return build("../examples/target", "target", ".") })

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, ".config"))
			env.Setenv("NO_COLOR", "1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "target": target, "serve": serve, "http": httpCommand, "get": get, "jsoncmp": jsoncmp,
		},
		Condition: func(cond string) (bool, error) {
			if cond == "attach" {
				f := attach.Capabilities()
				return f.Ptrace == nil && (f.CapSysPtrace || f.YamaScope <= 0), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

// plain refuses "!", which says nothing about commands that check for themselves.
func plain(ts *testscript.TestScript, neg bool, args []string, least int, usage string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "exits CODE COMMAND ARGS...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("%s exits %d, want %d", strings.Join(args[1:], " "), code, want)
	}
}

func target(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 1, "target NAME [FLAGS...]")
	ts.Check(buildTarget())
	lines := start(ts, args[0], filepath.Join(bin, "target"), args[1:])
	for _, line := range lines {
		if url, ok := strings.CutPrefix(line, "admin on "); ok {
			ts.Setenv(args[0], url+"/admin")
		}
	}
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "serve NAME PROGRAM [ARGS...]")
	start(ts, args[0], args[1], args[2:])
}

// start starts a program, gives what it prints up to "ready", and ends it with the script.
func start(ts *testscript.TestScript, name, program string, args []string) (lines []string) {
	cmd := exec.Command(program, args...)
	cmd.Dir = ts.Getenv("WORK")
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	ts.Setenv(name+"_PID", strconv.Itoa(cmd.Process.Pid))
	ready := make(chan []string, 1)
	go func() {
		var lines []string
		scanner := bufio.NewScanner(out)
		for scanner.Scan() {
			lines = append(lines, scanner.Text())
			if scanner.Text() == "ready" {
				ready <- lines
				lines = nil
			}
		}
		ready <- nil // it ended, or was never ready
	}()
	select {
	case lines = <-ready:
	case <-time.After(30 * time.Second):
	}
	if lines == nil {
		ts.Fatalf("%s was not ready in time, or ended", program)
	}
	return lines
}

func httpCommand(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "http METHOD URL")
	request, err := http.NewRequest(args[0], args[1], nil)
	ts.Check(err)
	answer, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if answer.StatusCode/100 != 2 {
		ts.Fatalf("%s %s: %s\n%s", args[0], args[1], answer.Status, body)
	}
	_, err = ts.Stdout().Write(body)
	ts.Check(err)
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
	steps := strings.FieldsFunc(strings.ReplaceAll(path, "[", ".["), func(r rune) bool { return r == '.' })
	value, err := follow(doc, steps)
	if err != nil {
		ts.Fatalf("%s: %s: %v", file, path, err)
	}
	return value
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
