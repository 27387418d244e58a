package wire

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ri/ovsdb"
)

// A library that lends books: every kind of column, constraint and reference.
//
//go:embed testdata/library.ovsschema
var library string

// Whatever a transaction is, ours answers it as ovsdb-server does. Lines that begin with # say what comes.
//
//go:embed testdata/transactions.txt
var transactions string

// TestLikeServer sends the same transactions to ovsdb-server and to ours, and compares the answers.
func TestLikeServer(t *testing.T) {
	theirs := dial(t, realServer(t, library))
	at, _ := serve(t, open(t, library))
	ours := dial(t, at)
	n := 0
	for line := range strings.Lines(transactions) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		n++
		want, got := theirs.transact(line), ours.transact(line)
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", line, got, want)
		}
	}
	t.Logf("%d transactions", n)
}

// realServer starts ovsdb-server on an empty database.
func realServer(t *testing.T, schema string) string {
	t.Helper()
	if _, err := exec.LookPath("ovsdb-server"); err != nil {
		t.Skip("ovsdb-server isn't here: apt-get install openvswitch-common openvswitch-switch")
	}
	dir, err := os.MkdirTemp("", "ri") // a socket's name is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	db, socket := filepath.Join(dir, "db"), filepath.Join(dir, "sock")
	if out, err := exec.Command("ovsdb-tool", "create", db, textFile(t, schema)).CombinedOutput(); err != nil {
		t.Fatalf("ovsdb-tool create: %v\n%s", err, out)
	}
	pid := filepath.Join(dir, "pid")
	server := exec.Command("ovsdb-server", "-vconsole:off", "--remote=punix:"+socket, "--unixctl="+socket+".ctl",
		"--detach", "--no-chdir", "--pidfile="+pid, db)
	if err := server.Run(); err != nil { // it returns when the server listens
		t.Fatal(err)
	}
	process := pidOf(t, pid)
	t.Cleanup(func() {
		syscall.Kill(process, syscall.SIGKILL)
		waitForEnd(t, process)
	})
	return "unix:" + socket
}

// transact gives the answer to a transaction, so that answers can be compared: rows in an order of their own, UUIDs by
// numbers.
func (p *peer) transact(params string) string {
	p.t.Helper()
	p.say(`{"id":0,"method":"transact","params":` + params + `}`)
	var reply struct{ Result, Error any }
	p.in.UseNumber()
	if err := p.in.Decode(&reply); err != nil {
		p.t.Fatalf("%v, in answer to %s", err, params)
	}
	sortRows(reply.Result)
	text := byChance.ReplaceAllString(ovsdb.Text([]any{reply.Result, reply.Error}), "...")
	return uuidSets.ReplaceAllStringFunc(uuidFilter(text), func(set string) string {
		ids := number.FindAllString(set, -1)
		slices.SortFunc(ids, func(a, b string) int {
			x, _ := strconv.Atoi(a)
			y, _ := strconv.Atoi(b)
			return x - y
		})
		return strings.Join(ids, " ")
	})
}

var (
	uuidSets = regexp.MustCompile(`\["set",\[(,?\["uuid","<\d+>"\])+\]\]`)
	// Which of several it names first is a matter of ovsdb-server's hashes.
	byChance = regexp.MustCompile(`First row, with UUID [^"]*|Member '[a-z]*' and`)
	number   = regexp.MustCompile(`\d+`)
)

func sortRows(j any) {
	switch j := j.(type) {
	case []any:
		for _, e := range j {
			sortRows(e)
		}
	case map[string]any:
		if rows, ok := j["rows"].([]any); ok {
			slices.SortFunc(rows, func(a, b any) int { return strings.Compare(ovsdb.Text(a), ovsdb.Text(b)) })
		}
	}
}

// TestMonitorLikeServer has the same monitors at both servers while the same transactions are made, and compares all
// that they say.
func TestMonitorLikeServer(t *testing.T) {
	monitors := []string{
		`"monitor","params":["library","m",{"Reader":{"columns":["name","marks"]}}]`,
		`"monitor","params":["library","m",{"Reader":[{"columns":["name"]},{"columns":["marks"],` +
			`"select":{"modify":false}}]}]`,
		`"monitor","params":["library","m",{"Reader":{"columns":["name"],"select":{"initial":false,"insert":false}},` +
			`"Branch":{"columns":["town","guests"]}}]`,
		`"monitor_cond","params":["library","m",{"Reader":[{"columns":["name","marks"],"where":[["name","==","bob"],` +
			`["name","==","eve"]]}]}]`,
		`"monitor_cond","params":["library","m",{"Reader":[{"columns":["name","best"],"where":[["marks","includes",3]]}]}]`,
		`"monitor_cond_since","params":["library","m",{"Reader":[{"columns":["name","marks"]}]},` +
			`"00000000-0000-0000-0000-000000000000"]`,
		`"monitor","params":["library","m",{"Nothing":{}}]`,
		`"monitor","params":["library","m",{"Reader":{"columns":["nobody"]}}]`,
		`"monitor","params":["library","m",{"Reader":{"columns":["name","name"]}}]`,
		`"monitor","params":["library","m",{"Reader":{"select":{"all":true}}}]`,
		`"monitor","params":["library","m",{"Reader":{"where":[]}}]`,
		`"monitor","params":["library","m",5]`,
	}
	id := func(n string) string { return `"00000000-0000-4000-8000-0000000000` + n + `"` }
	changes := []string{
		`{"op":"insert","table":"Reader","uuid":` + id("0a") + `,"row":{"name":"bob","marks":["set",[1,3]]}}`,
		`{"op":"insert","table":"Reader","uuid":` + id("0b") + `,"row":{"name":"eve","best":["uuid",` + id("0a") + `]}}`,
		`{"op":"update","table":"Reader","where":[["name","==","eve"]],"row":{"marks":3}}`,
		`{"op":"mutate","table":"Reader","where":[],"mutations":[["marks","insert",["set",[5]]]]}`,
		`{"op":"update","table":"Reader","where":[["name","==","bob"]],"row":{"name":"rob"}}`,
		`{"op":"update","table":"Reader","where":[["name","==","rob"]],"row":{"must":["uuid",` + id("0b") + `]}}`,
		`{"op":"insert","table":"Branch","uuid":` + id("0c") + `,"row":{"town":"ulm","guests":["uuid",` + id("0a") + `]}}`,
		`{"op":"delete","table":"Reader","where":[["name","==","rob"]]}`,
		`{"op":"delete","table":"Reader","where":[]}`,
	}
	for _, m := range monitors {
		theirs := dial(t, realServer(t, library))
		at, _ := serve(t, open(t, library))
		ours := dial(t, at)
		compare := func(text string) {
			t.Helper()
			if want, got := theirs.until(text), ours.until(text); got != want {
				t.Errorf("%s\n%s\ngot  %s\nwant %s", m, text, got, want)
			}
		}
		transact := func(op string) { compare(`{"id":1,"method":"transact","params":["library",` + op + `]}`) }
		transact(changes[0])
		compare(`{"id":2,"method":` + m + `}`)
		for _, op := range changes[1:] {
			transact(op)
		}
	}
}

// until says something, and gives all that comes until the answer to it.
func (p *peer) until(text string) string {
	p.t.Helper()
	p.say(text)
	var all []string
	for {
		var j map[string]any
		if err := p.in.Decode(&j); err != nil {
			p.t.Fatalf("%v, in answer to %s", err, text)
		}
		if j["error"] != nil {
			delete(j, "result") // ovsdb-server leaves out what RFC 7047 wants to be null
		}
		all = append(all, ovsdb.Text(j))
		if j["id"] != nil {
			return strings.Join(all, "\n")
		}
	}
}
