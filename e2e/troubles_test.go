package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ri/symbols/testprogram"
)

// trouble is what a program of testdata/troubles is in, and the findings that say so: which check, in which words,
// and at which marked line of the program ("// abba: waits here"); "" where no line says it.
type trouble struct {
	name  string
	finds [][3]string
}

var leaks = [3]string{"blocked-forever", "40 goroutines, each of which sends to a channel", "leak: waits here"}

var allTroubles = []trouble{
	{"abba", [][3]string{{"deadlock", "2 goroutines wait for each other's locks, and 3 more behind", "abba: waits here"}}},
	{"ring", [][3]string{{"deadlock", "5 goroutines wait for each other's locks", "ring: waits here"}}},
	{"helper", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "helper: waits here"}}},
	{"selflock", [][3]string{{"deadlock", "waits for a lock that it holds itself", "selflock: waits here"}}},
	{"rlock", [][3]string{{"deadlock", "recursive RLock", "rlock: waits here"}}},
	{"upgrade", [][3]string{{"deadlock", "RLock, then Lock", "upgrade: waits here"}}},
	{"loop", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "loop: waits here"}}},
	{"index", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "index: waits here"}}},
	{"locker", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "locker: waits here"}}},
	{"try", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "try: waits here"}}},
	{"try-sleep", [][3]string{{"lock-held", "lock held in time.Sleep, 1 goroutine waits for it",
		"try-sleep: holds here"}}},
	{"once", [][3]string{{"deadlock", "sync.Once: the function that Do runs waits for that Do to return",
		"once: waits here"}}},
	{"once-stuck", [][3]string{{"lock-held", "the function of a sync.Once is in time.Sleep, 1 goroutine waits for it",
		"once-stuck: holds here"}}},
	{"lock-sleep", [][3]string{{"lock-held", "lock held in time.Sleep, 1 goroutine waits for it",
		"lock-sleep: holds here"}}},
	{"held-shards", [][3]string{{"lock-held",
		"lock held in time.Sleep, 3 goroutines wait for it: 50 times, at the same lines", "held-shards: holds here"}}},
	{"lock-channel", [][3]string{{"lock-held", "lock held in chan send", "lock-channel: holds here"},
		{"full-queue", "nobody receives", "lock-channel: holds here"}}},
	{"lock-syscall", [][3]string{{"lock-held", "lock held in a system call", "lock-syscall: holds here"}}},
	{"lock-network", [][3]string{{"lock-held", "lock held in network or file I/O", "lock-network: holds here"}}},
	{"starved", [][3]string{{"lock-held",
		"writer starved: a goroutine holds an RWMutex for reading in time.Sleep, 1 goroutine waits to write it, and 4 " +
			"readers behind", "starved: holds here"}}},
	{"forgotten", [][3]string{{"lock-left", "lock whose holder isn't found, 1 goroutine waits for it", "piles up here"}}},
	{"twice-line", [][3]string{{"deadlock", "a lock that it holds itself (Lock twice), and 1 more behind",
		"twice-line: waits here"}}},
	{"twice-rlock", [][3]string{{"deadlock", "RLock, then Lock", "twice-rlock: waits here"}}},
	{"continue", [][3]string{{"deadlock",
		"a lock that it took itself and, on one of the ways through its code, didn't give back, and 1 more behind",
		"continue: waits here"}}},
	{"continue-helper", [][3]string{{"deadlock", "a lock that it took itself", "set: waits here"}}},
	{"return-again", [][3]string{{"deadlock", "a lock that it took itself", "set: waits here"}}},
	{"returned-here", [][3]string{{"lock-held", "lock held, as it seems, in time.Sleep, 1 goroutine waits for it",
		"returned-here: holds here"}}},
	{"rlock-kept", [][3]string{{"lock-held", "holds an RWMutex for reading in time.Sleep, 1 goroutine waits to write it",
		"rlock-kept: holds here"}}},
	// Whether a dead word of the stack of who took it leads to the lock, so that it is named, is chance.
	{"rlock-returned", [][3]string{{"lock-left", "lock whose holder isn't found, 1 goroutine waits for it", ""}}},
	{"abba-globals", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "abba-globals: waits here"}}},
	{"abba-map", [][3]string{{"lock-left",
		"lock whose holder isn't found, 1 goroutine waits for it: 2 times, at the same lines", "abba-map: waits here"}}},
	{"abba-embedded", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "abba-embedded: waits here"}}},
	{"abba-generic", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "abba-generic: waits here"}}},
	{"abba-closure", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "abba-closure: waits here"}}},
	{"abba-with", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "abba-with: waits here"}}},
	{"abba-write", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "abba-write: waits here"}}},
	{"abba-made", [][3]string{{"deadlock", "2 goroutines wait for each other's locks", "abba-made: waits here"}}},
	{"handed-over", [][3]string{{"lock-left", "lock whose holder isn't found, 1 goroutine waits for it",
		"piles up here"}}},
	{"nil-channel", [][3]string{{"nil-channel", "receives from a nil channel", "nil-channel: waits here"},
		{"nil-channel", "select without cases", ""}}},
	{"leak", [][3]string{leaks}},
	{"leak-closures", [][3]string{{"blocked-forever", "5 goroutines, each of which sends to a channel",
		"leak-closures: waits here"}}},
	{"nil-select", [][3]string{{"blocked-forever", "selects among nil channels only", "nil-select: waits here"}}},
	{"forgotten-done", [][3]string{{"blocked-forever", "waits for a WaitGroup", "forgotten-done: waits here"}}},
	{"senders", [][3]string{{"deadlock", "2 goroutines wait for each other, through 2 channels", "senders: waits here"}}},
	{"cond", [][3]string{{"blocked-forever", "waits for a Cond", "cond: waits here"}}},
	{"context", [][3]string{{"context", "cancelled", "context: waits here"}}},
	{"sql", [][3]string{{"sql-pool", "all 2 are in use, 3 goroutines wait for one", "sql: waits here"}}},
	{"sql-behind", [][3]string{{"sql-pool", "all 1 are in use, 3 goroutines wait for one", "sql: waits here"},
		{"lock-held", "lock held in select, 3 goroutines wait for it", "sql-behind: holds here"}}},
	{"sql-lost", [][3]string{{"sql-pool", "all 1 are in use, 4 goroutines wait for one", "sql: waits here"}}},
	{"gate", [][3]string{{"wait-group", "3 workers that would call Done wait for what doesn't come",
		"waits: chan receive for channel main.gate.open at "}}},
	{"semaphore", [][3]string{{"full-queue", "full queue with no consumer running", "channel main.slots.free at "}}},
	{"semaphore-handler", [][3]string{{"full-queue", "full queue with no consumer running: 4 senders wait",
		"channel main.shop.slots at "}}},
	{"semaphore-helpers", [][3]string{{"full-queue", "full queue with no consumer running: 4 senders wait",
		"channel main.rooms.free at "}}},
	{"semaphore-loop", [][3]string{{"full-queue", "full queue with no consumer running: 2 senders wait",
		"channel main.office.turns at "}}},
	{"weighted", [][3]string{{"full-queue", "semaphore.Weighted that nobody is left to release", "weighted: waits here"}}},
	{"lock-and-channel", [][3]string{{"deadlock",
		"2 goroutines wait for each other, through a lock and a channel: 150 times, at the same lines",
		"channel main.mailbox.letters at "}}},
	{"weighted-mutual", [][3]string{{"deadlock", "2 goroutines wait for each other's shares of semaphores",
		"weighted-mutual: waits here"}}},
	{"lock-and-cond", [][3]string{{"deadlock", "2 goroutines wait for each other, through a lock and a Cond",
		"lock-and-cond: waits here"}}},
	{"lock-and-cond-lost", [][3]string{{"deadlock", "2 goroutines wait for each other, through a lock and a Cond",
		"lock-and-cond: waits here"}}},
	{"full", [][3]string{{"full-queue", "full queue with no consumer running: 8 senders wait", "full: waits here"}}},
	{"group", [][3]string{{"wait-group", "its counter is 1", "group: waits here"}}},
	{"global-senders", [][3]string{{"deadlock", "2 goroutines wait for each other, through 2 channels",
		"senders: waits here"}}},
	{"spin", [][3]string{{"spinning", "a goroutine spins", "main.spin (busy.go:"}}},
	{"spin-select", [][3]string{{"spinning", "a goroutine spins", "main.poll (busy.go:"}}},
	{"spin-yield", [][3]string{{"spinning", "a goroutine spins", "main.yield (busy.go:"}}},
	{"spin-time", [][3]string{{"spinning", "a goroutine spins", "main.pass (busy.go:"}}},
	{"holds-spinning", runsWith("3 goroutines wait", "main.(*account).waitsForFlag")},
	{"holds-calculating", runsWith("3 goroutines wait", "main.(*account).calculates")},
	{"holds-deferred", runsWith("3 goroutines wait", "main.(*account).calculatesDeferred")},
	{"holds-yielding", runsWith("3 goroutines wait", "main.(*account).yields")},
	{"holds-polling", [][3]string{{"lock-held",
		"lock held by a goroutine that goes on, and waits in between (time.Sleep), 3 goroutines wait",
		"main.(*account).polls (running.go:"}}},
	{"holds-helper", runsWith("3 goroutines wait", "main.(*account).lockedByHelper")},
	{"holds-func", runsWith("3 goroutines wait", "main.locked")},
	{"holds-embedded", runsWith("3 goroutines wait", "main.(*embedded).calculates")},
	{"writes-running", runsWith("4 goroutines wait", "main.(*registry).rebuild")},
	{"reads-running", [][3]string{{"lock-held",
		"writer starved: a goroutine holds an RWMutex for reading and runs all the time, 1 goroutine waits to write it, " +
			"and 1 reader behind: 2 times, at the same lines", "main.(*registry).scan (running.go:"}}},
	{"once-running", [][3]string{{"lock-held", "the function of a sync.Once runs all the time, 2 goroutines wait for it",
		"running.go:"}}},
	{"frozen-gc", frozenBy("a collection", "main.crunch (frozen.go:")},
	{"frozen-allocation", frozenBy("a collection", "main.crunch (frozen.go:")},
	{"frozen-memstats", frozenBy("ReadMemStats", "main.crunch (frozen.go:")},
	{"frozen-profile", frozenBy("a profile of goroutines", "main.crunch (frozen.go:")},
	// A collection may have asked before the trace, which waits for it then.
	{"frozen-trace", [][3]string{{"stop-the-world", ") waits for one that can't be preempted",
		"main.crunch (frozen.go:"}}},
	{"frozen-procs", frozenBy("GOMAXPROCS", "main.crunch (frozen.go:")},
	{"frozen-assembly", frozenBy("a collection", "main.await1 (await_amd64.s:")},
	{"frozen-marking", [][3]string{{"stop-the-world", "for", "main.crunch (frozen.go:"}}},
	{"frozen-timers", [][3]string{{"stop-the-world", "timers don't come: a goroutine that can't be preempted",
		"main.crunch (frozen.go:"}}},
	{"livelock", [][3]string{{"deadlock",
		"livelock: 2 goroutines keep a lock each and try again and again to get each other's (TryLock)",
		"main.(*account).insists (running.go:"}}},
	{"livelock-sleep", [][3]string{{"deadlock", "livelock: 2 goroutines keep a lock each",
		"main.(*account).insistsSlowly (running.go:"}}},
	{"livelock-line", [][3]string{{"deadlock", "livelock: 2 goroutines keep a lock each",
		"main.(*account).insists"}}},
	{"livelock-reads", [][3]string{{"deadlock",
		"livelock: 2 goroutines keep a lock each and try again and again to get each other's (TryLock)",
		"main.(*registry).insists"}}},
	// livelock-backoff may get out by chance, so it is for trying by hand.
	{"livelock-half", [][3]string{{"deadlock", "deadlock: 2 goroutines wait for each other's locks",
		"main.(*account).insists (running.go:"}}},
	{"spin-eof-file", [][3]string{{"spinning",
		"a goroutine spins: it reads, and is told that there is no more (0 bytes), again and again",
		"main.follow (spinning.go:"}}},
	{"spin-eof-conn", [][3]string{{"spinning", "it reads, and is told that there is no more (0 bytes)",
		"main.attend (spinning.go:"}}},
	{"spin-eof-pipe", [][3]string{{"spinning", "it reads, and is told that there is no more (0 bytes)",
		"main.drain (spinning.go:"}}},
	{"spin-eof-commands", [][3]string{{"spinning", "it reads, and is told that there is no more (0 bytes)",
		"main.(*console).attend (ended.go:"}}},
	{"spin-eof-packets", [][3]string{{"spinning", "it reads, and is told that there is no more (0 bytes)",
		"main.packets (ended.go:"}}},
	{"spin-eof-copied", [][3]string{{"spinning", "it reads, and is told that there is no more (0 bytes)",
		"main.gather (ended.go:"}}},
	{"spin-eof-scanner", [][3]string{{"spinning", "it reads a bufio.Scanner that has stopped",
		"main.scan (spinning.go:"}}},
	{"spin-eof-memory", [][3]string{{"spinning", "a goroutine spins: it ", "main.drain (spinning.go:"}}},
	{"spin-accept", [][3]string{{"spinning", "it accepts on what is closed (127.0.0.1:", "main.accept (spinning.go:"}}},
	{"spin-closed", [][3]string{{"spinning", "it receives from a channel that is closed", "main.takeAll (spinning.go:"}}},
	{"spin-closed-select", [][3]string{{"spinning", "it selects, and a case of it is a channel that is closed",
		"main.choose (spinning.go:"}}},
	{"spin-context", [][3]string{{"spinning", "it selects, and a case of it is a channel that is closed",
		"main.keepOn (spinning.go:"}}},
	{"spin-open", [][3]string{{"spinning", "it calls openat, which fails: ENOENT", "main.openAgain (spinning.go:"}}},
	{"spin-exec", [][3]string{{"spinning", "it starts a program, which fails", "main.execAgain (mixed.go:"}}},
	{"spin-lookup", [][3]string{{"spinning", "a goroutine spins: it ",
		"main.lookUpAgain (mixed.go:"}}},
	{"spin-dial", [][3]string{{"spinning", "it dials, ", "main.dialAgain (spinning.go:"}}},
	{"spin-timer", [][3]string{{"spinning", "the timer is due at once each time", "main.rearm (spinning.go:"}}},
	{"spin-after", [][3]string{{"spinning", "a timer is due at once each time", "main.lapse (spinning.go:"}}},
	{"spin-decoder", [][3]string{
		{"spinning", "an encoding/json.Decoder at its end (io.EOF)", "main.decode (spinning.go:"}}},
	{"spin-deadline", [][3]string{{"spinning", "it reads what has a deadline that has passed (127.0.0.1:",
		"main.attend (spinning.go:"}}},
	{"spin-write", [][3]string{{"spinning", "what is closed (127.0.0.1:", "main.push (spinning.go:"}}},
	{"spin-channels", [][3]string{{"spinning", "it has run all the time in one place", "main.pollAll (spinning.go:"}}},
	{"spin-parse", [][3]string{{"spinning", "it has run all the time in one place", "main.parse (spinning.go:"}}},
	{"spin-copy", [][3]string{{"spinning", "it reads, and is told that there is no more (0 bytes)", ""}}},
	{"spin-empty", [][3]string{{"spinning", "a goroutine spins", "main.pollRing (spinning.go:"}}},
	{"spin-endless", [][3]string{{"spinning", "in a loop that has no way out", "main.arithmetic (spinning.go:"}}},
	{"spin-crowd", [][3]string{{"spinning", "goroutines spin", "main.spin (busy.go:"}}},
	{"growing", [][3]string{{"goroutine-leak", "goroutine leak suspected", "growing: waits here"}}},
	{"collector", [][3]string{{"collector", "the collector runs all the time", ""}}},
	{"limit", [][3]string{{"memory-limit", "memory limit reached", ""}}},
	{"heap", [][3]string{{"heap-growth", "more of main.seen in 5s, all of it reachable", ""}}},
	{"bodies", [][3]string{{"response-body", "HTTP responses whose body nobody can read or close any more",
		"net/http.(*persistConn).readLoop"}}},
	{"rows", [][3]string{{"sql-rows", "queries whose rows nobody can read or close any more",
		"database/sql.(*Rows).awaitDone"}}},
	{"bodies-kept", [][3]string{{"response-body", "HTTP responses whose body nobody can read or close any more",
		"net/http.(*persistConn).readLoop"}}},
	{"rows-kept", [][3]string{{"sql-rows", "queries whose rows nobody can read or close any more",
		"database/sql.(*Rows).awaitDone"}}},
	{"deserted", [][3]string{{"close-wait", "12 connections whose peer has closed them, and that the program keeps open",
		""}}},
	{"finalizer", [][3]string{{"finalizers", "a finalizer doesn't end: main.(*handle).free", "finalizer: waits here"},
		{"finalizers", "objects wait behind it (", "100 objects wait for main.(*handle).free"}}},
	{"threads", [][3]string{{"threads", "too many threads", "threads: waits here"}}},
}

// runsWith is the finding of a goroutine that runs with a lock taken.
func runsWith(wait, function string) [][3]string {
	return [][3]string{{"lock-held", "lock held by a goroutine that runs all the time, " + wait,
		function + " (running.go:"}}
}

// frozenBy is the finding of a stop of the world that doesn't come.
func frozenBy(what, place string) [][3]string {
	return [][3]string{{"stop-the-world", "all goroutines stand still: a stop of the world (" + what +
		") waits for one that can't be preempted", place}}
}

var troubleBuilds sync.Map

// buildTroubles builds testdata/troubles with a release of Go, and an experiment behind a plus sign.
func buildTroubles(t *testing.T, toolchain string, flags ...string) string {
	t.Helper()
	release, experiment, _ := strings.Cut(toolchain, "+")
	exe := filepath.Join(bin, "troubles-"+toolchain+strings.Join(flags, ""))
	once, _ := troubleBuilds.LoadOrStore(exe, sync.OnceValue(func() error {
		cmd := exec.Command("go", append(append([]string{"build", "-o", exe}, flags...), ".")...)
		cmd.Dir = "testdata/troubles"
		cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+release, "GOEXPERIMENT="+experiment)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building testdata/troubles with %s: %v\n%s", toolchain, err, out)
		}
		return nil
	}))
	if err := once.(func() error)(); err != nil {
		t.Fatal(err)
	}
	return exe
}

// startTroubles runs the program until it is in its troubles.
func startTroubles(t *testing.T, exe string, names ...string) int {
	t.Helper()
	cmd := exec.Command(exe, names...)
	cmd.Env = append(os.Environ(), "GODEBUG=asynctimerchan=0") // its go.mod asks for timers as they were before Go 1.23
	_, out := testprogram.Ready(t, cmd)
	go io.Copy(io.Discard, out)
	return cmd.Process.Pid
}

type foundTrouble struct {
	Severity, What, Where, Check string
	Evidence                     []string
}

// checkOf gives what ri check finds, having looked at its exit code.
func checkOf(t *testing.T, code int, pid int, args ...string) (found []foundTrouble, out string) {
	t.Helper()
	return checkTimes(t, 1, code, pid, args...)
}

// checkTimes is checkOf that may look several times until something is found.
func checkTimes(t *testing.T, times, code, pid int, args ...string) (found []foundTrouble, out string) {
	t.Helper()
	args = append([]string{"check", "-p", fmt.Sprint(pid), "--json", "--max-stop", "1s", "--max-time", "60s"}, args...)
	out, errs, got := askRi(t, args...)
	for ; got != code && times > 1; times-- {
		out, errs, got = askRi(t, args...)
	}
	if got != code {
		t.Fatalf("ri %s exits with %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	var said struct{ Findings []foundTrouble }
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatal(err)
	}
	return said.Findings, out
}

// markedLine finds "file.go:12" of a comment in testdata/troubles.
func markedLine(t *testing.T, mark string) string {
	t.Helper()
	files, _ := filepath.Glob("testdata/troubles/*.go")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(data), "\n") {
			if strings.HasSuffix(line, "// "+mark) {
				return fmt.Sprintf("%s:%d", filepath.Base(file), i+1)
			}
			// The marked statement may be the next line's, as of a select.
		}
	}
	t.Fatalf("no line is marked %q", mark)
	return ""
}

// quiet tells whether a program in this trouble still does all else as it did: it may be in others besides.
func (tr trouble) quiet() bool {
	for _, loud := range []string{"spin", "holds-", "writes-", "reads-", "once-running", "frozen-", "livelock", "growing",
		"collector", "limit", "heap", "threads"} {
		if strings.HasPrefix(tr.name, loud) {
			return false
		}
	}
	return true
}

// inGroups runs a test of each trouble, of those that are quiet of several at a time.
func inGroups(t *testing.T, list []trouble, suffix string, test func(*testing.T, ...trouble)) {
	var quiet []trouble
	for _, tr := range list {
		if tr.quiet() {
			quiet = append(quiet, tr)
			continue
		}
		t.Run(tr.name+suffix, func(t *testing.T) {
			t.Parallel()
			test(t, tr)
		})
	}
	for group := range slices.Chunk(quiet, 12) {
		t.Run(group[0].name+"-to-"+group[len(group)-1].name+suffix, func(t *testing.T) {
			t.Parallel()
			test(t, group...)
		})
	}
}

// checkTroubles has troubles told of a program that is in them.
func checkTroubles(t *testing.T, exe string, beside []string, list ...trouble) {
	names := slices.Clone(beside)
	for _, tr := range list {
		names = append(names, tr.name)
	}
	toldOf(t, startTroubles(t, exe, names...), list...)
}

// allFound tells whether all that is wanted was found.
func allFound(t *testing.T, finds [][3]string, found []foundTrouble) bool {
	for _, want := range finds {
		if !slices.ContainsFunc(found, func(f foundTrouble) bool { return f.is(t, want) }) {
			return false
		}
	}
	return true
}

// is tells whether a finding is the one that is wanted: its check, what it says, and where.
func (f foundTrouble) is(t *testing.T, want [3]string) bool {
	line := want[2]
	if line != "" && !strings.Contains(line, ".") { // a mark; of a function, which line of a loop it is at differs
		line = markedLine(t, line)
	}
	what := strings.Contains(f.What, want[1])
	if strings.HasPrefix(want[1], "all goroutines stand still") { // or it hasn't come to that: its stack is waited for
		what = what || strings.HasPrefix(f.What, "the collector can't go on: it waits for a goroutine that can't be")
	}
	return f.Check == want[0] && what &&
		strings.Contains(f.Where+" "+strings.Join(f.Evidence, " "), line)
}

// toldOf has troubles told of a process that is in them, and nothing else.
func toldOf(t *testing.T, pid int, list ...trouble) {
	var args []string
	var finds [][3]string
	limit := false
	for _, tr := range list {
		if tr.name == "heap" {
			args = []string{"--interval", "5s"}
		}
		limit = limit || tr.name == "limit"
		finds = append(finds, tr.finds...)
	}
	times := 1
	if strings.HasPrefix(list[0].name, "spin") {
		times = 3 // what is on a stack is there by chance, and a busy machine gives a program few turns
	}
	found, out := checkTimes(t, times, 3, pid, args...)
	if !allFound(t, finds, found) { // on a busy machine a goroutine may be caught between two places
		again, said := checkTimes(t, times, 3, pid, args...)
		found, out = append(found, again...), out+said
	}
	for _, want := range finds {
		if !allFound(t, [][3]string{want}, found) {
			t.Errorf("no finding of %s with %q at %s in\n%s", want[0], want[1], want[2], out)
		}
	}
	for _, f := range found {
		ok := false
		for _, want := range finds {
			ok = ok || f.Check == want[0]
		}
		ok = ok || limit && f.Check == "collector" // what the limit leads to, sooner or later
		if !ok {
			t.Errorf("%s finds, too: %s: %s", f.Check, f.What, f.Where)
		}
	}
}

// TestTroubles has each trouble told by name and place, and nothing else, alone and beside busy, healthy goroutines.
func TestTroubles(t *testing.T) {
	needAttach(t)
	exe := buildTroubles(t, "local")
	for _, tr := range allTroubles {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			checkTroubles(t, exe, nil, tr)
		})
	}
	inGroups(t, allTroubles, "-beside-healthy", func(t *testing.T, list ...trouble) {
		checkTroubles(t, exe, healthy, list...)
	})
}

// TestRestless has those found that spin and are parked for moments in between. A single look at a busy machine may
// miss one.
func TestRestless(t *testing.T) {
	needAttach(t)
	for _, c := range [][3]string{{"local", "spin-http", "it makes requests by HTTP, for which it dials, and no connect"},
		{"local", "spin-tick", "the timer is due at once each time"},
		{"go1.20.14", "spin-tick", "the timer is due at once each time"}} {
		exe := buildTroubles(t, c[0])
		t.Run(c[0]+"-"+c[1], func(t *testing.T) {
			t.Parallel()
			pid := startTroubles(t, exe, c[1])
			var out []byte
			for range 10 {
				out, _ = riCommand("check", "-p", fmt.Sprint(pid), "--max-stop", "1s", "--max-time", "60s").CombinedOutput()
				if strings.Contains(string(out), c[2]) {
					return
				}
			}
			t.Errorf("no %q in\n%s", c[2], out)
		})
	}
}
