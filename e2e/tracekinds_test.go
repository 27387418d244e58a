package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// kindOf is a condition as the program kinds has it.
type kindOf struct {
	Func, When string
	Refused    bool // ri has to say so, before anything is armed
}

// TestTraceKinds has the kernel decide conditions on every kind of value, and compares with what Go decides.
func TestTraceKinds(t *testing.T) {
	for _, v := range testprogram.Variants {
		if v.Full && testing.Short() || !slices.Contains([]string{"default", "NoOpt", "pie", "go1.22", "go1.24", "go1.27"},
			v.Name) {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			cmd := exec.Command(testprogram.Build(t, "testdata/kinds", v))
			in, out := testprogram.Run(t, cmd)
			var all []kindOf
			for {
				line, err := out.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if line == "ready\n" {
					break
				}
				var one kindOf
				if err := json.Unmarshal([]byte(line), &one); err != nil {
					t.Fatal(err)
				}
				all = append(all, one)
			}
			const calls = 91
			do := func() (did [][]int) {
				fmt.Fprintln(in, calls)
				line, err := out.ReadBytes('\n')
				if err == nil {
					err = json.Unmarshal(line, &did)
				}
				if err != nil {
					t.Fatal(err)
				}
				return did
			}
			want := do()
			rows := 0
			for i, one := range all {
				if rows += len(want[i]); !one.Refused && (len(want[i]) == 0 || len(want[i]) == calls) &&
					one.When != "a == nil" {
					t.Errorf("%s: %s: it holds %d times", one.Func, one.When, len(want[i]))
				}
			}
			pid := strconv.Itoa(cmd.Process.Pid)
			found, said := whileTraced(t, []string{"run", kindsInstrument(t, all), "-p", pid, fmt.Sprint("limit=", rows)},
				func(*exec.Cmd) { do() })
			got := make([][]int, len(all))
			for _, row := range found {
				i, err := strconv.Atoi(row["probe"].(string)[1:])
				if err != nil {
					t.Fatal(err)
				}
				got[i] = append(got[i], int(row["id"].(float64)))
			}
			for i, one := range all {
				if slices.Sort(got[i]); !slices.Equal(got[i], want[i]) {
					t.Errorf("%s: %s:\n%v, Go says\n%v", one.Func, one.When, got[i], want[i])
				}
			}
			if t.Failed() {
				t.Log(said)
			}
			for _, one := range all {
				if one.Refused && v.Name == "default" {
					_, said := runRi(t, 2, "trace", "main."+one.Func, "-p", pid, "--returns", "--for", "1s", "--when",
						strings.TrimPrefix(one.When, "returns: "))
					why := func(text string) bool { return strings.Contains(said, text) }
					if !why("can't be decided in the kernel") && !why("wrong kind") && !why("in a vector register") ||
						why("armed") {
						t.Errorf("%s: %s: %s", one.Func, one.When, said)
					}
				}
			}
		})
	}
}

// kindsInstrument has a probe of each condition.
func kindsInstrument(t *testing.T, all []kindOf) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`return { title = "kinds", params = { { name = "limit", type = "int", default = 1 } },
probes = {
`)
	for i, one := range all {
		if one.Refused {
			continue
		}
		when, returns := strings.CutPrefix(one.When, "returns: ")
		id := "id"
		if one.Func == "Small.Value" {
			id = "s.ID"
		}
		fmt.Fprintf(&b, "{ name = \"c%d\", func = \"main.%s\", returns = %v, when = [==[%s]==], show = { id = %q } },\n", i,
			one.Func, returns, when, id)
	}
	b.WriteString(`}, columns = { { name = "probe" }, { name = "id", type = "int" } }, run = function(p)
for hit in ri.hits { limit = p.limit } do ri.emit { probe = hit.probe, id = hit.id } end
end }`)
	file := filepath.Join(t.TempDir(), "kinds.lua")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
