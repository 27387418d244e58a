package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const pageSize = 4096

// region is what a process's memory map says of a range, and a digest of each page.
type region struct {
	line  string
	start uint64
	pages [][sha256.Size]byte
}

// memoryOf reads all of a process's memory that want accepts. What can't be read is no page.
func memoryOf(t *testing.T, pid int, want func(perms, path string) bool) []region {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var regions []region
	buf := make([]byte, 256*pageSize)
	scanner := bufio.NewScanner(bytes.NewReader(maps))
	for scanner.Scan() {
		line := scanner.Text()
		fields := strings.Fields(line)
		path := ""
		if len(fields) > 5 {
			path = fields[5]
		}
		if !want(fields[1], path) || strings.HasPrefix(path, "[v") { // the kernel's own: vvar, vsyscall
			continue
		}
		r := region{line: line}
		var end uint64
		if _, err := fmt.Sscanf(fields[0], "%x-%x", &r.start, &end); err != nil {
			t.Fatal(err)
		}
		for at := r.start; at < end; {
			part := buf[:min(uint64(len(buf)), end-at)]
			n, err := mem.ReadAt(part, int64(at))
			if n < len(part) && !errors.Is(err, syscall.EIO) && !errors.Is(err, io.EOF) {
				t.Fatalf("%s: %v", line, err)
			}
			for i := 0; i+pageSize <= n; i += pageSize {
				r.pages = append(r.pages, sha256.Sum256(part[i:i+pageSize]))
			}
			at += uint64(len(part))
		}
		regions = append(regions, r)
	}
	return regions
}

// sameMemory compares every byte.
func sameMemory(t *testing.T, before, after []region) {
	t.Helper()
	if len(before) != len(after) {
		t.Errorf("the process has %d regions of memory, and had %d", len(after), len(before))
		return
	}
	pages := 0
	for i, b := range before {
		a := after[i]
		if a.line != b.line || len(a.pages) != len(b.pages) {
			t.Errorf("a region was\n%s (%d pages), and is\n%s (%d pages)", b.line, len(b.pages), a.line, len(a.pages))
			continue
		}
		for n := range b.pages {
			if a.pages[n] != b.pages[n] {
				t.Errorf("the page at %#x has changed, in %s", b.start+uint64(n*pageSize), b.line)
			}
		}
		pages += len(b.pages)
	}
	if pages == 0 {
		t.Error("nothing was compared")
	}
	t.Logf("%d regions, %d pages are the same", len(before), pages)
}

func everything(perms, path string) bool { return strings.HasPrefix(perms, "r") }

func unwritable(perms, path string) bool {
	return strings.HasPrefix(perms, "r") && !strings.HasPrefix(perms, "rw")
}

// settings are what else ri could leave behind, of every thread: how signals are handled, a tracer, a mask.
func settings(t *testing.T, pid int) string {
	t.Helper()
	var all []string
	for _, field := range []string{"State", "TracerPid", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "Seccomp",
		"Threads"} {
		values, err := status(pid, field)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(field, values))
	}
	return strings.Join(all, "\n")
}

// lookAround runs what only looks, in every view.
func lookAround(t *testing.T, pid, name string) {
	t.Helper()
	p := fmt.Sprint("-p", pid)
	for _, view := range [][]string{nil, {"--view", "stopped"}, {"--view", "live"}} {
		for _, args := range [][]string{
			{"run", "goroutines", p},
			{"run", "goroutines", "runtime=true", "system=true", "group=false", p},
			{"run", "object-fid", "name=" + name, p},
			{"run", "object-cobs", "name=" + name, p},
			{"run", "queued-requests", p},
			{"run", "vars", "package=main", p},
			{"run", "btree-node", p},
			{"print", "main.store", p},
			{"exec", "-e", "for _, o in ri.pairs(main.store.objects) do ri.emit{name=o.name, size=o.size} end", p},
			{"exec", "-e", "ri.emit{n=#ri.find('main.Handler')}", p},
		} {
			cmd := riCommand(append(args, view...)...)
			out, err := cmd.CombinedOutput()
			if err != nil && args[0] != "exec" {
				t.Errorf("ri %v: %v\n%s", args, err, out)
			}
		}
	}
	runRi(t, 0, "ps")
	runRi(t, 0, "recipes", p)
}

func nameOf(t *testing.T, pid string) string {
	t.Helper()
	out, _ := runRi(t, 0, "run", "btree-node", "-p", pid, "--json")
	var said struct{ Rows []struct{ Key string } }
	if err := json.Unmarshal([]byte(out), &said); err != nil || len(said.Rows) < 2 {
		t.Fatalf("%v: %s", err, out)
	}
	return said.Rows[1].Key
}

func needAttach(t *testing.T) {
	t.Helper()
	if !mayAttach() {
		t.Skip("processes may not be stopped here")
	}
	t.Parallel()
}

// TestLookingWritesNothing compares every byte, of a process that stands still by itself, before and after ri looked at
// it in every way that only looks.
func TestLookingWritesNothing(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "300", "-seed", "101", "-load")
	pid := fmt.Sprint(p.pid)
	name := nameOf(t, pid)
	if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := awaitState(p.pid, "T"); err != nil {
		t.Fatal(err)
	}
	memory, flags := memoryOf(t, p.pid, everything), settings(t, p.pid)
	lookAround(t, pid, name)
	sameMemory(t, memory, memoryOf(t, p.pid, everything))
	if now := settings(t, p.pid); now != flags {
		t.Errorf("it was\n%s\nand is\n%s", flags, now)
	}
	if err := syscall.Kill(p.pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	goesOn(t, p)
}

// TestLookingWritesNoText compares what a running process never changes itself, its code first of all: with what it was
// before, and with the executable.
func TestLookingWritesNoText(t *testing.T) {
	needAttach(t)
	for _, how := range []string{"local", "pie"} {
		p := startTarget(t, how, "-objects", "300", "-seed", "102", "-load")
		pid := fmt.Sprint(p.pid)
		memory := memoryOf(t, p.pid, unwritable)
		lookAround(t, pid, nameOf(t, pid))
		sameMemory(t, memory, memoryOf(t, p.pid, unwritable))
		sameAsFile(t, p.pid)
		goesOn(t, p)
	}
}

// sameAsFile compares a process's code with its executable.
func sameAsFile(t *testing.T, pid int) {
	t.Helper()
	exe, err := os.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	self, err := os.Readlink(exe.Name())
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, r := range memoryOf(t, pid, func(perms, path string) bool { return perms == "r-xp" && path == self }) {
		var offset int64
		if _, err := fmt.Sscanf(strings.Fields(r.line)[2], "%x", &offset); err != nil {
			t.Fatal(err)
		}
		for n, digest := range r.pages {
			page := make([]byte, pageSize)
			if k, _ := exe.ReadAt(page, offset+int64(n*pageSize)); k < pageSize {
				continue // the last one, which the next segment may share
			}
			if sha256.Sum256(page) != digest {
				t.Errorf("the code at %#x is not that of the executable", r.start+uint64(n*pageSize))
			}
			compared++
		}
	}
	if compared == 0 {
		t.Error("no code was compared")
	}
}

// goesOn sees that a target is whole: nobody holds it, its heart beats, it answers.
func goesOn(t *testing.T, p *program) {
	t.Helper()
	if err := errors.Join(isFree(p.pid), beats(p.admin("")[:len(p.admin(""))-1])); err != nil {
		t.Error(err)
	}
}

// afterRehearsal is a script that does something endless once its rehearsal is over.
func afterRehearsal(endless string) string {
	return "if ri.memo'rehearsed' then " + endless + " end ri.memo('rehearsed', true)"
}

var (
	holding   = afterRehearsal("while true do end")             // holds the target until ri is told to end
	attaching = afterRehearsal("while true do ri.again(0) end") // stops it and lets it go without a pause
)

// beginRi starts ri in the background.
func beginRi(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := riCommand(args...)
	var said text
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%v said: %s", cmd.Args[1:], said.String())
		}
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	return cmd
}

// holdTarget starts a ri that holds a target until it is told to end, and waits until it does.
func holdTarget(t *testing.T, p *program) *exec.Cmd {
	t.Helper()
	cmd := beginRi(t, "exec", "-e", holding, "-p", fmt.Sprint(p.pid), "--view", "stopped", "--max-time", "5m")
	if err := awaitHeld(p.pid); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// signalled sends the target a signal and waits until it says so.
func signalled(t *testing.T, p *program, want int) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	heard(t, p, want)
}

func heard(t *testing.T, p *program, want int) {
	t.Helper()
	select {
	case line, ok := <-p.lines:
		if line != fmt.Sprint("signal ", want) || !ok {
			t.Fatalf("it says %q, want signal %d", line, want)
		}
	case <-time.After(patience):
		t.Fatalf("signal %d was lost", want)
	}
}

// trials is how many times ri is killed; more by hand with RI_TRIALS.
func trials(n int) int {
	var more int
	if _, err := fmt.Sscan(os.Getenv("RI_TRIALS"), &more); err == nil {
		return more
	}
	return n
}

// TestKilled kills ri in random moments of its life, while the target is under load: the target runs, answers, and has
// lost no signal.
func TestKilled(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "signals", "-objects", "500", "-seed", "103", "-load", "-load-rate", "1000")
	pid := fmt.Sprint(p.pid)
	began := time.Now()
	runRi(t, 0, "run", "goroutines", "-p", pid, "--view", "stopped")
	whole := time.Since(began)
	const seed = 20
	random := rand.New(rand.NewPCG(seed, seed))
	signals := 0
	for trial := range trials(24) {
		var cmd *exec.Cmd
		var what string
		delay := func(most time.Duration) { // which moment it is, no test says; that any may be, all of them do
			d := time.Duration(random.Int64N(int64(most)))
			what += fmt.Sprintf(", killed after %v", d)
			time.Sleep(d)
		}
		switch trial % 3 {
		case 0:
			what = "in an ordinary run"
			view := []string{"snapshot", "stopped"}[trial/3%2]
			cmd = beginRi(t, "run", "goroutines", "-p", pid, "--view", view)
			delay(whole)
		case 1:
			what = "while it holds the target"
			cmd = holdTarget(t, p)
			delay(5 * time.Millisecond)
		case 2:
			what = "while it attaches and lets go all the time"
			cmd = beginRi(t, "exec", "-e", attaching, "-p", pid, "--view", "stopped", "--max-time", "5m")
			if err := awaitTraced(p.pid); err != nil {
				t.Fatal(err)
			}
			delay(20 * time.Millisecond)
		}
		p.cmd.Process.Signal(syscall.SIGUSR1)
		cmd.Process.Kill()
		cmd.Wait()
		signals++
		heard(t, p, signals)
		goesOn(t, p)
		if t.Failed() {
			t.Fatalf("trial %d, seed %d: %s", trial, seed, what)
		}
		signals++
		signalled(t, p, signals)
	}
	sameAsFile(t, p.pid)
	body, err := request("GET", p.admin("verify"))
	if err != nil || !bytes.Contains(body, []byte(`"result": "ok"`)) {
		t.Errorf("%v: %s", err, body)
	}
}

// TestEndedBySignal ends ri while it holds the target.
func TestEndedBySignal(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "100", "-seed", "104", "-load")
	for signal, code := range map[syscall.Signal]int{
		syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129, syscall.SIGQUIT: 2, syscall.SIGABRT: 2,
		syscall.SIGSEGV: 2,
	} {
		cmd := holdTarget(t, p)
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%v: ri exits with %d, want %d", signal, got, code)
		}
		goesOn(t, p)
	}
}

// TestJobControl has the shell stop ri while it holds a target: the target runs before ri stands. A reader that closes
// its end is no reason to let go.
func TestJobControl(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "100", "-seed", "105", "-load")
	for _, signal := range []syscall.Signal{syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU} {
		cmd := holdTarget(t, p)
		for _, s := range []syscall.Signal{syscall.SIGPIPE, signal} {
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		if err := awaitState(cmd.Process.Pid, "T"); err != nil {
			t.Fatal(err)
		}
		goesOn(t, p)
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		cmd.Wait()
		late.Stop()
		if got := cmd.ProcessState.ExitCode(); got != 5 {
			t.Errorf("%v: ri exits with %d, want 5", signal, got)
		}
		goesOn(t, p)
	}
}

// TestDeadline has a script that doesn't end, not even by its own errors: the target is let go at the limit while the
// script still goes on, and the output is said to be partial.
func TestDeadline(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "100", "-seed", "106", "-load")
	for _, script := range []string{
		"while true do end",
		"while true do pcall(function() while true do end end) end",
		"while true do pcall(function() local x = main.store.units end) end",
		"for i = 1, 1e9 do ri.emit{i = i} if i > 1000 then while true do end end end",
		"local s = ('a'):rep(1e6) while true do s:find('.-.-.-.-b') end",
		"local t = {} for i = 1, 1e6 do t[i] = i % 7 end while true do table.sort(t) end",
	} {
		cmd := riCommand("exec", "-e", afterRehearsal(script), "-p", fmt.Sprint(p.pid), "--view", "stopped",
			"--max-stop", "50ms", "--max-time", "5m")
		if _, err := request("GET", p.admin("heartbeat")); err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		cmd.Stderr = &errs
		cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != 5 || !strings.Contains(errs.String(), "the output is partial") ||
			!strings.Contains(errs.String(), "--max-stop") {
			t.Errorf("%s: ri exits with %d, want 5, and says\n%s", script, got, &errs)
		}
		goesOn(t, p)
	}
}

// TestEndedAnyTime ends ri by a signal in whatever moment: the exit code is the signal's, or that of a run that was
// over.
func TestEndedAnyTime(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "100", "-seed", "107", "-load")
	pid := fmt.Sprint(p.pid)
	const seed = 21
	random := rand.New(rand.NewPCG(seed, seed))
	for trial := range trials(15) {
		cmd := beginRi(t, "exec", "-e", attaching, "-p", pid, "--view", "stopped", "--max-time", "5m")
		if err := awaitTraced(p.pid); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(10 * time.Millisecond))))
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != 143 {
			t.Fatalf("trial %d, seed %d: ri exits with %d, want 143", trial, seed, got)
		}
		goesOn(t, p)
	}
}
