package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestLimitsOfAnAgent comes to each limit of who asks: rows, bytes, how long a process is held in a minute, requests at
// once on a connection and on all. Each is told in words, with what sets it.
func TestLimitsOfAnAgent(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "100", "-seed", "3")
	pid := fmt.Sprint(p.pid)
	a := startAgent(t, "--max-rows", "3", "--max-output", "1", "--stop-budget", "100ms")
	for _, limit := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"run", "goroutines", "--view", "live"}, 5, "row limit reached: 3 rows were given"},
		{[]string{"exec", "-e", "for i = 1, 2000 do print(('x'):rep(1000)) end", "--view", "live"}, 4, "--max-output"},
		{[]string{"exec", "-e", holding, "--view", "stopped", "--max-stop", "1m", "--max-time", "1m"}, 5,
			"the limit (what was left of ri serve --stop-budget)"},
		{[]string{"run", "goroutines"}, 4, "100ms is the most here (ri serve --stop-budget)"},
		{[]string{"exec", "-e", "print(1)", "--view", "live"}, 0, "no stop"},
	} {
		_, said, code := askRi(t, append([]string{"--at", a.at, limit.args[0], "-p", pid}, limit.args[1:]...)...)
		if code != limit.code || !strings.Contains(said, limit.says) {
			t.Errorf("ri %s exits with %d, want %d with %q, and says %s", limit.args, code, limit.code, limit.says, said)
		}
	}
	shell := rawRequest("shell", "--pid="+pid)
	shell["input"] = true
	for n := range 5 {
		r := speak(t, a.at)
		for i := range 4 {
			id := n*4 + i + 1
			if n == 4 { // four connections have all that one who asks may have
				if _, failed := r.call("ri_run", id, shell); !strings.Contains(failed, "16 requests under way on all") {
					t.Errorf("the 17th request: %q", failed)
				}
				break
			}
			r.begin("ri_run", id, shell)
		}
		if n < 4 {
			if _, failed := r.call("ri_run", 99, shell); !strings.Contains(failed, "4 requests under way") {
				t.Errorf("the fifth of a connection: %q", failed)
			}
		}
	}
}
