package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// fleetSite is a fleet's database, and certificates.
type fleetSite struct {
	t   *testing.T
	dir string // short: sockets lie in it
}

// newFleetSite has certificates of agents and people.
func newFleetSite(t *testing.T) *fleetSite {
	t.Helper()
	dir, err := os.MkdirTemp("", "ri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &fleetSite{t, dir}
	s.must("pki", "init", "--pki", "pki")
	for _, name := range []string{"db7", "db8", "nat"} {
		s.must("pki", "issue", name, "--agent", "--pki", "pki", "-o", name+".pem")
	}
	for name, role := range map[string]string{"ann": "author", "vic": "viewer", "op": "operator"} {
		s.must("pki", "issue", name, "--role", role, "--pki", "pki", "-o", name+".pem")
	}
	return s
}

// agent starts one with a journal of its own, and waits until it says something.
func (s *fleetSite) agent(name, until string, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := riCommand(append([]string{"serve", "--folder", s.file("agent-" + name), "--tls", s.file(name + ".pem"), "--db",
		"unix:" + s.file("db")}, args...)...)
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+s.file("state-"+name))
	return s.background(cmd, until)
}

// known waits until so many targets match.
func (s *fleetSite) known(where string, n int) {
	s.t.Helper()
	if err := eventually("targets are known", func() (bool, error) {
		r := tell(s.dir, "", "fleet", "targets", where, "--ndjson", "--db", "unix:"+s.file("db"))
		return strings.Count(r.out, "\n") == n, nil
	}); err != nil {
		s.t.Fatal(err)
	}
}

// background starts a program that runs until the test ends, and waits until it says something.
func (s *fleetSite) background(cmd *exec.Cmd, until string) *exec.Cmd {
	s.t.Helper()
	said := &text{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	if err := eventually("it says "+until, func() (bool, error) {
		return strings.Contains(said.String(), until), nil
	}); err != nil {
		s.t.Fatalf("%v: %s", err, said)
	}
	return cmd
}

func (s *fleetSite) file(name string) string { return filepath.Join(s.dir, name) }

// must runs ri, and gives what it prints.
func (s *fleetSite) must(args ...string) string {
	s.t.Helper()
	r := tell(s.dir, "", args...)
	if r.code != 0 {
		s.t.Fatalf("ri %q: %+v", args, r)
	}
	return r.out
}

// answer is what ri fleet --json gives.
type answer struct {
	Totals  map[string]any
	Rows    []map[string]any
	Targets []map[string]any
	err     string
	code    int
}

// ask asks the fleet as somebody.
func (s *fleetSite) ask(who string, args ...string) (a answer) {
	s.t.Helper()
	args = append(append([]string{"fleet"}, args...), "--json", "--db", "unix:"+s.file("db"), "--tls", s.file(who))
	if slices.Contains([]string{"exec", "print", "record", "set", "undo"}, args[1]) { // the machine may be busy
		args = append(args, "--max-stop", "5s")
		if !slices.Contains(args, "--expire") {
			args = append(args, "--expire", "1h")
		}
	}
	r := tell(s.dir, "", args...)
	if err := json.Unmarshal([]byte(r.out), &a); err != nil {
		s.t.Fatalf("ri %q: %v: %+v", args, err, r)
	}
	a.err, a.code = r.err, r.code
	sum := 0.0
	for _, state := range []string{"answered", "refused", "timed_out", "gone", "not_asked"} {
		n, _ := a.Totals[state].(float64)
		sum += n
	}
	if sum != a.Totals["targets"] || len(a.Targets) != int(sum) {
		s.t.Errorf("the totals don't add up: %v of %d", a.Totals, len(a.Targets))
	}
	return a
}

// TestFleet: two agents, one of which can't be called, tell of two processes each in a database of ours or of
// ovsdb-server; they answer who may ask, and what ends, or dies, is counted as such.
func TestFleet(t *testing.T) {
	for _, theirs := range []bool{false, true} {
		t.Run(map[bool]string{false: "ours", true: "ovsdb-server"}[theirs], func(t *testing.T) { fleetOn(t, theirs) })
	}
}

func fleetOn(t *testing.T, theirs bool) {
	needAttach(t)
	s := newFleetSite(t)
	dir, db := s.dir, "unix:"+s.file("db")
	if theirs {
		if _, err := exec.LookPath("ovsdb-server"); err != nil {
			t.Skip("ovsdb-server isn't here: apt-get install openvswitch-common openvswitch-switch")
		}
		if err := os.WriteFile(s.file("schema"), []byte(s.must("fleet", "schema")), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("ovsdb-tool", "create", s.file("file"), s.file("schema")).CombinedOutput(); err != nil {
			t.Fatalf("ovsdb-tool: %v: %s", err, out)
		}
		s.background(exec.Command("ovsdb-server", "-vconsole:info", "--remote=p"+db, "--unixctl="+s.file("ctl"),
			s.file("file")), "ovsdb-server (Open vSwitch)")
	} else {
		s.background(riCommand("fleet", "db", s.file("file"), "--remote", "p"+db), "listening at")
	}
	p := startTarget(t, "local", "-objects", "200", "-seed", "7")
	q := startTarget(t, "local", "-objects", "200", "-seed", "7")
	db7 := s.background(riCommand("serve", "--folder", s.file("a1"), "--tls", s.file("db7.pem"), "--remote",
		"punix:"+s.file("s1"), "--db", db, "--labels", "env=prod,rack=7"), "listening at")
	nat := riCommand("serve", "--folder", s.file("a2"), "--tls", s.file("nat.pem"), "--remote", "unix:"+s.file("nobody"),
		"--db", db, "--labels", "env=prod")
	s.background(nat, "trying again")
	ours := fmt.Sprintf("pid =~ '^(%d|%d)$' && env == prod", p.pid, q.pid)
	s.known(ours, 4)
	a := s.ask("ann.pem", "exec", "-e", "ri.emit{n = #ri.var'main.store'.devices}", "--where", ours,
		"--at-once", "1") // both agents tell of both processes, and a process has one tracer
	if a.code != 0 || a.Totals["answered"] != 4.0 || len(a.Rows) != 4 {
		t.Errorf("all are asked: %+v", a)
	}
	hosts := map[any]int{}
	for _, row := range a.Rows {
		hosts[row["host"]]++
		if row["n"] != 6.0 {
			t.Errorf("a target says %v", row)
		}
	}
	if hosts["db7"] != 2 || hosts["nat"] != 2 {
		t.Errorf("rows are of %v", hosts)
	}
	// To db7 who asks comes over a socket, so it is this user, whatever the certificate says.
	a = s.ask("vic.pem", "print", "main.store.units", "--where", ours, "--at-once", "1")
	if a.code != 5 || a.Totals["refused"] != 2.0 ||
		a.Totals["answered"] != 2.0 || !strings.Contains(a.err, "role author") {
		t.Errorf("a viewer's expression: %+v", a)
	}
	q.cmd.Process.Kill()
	q.cmd.Wait()
	s.known(ours, 2)
	db7.Process.Kill() // its rows stay, and it isn't there
	db7.Wait()
	a = s.ask("ann.pem", "exec", "-e", "ri.emit{n = 1}", "--where", ours, "--timeout", "3s")
	if a.code != 5 || a.Totals["gone"] != 1.0 || a.Totals["answered"] != 1.0 {
		t.Errorf("a host is gone: %+v", a)
	}
	runs := tell(dir, "", "fleet", "runs", "--db", db, "--ndjson")
	if strings.Count(runs.out, "\n") != 3 || strings.Count(runs.out, `"author":"ann"`) != 2 {
		t.Errorf("the runs: %+v", runs)
	}
}

// TestFleetSimulated: simulated agents are in as many processes as their descriptors need; one has a process that
// exists; all answer, and none is left when they end.
func TestFleetSimulated(t *testing.T) {
	needAttach(t)
	s := newFleetSite(t)
	db := "unix:" + s.file("db")
	s.background(riCommand("fleet", "db", s.file("file"), "--remote", "p"+db), "listening at")
	p := startTarget(t, "local", "-objects", "200", "-seed", "7")
	ri := riCommand("fleet", "simulate", "-n", "200", "--real", fmt.Sprint(p.pid), "--db", db)
	cmd := exec.Command("sh", append([]string{"-c", `ulimit -n 620; exec "$0" "$@"`}, ri.Args...)...)
	cmd.Args[3], cmd.Env = ri.Path, ri.Env
	sim := s.background(cmd, "are simulated")
	s.known("symbols =~ .", 200)
	a := s.ask("op.pem", "run", "goroutines")
	if a.code != 0 || a.Totals["answered"] != 200.0 {
		t.Errorf("%v: %s", a.Totals, a.err)
	}
	simulated, real := map[any]bool{}, 0
	for _, row := range a.Rows {
		if row["answer"] != nil {
			simulated[row["host"]] = true
		} else if row["host"] == "sim-00000" {
			real++
		}
	}
	if len(simulated) != 199 || real == 0 {
		t.Errorf("%d simulated agents and a real one with %d rows", len(simulated), real)
	}
	if err := sim.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.known("symbols =~ .", 0)
}
