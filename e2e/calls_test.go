package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// recordedLibrary is a program that uses a library, and a recording of the calls at its boundary.
type recordedLibrary struct {
	dir, file string // of the program's module; the recording
	said      said
	ended     endMark
}

// recordLibrary builds a program of testdata and records calls at a boundary from its start.
func recordLibrary(t *testing.T, name, policy string, boundary []string, args ...string) *recordedLibrary {
	t.Helper()
	needAttach(t)
	return recordAgain(t, name, policy, boundary, args...)
}

// recordAgain is recordLibrary of a test that has done so before.
func recordAgain(t *testing.T, name, policy string, boundary []string, args ...string) *recordedLibrary {
	t.Helper()
	dir := t.TempDir()
	r := &recordedLibrary{dir: filepath.Join(dir, name), file: filepath.Join(dir, "recording.calls")}
	if err := os.CopyFS(r.dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, name+".exe")
	build := exec.Command("go", "build", "-o", exe, ".")
	build.Dir = r.dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	kept := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(kept, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	line := append([]string{"record", "calls", "-o", r.file, "--policy", kept, "--budget", "100%"}, boundary...)
	line = append(append(line, "--", exe), args...)
	// A node of SmartBFT's example that falls behind, as on a busy machine, ends the program: that isn't written yet.
	for range 5 {
		r.said = riSaid(line...)
		if !strings.Contains(r.said.stderr, "panic: implement me") {
			break
		}
		os.Remove(r.file)
	}
	if strings.Contains(r.said.stderr, "doesn't let ri probe") && os.Getenv("RI_NEED_BPF") == "" {
		t.Skip("the kernel doesn't let ri probe here")
	}
	t.Log(r.said.stderr, r.said.stdout)
	r.ended = endOf(t, r.file)
	return r
}

// own is what the program said that it did: "parse=3 buy=4".
func (r *recordedLibrary) own(t *testing.T) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for _, word := range strings.Fields(r.said.stderr) {
		if name, value, ok := strings.Cut(word, "="); ok {
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				out[name] = n
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("the program didn't say what it did: %s", r.said.stderr)
	}
	return out
}

// replays replays it: of the calls that went out 95 % are compared as a whole.
func (r *recordedLibrary) replays(t *testing.T) {
	t.Helper()
	said := riSaid("replay", r.file, "--library", r.dir)
	if said.code != 0 || !strings.Contains(said.stdout, "does what was recorded") {
		t.Errorf("replayed: %s%s", said.stdout, said.stderr)
	}
	t.Log(said.stderr)
	var n [5]int
	if figures := comparedCalls.FindStringSubmatch(said.stderr); figures != nil {
		for i := range n {
			n[i], _ = strconv.Atoi(figures[i+1])
		}
	}
	if compared, all := n[0]+n[2]-n[4], n[1]+n[3]; all == 0 || compared*100 < all*95 {
		t.Errorf("%d of %d calls and sends that went out are compared as a whole", compared, all)
	}
}

var comparedCalls = regexp.MustCompile(`(\d+) of (\d+) calls out and (\d+) of (\d+) sends as recorded, (\d+) of them`)

// manyTimes runs the generated test ten times, and where there is the time for it a hundred, also under the race
// detector, which compiles all anew.
func (r *recordedLibrary) manyTimes(t *testing.T, pkg string) {
	t.Helper()
	if said := riSaid("replay", "generate", r.file, "-C", r.dir); said.code != 0 {
		t.Fatalf("generate: %s%s", said.stdout, said.stderr)
	}
	times := 10
	if allVersions() {
		times = 100
	}
	for _, race := range []bool{false, true} {
		if race && !allVersions() {
			break
		}
		test := exec.Command("go", "test", fmt.Sprintf("-count=%d", times), "-failfast", "-timeout=30m",
			fmt.Sprintf("-race=%t", race), "-v", "-run", "^TestRiReplay$", pkg)
		test.Dir = r.dir
		out, err := test.CombinedOutput()
		passed := bytes.Count(out, []byte("--- PASS: TestRiReplay"))
		if err != nil || passed != times {
			t.Errorf("%d of %d runs pass, race detector %t: %v\n%s", passed, times, race, err, out)
		}
		t.Logf("%d of %d runs pass, race detector %t", passed, times, race)
	}
}

// mutant is a change of a library, and what has to be named: the first call that differs. Where it hangs on the
// recording which one that is, they stand with | between them.
type mutant struct{ from, to, call string }

// mutants replays it on mutants of a source file, which is as it was afterwards.
func (r *recordedLibrary) mutants(t *testing.T, dir, file string, mutants []mutant) {
	t.Helper()
	path := filepath.Join(dir, file)
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(path, source, 0o600)
	if !allVersions() { // each compiles the library anew
		mutants = mutants[:min(1, len(mutants))]
	}
	for _, m := range mutants {
		changed := strings.Replace(string(source), m.from, m.to, 1)
		if changed == string(source) {
			t.Fatalf("%s isn't in the library", m.from)
		}
		if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		said := riSaid("replay", r.file, "--library", r.dir)
		if at := firstDifference.FindString(said.stderr + said.stdout); said.code == 3 {
			t.Logf("%s: %q instead of %q: %s", file, m.to, m.from, at)
		}
		named := slices.ContainsFunc(strings.Split(m.call, "|"), func(call string) bool {
			return strings.Contains(said.stderr+said.stdout, call)
		})
		if said.code != 3 || !named {
			t.Errorf("%s instead of %s: exit %d, want 3 and the call %q\n%s%s", m.to, m.from, said.code, m.call, said.stdout,
				said.stderr)
		}
	}
}

var firstDifference = regexp.MustCompile(`event \d+: .*`)

// TestCalls records the calls at a library's boundary of a program that is started for it, counts them against what the
// program says, and replays them: on the library as it is, and on mutants of it.
func TestCalls(t *testing.T) {
	r := recordLibrary(t, "shop", keptOfShop, []string{"stock.Desk", "stock.Parse"}, "60")
	own := r.own(t)
	for name, function := range map[string]string{"parse": "example.com/shop/stock.Parse",
		"buy": "example.com/shop/stock.(*Desk).Buy", "get": "main.(*shelf).Get", "put": "main.(*shelf).Put"} {
		if got := r.ended.Calls[function]; got != own[name] {
			t.Errorf("%s: %d calls are recorded, the program made %d", function, got, own[name])
		}
	}
	if text, err := os.ReadFile(r.file); err != nil || strings.Contains(string(text), "customer-") {
		t.Errorf("the recording has a customer's name (%v)", err)
	}
	r.replays(t)
	r.mutants(t, r.dir, "stock/stock.go", []mutant{
		{"item.Price + n%2", "item.Price + 1", "(*shelf).Put"},
		{"d.spent[who] += n * item.Price", "d.spent[who] += item.Price", "(*Desk).Buy"},
		{"> d.Limit", "> d.Limit-60", "(*Desk).Buy"},
		{"d.Store.Get(name)", "d.Store.Get(who)", "(*shelf).Get"},
		{"return n, name, err", "return n + 1, name, err", "stock.Parse"},
		{"buy: %w", "buy: %v", "(*Desk).Buy"},
		{`panic("less than nothing")`, "return 0, nil", "(*Desk).Buy"},
		{"func Parse(order string) (n int,", "func Parsed(order string) (n int,", "the library has changed"},
	})
}

// TestCallsReceive is TestCalls of what is received from channels, in each way that Go has, from fields and parameters,
// and of what is sent.
func TestCallsReceive(t *testing.T) {
	r := recordLibrary(t, "clerk", "- keep: {type: example.com/clerk/clerk.Order, field: Name}\n",
		[]string{"clerk.Clerk"}, "40")
	if own := r.own(t)["received"]; r.ended.Received != own || !r.ended.whole() {
		t.Errorf("%d are recorded, the program's library received %d; %+v", r.ended.Received, own, r.ended)
	}
	if !strings.Contains(r.said.stderr, "math/rand/v2.IntN: random numbers (in example.com/clerk/clerk.(*Clerk).Start)") {
		t.Errorf("random numbers are not named: %s", r.said.stderr)
	}
	if own := r.own(t)["sent"]; r.ended.Sent != own {
		t.Errorf("%d are recorded, the program's library sent %d; %+v", r.ended.Sent, own, r.ended)
	}
	r.replays(t)
	r.mutants(t, r.dir, "clerk/clerk.go", []mutant{
		{"c.Ledger.Flush(c.total)", "c.Ledger.Flush(0)", "(*ledger).Flush: argument 0"},
		{"c.Ledger.Flush(-1)", "", "(*ledger).Flush was called when it was recorded, and not now"},
		{"case <-c.Ticks", "case <-make(chan time.Time)", "state[1].Ticks: what was received"},
		{"o.Tags)", "nil)", "(*ledger).Book: argument 2"},
		{"sum += n", "sum = n", "(*Clerk).Sum: result 0"},
		{"answer.Count + answer.More", "answer.Count", "(*Clerk).Ask: result 0"},
		{"append(all, note)", `append(all, note+"s")`, "(*Clerk).Drain: result 0"},
		{`"how many?"`, `"how much?"`, "values[0]: sent: expected"},
		{"numbers <- i + n", "numbers <- i - n", "sent: expected"},
		{"close(numbers)", "", "doesn't send now"},
		{"range n {\n\t\t\tnumbers", "range n + 1 {\n\t\t\tnumbers", "expected its end"},
	})
}

// TestCallsUnclear: without a policy a library reads tokens. The rules that its replays then name keep what it needs.
func TestCallsUnclear(t *testing.T) {
	needAttach(t)
	policy, rounds := "", 0
	for ; rounds < 8; rounds++ {
		r := recordAgain(t, "shop", policy, []string{"stock.Desk", "stock.Parse"}, "20")
		said := riSaid("replay", r.file, "--library", r.dir)
		rules := regexp.MustCompile(`- keep: .*`).FindAllString(said.stderr, -1)
		if said.code == 0 {
			break
		}
		if said.code != 3 || len(rules) == 0 || strings.Contains(policy, rules[0]) {
			t.Fatalf("exit %d, rules %q: %s%s", said.code, rules, said.stdout, said.stderr)
		}
		policy += strings.Join(rules, "\n") + "\n"
	}
	if t.Logf("%d rounds:\n%s", rounds, policy); rounds == 0 || rounds == 8 || strings.Contains(policy, `"*"`) {
		t.Errorf("%d rounds, by these rules: %s", rounds, policy)
	}
}

// keptOfShop is what the library itself reads.
const keptOfShop = `
- keep: {variable: 'stock.Parse.order'}
- keep: {variable: 'stock.Parse.name'}
- keep: {variable: 'stock.(*Desk).Buy.name'}
- keep: {variable: 'main.(*shelf).Get.name'}
- keep: {type: example.com/shop/stock.Item, field: Name}
`

// endMark is the end mark of a recording of calls.
type endMark struct {
	Calls    map[string]int64 `json:"calls"`
	Received int64            `json:"received"`
	Sent     int64            `json:"sent"`
	Open     int64            `json:"open"`
	Lost     uint64           `json:"lost"`
	Refused  uint64           `json:"refused"`
	Missing  int64            `json:"missing"`
}

func (e *endMark) whole() bool { return e.Lost == 0 && e.Refused == 0 && e.Missing == 0 && e.Open == 0 }

func endOf(t *testing.T, path string) (end endMark) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil {
		t.Fatal(err)
	}
	return end
}

// said is what a command said, and how it ended.
type said struct {
	stdout, stderr string
	code           int
}

func riSaid(args ...string) said {
	cmd := riCommand(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		return said{stderr: err.Error(), code: -1}
	}
	return said{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}
