package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ri/symbols/testprogram"
)

// Packs are tested on the programs that they are written for: each testdata/programs/NAME is a module that pins one,
// built through the module proxy. What ri reads must be what the program's own API says, field by field.

var (
	programsMu    sync.Mutex
	programsBuilt = map[string]func() error{}
)

// buildProgram builds a package in the module testdata/programs/name, once. The name may say by which release:
// "nats-2.15@go1.27.3".
func buildProgram(t *testing.T, name, pkg string) string {
	t.Helper()
	exe := filepath.Join(bin, "programs", name)
	programsMu.Lock()
	once := programsBuilt[name]
	if once == nil {
		once = sync.OnceValue(func() error {
			building <- struct{}{}
			defer func() { <-building }()
			cmd := exec.Command("go", "build", "-trimpath", "-o", exe, pkg)
			module, toolchain, _ := strings.Cut(name, "@")
			cmd.Dir = filepath.Join("testdata/programs", module)
			if toolchain != "" {
				cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain)
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("building %s: %v\n%s", name, err, out)
			}
			return nil
		})
		programsBuilt[name] = once
	}
	programsMu.Unlock()
	if err := once(); err != nil {
		t.Fatal(err)
	}
	return exe
}

// versions are those of a program that its pack is tested on; RI_VERSIONS=all, as in `make test-packs`, has more.
func versions(always []string, more ...string) []string {
	if allVersions() {
		return append(always, more...)
	}
	return always
}

func allVersions() bool { return testprogram.All() }

// needLong skips a test that is of make test-all and make test-packs only.
func needLong(t *testing.T, why string) {
	t.Helper()
	if !allVersions() {
		t.Skip("only with RI_VERSIONS=all: " + why)
	}
}

// background starts a program that runs until the test ends.
func background(t *testing.T, exe string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(exe, args...)
	var said text
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			lines := said.String()
			t.Logf("%s said at last:\n%s", filepath.Base(exe), lines[max(0, len(lines)-2000):])
		}
	})
	return cmd
}

// record is a row, or what an API tells of one thing.
type record = map[string]any

// decode reads JSON, integers with all digits.
func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// ask gives an API's answer.
func ask(t *testing.T, url string) record {
	t.Helper()
	body, err := request("GET", url)
	if err != nil {
		t.Fatal(err)
	}
	var doc record
	decode(t, body, &doc)
	return doc
}

// recipeRows runs a recipe; it may exit with 3 where it found something.
func recipeRows(t *testing.T, pid int, recipe string, args ...string) []record {
	t.Helper()
	stdout, stderr, code := askRi(t,
		append([]string{"run", recipe, "-p", fmt.Sprint(pid), "--json", "--max-time", "2m"}, args...)...)
	if code != 0 && code != 3 {
		t.Fatalf("ri run %s %v exits with %d\n%s%s", recipe, args, code, stdout, stderr)
	}
	checkKeys(t, recipe, []byte(stdout))
	var doc struct{ Rows []record }
	decode(t, []byte(stdout), &doc)
	return doc.Rows
}

// parts takes fields of a record, of those with a dot a part: "state.messages". What isn't there is nil.
func parts(from record, fields ...string) record {
	out := record{}
	for _, field := range fields {
		var value any = from
		for step := range strings.SplitSeq(field, ".") {
			inner, _ := value.(record)
			value = inner[step]
		}
		out[field] = value
	}
	return out
}

// renamed takes fields by other names: renamed(from, "cid", "cid", "pending", "pending_bytes").
func renamed(from record, pairs ...string) record {
	out := record{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = parts(from, pairs[i+1])[pairs[i+1]]
	}
	return out
}

// list gives the records of a list in an API's answer.
func list(from record, field string) []record {
	var out []record
	items, _ := parts(from, field)[field].([]any)
	for _, item := range items {
		out = append(out, item.(record))
	}
	return out
}

// differences says where two lists of records aren't equal, whatever their order; got's are compared in the fields that
// want's have.
func differences(got, want []record) string {
	lines := func(records []record) map[string]int {
		out := map[string]int{}
		for _, r := range records {
			out[encode(r)]++
		}
		return out
	}
	cut := make([]record, len(got))
	for i, r := range got {
		cut[i] = record{}
		if len(want) > 0 {
			for field := range want[0] {
				cut[i][field] = r[field]
			}
		}
	}
	has, should := lines(cut), lines(want)
	var out []string
	for _, line := range slices.Sorted(maps.Keys(has)) {
		if has[line] > should[line] {
			out = append(out, "ri:  "+line)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(should)) {
		if should[line] > has[line] {
			out = append(out, "API: "+line)
		}
	}
	return strings.Join(out[:min(len(out), 20)], "\n")
}

// agree waits until ri and the API say the same of a program that rests: what it was last asked may still be under way.
func agree(t *testing.T, what string, got, want func() []record) {
	t.Helper()
	var last string
	tries := 0
	for deadline := time.Now().Add(patience / 4); ; time.Sleep(50 * time.Millisecond) {
		tries++
		wanted := want()
		if last = differences(got(), wanted); last == "" {
			if len(wanted) == 0 {
				t.Errorf("%s: there is nothing to compare", what)
			}
			return
		}
		if time.Now().After(deadline) && tries >= 5 { // on a busy machine a try takes long
			t.Errorf("%s: ri and the API don't agree:\n%s", what, last)
			return
		}
	}
}

func number(v any) int64 {
	n, _ := v.(json.Number)
	i, _ := n.Int64()
	return i
}

func nanoseconds(v any) json.Number {
	text, _ := v.(string)
	d, err := time.ParseDuration(text)
	if err != nil {
		return json.Number("bad duration " + text)
	}
	return json.Number(fmt.Sprint(int64(d)))
}
