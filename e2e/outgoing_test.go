package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// outgoing is a row of http-out.
type outgoing struct {
	Goroutine, Status               int64
	State, Method, Host, Path, Func string
}

// TestOutgoing: of requests that a program makes and that aren't done, it is told what each waits for, where it goes,
// and who asked.
func TestOutgoing(t *testing.T) {
	needAttach(t)
	exe := filepath.Join(t.TempDir(), "outgoing")
	build := exec.Command("go", "build", "-o", exe, ".")
	build.Dir = "testdata/outgoing"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(exe)
	testprogram.Ready(t, cmd)
	wanted := []string{"answer GET /slow main.fetch 0", "answer POST /first main.post 0",
		"body GET /body main.fetch 200", "connection POST /queued main.post 0"}
	var got []string
	for range 100 { // they may still be on their way
		out, _ := runRi(t, 0, "run", "http-out", "-p", fmt.Sprint(cmd.Process.Pid), "--json", "--max-stop", "5s")
		var list []outgoing
		if err := json.Unmarshal([]byte(out), &struct{ Rows any }{&list}); err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, r := range list {
			if r.Goroutine == 0 || r.Host == "" {
				t.Errorf("%+v", r)
			}
			got = append(got, fmt.Sprintf("%s %s %s %s %d", r.State, r.Method, r.Path, r.Func, r.Status))
		}
		if slices.Sort(got); slices.Equal(got, wanted) {
			return
		}
	}
	t.Errorf("got %q\nwant %q", got, wanted)
}

// TestSQLHolders: who has a pool's connections is told: variables that lead to rows, goroutines with a transaction,
// or nobody any more.
func TestSQLHolders(t *testing.T) {
	needAttach(t)
	for _, release := range []string{"local", "go1.20.14"} {
		for trouble, wanted := range map[string]string{
			"sql":        "Rows [main.kept] <nil>",
			"sql-behind": "Tx [main.forget",
			"sql-lost":   "Tx <nil> <nil>",
		} {
			t.Run(release+"-"+trouble, func(t *testing.T) {
				t.Parallel()
				pid := startTroubles(t, buildTroubles(t, release), trouble)
				out, _ := runRi(t, 0, "run", "sql-conns", "-p", fmt.Sprint(pid), "--json", "--max-stop", "5s")
				var said struct{ Rows []map[string]any }
				if err := json.Unmarshal([]byte(out), &said); err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(said.Rows, func(r map[string]any) bool {
					text := fmt.Sprint(r["held_by"], " ", r["where"], " ", r["goroutines"])
					return strings.HasPrefix(text, wanted)
				}) {
					t.Errorf("no row begins with %q: %v", wanted, said.Rows)
				}
			})
		}
	}
}
