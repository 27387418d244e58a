package e2e

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ri/record/redact"
	"ri/symbols/testprogram"
)

// ask runs a ri that ends by itself, and gives its rows, what it said, and its exit code.
func askKept(t *testing.T, args ...string) (found []map[string]any, said string, code int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "ri"), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out.Bytes())); ; {
		var row map[string]any
		if err := d.Decode(&row); err == io.EOF {
			return found, errs.String(), code
		} else if err != nil {
			return nil, out.String() + errs.String(), code
		}
		found = append(found, row)
	}
}

// theConstants are texts of the program traced that are constants, and kept.
var theConstants = map[string]bool{"/orders/": true, "bolt": true, "nut": true, "Bern": true, "Oslo": true}

// hidden is what a text becomes, by the key of a recording.
func hidden(tokens *redact.Tokens, text string) string {
	if text == "" || theConstants[text] {
		return text
	}
	return "‹" + string(tokens.Of([]byte(text))) + "›"
}

var quotedText = regexp.MustCompile(`"[^"]*"`)

// redactedRow is what a row becomes when its hit is kept: texts, and texts in what was printed.
func redactedRow(tokens *redact.Tokens, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			if name != "time" && name != "func" {
				v[name] = redactedRow(tokens, v[name])
			}
		}
	case string:
		if strings.Contains(v, "main.") || strings.Contains(v, `"`) {
			return quotedText.ReplaceAllStringFunc(v, func(text string) string {
				return strconv.Quote(hidden(tokens, strings.Trim(text, `"`)))
			})
		}
		return hidden(tokens, v)
	}
	return v
}

// TestTraceKept keeps hits in a recording: what is read of it are the rows that came, redacted by the same key.
func TestTraceKept(t *testing.T) {
	p := startTraced(t, testprogram.Variants[0])
	dir := t.TempDir()
	key, file := filepath.Join(dir, "key"), filepath.Join(dir, "hits.rec")
	args := []string{"main.(*Service).Handle", "--depth", "4", "--stack", "--limit", "60"}
	live, _, said := p.trace(60, append(args, "-o", file, "--key-file", key)...)
	if len(live) != 60 {
		t.Fatalf("%d rows\n%s", len(live), said)
	}
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	tokens := redact.NewTokens([redact.KeySize]byte(secret))
	kept, said, code := askKept(t, "trace", "-r", file, "--ndjson")
	if code != 0 || len(kept) != len(live) {
		t.Fatalf("exit %d, %d rows: %s", code, len(kept), said)
	}
	for i := range live {
		if want := redactedRow(tokens, live[i]); !reflect.DeepEqual(kept[i], want) {
			t.Fatalf("row %d\n%v\nwant\n%v", i, kept[i], want)
		}
	}
	for _, one := range []struct {
		args []string
		code int
		says string
		rows int
	}{
		{[]string{"trace", "-r", file, "--when", "o.ID < 10"}, 0, "50 with a false condition", 10},
		{[]string{"trace", "-r", file, "--when", "o.ID < 10", "--show", "o.ID,o.Customer.Address.City", "--limit", "3"}, 0,
			"3 shown", 3},
		{[]string{"trace", "-r", file, "--when", `o.Customer.Name == "customer-3"`}, 4, "a recording can't tell", 0},
		{[]string{"trace", "-r", file, "--when", `hasPrefix(o.Customer.Name, "customer")`}, 4, "a token stands for it", 0},
		{[]string{"trace", "-r", file, "--when", "nosuch == 1"}, 4, "took along: s, o, path, nap", 0},
		{[]string{"trace", "-r", file, "--when", "duration > 1ms"}, 4, "at the return only", 0},
		{[]string{"trace", "-r", file, "main.nosuch"}, 4, "it has those of main.(*Service).Handle", 0},
		{[]string{"trace", "-r", file, "--count", "len(path)"}, 0, "60 hits", 5},
		{[]string{"trace", "-r", file, "--budget", "2%"}, 2, "decided when hits are taken", 0},
		{[]string{"run", "http-requests", "-r", file}, 4, "", 0},
		{[]string{"recording", "verify", file}, 0, "", 0},
		{[]string{"recording", "check", file, "--word", "customer-"}, 0, "", -1},
		{[]string{"recording", "info", file}, 0, "hits of ri trace", -1},
	} {
		rows, said, code := askKept(t, append(one.args, "--ndjson")...)
		if one.rows < 0 {
			rows, said, code = askKept(t, one.args...)
		}
		if code != one.code || !strings.Contains(said, one.says) || one.rows > 0 && len(rows) != one.rows {
			t.Errorf("%v: exit %d, %d rows: %s", one.args, code, len(rows), said)
		}
	}
	exported, err := exec.Command(filepath.Join(bin, "ri"), "recording", "export", file).Output()
	if err != nil || bytes.Contains(exported, []byte("customer-")) || !bytes.Contains(exported, []byte(`"kept":"hit"`)) {
		t.Errorf("export: %v, %d bytes", err, len(exported))
	}
	t.Run("cut short", func(t *testing.T) { testCutHits(t, file, len(live)) })
	t.Run("redact", func(t *testing.T) { testRedactedHits(t, dir, file) })
	t.Run("policy", func(t *testing.T) { testHitsPolicy(t, p, dir) })
	t.Run("recipe", func(t *testing.T) { testHitsRecipe(t, p, dir, tokens) })
}

// testCutHits reads files that were cut at many places: what is there, or a reason.
func testCutHits(t *testing.T, file string, whole int) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := file + ".cut"
	for share := range 8 {
		if err := os.WriteFile(cut, data[:len(data)*share/8], 0o600); err != nil {
			t.Fatal(err)
		}
		if rows, said, code := askKept(t, "trace", "-r", cut, "--ndjson"); code != 4 && (code != 0 || len(rows) > whole ||
			!strings.Contains(said, "cut short")) {
			t.Errorf("%d of 8: exit %d, %d rows: %s", share, code, len(rows), said)
		}
	}
	// Without its end mark all hits are there.
	if err := os.WriteFile(cut, data[:len(data)-40], 0o600); err != nil {
		t.Fatal(err)
	}
	if rows, said, code := askKept(t, "trace", "-r", cut, "--ndjson"); code != 0 || len(rows) != whole ||
		!strings.Contains(said, "cut short") {
		t.Errorf("without the end: exit %d, %d rows: %s", code, len(rows), said)
	}
}

// testRedactedHits redacts a recording of hits again.
func testRedactedHits(t *testing.T, dir, file string) {
	policy, less := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "less.rec")
	rules := "- drop: {type: main.Customer, field: Name}\n- mask: {variable: 'main.(*Service).Handle.path'}\n"
	if err := os.WriteFile(policy, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, said, code := askKept(t, "recording", "redact", file, "-o", less, "--policy", policy); code != 0 {
		t.Fatal(said)
	}
	rows, said, code := askKept(t, "trace", "-r", less, "--ndjson", "--show", "path,o.Customer.Name,o.ID")
	if code != 0 || len(rows) != 60 {
		t.Fatalf("exit %d, %d rows: %s", code, len(rows), said)
	}
	for _, row := range rows {
		path, _ := row["path"].(string)
		if strings.Trim(path, "‹*›") != "" || row["o.ID"] == nil {
			t.Fatal(row)
		}
		if row["o.Customer.Name"] != `"‹not kept›"` && row["o.Customer.Name"] != "‹not kept›" {
			t.Fatal(row)
		}
	}
	if _, said, code := askKept(t, "recording", "verify", less); code != 0 {
		t.Error(said)
	}
	if data, err := exec.Command(filepath.Join(bin, "ri"), "recording", "export", less).Output(); err != nil ||
		bytes.Contains(data, []byte(`"/orders/"`)) {
		t.Errorf("a masked constant is there still (%v)", err)
	}
}

// testHitsPolicy keeps texts by rules, which are then as they were.
func testHitsPolicy(t *testing.T, p *tracedProgram, dir string) {
	policy, file := filepath.Join(dir, "keep.yaml"), filepath.Join(dir, "keep.rec")
	rules := "- keep: {type: main.Customer, field: Name}\n- keep: {variable: 'main.(*Service).Handle.path'}\n"
	if err := os.WriteFile(policy, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	live, made, said := p.trace(20, "main.(*Service).Handle", "--show", "o.ID", "--show", "o.Customer.Name", "--show",
		"path", "--limit", "20", "-o", file, "--policy", policy)
	kept, _, code := askKept(t, "trace", "-r", file, "--ndjson")
	if code != 0 || !reflect.DeepEqual(kept, live) {
		t.Fatalf("exit %d\n%v\nwant\n%v\n%s", code, kept, live, said)
	}
	want := 0
	for _, m := range made {
		if m.Tenant == "customer-3" {
			want++
		}
	}
	rows, said, code := askKept(t, "trace", "-r", file, "--ndjson", "--when", `o.Customer.Name == "customer-3"`)
	if code != 0 || len(rows) != want {
		t.Errorf("exit %d, %d rows, want %d: %s", code, len(rows), want, said)
	}
	_, said, code = askKept(t, "recording", "check", file)
	if code != 0 || !strings.Contains(said, "main.Customer.Name") {
		t.Errorf("exit %d: %s", code, said)
	}
}

// testHitsRecipe keeps what a recipe traces, and runs it on that.
func testHitsRecipe(t *testing.T, p *tracedProgram, dir string, tokens *redact.Tokens) {
	file := filepath.Join(dir, "recipe.rec")
	recipe := []string{"run", "errors", "func=main.(*Service).Handle", "limit=12"}
	live, said := whileTraced(t, append(recipe, "-p", p.pid, "-o", file, "--key-file", filepath.Join(dir, "key")),
		func(*exec.Cmd) { p.calls(30) })
	kept, _, code := askKept(t, append(recipe, "-r", file, "--ndjson")...)
	if code != 0 || len(kept) != len(live) || len(live) == 0 {
		t.Fatalf("exit %d, %d rows of %d\n%s", code, len(kept), len(live), said)
	}
	for i := range live {
		if want := redactedRow(tokens, live[i]); !reflect.DeepEqual(kept[i], want) {
			t.Fatalf("row %d\n%v\nwant\n%v", i, kept[i], want)
		}
	}
	// What another recipe asks of the same function has other probes.
	if rows, said, code := askKept(t, "run", "slow", recipe[2], "-r", file, "--ndjson"); code != 4 {
		t.Errorf("exit %d, %d rows: %s", code, len(rows), said)
	}
}

// TestSlow: the kernel counts all calls; the slowest of a row took as long as the row says.
func TestSlow(t *testing.T) {
	p := startTraced(t, testprogram.Variants[0])
	file := filepath.Join(t.TempDir(), "slow.rec")
	recipe := []string{"run", "slow", "func=main.(*Service).Handle", "over=1ms"}
	live, said := whileTraced(t, append(recipe, "-p", p.pid, "-o", file), func(cmd *exec.Cmd) {
		p.calls(40)
		p.calls(-1)
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	})
	count, slowest, open := 0, 0, 0
	for _, row := range live {
		if row["ended"] == "not returned" {
			open++
			continue
		}
		if row["ended"] != nil { // it panicked
			continue
		}
		count += int(row["count"].(float64))
		took, ok := row["slowest"].(float64)
		if ok {
			slowest++
		}
		if ok && (took < row["from"].(float64) || took >= row["below"].(float64)) || !ok && row["from"].(float64) >= 1e6 {
			t.Errorf("%v", row)
		}
	}
	if count != 36 || slowest == 0 || open != 1 { // four panic
		t.Errorf("%d calls, %d slowest, %d open\n%v\n%s", count, slowest, open, live, said)
	}
	again, said, code := askKept(t, append(recipe, "-r", file, "--ndjson")...)
	if code != 0 || len(again) != len(live) {
		t.Errorf("of the recording: exit %d, %d rows of %d: %s", code, len(again), len(live), said)
	}
}
