package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestTroublesOfReleases has those that depend on the runtime and the compiler most told in programs of other
// releases, and in code that isn't optimised.
func TestTroublesOfReleases(t *testing.T) {
	needAttach(t)
	for _, toolchain := range append([]string{"unoptimised"}, releases...) {
		if toolchain == "local" {
			continue
		}
		var exe string
		if toolchain == "unoptimised" {
			exe = buildTroubles(t, "local", "-gcflags=all=-N -l")
		} else {
			exe = buildTroubles(t, toolchain)
		}
		var list []trouble
		for _, tr := range allTroubles {
			switch tr.name {
			case "abba", "ring", "helper", "selflock", "rlock", "upgrade", "starved", "lock-syscall", "leak", "leak-closures",
				"nil-select", "forgotten-done", "cond", "full", "group", "spin", "spin-yield", "context", "once", "loop", "index",
				"locker", "try", "try-sleep",
				"twice-line", "twice-rlock", "continue", "continue-helper", "return-again", "returned-here", "abba-globals",
				"abba-generic", "abba-closure", "abba-made", "holds-calculating", "holds-helper", "reads-running",
				"livelock", "livelock-half", "frozen-memstats", "frozen-assembly", "bodies-kept", "rows-kept":
				list = append(list, tr)
			}
		}
		inGroups(t, list, "-"+toolchain, func(t *testing.T, list ...trouble) { checkTroubles(t, exe, nil, list...) })
		t.Run(toolchain+"-healthy", func(t *testing.T) {
			t.Parallel()
			checkOf(t, 0, startTroubles(t, exe, healthy...))
		})
	}
}

// TestTroublesAfterProfile has the same told after Go's own profile of leaked goroutines has run, which gives those a
// state of their own.
func TestTroublesAfterProfile(t *testing.T) {
	needAttach(t)
	exes := []string{buildTroubles(t, "go1.27.3")}
	if allVersions() {
		exes = append(exes, buildTroubles(t, "local+goroutineleakprofile"))
	}
	for i, exe := range exes {
		for _, tr := range allTroubles {
			switch tr.name {
			case "abba", "leak", "cond", "senders", "forgotten-done", "selflock", "spin", "spin-eof-file", "context":
				t.Run(fmt.Sprintf("%d-%s", i, tr.name), func(t *testing.T) {
					t.Parallel()
					names := []string{tr.name, "profile"}
					switch tr.name {
					case "spin", "spin-eof-file", "context": // of whom it finds nothing
						names, tr.finds = append([]string{"leak"}, names...), append([][3]string{leaks}, tr.finds...)
					}
					pid := startTroubles(t, exe, names...)
					out, _ := runRi(t, 0, "exec", "-p", fmt.Sprint(pid), "-e",
						"for g in ri.goroutines() do if ri.at(g.addr, 'runtime.g').atomicstatus % 4096 == 10 "+
							"then print('leaked') end end")
					if !strings.Contains(out, "leaked") {
						t.Fatal("Go's own profile found nothing:", out)
					}
					toldOf(t, pid, tr)
				})
			}
		}
	}
}
