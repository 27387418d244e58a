package e2e

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// TestSteps has requests of net/http followed on their way, through goroutines that they start: each has its own steps,
// and those of nobody are none's.
func TestSteps(t *testing.T) {
	needAttach(t)
	toolchains := []string{""}
	if allVersions() {
		toolchains = append(toolchains, "go1.20.14", "go1.22.5", "go1.27.3")
	}
	for _, toolchain := range toolchains {
		t.Run("go"+strings.TrimPrefix(toolchain, "go"), func(t *testing.T) { testSteps(t, toolchain) })
	}
}

func testSteps(t *testing.T, toolchain string) {
	const n = 200
	cmd := exec.Command(testprogram.Build(t, "testdata/steps", testprogram.Variant{Toolchain: toolchain}))
	in, out := testprogram.Ready(t, cmd)
	args := []string{"trace", "-p", strconv.Itoa(cmd.Process.Pid), "main.handle", "--steps", "main.*",
		"--show", "key,r.URL.RawQuery", "--limit", strconv.Itoa(n)}
	found, said := whileTraced(t, args, func(*exec.Cmd) {
		fmt.Fprintln(in, n)
		if line, err := out.ReadString('\n'); line != "done\n" {
			t.Errorf("%q, %v", line, err)
		}
	})
	type flow struct {
		key                         string
		enter, steps, started, left int
	}
	flows := map[any]*flow{}
	for _, row := range found {
		f := flows[row["flow"]]
		if f == nil {
			f = &flow{}
			flows[row["flow"]] = f
		}
		switch row["what"] {
		case "enter":
			f.enter++
			f.key = strings.TrimPrefix(fmt.Sprint(row["r.URL.RawQuery"]), "key=")
		case "go":
			f.started++
		case "step":
			if f.steps++; row["key"] != f.key {
				t.Fatalf("a step of %v in the flow of %s: %v", row["key"], f.key, row)
			}
		case "leave":
			f.left++
		}
	}
	keys := map[string]bool{}
	for id, f := range flows {
		keys[f.key] = true
		// audit and what it looks up, twice; and the handler's own
		if f.enter != 1 || f.steps != 5 || f.started != 2 || f.left != 1 {
			t.Errorf("flow %v: %+v", id, f)
		}
	}
	if len(flows) != n || len(keys) != n || !strings.Contains(said, strconv.Itoa(n)+" flows (--limit)") {
		t.Errorf("%d flows of %d requests, of %d: %s", len(flows), len(keys), n, said)
	}
	for _, test := range [][2]string{{"--show nowhere", "no function of the flow has nowhere"},
		{"--returns", "--returns doesn't go with --steps"}, {"--count func", "--count doesn't go with --steps"},
		{"-o " + t.TempDir() + "/x.rec", "a recording has no flows"}, {"--steps main.nix", "no function main.nix"}} {
		_, told := runRi(t, 2, append(args, strings.Fields(test[0])...)...)
		if !strings.Contains(told, test[1]) {
			t.Errorf("%s: %s", test[0], told)
		}
	}
}
