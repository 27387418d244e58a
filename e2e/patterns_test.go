package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// patternFinding is a finding with its count, and all who have to do with it.
type patternFinding struct {
	Check, What, Severity               string
	Count                               int
	Goroutines, Waiters, Holders, Users []int64
}

func patternsOf(t *testing.T, names ...string) []patternFinding {
	t.Helper()
	pid := startTroubles(t, buildTroubles(t, "local"), names...)
	out, _ := runRi(t, 3, "check", "-p", fmt.Sprint(pid), "--json", "--max-stop", "2s", "--max-time", "120s")
	var said struct{ Findings []patternFinding }
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatal(err)
	}
	return said.Findings
}

// TestOnePattern has what is found many times at the same lines told once, with a count and all who are in it: more
// than there are of the kind in any list that is cut.
func TestOnePattern(t *testing.T) {
	needAttach(t)
	for _, want := range []struct {
		trouble, check                 string
		count, waiters, holders, users int
	}{
		{"many-full", "full-queue", 600, 600, 0, 0},
		{"many-left", "lock-left", 600, 600, 0, 0},
		{"many-gates", "wait-group", 400, 400, 0, 400},
		{"lock-and-channel", "deadlock", 150, 300, 150, 150},
	} {
		t.Run(want.trouble, func(t *testing.T) {
			t.Parallel()
			found := patternsOf(t, want.trouble)
			if len(found) != 1 {
				t.Fatalf("%d findings: %+v", len(found), found)
			}
			f := found[0]
			for _, list := range [][]int64{f.Waiters, f.Holders, f.Users} {
				slices.Sort(list)
				if n := len(slices.Compact(slices.Clone(list))); n != len(list) {
					t.Errorf("%d of %d goroutines are told twice", len(list)-n, len(list))
				}
			}
			if f.Check != want.check || f.Count != want.count || len(f.Waiters) != want.waiters ||
				len(f.Holders) != want.holders || len(f.Users) != want.users {
				t.Errorf("%s: %d times, %d waiters, %d holders, %d users; want %+v", f.Check, f.Count, len(f.Waiters),
					len(f.Holders), len(f.Users), want)
			}
		})
	}
}

// TestCausesFirst has what brings others about told before them.
func TestCausesFirst(t *testing.T) {
	needAttach(t)
	for trouble, want := range map[string][]string{"sql-behind": {"sql-pool", "lock-held"},
		"lock-channel": {"full-queue", "lock-held"}} {
		t.Run(trouble, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range patternsOf(t, trouble) {
				got = append(got, f.Check)
			}
			if !slices.Equal(got, want) {
				t.Errorf("told as %v, not %v", got, want)
			}
		})
	}
}
