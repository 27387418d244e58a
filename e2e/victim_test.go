package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ri/symbols/testprogram"
)

// victim is a running attach/targettest/testdata/target, which counts what goes wrong in it.
type victim struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

// victimFacts are those of its facts that matter here.
type victimFacts struct{ Heartbeat, Signals, Threads, Children, Errors, Computed int64 }

var buildVictim = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-tags", "cthreads", "-o", filepath.Join(bin, "victim"),
		"../attach/targettest/testdata/target")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building attach/targettest/testdata/target: %v\n%s", err, out)
	}
	return nil
})

func startVictim(t *testing.T, args ...string) *victim {
	t.Helper()
	if err := buildVictim(); err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, cmd: exec.Command(filepath.Join(bin, "victim"), args...)}
	said := &text{}
	v.cmd.Stderr = said
	v.in, v.out = testprogram.Run(t, v.cmd)
	t.Cleanup(func() {
		v.cmd.Process.Kill()
		v.cmd.Wait()
		if t.Failed() {
			t.Logf("%v said: %.2000s", args, said.String())
		}
	})
	v.read()
	return v
}

func (v *victim) read() (f victimFacts) {
	v.t.Helper()
	line, err := v.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &f)
	}
	if err != nil {
		ended := make(chan error, 1)
		go func() { ended <- v.cmd.Wait() }()
		select {
		case how := <-ended: // SIGKILL: somebody else has killed it, or there is no memory left
			v.t.Fatalf("the target says nothing more: %v; it has ended: %v", err, how)
		case <-time.After(patience):
			v.t.Fatalf("the target says nothing more: %v; it hasn't ended", err)
		}
	}
	return f
}

func (v *victim) ask() victimFacts {
	v.t.Helper()
	if _, err := io.WriteString(v.in, "facts\n"); err != nil {
		v.t.Fatal(err)
	}
	return v.read()
}

// await asks until what it says is right.
func (v *victim) await(what string, right func(victimFacts) bool) {
	v.t.Helper()
	for began := time.Now(); ; {
		f := v.ask()
		if right(f) {
			return
		}
		if time.Since(began) > patience {
			v.t.Fatalf("waiting for %s in vain: %+v", what, f)
		}
	}
}

// TestKilledAtWork kills ri at random times, in all that it does, while it looks at programs at work: one with threads
// and children that come and go, threads of C and results that are checked, and one with a thousand threads in the
// kernel. No signal is lost, no call is interrupted in a way that they see, nothing is computed wrong, and they run.
// `make torture-stops` does it at length.
func TestKilledAtWork(t *testing.T) {
	needAttach(t)
	const seed = 30
	for name, args := range map[string][]string{
		"churn": {"-churn", "2", "-exec", "1", "-compute", "1", "-busy", "1", "-threads", "20", "-cthreads", "8",
			"-rounds", "4000000", "-remap", "50"},
		"threads": {"-threads", "1000", "-busy", "1", "-compute", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			v := startVictim(t, args...)
			pid := v.cmd.Process.Pid
			p := fmt.Sprint("-p", pid)
			random := rand.New(rand.NewPCG(seed, seed))
			ways := [][]string{
				{"run", "goroutines", p},
				{"run", "goroutines", p, "--view", "stopped", "--max-stop", "10s"},
				{"exec", "-e", attaching, p, "--view", "stopped", "--max-time", "5m", "--max-stop", "10s"},
				{"exec", "-e", attaching + " print(main.counter)", p, "--precopy", "--max-time", "5m", "--max-stop",
					"10s"},
				{"exec", "-e", "print(main.counter) ri.again(0) print(main.counter)", p, "--precopy", "--max-stop",
					"10s"},
			}
			whole := make([]time.Duration, len(ways))
			for i, way := range ways {
				began := time.Now()
				if i == 2 || i == 3 { // endless
					whole[i] = 300 * time.Millisecond
					continue
				}
				askRi(t, way...)
				whole[i] = time.Since(began)
			}
			for trial := range trials(len(ways)) {
				way := trial % len(ways)
				cmd := beginRi(t, ways[way]...)
				delay := time.Duration(random.Int64N(int64(whole[way])))
				time.Sleep(delay) // which moment it is, no test says; that any may be, all of them do
				v.cmd.Process.Signal(syscall.SIGUSR1)
				cmd.Process.Kill()
				cmd.Wait()
				what := fmt.Sprintf("trial %d, seed %d: ri %s, killed after %v", trial, seed,
					strings.Join(ways[way], " "), delay)
				v.await("the signal of "+what, func(f victimFacts) bool { return f.Signals == int64(trial+1) })
				if err := isFree(pid); err != nil {
					t.Fatal(what, err)
				}
				if f := v.ask(); f.Errors != 0 {
					t.Fatalf("%s: %d calls failed, or results were wrong", what, f.Errors)
				}
			}
			from := v.ask()
			v.await("it to go on", func(f victimFacts) bool {
				return f.Heartbeat > from.Heartbeat+3 &&
					f.Computed > from.Computed+2
			})
		})
	}
}

// TestManyRi looks with ten ri one after another, and with two at once: who has to, waits with --wait, and is refused
// without.
func TestManyRi(t *testing.T) {
	needAttach(t)
	v := startVictim(t, "-busy", "1", "-threads", "20", "-churn", "1")
	p := fmt.Sprint("-p", v.cmd.Process.Pid)
	for range 10 {
		runRi(t, 0, "run", "goroutines", p, "--max-stop", "10s")
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for range 5 {
				if _, stderr, code := askRi(t, "run", "goroutines", p, "--wait", "1m", "--max-stop", "10s"); code != 0 {
					t.Errorf("it exits with %d: %s", code, stderr)
				}
			}
		})
	}
	both.Wait()
	holder := beginRi(t, "exec", "-e", holding, p, "--view", "stopped", "--max-time", "5m", "--max-stop", "5m")
	if err := awaitTraced(v.cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := askRi(t, "run", "goroutines", p)
	if code != 4 || !strings.Contains(stderr, fmt.Sprintf("traced by pid %d", holder.Process.Pid)) ||
		!strings.Contains(stderr, "--wait") {
		t.Errorf("the second ri exits with %d: %s", code, stderr)
	}
	waiting := beginRi(t, "run", "goroutines", p, "--wait", "5m", "--max-stop", "10s")
	holder.Process.Kill()
	holder.Wait()
	if err := waiting.Wait(); err != nil {
		t.Errorf("the ri that waited: %v", err)
	}
	from := v.ask()
	v.await("it to go on", func(f victimFacts) bool { return f.Heartbeat > from.Heartbeat+3 && f.Errors == 0 })
}

// TestForking has ri look at a program one of whose children has not started its program yet: what needs a stop works,
// says which stack isn't reliable, and nothing is changed.
func TestForking(t *testing.T) {
	needAttach(t)
	v := startVictim(t, "-vfork", "-threads", "3")
	pid := strconv.Itoa(v.cmd.Process.Pid)
	for _, kind := range []string{"snapshot", "stopped"} {
		rows, notes := runRi(t, 0, "run", "goroutines", "-p", pid, "--view", kind, "--max-stop", "10s")
		if !strings.Contains(rows, "main.beat") || !strings.Contains(rows, "vfork") || !strings.Contains(notes, "vfork") {
			t.Errorf("%s: %s\n%s", kind, rows, notes)
		}
	}
	runRi(t, 0, "core", "-p", pid, "-o", filepath.Join(t.TempDir(), "core"), "--max-stop", "10s")
	_, notes := runRi(t, 4, "set", "main.counter.v", "7", "-p", pid, "--write", "--yes", "--max-stop", "10s")
	if !strings.Contains(notes, "vfork") {
		t.Error(notes)
	}
	v.await("a heartbeat", func(f victimFacts) bool { return f.Heartbeat > 0 && f.Errors == 0 })
	if counter, _ := runRi(t, 0, "print", "main.counter.v", "-p", pid, "--view", "live"); !strings.Contains(counter,
		"0") || strings.Contains(counter, "7") {
		t.Errorf("it was changed: %s", counter)
	}
}
