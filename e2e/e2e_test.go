// Package e2e runs ri's binary against real processes: each testdata/*.txt is a script of commands and what they must
// print.
//
// Beside testscript's own commands there are:
//
//	exits CODE COMMAND ARGS...      runs a command that must exit with CODE; stdout and stderr work on it
//	begin NAME COMMAND ARGS...      starts a command in the background; sets NAME_PID
//	says NAME TEXT                  waits until it has said that on stderr
//	ends CODE NAME                  waits for it; it must exit with CODE; stdout and stderr work on it
//	target NAME [FLAGS...]          starts examples/target; sets NAME_PID, NAME (the admin URL), and what else it
//	                                listens on: NAME_STORE, NAME_SESSIONS. -build=WAY first builds it in that way (see
//	                                builds); -exe=FILE runs a file; -ns puts it in pid and mount namespaces of its own,
//	                                where nobody else sees its file; -core has it leave a core when it panics
//	serve NAME PROGRAM [ARGS...]    starts another program and waits until it prints "ready"; sets NAME_PID
//	http METHOD URL                 stdout is the answer's body; an answer other than 2xx fails
//	until URL PATH                  asks until there is something at PATH in the answer
//	get NAME FILE PATH              sets the variable NAME to what is at PATH in a JSON file: rows[0].fid
//	jsoncmp FILE PATH FILE PATH     the two must be equal; [*] takes a part of each element
//	json FILE                       the file must be one JSON document; with "lines", one on each line
//	signal SIGNAL PID                 sends a signal: STOP, CONT, KILL, TERM
//	state LETTER PID                waits until all threads are in that state: T, Z
//	traced PID                      waits until it is traced
//	held PID                        waits until it stays so: a stop to which not all threads come is tried again
//	free NAME                       the target has no tracer, no thread that is stopped, and its heartbeat goes on
//	thread NAME PID                 sets NAME to the id of a thread that isn't the first
//
// ri run, exec and print get a long --max-stop where a script gives none. The variables BUILD and FLAGS are for all
// targets of a script.
//
// The conditions: [attach] whether a process that isn't ri's child may be stopped here; [root]; [386] whether the
// kernel runs 32-bit programs; [corefile] whether it writes cores into the folder of the program that crashed.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ri/attach/process"
	"ri/symbols/testprogram"
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
		testprogram.Reap(dir)
		if err := buildRi(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func buildRi() error {
	if err := os.Chmod(bin, 0o755); err != nil { // other users run what lies here
		return err
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(bin, "ri"), "./cmd/ri")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building ri: %v\n%s", err, out)
	}
	return nil
}

func TestScripts(t *testing.T) { runScripts(t, testscript.Params{Dir: "testdata"}) }

// runScripts runs scripts with ri in their PATH, the commands that the package's comment tells, and variables.
func runScripts(t *testing.T, p testscript.Params, variables ...string) {
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
		env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, ".config"))
		env.Setenv("NO_COLOR", "1")
		if dying, err := filepath.Abs("testdata/dying"); err == nil { // what watch.txt builds
			env.Setenv("DYING", dying)
		}
		for _, v := range variables {
			name, value, _ := strings.Cut(v, "=")
			env.Setenv(name, value)
		}
		return nil
	}
	p.Cmds = commands
	p.Condition = condition
	testscript.Run(t, p)
}

func condition(cond string) (bool, error) {
	switch cond {
	case "attach":
		return mayAttach(), nil
	case "root":
		return os.Getuid() == 0, nil
	case "386":
		exe, err := buildTarget("386")
		if err != nil {
			return false, err
		}
		return exec.Command(exe, "-help").Run() == nil, nil
	case "corefile":
		pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
		return err == nil && !strings.ContainsAny(string(pattern), "|/"), nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

func mayAttach() bool {
	f := process.Capabilities()
	return f.Ptrace == nil && (f.CapSysPtrace || f.YamaScope <= 0)
}

func init() {
	if d, err := time.ParseDuration(os.Getenv("RI_PATIENCE")); err == nil {
		patience = d
	}
}
