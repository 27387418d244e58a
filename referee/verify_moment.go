package referee

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/proc"

	"ri/attach"
	"ri/values"
)

const (
	stacksCompared = 500 // of as many goroutines, spread evenly over all
	depthCompared  = 64  // functions
	goroutineChunk = 256 // that Delve is asked for between two looks at the clock
)

// deadExtra is runtime._Gdeadextra (runtime/runtime2.go, Go 1.26): dead, and kept for a thread of C that may call Go.
// Delve takes it for one that lives.
const deadExtra = 11

// moment is what is compared of one view.
type moment struct {
	s      Subject
	delve  *Delve
	view   attach.View
	target *proc.Target // over the view
	ours   []*values.Goroutine
	theirs map[int64]*proc.G
}

// verify compares goroutines and stacks.
func (m *moment) verify(clock *clock) []Check {
	goroutines, stacks := &tally{what: "goroutines"}, &tally{what: "stacks"}
	err := m.list(goroutines, clock)
	goroutines.goroutines(m.ours, m.theirs, err == nil)
	checks := []Check{goroutines.check("goroutines are those that Delve has", err)}
	if err == nil {
		err = m.stacks(stacks, clock)
	}
	return append(checks, stacks.check("stacks that were compared are the same", err))
}

// goroutines compares which there are. Unless Delve has listed all, those that it lacks mean nothing.
func (t *tally) goroutines(ours []*values.Goroutine, theirs map[int64]*proc.G, all bool) {
	known := map[int64]bool{}
	for _, g := range ours {
		known[g.ID] = true
		if _, ok := theirs[g.ID]; ok {
			t.same++
		} else if all {
			t.differs("ri has goroutine %d (%s), Delve doesn't", g.ID, g.Status)
		}
	}
	for id := range theirs {
		if !known[id] {
			t.differs("Delve has goroutine %d, ri doesn't", id)
		}
	}
}

// list has both list all goroutines.
func (m *moment) list(t *tally, clock *clock) error {
	space := values.New(m.s.File, attach.NewCache(m.view), m.s.Bias)
	space.SetThreads(m.view.Threads())
	for g, err := range space.Goroutines() {
		if err != nil {
			t.couldNot("by ri: %v", err)
			continue
		}
		m.ours = append(m.ours, g)
	}
	m.theirs = map[int64]*proc.G{}
	err := contain(func() (err error) {
		if m.target, err = m.delve.On(m.view); err != nil {
			return err
		}
		for next := 0; next >= 0; {
			if err := clock.over(len(m.theirs), len(m.ours), "goroutines"); err != nil {
				return err
			}
			var some []*proc.G
			if some, next, err = proc.GoroutinesInfo(m.target, next, goroutineChunk); err != nil {
				return err
			}
			for _, g := range some {
				switch {
				case g.Unreadable != nil:
					t.couldNot("by Delve: %v", g.Unreadable)
				case g.Status != deadExtra:
					m.theirs[g.ID] = g
				}
			}
		}
		return nil
	})
	if lost := m.view.Err(); lost != nil && err == nil {
		err = lost
	}
	return err
}

// stacks compares the stacks of some of the goroutines that both have.
func (m *moment) stacks(t *tally, clock *clock) error {
	step := max(1, (len(m.ours)+stacksCompared-1)/stacksCompared)
	for i := 0; i < len(m.ours); i += step {
		g := m.ours[i]
		there := m.theirs[g.ID]
		if there == nil {
			continue
		}
		if err := clock.over(i, len(m.ours), "goroutines' stacks"); err != nil {
			return err
		}
		mine, err := g.Stack(depthCompared)
		var from proc.StacktraceOptions
		if g.Status == "syscall" { // ri begins where it entered the kernel, Delve at the registers
			from = proc.StacktraceG
		}
		var theirs []proc.Stackframe
		failed := contain(func() (err error) {
			theirs, err = proc.GoroutineStacktrace(m.target, there, depthCompared, from)
			return err
		})
		if len(mine) == 0 && err != nil {
			t.couldNot("by ri: %v", err)
			continue
		}
		if n := len(theirs); failed == nil && n > 0 {
			failed = theirs[n-1].Err
		}
		if failed != nil {
			t.couldNot("by Delve: goroutine %d: %v", g.ID, failed)
			continue
		}
		if len(theirs) > 0 && theirs[0].Call.Fn != nil && inHandler(theirs[0].Call.Fn.Name) && !slices.ContainsFunc(mine,
			func(f values.Frame) bool { return inHandler(f.Func) }) {
			t.couldNot("by Delve: goroutine %d: a signal is handled, and what that interrupted isn't on its stack",
				g.ID)
			continue
		}
		cut := errors.Is(err, values.ErrRange) || len(theirs) > depthCompared
		ours, others := ourCalls(mine), m.theirCalls(theirs)
		if where := difference(ours, others, cut); where != "" {
			t.differs("goroutine %d: %s: ri %s, Delve %s", g.ID, where, namesOf(ours), namesOf(others))
		} else {
			t.same++
		}
	}
	return m.view.Err()
}

// call is one function on a stack, as either of the two has it. line is 0 where the two say different things of it by
// design.
type call struct {
	function, file string
	line           int
	wrapper        bool
}

func (c call) same(other call) bool {
	return c.line == 0 || other.line == 0 || c.line == other.line && c.file == other.file
}

// inHandler tells what runs on the stack of a thread's signals: ri goes on from the registers that the kernel left.
func inHandler(function string) bool {
	return function == "runtime.sigtramp" || function == "runtime.cgoSigtramp" ||
		strings.HasPrefix(function, "runtime.sigreturn")
}

// bySignal tells the functions that are entered by a signal. What they interrupted stands at the PC, as Go's own stack
// traces and ri have it; Delve takes it for a return address, and may so find another line, and other inlined calls.
func bySignal(function string) bool {
	return function == "runtime.asyncPreempt" || function == "runtime.sigpanic" || function == "runtime.debugCallV2"
}

// ourCalls is a stack of ri's. Where a goroutine parked, ri takes the line of the call, Delve that of what comes after.
func ourCalls(frames []values.Frame) (calls []call) {
	interrupted := false
	for i, f := range frames {
		if interrupted && f.Inlined {
			continue
		}
		c := call{function: f.Func, file: f.File, line: f.Line.Line}
		if interrupted || i == 0 {
			c.line = 0
		}
		calls, interrupted = append(calls, c), bySignal(f.Func)
	}
	return calls
}

// theirCalls is a stack of Delve's, without what runs on the system stack. Delve doesn't know the line of what was
// inlined into a wrapper.
func (m *moment) theirCalls(frames []proc.Stackframe) (calls []call) {
	interrupted := false
	for i := range frames {
		f := &frames[i]
		if f.SystemStack || f.Call.Fn == nil || interrupted && f.Inlined {
			continue
		}
		c := call{function: plain(f.Call.Fn.Name), file: f.Call.File, line: f.Call.Line}
		c.wrapper = m.wrapper(f, c.function)
		if interrupted || c.file == "<autogenerated>" {
			c.line = 0
		}
		calls, interrupted = append(calls, c), bySignal(c.function)
	}
	return calls
}

// difference says where two stacks part, "" if they are the same; cut: ri's ends at the limit, or Delve's does. Delve
// shows the compiler's wrappers, which ri, like Go itself, leaves out.
func difference(ours, theirs []call, cut bool) string {
	i := 0
	for _, c := range theirs {
		switch {
		case i < len(ours) && sameFunction(ours[i].function, c.function):
			if !c.same(ours[i]) {
				return fmt.Sprintf("%s is at %s:%d for ri, at %s:%d for Delve",
					c.function, ours[i].file, ours[i].line, c.file, c.line)
			}
			i++
		case c.wrapper:
		case i == len(ours) && cut:
			return ""
		default:
			return fmt.Sprintf("they part after %d functions", i)
		}
	}
	if i < len(ours) && !cut {
		return fmt.Sprintf("they part after %d functions", i)
	}
	return ""
}

// sameFunction compares names. The function table of Go 1.20 leaves out type arguments: main.Map[...].
func sameFunction(ours, theirs string) bool {
	before, after, short := strings.Cut(ours, "[...]")
	if !short {
		return ours == theirs
	}
	before, after = before+"[", "]"+after
	return len(theirs) >= len(before)+len(after) && strings.HasPrefix(theirs, before) && strings.HasSuffix(theirs, after)
}

// wrapper tells whether the compiler made a function.
func (m *moment) wrapper(f *proc.Stackframe, name string) bool {
	info, ok := m.s.File.PC(f.Call.PC - 1 - m.s.Bias)
	if !ok {
		return false
	}
	for _, line := range info.Lines {
		if line.Func == name && line.Wrapper {
			return true
		}
	}
	return false
}

func namesOf(calls []call) string {
	var names []string
	for _, c := range calls {
		names = append(names, c.function)
	}
	return strings.Join(names, " < ")
}
