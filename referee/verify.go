package referee

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-delve/delve/pkg/proc"

	"ri/attach"
	"ri/symbols"
	"ri/values"
)

// verifyGoroutines is how many goroutines' stacks are compared, verifyDepth how deep.
const (
	verifyGoroutines = 500
	verifyDepth      = 64
)

// Subject is what Delve and ri both read.
type Subject struct {
	Target attach.Target
	File   *symbols.File
	Bias   uint64 // run-time address less the link-time address
}

// Check is one line of what came out.
type Check struct {
	What   string
	State  string // ok, differ, missing, info
	Detail string
}

// Verify has Delve and ri read the same stopped process, and compares: package variables' addresses and types' sizes, goroutines, and
// their stacks. It says whether ri can be believed on this program, whatever built it. Errors are those of a stop.
func Verify(ctx context.Context, s Subject, maxStop time.Duration) (checks []Check, err error) {
	delve, err := NewDelve(s.Target)
	if err != nil {
		return []Check{{"verify", "missing", err.Error()}}, nil
	}
	defer delve.Close()
	if maxStop == 0 {
		maxStop = attach.DefaultMaxStop
	}
	view, err := s.Target.View(ctx, attach.ViewOptions{Kind: attach.Stopped, MaxStop: maxStop})
	if err != nil {
		return nil, err
	}
	defer view.Close()
	space := values.New(s.File, attach.NewCache(view), s.Bias)
	space.SetThreads(view.Threads())

	ours := map[int64][]string{}
	for g, err := range space.Goroutines() {
		if g == nil || err != nil || len(ours) == verifyGoroutines {
			break
		}
		frames, _ := g.Stack(verifyDepth)
		ours[g.ID] = nil
		for _, f := range frames {
			ours[g.ID] = append(ours[g.ID], f.Func)
		}
	}
	theirs := map[int64][]string{}
	vars := map[string]uint64{}
	failed := contain(func() error {
		target, err := delve.On(view)
		if err != nil {
			return err
		}
		all, _, err := proc.GoroutinesInfo(target, 0, 0)
		if err != nil {
			return err
		}
		for _, g := range all {
			if _, ok := ours[g.ID]; !ok {
				continue
			}
			frames, err := proc.GoroutineStacktrace(target, g, verifyDepth, 0)
			if err != nil {
				continue
			}
			theirs[g.ID] = []string{}
			for _, f := range frames {
				if f.Call.Fn != nil {
					theirs[g.ID] = append(theirs[g.ID], f.Call.Fn.Name)
				}
			}
		}
		scope, err := proc.ThreadScope(target, target.CurrentThread())
		if err != nil {
			return err
		}
		loaded, err := scope.PackageVariables(proc.LoadConfig{})
		for _, v := range loaded {
			vars[v.Name] = v.Addr
		}
		return err
	})
	view.Close()
	checks = append(checks, compareStacks(ours, theirs), compareVars(s, vars))
	if failed != nil && !errors.Is(failed, attach.ErrClosed) {
		why := failed.Error()
		if lost := view.Err(); errors.Is(lost, attach.ErrDeadline) {
			why = "Delve was not done within the limit of the stop; give it longer: --max-stop 2s"
		}
		checks = append(checks, Check{"verify", "info", why})
	}
	return checks, nil
}

// compareStacks tells how many goroutines have the same functions on their stacks. Delve shows the wrappers that ri, like Go itself, leaves out.
func compareStacks(ours, theirs map[int64][]string) Check {
	same, differ := 0, []string(nil)
	for id, stack := range theirs {
		if subsequence(ours[id], stack) {
			same++
		} else {
			differ = append(differ, fmt.Sprintf("goroutine %d: ri %s, Delve %s", id, strings.Join(ours[id], " < "), strings.Join(stack, " < ")))
		}
	}
	slices.Sort(differ)
	detail := fmt.Sprintf("%d of %d stacks that Delve read are the same", same, len(theirs))
	if len(differ) > 0 {
		return Check{"goroutines", "differ", detail + "; " + differ[0]}
	}
	return Check{"goroutines", "ok", detail}
}

func subsequence(part, whole []string) bool {
	i := 0
	for _, w := range whole {
		if i < len(part) && part[i] == w {
			i++
		}
	}
	return i == len(part) && (len(part) > 0 || len(whole) == 0)
}

func compareVars(s Subject, theirs map[string]uint64) Check {
	same, compared, differ := 0, 0, ""
	for _, v := range s.File.AllVars() {
		addr, ok := theirs[v.Name]
		if !ok {
			continue
		}
		if compared++; addr == v.Addr+s.Bias {
			same++
		} else if differ == "" {
			differ = fmt.Sprintf("; %s: ri %#x, Delve %#x", v.Name, v.Addr+s.Bias, addr)
		}
	}
	state := "ok"
	if differ != "" {
		state = "differ"
	}
	return Check{"variables", state, fmt.Sprintf("%d of %d package variables lie where Delve has them%s", same, compared, differ)}
}
