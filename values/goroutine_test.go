package values_test

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ri/attach"
	"ri/symbols/testprogram"
	"ri/values"
)

// dumped is a goroutine as the runtime's own dump has it.
type dumped struct {
	id        int64
	state     string
	frames    []string // "function file:line", innermost first
	createdBy string
}

var header = regexp.MustCompile(`^goroutine (\d+)(?: gp=\S+ m=\S+(?: mp=\S+)?)? \[([^],]*)(?:, [^]]*)?\](?: \{.*\})?:$`)

// parseDump reads what runtime.Stack prints.
func parseDump(t testing.TB, dump string) map[int64]dumped {
	t.Helper()
	out := map[int64]dumped{}
	place := func(line string) string {
		file, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		return filepath.Base(file)
	}
	for _, block := range strings.Split(strings.TrimSpace(dump), "\n\n") {
		lines := strings.Split(block, "\n")
		m := header.FindStringSubmatch(lines[0])
		if m == nil {
			t.Fatalf("the runtime prints a header that the test does not know: %q", lines[0])
		}
		g := dumped{state: m[2]}
		g.id, _ = strconv.ParseInt(m[1], 10, 64)
		for i := 1; i+1 < len(lines); i += 2 {
			if by, ok := strings.CutPrefix(lines[i], "created by "); ok {
				by, _, _ = strings.Cut(by, " in goroutine ")
				g.createdBy = plain(by) + " " + place(lines[i+1])
				continue
			}
			name := lines[i][:strings.LastIndexByte(lines[i], '(')]
			g.frames = append(g.frames, plain(name)+" "+place(lines[i+1]))
		}
		out[g.id] = g
	}
	return out
}

// plain takes out of a function's name what only one side prints.
func plain(name string) string {
	return strings.NewReplacer("%2e", ".", "%252e", ".").Replace(generic(name)) // Go 1.27 escapes closures' names twice
}

// shown tells whether the runtime's dumps show a function (runtime.showframe).
func shown(name string) bool {
	rest, ok := strings.CutPrefix(name, "runtime.")
	if !ok {
		return strings.Contains(name, ".")
	}
	return rest == "gopanic" || rest != "" && rest[0] >= 'A' && rest[0] <= 'Z'
}

func frameTexts(frames []values.Frame) []string {
	var out []string
	for _, f := range frames {
		out = append(out, fmt.Sprintf("%s %s:%d", plain(f.Func), filepath.Base(f.File), f.Line.Line))
	}
	return out
}

func TestGoroutines(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, variant testprogram.Variant) {
		p := testprogram.Start(t, testprogram.Build(t, fixture, variant))
		want := parseDump(t, p.Stacks())
		l := lookAt(t, p, attach.Stopped)
		t.Run("dump", func(t *testing.T) { checkDump(t, l, want) })
		t.Run("labels", func(t *testing.T) { checkLabels(t, l) })
		t.Run("frames", func(t *testing.T) { checkFrames(t, l, variant) })
		t.Run("find", func(t *testing.T) { checkFind(t, l, variant) })
		l.View.Close()
		t.Run("spinning", func(t *testing.T) { checkSpinning(t, p) })
	})
}

func (l *looked) goroutines(t testing.TB) []*values.Goroutine {
	t.Helper()
	var all []*values.Goroutine
	for g, err := range l.Goroutines() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
	}
	return all
}

// checkDump compares each goroutine that waits with the runtime's own dump: state, functions, lines, inlined calls too.
func checkDump(t *testing.T, l *looked, want map[int64]dumped) {
	seen := map[int64]bool{}
	states := map[string]bool{}
	compared := 0
	for _, g := range l.goroutines(t) {
		w, ok := want[g.ID]
		if !ok {
			if !g.System && g.Start.Func != "runtime.main" && !strings.Contains(g.Start.Func, "runfinq") &&
				!strings.Contains(g.Start.Func, "runFinalizers") {
				t.Errorf("goroutine %d (%s) is not in the runtime's dump", g.ID, g.Start.Func)
			}
			continue
		}
		seen[g.ID] = true
		if g.System {
			t.Errorf("goroutine %d (%s) counts as the runtime's own, though its dump shows it", g.ID, g.Start.Func)
		}
		if g.ID == 1 {
			continue // it was making the dump
		}
		if created := fmt.Sprintf("%s %s:%d", plain(g.CreatedBy.Func), filepath.Base(g.CreatedBy.File),
			g.CreatedBy.Line); created != w.createdBy {
			t.Errorf("goroutine %d: created by %s, want %s", g.ID, created, w.createdBy)
		}
		if w.state == "running" || w.state == "runnable" {
			continue // see checkSpinning
		}
		state := g.WaitReason
		if state == "" {
			state = g.Status
		}
		states[state] = true
		if state != w.state {
			t.Errorf("goroutine %d: %q, want %q", g.ID, state, w.state)
		}
		if g.Status == "waiting" && g.Wait <= 0 {
			t.Errorf("goroutine %d (%s): waits for %v, though the collector has run", g.ID, g.WaitReason, g.Wait)
		}
		stack, err := g.Stack(0)
		if err != nil {
			t.Errorf("goroutine %d: %v", g.ID, err)
			continue
		}
		var got []string
		for _, f := range frameTexts(stack) {
			if name, _, _ := strings.Cut(f, " "); shown(name) {
				got = append(got, strings.Replace(f, "runtime.gopanic ", "panic ", 1))
			}
		}
		if strings.Join(got, "\n") != strings.Join(w.frames, "\n") {
			t.Errorf("goroutine %d [%s]:\n\t%s\nwant\n\t%s", g.ID, w.state, strings.Join(got, "\n\t"),
				strings.Join(w.frames, "\n\t"))
		}
		compared++
	}
	for id, w := range want {
		if !seen[id] {
			t.Errorf("goroutine %d [%s] is missing: %v", id, w.state, w.frames)
		}
	}
	if compared < 20 {
		t.Errorf("only %d goroutines compared", compared)
	}
	for _, state := range []string{"chan receive", "chan receive (nil chan)", "chan send", "select",
		"select (no cases)", "sleep", "IO wait", "syscall", "sync.Cond.Wait"} {
		if !states[state] {
			t.Errorf("no goroutine was seen in the state %q", state)
		}
	}
}

func checkLabels(t *testing.T, l *looked) {
	for _, want := range l.Labelled {
		found := false
		for _, g := range l.goroutines(t) {
			if !l.inStack(g, want.Func) {
				continue
			}
			found = true
			got, err := g.Labels()
			if err != nil || !maps.Equal(got, want.Labels) {
				t.Errorf("%s: labels %v (%v), want %v", want.Func, got, err, want.Labels)
			}
		}
		if !found {
			t.Errorf("no goroutine is in %s", want.Func)
		}
	}
}

func (l *looked) inStack(g *values.Goroutine, name string) bool {
	stack, _ := g.Stack(0)
	for i := range stack {
		if plain(stack[i].Func) == name {
			return true
		}
	}
	return false
}

// checkSpinning: the stack of a goroutine that runs is known from its thread's registers, in a stop. It may be stopped
// where it is not, in a signal handler (the runtime interrupts by one what runs too long): then it says so, and another
// look finds it elsewhere.
func checkSpinning(t *testing.T, p *testprogram.Program) {
	for range 100 {
		l := lookAt(t, p, attach.Stopped)
		for _, g := range l.goroutines(t) {
			if g.Status == "running" && g.ThreadID == 0 {
				t.Errorf("goroutine %d runs on no thread", g.ID)
			}
			stack, err := g.Stack(0)
			if errors.Is(err, values.ErrNoStack) && g.Status == "running" {
				continue
			}
			if !l.inStack(g, "main.spinning") {
				continue
			}
			if err != nil || stack[len(stack)-1].Func != "runtime.goexit" {
				t.Errorf("the stack of the spinning goroutine (%s): %v, %v", g.Status, frameTexts(stack), err)
			}
			if _, err := g.Stack(1); !errors.Is(err, values.ErrRange) {
				t.Errorf("one frame of more: %v, want ErrRange", err)
			}
			return
		}
		l.View.Close()
	}
	t.Error("no goroutine was seen in main.spinning")
}

// TestRunningLive: without a stop the registers of what runs are not known, and that is said.
func TestRunningLive(t *testing.T) {
	l := look(t, testprogram.Variants[0], attach.Live)
	for _, g := range l.goroutines(t) {
		stack, err := g.Stack(0)
		switch {
		case g.Status == "running":
			if !errors.Is(err, values.ErrNoStack) || !strings.Contains(err.Error(), "stopped view") {
				t.Errorf("goroutine %d runs: %v, %v", g.ID, frameTexts(stack), err)
			}
		case g.Status == "waiting" && !g.System && err != nil:
			t.Errorf("goroutine %d (%s): %v", g.ID, g.WaitReason, err)
		}
	}
}
