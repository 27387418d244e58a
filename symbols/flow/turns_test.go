package flow

import (
	"strings"
	"testing"
)

// what a loop's code says, in letters: E ends, C counts, A asks, S stores, N nested.
func lettersOf(t *Turns) (text string) {
	for i, is := range []bool{t.Ends, t.Counts, t.Asks, t.Stores, t.Nested} {
		if is {
			text += "ECASN"[i : i+1]
		}
	}
	return text
}

func TestTurns(t *testing.T) {
	for _, toolchain := range []string{"local", "go1.20.14", "go1.27.3"} {
		for _, flags := range [][]string{nil, {"-gcflags=all=-N -l"}} {
			f := build(t, toolchain, flags...)
			for function, want := range map[string]string{
				"askFlag": "EA", "askFlagAndYield": "EA", "askWord": "EA", "askClock": "EA", "askChannel": "EA",
				"askLock": "EA",
				"askCall": "EA", "askAnswer": "EA", "askAndCount": "EAS",
				"endless": "", "endlessInMemory": "S",
				"count": "EC", "countFields": "ECS", "list": "EC", "scan": "EC", "float": "EC", "countCalls": "EC",
				"nested": "SN", "again": "", "mixed": "S", "halve": "EC", "tries": "ECA",
			} {
				_, entry, err := f.Func("main." + function)
				if err != nil {
					t.Fatal(err)
				}
				got := "no loop"
				code, _ := f.Code(entry)
				for pc := entry; pc < entry+uint64(len(code)); pc++ {
					if turns, ok := TurnsAt(f, []uint64{pc}); ok { // the outermost one
						if letters := lettersOf(turns); got == "no loop" || turns.Nested {
							got = letters
						}
					}
				}
				if len(flags) > 0 { // atomics are calls
					want = strings.ReplaceAll(want, "SN", "N")
					if toolchain == "go1.20.14" { // a counter is still in a register when TryLock is called
						want = strings.ReplaceAll(want, "ECA", "EC")
					}
					if function == "endlessInMemory" {
						want = ""
					}
				}
				if got != want {
					t.Errorf("%s %v: %s: %q, not %q", toolchain, flags, function, got, want)
				}
			}
		}
	}
}
