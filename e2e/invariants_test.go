package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ri/attach/process"
	"ri/symbols/testprogram"
)

var buildInvariants = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-o", filepath.Join(bin, "invariants"), ".")
	cmd.Dir = "testdata/invariants"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building invariants: %v\n%s", err, out)
	}
	return nil
})

// startInvariants runs testdata/invariants and gives its pid.
func startInvariants(t *testing.T, mode string) string {
	t.Helper()
	if f := process.Capabilities(); f.Ptrace != nil || !f.CapSysPtrace && f.YamaScope > 0 {
		t.Skip("processes may not be stopped here")
	}
	if err := buildInvariants(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "invariants"), mode)
	testprogram.Ready(t, cmd)
	return strconv.Itoa(cmd.Process.Pid)
}

// askRi runs ri, whatever it exits with.
func askRi(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := riCommand(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// rows runs a script that gives a row for each of n looks, and decodes them into those.
func rows[T any](t *testing.T, want int, args ...string) (rows []T, stderr string) {
	t.Helper()
	stdout, stderr := runRi(t, 0, append(args, "--ndjson")...)
	for line := range strings.Lines(stdout) {
		var row T
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if len(rows) != want {
		t.Fatalf("ri %s gives %d rows, want %d\n%s", strings.Join(args, " "), len(rows), want, stderr)
	}
	return rows, stderr
}

// pairsScript looks many times, and says of each writer how many pairs are broken, and how often a pair is behind the
// one before it.
const pairsScript = `
for look = 1, %d do
  if look > 1 then ri.again(0.003) end
  for w, writer in ri.pairs(ri.var'main.all') do
    local broken, steps, wild = 0, 0, 0
    local first, second = writer.first, writer.second
    local before = first[0]
    for i = 0, #first - 1 do
      local a, b = first[i], second[i]
      if a ~= b then broken = broken + 1 end
      if a ~= before then steps = steps + 1 end
      if a > before or b > a or before - a > 1 or a - b > 1 then wild = wild + 1 end
      before = a
    end
    ri.emit { writer = w, round = before, broken = broken, steps = steps, wild = wild }
  end
end`

type pairsRow struct{ Writer, Round, Broken, Steps, Wild int }

func (r pairsRow) kept() bool { return r.Broken <= 1 && r.Steps <= 1 && r.Wild == 0 }

func TestConsistency(t *testing.T) {
	pid := startInvariants(t, "pairs")
	const looks = 30
	rounds := map[int]bool{}
	cut := 0
	// The last two copy all memory, most of it while the program runs, where the kernel allows that.
	for _, view := range [][]string{{"--view", "snapshot"}, {"--view", "stopped"}, {"--precopy", "--max-stop", "30s"},
		{"--precopy", "--max-stop", "30s", "--spool", t.TempDir()}} {
		got, stderr := rows[pairsRow](t, looks*4,
			append([]string{"exec", "-e", fmt.Sprintf(pairsScript, looks), "-p", pid, "--max-time", "2m"}, view...)...)
		for i, r := range got {
			if !r.kept() {
				t.Errorf("%s: look %d: %+v\n%s", view, i/4, r, stderr)
			}
			rounds[r.Round] = true
			cut += r.Steps
		}
	}
	// They were looks at a program at work.
	if len(rounds) < looks || cut < looks {
		t.Errorf("%d rounds seen, %d of them unfinished", len(rounds), cut)
	}
	// A look that isn't of one instant breaks the promise, so the test can fail.
	for try := 1; ; try++ {
		got, _ := rows[pairsRow](t, looks*4, "exec", "-e", fmt.Sprintf(pairsScript, looks), "-p", pid, "--view", "live",
			"--max-time", "2m")
		for _, r := range got {
			if !r.kept() {
				return
			}
		}
		if try == 10 {
			t.Fatalf("%d looks without a stop saw nothing broken", try*looks)
		}
	}
}

const lockScript = `
return { title = 'does it add up', params = { { name = 'looks', type = 'int', default = 1 },
	{ name = 'of', type = 'expr', required = true } },
  run = function(p)
    for look = 1, p.looks do
      if look > 1 then ri.again(0.001) end
      local a, sum = ri.eval(p.of), 0
      for _, x in ri.pairs(a.entries) do sum = sum + x end
      ri.emit { sum = sum, total = a.total, moves = a.moves }
    end
  end }`

const lockRecipes = `
account: {instrument: add.lua, lock: main.account.mu, params: {of: main.account}}
ledger: {instrument: add.lua, lock: [main.ledger.mu, main.account.mu], params: {of: main.ledger}}
held: {instrument: add.lua, lock: [main.account.mu, main.stuck], params: {of: main.account}}
unheard: {instrument: add.lua, lock: main.account.mutex, params: {of: main.account}}
nolock: {instrument: add.lua, lock: main.account, params: {of: main.account}}
absent: {instrument: add.lua, lock: main.nothing.mu, params: {of: main.account}}
`

type lockRow struct{ Sum, Total, Moves int }

func TestLocks(t *testing.T) {
	pid := startInvariants(t, "locks")
	folder := t.TempDir()
	recipes := filepath.Join(folder, "recipes.yaml")
	for name, text := range map[string]string{"recipes.yaml": lockRecipes, "add.lua": lockScript} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(recipe string, flags ...string) []string {
		return append([]string{"run", recipe, "-p", pid, "--recipes", recipes, "--max-time", "2m"}, flags...)
	}
	for _, recipe := range []string{"account", "ledger"} {
		t.Run(recipe, func(t *testing.T) { lockIsWaitedFor(t, recipe, run) })
	}
	t.Run("held", func(t *testing.T) { locksOfRecipes(t, run) })
	t.Run("typed", func(t *testing.T) { locksOfScripts(t, pid) })

	// What a machine reads.
	stdout, stderr, _ := askRi(t, run("account", "--json")...)
	var doc struct {
		Locks []struct {
			Lock     string
			Held     int   `json:"held_stops"`
			Waited   int64 `json:"waited_ns"`
			WhenRead bool  `json:"held_when_read"`
		}
	}
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil || len(doc.Locks) != 1 ||
		doc.Locks[0].Lock != "main.account.mu" || doc.Locks[0].WhenRead {
		t.Errorf("%v %+v\n%s", err, doc, stderr)
	}
}

// lockIsWaitedFor looks while the program changes what a lock guards: no look sees it half changed, but those that
// ignore the lock.
func lockIsWaitedFor(t *testing.T, recipe string, run func(string, ...string) []string) {
	broken := func(list []lockRow) (n int) {
		for _, r := range list {
			if r.Sum != r.Total {
				n++
			}
		}
		return n
	}
	const looks = 40
	many := fmt.Sprintf("looks=%d", looks)
	moves := map[int]bool{}
	waited := false
	for _, view := range []string{"snapshot", "stopped"} {
		got, stderr := rows[lockRow](t, looks, run(recipe, many, "--view", view)...)
		if n := broken(got); n > 0 {
			t.Errorf("%s, %s: %d of %d looks see a change half made\n%s", recipe, view, n, looks, stderr)
		}
		waited = waited || regexp.MustCompile(
			`waited .* for the lock main\.(account|ledger)\.mu|`+
				`stops: the lock main\.(account|ledger)\.mu was held \d+ time`).MatchString(stderr)
		for _, r := range got {
			moves[r.Moves] = true
		}
	}
	if len(moves) < looks/2 || !waited {
		t.Errorf("%s: %d moves seen, waited %v", recipe, len(moves), waited)
	}
	// With the lock ignored it is seen and said, so the test can fail.
	for try := 1; ; try++ {
		got, stderr := rows[lockRow](t, looks, run(recipe, many, "--ignore-lock")...)
		if broken(got) > 0 {
			if !strings.Contains(stderr, "ri: warning: the lock main.") ||
				!strings.Contains(stderr, "may be in mid-change") {
				t.Errorf("%s, --ignore-lock: %s", recipe, stderr)
			}
			break
		}
		if try == 10 {
			t.Fatalf("%s: %d looks that ignore the lock saw nothing broken", recipe, try*looks)
		}
	}
}

// locksOfRecipes: a lock that stays held, or isn't one, refuses a recipe unless it is ignored.
func locksOfRecipes(t *testing.T, run func(string, ...string) []string) {
	for _, test := range []struct {
		recipe string
		flags  []string
		code   int
		stderr []string
	}{
		{"held", nil, 4, []string{"the lock main.stuck did not become free", "--ignore-lock"}},
		{"held", []string{"--view", "stopped"}, 4, []string{"the lock main.stuck did not become free"}},
		{"held", []string{"--ignore-lock"}, 0,
			[]string{"ri: warning: the lock main.", "(--ignore-lock): what is shown may be in mid-change"}},
		{"held", []string{"--view", "live"}, 0, []string{"ri: warning: the lock main.", "before or after the look"}},
		{"unheard", nil, 4, []string{"recipe unheard: lock main.account.mutex: ", "no field", "--ignore-lock"}},
		{"unheard", []string{"--ignore-lock"}, 0, nil},
		{"nolock", nil, 4, []string{"lock main.account: main.Account is neither a sync.Mutex nor a sync.RWMutex"}},
		{"absent", nil, 0, nil},
	} {
		_, stderr, code := askRi(t, run(test.recipe, test.flags...)...)
		if code != test.code {
			t.Errorf("%s %v exits %d, want %d: %s", test.recipe, test.flags, code, test.code, stderr)
		}
		for _, want := range test.stderr {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s %v: no %q in %s", test.recipe, test.flags, want, stderr)
			}
		}
	}
}

// locksOfScripts: a script that is typed has its locks from the command line.
func locksOfScripts(t *testing.T, pid string) {
	for _, test := range []struct {
		flags  []string
		code   int
		stderr string
	}{
		{[]string{"--lock", "main.account.mu"}, 0, ""},
		{[]string{"--lock", "main.account.mu", "--lock", "main.stuck"}, 4, "the lock main.stuck did not become free"},
		{[]string{"--lock", "main.stuck", "--ignore-lock"}, 0, "the lock main.stuck was held"},
		{[]string{"--lock", "main.account.mutex"}, 4, "--lock main.account.mutex: "},
	} {
		_, stderr, code := askRi(t, append([]string{"exec", "-e", "return main.account", "-p", pid, "--max-time", "2m"},
			test.flags...)...)
		if code != test.code || !strings.Contains(stderr, test.stderr) {
			t.Errorf("ri exec %v exits %d, want %d and %q: %s", test.flags, code, test.code, test.stderr, stderr)
		}
	}
}
