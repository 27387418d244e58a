package e2e

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const limitOf = "main.store.handler.limit"

// fleetOfThree are three processes, each with an agent that answers for it alone; that of the last can't be called.
func fleetOfThree(t *testing.T) (s *fleetSite, all [3]*program) {
	t.Helper()
	needAttach(t)
	s = newFleetSite(t)
	s.background(riCommand("fleet", "db", s.file("file"), "--remote", "punix:"+s.file("db")), "listening at")
	for i, name := range []string{"db7", "db8", "nat"} {
		all[i] = startTarget(t, "local", "-objects", "200", "-seed", "7")
		remote, until := "punix:"+s.file("s-"+name), "listening at"
		if name == "nat" {
			remote, until = "unix:"+s.file("nobody"), "trying again"
		}
		s.agent(name, until, "--remote", remote, "-p", fmt.Sprint(all[i].pid), "--labels", "of=us")
	}
	s.known("of == us", 3)
	return s, all
}

// limits are what processes have; of one that has ended "".
func (s *fleetSite) limits(all [3]*program) (out [3]string) {
	for i, p := range all {
		out[i] = strings.TrimSpace(tell(s.dir, "", "print", limitOf, "-p", fmt.Sprint(p.pid)).out)
	}
	return out
}

// results are what became of the target of each host.
func (a answer) results() map[string]string {
	out := map[string]string{}
	for _, row := range a.Rows {
		out[fmt.Sprint(row["host"])] = fmt.Sprint(row["result"])
	}
	return out
}

func (a answer) run() string { return fmt.Sprint(a.Totals["run"]) }

// TestFleetChange: many are changed, and each is undone by its own journal; what was changed in between is a conflict,
// what has ended is gone, and what was undone stays as it is.
func TestFleetChange(t *testing.T) {
	s, all := fleetOfThree(t)
	for _, args := range [][]string{{}, {"--write"}} { // nothing is changed without a word
		args = append([]string{"fleet", "set", limitOf, "5", "--db", "unix:" + s.file("db")}, args...)
		if r := tell(s.dir, "", args...); r.code != 4-len(args)%2*2 || !strings.Contains(r.err, "--dry-run") {
			t.Errorf("%q: %+v", args, r)
		}
	}
	a := s.ask("op.pem", "set", limitOf, "5", "--was", "100000", "--dry-run")
	if a.code != 0 || len(a.Rows) != 3 || a.results()["nat"] != "would change" {
		t.Errorf("a dry run: %+v", a)
	}
	if got := s.limits(all); got != [3]string{"100000", "100000", "100000"} {
		t.Errorf("a dry run left %v", got)
	}
	changed := s.ask("op.pem", "set", limitOf, "5", "--was", "100000", "--write", "--yes")
	if changed.code != 0 || changed.Totals["answered"] != 3.0 || len(changed.Rows) != 3 {
		t.Fatalf("a change: %+v", changed)
	}
	if got := s.limits(all); got != [3]string{"5", "5", "5"} {
		t.Errorf("a change left %v", got)
	}
	s.must("set", limitOf, "7", "-p", fmt.Sprint(all[1].pid), "--write", "--yes")
	undo := s.ask("op.pem", "undo", changed.run()[:8], "--write", "--yes")
	want := map[string]string{"db7": "undone", "db8": "conflict", "nat": "undone"}
	if got := undo.results(); undo.code != 6 || !maps.Equal(got, want) {
		t.Errorf("an undo: %v, %+v", got, undo)
	}
	if got := s.limits(all); got != [3]string{"100000", "7", "100000"} {
		t.Errorf("an undo left %v", got)
	}
	all[0].end()
	s.known("of == us", 2)
	undo = s.ask("op.pem", "undo", changed.run(), "--write", "--yes", "--force")
	want = map[string]string{"db7": "gone", "db8": "undone", "nat": "nothing"}
	if got := undo.results(); undo.code != 5 || !maps.Equal(got, want) {
		t.Errorf("an undo by force: %v, %+v", got, undo)
	}
	if got := s.limits(all); got != [3]string{"", "100000", "100000"} {
		t.Errorf("an undo by force left %v", got)
	}
	shown := s.must("fleet", "show", changed.run(), "--db", "unix:"+s.file("db"))
	if !strings.Contains(shown, undo.run()) {
		t.Errorf("a run that was undone: %s", shown)
	}
	asked := s.ask("op.pem", "print", limitOf)
	if r := tell(s.dir, "", "fleet", "undo", asked.run(), "--write", "--yes", "--db", "unix:"+s.file("db")); r.code != 4 ||
		!strings.Contains(r.err, "changed nothing") {
		t.Errorf("an undo of what changed nothing: %+v", r)
	}
}

// TestFleetChangeStops: one target is changed first, and if that fails the others stay as they are; and a viewer
// changes nothing.
func TestFleetChangeStops(t *testing.T) {
	s, all := fleetOfThree(t)
	a := s.ask("op.pem", "set", limitOf, "5", "--was", "1", "--write", "--yes")
	if a.code != 6 || a.Totals["refused"] != 1.0 || a.Totals["not_asked"] != 2.0 || !strings.Contains(a.err, "canary") {
		t.Errorf("a canary that conflicts: %+v", a)
	}
	a = s.ask("op.pem", "set", limitOf, "5", "--was", "1", "--write", "--yes", "--canary", "0")
	if a.Totals["refused"] != 3.0 {
		t.Errorf("no canary: %+v", a)
	}
	a = s.ask("vic.pem", "set", limitOf, "5", "--write", "--yes", "--where", "host == nat")
	if a.code != 5 || a.Totals["refused"] != 1.0 || !strings.Contains(a.err, "role operator") {
		t.Errorf("a viewer: %+v", a)
	}
	if got := s.limits(all); got != [3]string{"100000", "100000", "100000"} {
		t.Errorf("changes that fail left %v", got)
	}
	script := "ri.change('less', function(tx) tx:update('" + limitOf + "', 6) end)"
	a = s.ask("op.pem", "exec", "-e", script, "--write", "--yes")
	if got := s.limits(all); a.code != 0 || got != [3]string{"6", "6", "6"} {
		t.Errorf("a script left %v: %+v", got, a)
	}
	a = s.ask("op.pem", "undo", a.run(), "--write", "--yes")
	if got := s.limits(all); a.code != 0 || got != [3]string{"100000", "100000", "100000"} {
		t.Errorf("its undo left %v: %+v", got, a)
	}
}

// TestFleetChangeKilled: what was changed is undone also if who asked was killed in the middle of it.
func TestFleetChangeKilled(t *testing.T) {
	s, all := fleetOfThree(t)
	db := []string{"--db", "unix:" + s.file("db"), "--tls", s.file("op.pem")}
	cmd := riCommand(append([]string{"fleet", "set", limitOf, "5", "--write", "--yes", "--ndjson", "--at-once", "1",
		"--max-stop", "5s"},
		db...)...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"changed"`) {
		t.Errorf("it says %q", lines.Text())
	}
	cmd.Process.Kill()
	cmd.Wait()
	if got := s.limits(all); !slices.Contains(got[:], "5") {
		t.Errorf("it changed nothing: %v", got)
	}
	runs := s.must(append([]string{"fleet", "runs", "--ndjson"}, db...)...)
	_, run, _ := strings.Cut(runs, `"run":"`)
	a := s.ask("op.pem", "undo", run[:8], "--write", "--yes")
	if got := s.limits(all); a.code != 0 || got != [3]string{"100000", "100000", "100000"} || len(a.Targets) != 3 {
		t.Errorf("its undo left %v: %+v", got, a)
	}
}

// TestFleetRecord: each target is recorded into a file of its own, which is read elsewhere; that of an agent which
// can't be called comes by way of the database, if it isn't too large.
func TestFleetRecord(t *testing.T) {
	s, all := fleetOfThree(t)
	a := s.ask("ann.pem", "record", "goroutines", "-o", s.file("night"))
	if a.code != 0 || a.Totals["answered"] != 3.0 {
		t.Errorf("a recording: %+v", a)
	}
	for i, host := range []string{"db7", "db8", "nat"} {
		file := filepath.Join("night", fmt.Sprintf("%s-target-%d.rec", host, all[i].pid))
		if rows := s.must("run", "goroutines", "-r", file, "--ndjson"); strings.Count(rows, "\n") < 5 {
			t.Errorf("%s: %s", file, rows)
		}
	}
	list, err := os.ReadDir(s.file("night"))
	if err != nil || len(list) != 3 {
		t.Errorf("there are %v, %v", list, err)
	}
	if r := tell(s.dir, "", "fleet", "record", "-o", "night", "--db", "unix:"+s.file("db")); r.code != 2 ||
		!strings.Contains(r.err, "new or empty") {
		t.Errorf("into a folder that has something: %+v", r)
	}
	a = s.ask("ann.pem", "record", "--heap", "--symbols-whole", "-o", s.file("all"), "--where", "host == nat")
	if a.code != 5 || a.Totals["refused"] != 1.0 || !strings.Contains(a.err, "more than 4194304 bytes") {
		t.Errorf("too large a recording: %+v", a)
	}
	if r := tell(s.dir, "", "fleet", "record", "-o", "none", "nothing", "--db", "unix:"+s.file("db")); r.code != 5 {
		t.Errorf("no such recipe: %+v", r)
	}
	if _, err := os.Stat(s.file("none")); !os.IsNotExist(err) {
		t.Errorf("a folder without recordings is left: %v", err)
	}
}
