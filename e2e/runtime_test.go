package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ri/symbols/testprogram"
)

// releases are those that the instruments for the runtime are tried on.
var releases = append([]string{"local"}, testprogram.Releases...)

// TestRuntime compares the instruments for the Go runtime with what a program says of itself, built by several
// releases.
func TestRuntime(t *testing.T) {
	needAttach(t)
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			p := startRuntimeTarget(t, release)
			t.Run("goroutines", p.goroutines)
			t.Run("timers", p.timers)
			t.Run("scheduler", p.scheduler)
			t.Run("gc", p.gc)
			t.Run("pools", p.pools)
			t.Run("settings", p.settings)
			t.Run("conns", p.conns)
			t.Run("files", p.files)
			t.Run("http", p.http)
			t.Run("sql", p.sql)
			t.Run("contexts", p.contexts)
			t.Run("cpu", p.cpu)
			t.Run("changeable", p.changeable) // the last: it changes the program
		})
	}
}

// runtimeTarget is e2e/runtimetarget, running.
type runtimeTarget struct {
	*program
	release string
}

// startRuntimeTarget builds the program by a release, and waits until all that it does is under way.
func startRuntimeTarget(t *testing.T, release string) *runtimeTarget {
	t.Helper()
	run := exec.Command(buildRuntimeTarget(t, release), "-token=abc", "plain")
	run.Env = []string{"GODEBUG=gcstoptheworld=0", "RI_TEST_PASSWORD=hunter2", "RI_TEST_PLAIN=seen",
		"RI_TEST_URL=postgres://me:hunter2@localhost/db", "HOME=/", "PATH=" + os.Getenv("PATH")}
	p, err := launch(run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	return &runtimeTarget{p, release}
}

// buildRuntimeTarget builds e2e/runtimetarget by a release.
func buildRuntimeTarget(t *testing.T, release string) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "runtimetarget")
	building <- struct{}{}
	cmd := exec.Command("go", "build", "-o", exe, ".")
	cmd.Dir, cmd.Env = "runtimetarget", os.Environ()
	if release != "local" {
		cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+release)
	}
	out, err := cmd.CombinedOutput()
	<-building
	if err != nil {
		t.Fatalf("building runtimetarget by %s: %v\n%s", release, err, out)
	}
	return exe
}

// row is a row of any instrument.
type row map[string]any

func (r row) text(name string) string { s, _ := r[name].(string); return s }
func (r row) number(name string) float64 {
	n, ok := r[name].(float64)
	if !ok {
		return math.NaN()
	}
	return n
}

// rows runs a recipe on the program.
func (p *runtimeTarget) rows(t *testing.T, args ...string) []row {
	t.Helper()
	out, _ := runRi(t, 0, append([]string{"run"},
		append(args, "-p", fmt.Sprint(p.pid), "--json", "--max-stop", "10s")...)...)
	checkKeys(t, args[0], []byte(out))
	var result struct{ Rows []row }
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	return result.Rows
}

// one gives the only row for which that holds.
func one(t *testing.T, rows []row, what string, is func(row) bool) row {
	t.Helper()
	var found []row
	for _, r := range rows {
		if is(r) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d rows are %s, want one: %v\nof %v", len(found), what, found, rows)
	}
	return found[0]
}

func named(name string) func(row) bool { return func(r row) bool { return r["name"] == name } }

// truth asks the program.
func (p *runtimeTarget) truth(t *testing.T, to any) {
	t.Helper()
	body, err := request("GET", p.facts["http"]+"/truth")
	if err == nil {
		err = json.Unmarshal(body, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (p *runtimeTarget) goroutines(t *testing.T) {
	labelled := p.rows(t, "goroutines", "label=job=index")
	if len(labelled) != 2 {
		t.Errorf("%d groups have the label, want 2: %v", len(labelled), labelled)
	}
	one(t, labelled, "shard 1", func(r row) bool { l, _ := r["labels"].(map[string]any); return l["shard"] == "1" })
	slow := p.rows(t, "goroutines", "func=^main.slow$", "state=select")
	n := 0.0
	for _, r := range slow {
		n += r.number("count")
	}
	if n != 5 {
		t.Errorf("%v goroutines are in main.slow, want 5: %v", n, slow)
	}
	if got := p.rows(t, "goroutines", "wait=1000h"); len(got) > 0 {
		t.Errorf("some wait for 1000 hours: %v", got)
	}
	tree := p.rows(t, "goroutines", "tree=true", "func=^main.slow$")
	if len(tree) < 2 {
		t.Errorf("the tree of the handlers is %v", tree)
	}
	folded := filepath.Join(t.TempDir(), "folded")
	pprof := filepath.Join(t.TempDir(), "pprof")
	p.rows(t, "goroutines", "--folded", folded, "--pprof", pprof)
	text, err := os.ReadFile(folded)
	if err != nil || !strings.Contains(string(text), "main.waitsForConnection;database/sql.(*DB).Begin;") {
		t.Errorf("folded: %v %s", err, text)
	}
	top, err := exec.Command("go", "tool", "pprof", "-top", "-nodecount=1000", pprof).CombinedOutput()
	if err != nil || !strings.Contains(string(top), "main.waitsForConnection") {
		t.Errorf("pprof: %v %s", err, top)
	}
}

func (p *runtimeTarget) timers(t *testing.T) {
	rows := p.rows(t, "timers")
	const hour = 3600e9
	due := func(r row, most float64) {
		t.Helper()
		if d := r.number("due"); !(d <= most && d > most-hour/2) {
			t.Errorf("due in %v of %v: %v", d, most, r)
		}
	}
	due(one(t, rows, "AfterFunc", func(r row) bool {
		return r.text("what") == "main.whenItIsLate" &&
			r.text("kind") == "func"
	}), hour)
	ticker := one(t, rows, "the ticker", func(r row) bool { return r.number("period") == 1.5*hour })
	due(ticker, 1.5*hour)
	if ticker.text("kind") != "channel" || !strings.HasPrefix(ticker.text("what"), "main.timers.") {
		t.Errorf("the ticker is %v", ticker)
	}
	due(one(t, rows, "Sleep", func(r row) bool {
		return r.text("kind") == "sleep" &&
			r.text("what") == "main.sleeper"
	}), 2*hour)
	deadline := one(t, rows, "the read deadline",
		func(r row) bool { return strings.HasSuffix(r.text("kind"), "deadline") && r.number("due") > 4*hour })
	due(deadline, 5*hour)
	reader := one(t, p.rows(t, "goroutines", "func=main.waitsToRead"), "the reader", func(row) bool { return true })
	if ids := reader["ids"].([]any); ids[0] != deadline["goroutine"] {
		t.Errorf("goroutine %v waits until the deadline, the timer says %v", ids, deadline["goroutine"])
	}
}

func (p *runtimeTarget) scheduler(t *testing.T) {
	rows := p.rows(t, "scheduler", "idle=true")
	var truth struct{ Procs int }
	p.truth(t, &truth)
	count := map[string]int{}
	for _, r := range rows {
		count[r.text("kind")]++
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	extra := 0
	for _, r := range rows {
		if r.text("state") == "extra" {
			extra++
		}
	}
	if count["P"] != truth.Procs || count["M"]-extra != len(threads) {
		t.Errorf("%v Ps and Ms (%d extra), the program has %d Ps and %d threads: %v", count, extra, truth.Procs,
			len(threads), rows)
	}
	one(t, rows, "locked", func(r row) bool {
		return strings.Contains(r.text("state"), "locked") && strings.HasPrefix(r.text("what"), "main.locked")
	})
}

func (p *runtimeTarget) gc(t *testing.T) {
	type truth struct {
		Mem struct {
			NumGC, NumForcedGC, NextGC, PauseTotalNs uint64
			PauseNs                                  [256]uint64
			LastGC                                   uint64
		}
		Metrics map[string]uint64
	}
	var before, after truth
	for range 10 { // until no collection came between
		p.truth(t, &before)
		rows := p.rows(t, "gc", "pauses=2")
		p.truth(t, &after)
		if before.Mem.NumGC != after.Mem.NumGC {
			continue
		}
		for name, want := range map[string]uint64{
			"cycles": after.Mem.NumGC, "goal": after.Metrics["/gc/heap/goal:bytes"], "pauses": after.Mem.PauseTotalNs,
			"GOGC": 150, "GOMEMLIMIT": 3 << 30,
		} {
			if got := one(t, rows, name, named(name)).number("number"); got != float64(want) {
				t.Errorf("%s is %v, the program says %d", name, got, want)
			}
		}
		var pauses []float64
		for _, r := range rows {
			if r.text("name") == "pause" {
				pauses = append(pauses, r.number("number"))
			}
		}
		if len(pauses) != 2 || pauses[0] != float64(after.Mem.PauseNs[(after.Mem.NumGC+255)%256]) {
			t.Errorf("pauses are %v, the program says %v", pauses, after.Mem.PauseNs[:8])
		}
		return
	}
	t.Error("it collects all the time")
}

func (p *runtimeTarget) pools(t *testing.T) {
	buffers := one(t, p.rows(t, "pools"), "main's",
		func(r row) bool { return strings.HasPrefix(r.text("new"), "main.") })
	if n := buffers.number("private") + buffers.number("shared") + buffers.number("victim"); n != 4 ||
		buffers.text("type") != "*[512]uint8" {
		t.Errorf("the pool has %v values, want 4: %v", n, buffers)
	}
}

func (p *runtimeTarget) settings(t *testing.T) {
	rows := p.rows(t, "settings")
	var truth struct{ Procs int }
	p.truth(t, &truth)
	for name, want := range map[string]string{
		"GOMAXPROCS": fmt.Sprint(truth.Procs), "GOGC": "150", "GOMEMLIMIT": "3.0 GiB", "RI_TEST_PASSWORD": "(masked)",
		"RI_TEST_PLAIN": "seen",
		"RI_TEST_URL":   "postgres://me:(masked)@localhost/db", "1": "-token=(masked)", "2": "plain",
	} {
		if got := one(t, rows, name, named(name)).text("value"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := one(t, p.rows(t, "settings", "secrets=true", "kind=env"), "the password",
		named("RI_TEST_PASSWORD")).text("value"); got != "hunter2" {
		t.Errorf("with secrets=true the password is %q", got)
	}
}

func (p *runtimeTarget) conns(t *testing.T) {
	rows := p.rows(t, "conns")
	full := one(t, rows, "unread", func(r row) bool { return r.number("rx") == 777 })
	if full["reader"] != nil || full.text("state") != "ESTABLISHED" {
		t.Errorf("the socket that nobody reads is %v", full)
	}
	reads := one(t, rows, "read by main.waitsToRead", func(r row) bool { return r.text("what") == "main.waitsToRead" })
	if d := reads.number("deadline"); !(d > 4*3600e9 && d <= 5*3600e9) || reads["reader"] == nil {
		t.Errorf("the socket with a deadline is %v", reads)
	}
	one(t, rows, "the peer of that", func(r row) bool {
		return r.text("local") == reads.text("remote") && r.text("remote") == reads.text("local")
	})
	address := strings.TrimPrefix(p.facts["http"], "http://")
	listener := one(t, rows, "the server's",
		func(r row) bool { return r.text("local") == address && r.text("state") == "LISTEN" })
	if listener.text("what") != "net/http.(*Server).Serve" {
		t.Errorf("the listener is %v", listener)
	}
	if got := p.rows(t, "conns", "unread=true", "state=ESTAB"); len(got) != 1 {
		t.Errorf("unread are %v, want one", got)
	}
}

func (p *runtimeTarget) files(t *testing.T) {
	rows := p.rows(t, "files")
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid))
	if err != nil || len(entries) != len(rows) {
		t.Errorf("%d descriptors (%v), the kernel has %d", len(rows), err, len(entries))
	}
	var truth struct{ Position float64 }
	p.truth(t, &truth)
	file := one(t, rows, "the file", func(r row) bool {
		return strings.Contains(r.text("path"), "runtimetarget") && strings.Contains(r.text("path"), "(deleted)") &&
			r.text("kind") == "file"
	})
	if file.number("position") != truth.Position || file.text("flags") != "RDWR|CLOEXEC" {
		t.Errorf("the file is %v, the program is at %v", file, truth.Position)
	}
}

func (p *runtimeTarget) http(t *testing.T) {
	rows := p.rows(t, "http", "query=true")
	for i := range 3 {
		r := one(t, rows, "request", func(r row) bool { return r.text("path") == fmt.Sprintf("/slow?number=%d", i) })
		if r.text("method") != "GET" || r.text("proto") != "HTTP/1.1" || r.text("state") != "active" ||
			r.number("age") < 0 || "http://"+r.text("server") != p.facts["http"] {
			t.Errorf("the request is %v", r)
		}
		one(t, p.rows(t, "goroutines", "func=^main.slow$", "group=false"), "its goroutine",
			func(g row) bool { return g["ids"].([]any)[0] == r["goroutine"] })
	}
	for i := range 2 {
		r := one(t, rows, "stream", func(r row) bool { return r.text("path") == fmt.Sprintf("/second?number=%d", i) })
		if r.text("method") != "GET" || r.text("proto") != "HTTP/2.0" ||
			"https://"+r.text("server") != p.facts["second"] {
			t.Errorf("the stream is %v", r)
		}
	}
	if all := p.rows(t, "http", "idle=true"); len(all) <= len(rows) {
		t.Errorf("with idle=true there are %d rows, without %d", len(all), len(rows))
	}
	if got := p.rows(t, "http", "path=second"); len(got) != 2 || got[0].text("path") != "/second" {
		t.Errorf("path=second gives %v", got)
	}
}

func (p *runtimeTarget) sql(t *testing.T) {
	var truth struct {
		SQL struct{ MaxOpenConnections, OpenConnections, InUse, Idle, WaitCount float64 }
	}
	p.truth(t, &truth)
	db := one(t, p.rows(t, "sql"), "the pool", func(row) bool { return true })
	got := [5]float64{db.number("max"), db.number("open"), db.number("in_use"), db.number("idle"),
		db.number("wait_count")}
	if want := [5]float64{truth.SQL.MaxOpenConnections, truth.SQL.OpenConnections, truth.SQL.InUse, truth.SQL.Idle,
		truth.SQL.WaitCount}; got != want {
		t.Errorf("the pool has %v, the program says %v", got, want)
	}
	if ids, _ := db["goroutines"].([]any); db.number("waiting") != 2 || len(ids) != 2 ||
		db.text("driver") != "main.fake" {
		t.Errorf("the pool is %v", db)
	}
}

func (p *runtimeTarget) contexts(t *testing.T) {
	rows := p.rows(t, "contexts")
	index := func(what string, is func(row) bool) int {
		t.Helper()
		for i, r := range rows {
			if is(r) {
				return i
			}
		}
		t.Fatalf("no row is %s: %v", what, rows)
		return 0
	}
	value := index("the value", func(r row) bool {
		return strings.TrimSpace(r.text("context")) == "WithValue(main.requestKey{} = request-17)"
	})
	deadline := rows[value+1]
	if d := deadline.number("deadline"); !(d > 2*3600e9 && d <= 3*3600e9) ||
		deadline.number("depth") != rows[value].number("depth")+1 || deadline["goroutines"] == nil {
		t.Errorf("below the value is %v", deadline)
	}
	cancelled := rows[index("cancelled", func(r row) bool { return r.text("cause") == "the operator said so" })]
	if cancelled.text("error") != "context canceled" || cancelled.number("depth") != rows[value].number("depth") ||
		cancelled["goroutines"] == nil {
		t.Errorf("the cancelled one is %v", cancelled)
	}
	for _, r := range p.rows(t, "contexts", "cancelled=true") {
		if strings.Contains(r.text("context"), "requestKey") {
			t.Errorf("with cancelled=true there is %v", r)
		}
	}
}

// interruptedCPU ends a sampling of an hour by Ctrl-C once its events are open: what there is by then is told.
func (p *runtimeTarget) interruptedCPU(t *testing.T) {
	cmd := riCommand("run", "cpu", "seconds=3600", "-p", fmt.Sprint(p.pid))
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err := eventually("ri samples", func() (bool, error) {
		events, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", cmd.Process.Pid))
		return slices.ContainsFunc(events, func(fd string) bool {
			link, _ := os.Readlink(fd)
			return link == "anon_inode:[perf_event]"
		}), err
	})
	if err != nil {
		t.Error(err)
	}
	cmd.Process.Signal(syscall.SIGINT)
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "of a CPU") {
		t.Errorf("interrupted: %v %s", err, out.String())
	}
}

func (p *runtimeTarget) cpu(t *testing.T) {
	spun := make(chan error, 1)
	go func() {
		_, err := request("GET", p.facts["http"]+"/spin?for=3s")
		spun <- err
	}()
	defer func() { <-spun }()
	folded := filepath.Join(t.TempDir(), "folded")
	cmd := exec.Command(filepath.Join(bin, "ri"), "run", "cpu", "seconds=2", "hz=500", "-p", fmt.Sprint(p.pid),
		"--json", "--folded", folded)
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok && strings.Contains(string(exit.Stderr), "can't be sampled") {
		t.Skipf("%s", exit.Stderr)
	}
	var result struct {
		Stops int
		Rows  []row
	}
	if err != nil || json.Unmarshal(out, &result) != nil || result.Stops != 0 {
		t.Fatalf("%v %d stops %s", err, result.Stops, out)
	}
	busy := one(t, result.Rows, "main.busy", func(r row) bool { return r.text("function") == "main.busy" })
	spin := one(t, result.Rows, "main.spin", func(r row) bool { return r.text("function") == "main.spin" })
	if busy.number("self_samples") < 10 || spin.number("total_samples") < busy.number("total_samples") ||
		result.Rows[0].text("function") != "main.busy" {
		t.Errorf("the program spins in main.busy, ri says %v", result.Rows)
	}
	if text, err := os.ReadFile(folded); err != nil || !strings.Contains(string(text), ";main.spin;main.busy ") {
		t.Errorf("folded: %v %s", err, text)
	}
	p.interruptedCPU(t)
}
