package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCalls records the calls at a library's boundary of a program that is started for it, counts them against what the
// program says, and replays them: on the library as it is, and on mutants of it.
func TestCalls(t *testing.T) {
	needAttach(t)
	dir := t.TempDir()
	shop := filepath.Join(dir, "shop")
	if err := os.CopyFS(shop, os.DirFS("testdata/shop")); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "shop.exe")
	build := exec.Command("go", "build", "-o", exe, ".")
	build.Dir = shop
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(keptOfShop), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "shop.calls")
	said := riSaid("record", "calls", "-o", file, "--policy", policy, "--budget", "100%", "stock.Desk",
		"stock.Parse", "--", exe, "60")
	if strings.Contains(said.stderr, "doesn't let ri probe") && os.Getenv("RI_NEED_BPF") == "" {
		t.Skip("the kernel doesn't let ri probe here")
	}
	t.Log(said.stderr)
	ended := endOf(t, file)
	var want struct{ parse, buy, get, put int64 }
	at := strings.Index(said.stderr, "parse=")
	if at < 0 {
		t.Fatalf("the program didn't say what it did: %s", said.stderr)
	}
	if _, err := fmt.Sscanf(said.stderr[at:], "parse=%d buy=%d get=%d put=%d", &want.parse, &want.buy, &want.get,
		&want.put); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int64{"example.com/shop/stock.Parse": want.parse,
		"example.com/shop/stock.(*Desk).Buy": want.buy, "main.(*shelf).Get": want.get, "main.(*shelf).Put": want.put} {
		if got := ended.Calls[name]; got != n {
			t.Errorf("%s: %d calls are recorded, the program made %d", name, got, n)
		}
	}
	if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), "customer-") {
		t.Errorf("the recording has a customer's name (%v)", err)
	}
	said = riSaid("replay", file, "--library", shop)
	if said.code != 0 || !strings.Contains(said.stdout, "does what was recorded") {
		t.Errorf("replayed: %s%s", said.stdout, said.stderr)
	}
	mutants := []struct{ from, to, call string }{
		{"item.Price + n%2", "item.Price + 1", "(*shelf).Put"},
		{"d.spent[who] += n * item.Price", "d.spent[who] += item.Price", "(*Desk).Buy"},
		{"> d.Limit", "> d.Limit-60", "(*Desk).Buy"},
		{"d.Store.Get(name)", "d.Store.Get(who)", "(*shelf).Get"},
		{"return n, name, err", "return n + 1, name, err", "stock.Parse"},
		{"buy: %w", "buy: %v", "(*Desk).Buy"},
		{`panic("less than nothing")`, "return 0, nil", "(*Desk).Buy"},
		{"func Parse(order string) (n int,", "func Parsed(order string) (n int,", "the library has changed"},
	}
	source, err := os.ReadFile("testdata/shop/stock/stock.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		changed := strings.Replace(string(source), m.from, m.to, 1)
		if changed == string(source) {
			t.Fatalf("%s isn't in the library", m.from)
		}
		if err := os.WriteFile(filepath.Join(shop, "stock", "stock.go"), []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		said := riSaid("replay", file, "--library", shop)
		if said.code != 3 || !strings.Contains(said.stderr+said.stdout, m.call) {
			t.Errorf("%s instead of %s: exit %d, want 3 and the call %q\n%s%s", m.to, m.from, said.code, m.call, said.stdout,
				said.stderr)
		}
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

// endOf is the end mark of a recording of calls.
func endOf(t *testing.T, path string) (end struct {
	Calls map[string]int64 `json:"calls"`
	Lost  uint64           `json:"lost"`
}) {
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
