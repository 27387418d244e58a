package commands

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"

	"ri/attach"
	"ri/instruments/looks"
	"ri/instruments/rows"
)

// WatchOptions says what is done when a process dies.
type WatchOptions struct {
	// ri's command lines, run on the dying process one after the other: "ri crash", "ri report -o visit"
	OnExit  []string
	MaxHold time.Duration // the longest that it is held for them
	// Run runs a command of ri, given without the word ri. Its error is ErrFound where that found something.
	Run func(ctx context.Context, words []string) error
	// Check refuses what is no command of ri, given as to Run: at the death it would be too late.
	Check func(words []string) error
}

// DefaultOnExit is what is run where nothing is said.
var DefaultOnExit = []string{"ri crash", "ri run goroutines"}

// RecordOnExit is the command that makes a recording.
func RecordOnExit(file string) string {
	return shellquote.Join("ri", "record", "-o", file, "crash", "check", "goroutines", "locks", "channels")
}

// command is one of OnExit, taken apart.
type command struct {
	text  string
	words []string // without the first, which is ri
}

// check takes the command lines apart. Those that name no target get the process.
func (o *WatchOptions) check(choice looks.TargetChoice) ([]command, error) {
	if choice.Core != "" || choice.PID == "" {
		return nil, rows.Usagef("ri watch waits for a process to die: name it with -p PID (ri ps lists the Go " +
			"processes here)")
	}
	if o.MaxHold <= 0 {
		return nil, rows.Usagef("--max-hold %s: must be more than 0", o.MaxHold)
	}
	var list []command
	for _, text := range o.OnExit {
		words, err := RiLine(text)
		if err != nil {
			return nil, err
		}
		if err := o.Check(words); err != nil {
			return nil, rows.Usagef("--on-exit %q: %v", text, err)
		}
		named := false
		for _, w := range words {
			named = named || strings.HasPrefix(w, "-p") || strings.HasPrefix(w, "--pid") || strings.HasPrefix(w, "-c") ||
				strings.HasPrefix(w, "--core")
		}
		if !named {
			words = append(words, "-p", choice.PID)
		}
		list = append(list, command{text, words})
	}
	return list, nil
}

// RiLine takes a command line of ri apart, and gives it without the word ri.
func RiLine(text string) ([]string, error) {
	words, err := shellquote.Split(text)
	if err != nil {
		return nil, rows.Usagef("--on-exit %q: %v", text, err)
	}
	if len(words) < 2 || words[0] != "ri" {
		return nil, rows.Usagef("--on-exit %q: give a command of ri, such as 'ri crash' or 'ri report -o visit'", text)
	}
	return words[1:], nil
}

// Watch waits until a process dies, and runs commands of ri on it in its last moment. There is no error if the process
// exited with 0. It is ErrFound if it died in another way, ErrPartial if the hold came to its limit or a command
// failed, and another one if the process was gone before it could be held.
func Watch(ctx context.Context, to rows.Listener, choice looks.TargetChoice, opt WatchOptions) error {
	commands, err := opt.check(choice)
	if err != nil {
		return err
	}
	verb, tries := "watching", 0
	for {
		death, name, err := watchOnce(ctx, to, choice, verb, opt.MaxHold, func(ctx context.Context, d attach.Death,
			name string) bool {
			to.Log(fmt.Sprintf("%s %s dies: %s", time.Now().Format(time.RFC3339), name, d))
			return runAll(ctx, to, commands, opt.Run)
		})
		if errors.Is(err, attach.ErrReplaced) {
			to.Log(err.Error() + "; watching that")
			verb, tries = "watching again:", execTries
			continue
		}
		// the old program is gone, the new one not there yet
		if errors.Is(err, attach.ErrExited) && tries > 0 && ctx.Err() == nil {
			tries--
			time.Sleep(execNap)
			continue
		}
		if err != nil {
			return err
		}
		return concludeWatch(to, name, death)
	}
}

// An exec takes milliseconds; of a large program on a busy machine, more.
const (
	execTries = 1000
	execNap   = 5 * time.Millisecond
)

// deathSeen is how a watch ended.
type deathSeen struct {
	attach.Death
	failed bool // a command did
}

// watchOnce watches one program of the process.
func watchOnce(ctx context.Context, to rows.Listener, choice looks.TargetChoice, verb string, hold time.Duration,
	dying func(context.Context, attach.Death, string) bool) (deathSeen, string, error) {
	s, err := looks.OpenSession(choice)
	if err != nil {
		return deathSeen{}, "", err
	}
	defer s.Close()
	name := s.Target.Describe()
	p, ok := s.Target.(attach.Watchable)
	if !ok {
		return deathSeen{}, name, rows.Refused(fmt.Errorf("watching %s: %w here", name, attach.ErrNotSupported))
	}
	thread, err := quietThread(ctx, s)
	if err != nil {
		return deathSeen{}, name, err
	}
	_ = s.File.Save() // who looks at the end has the symbols ready
	result := deathSeen{}
	result.Death, err = p.Watch(ctx, attach.WatchOptions{Thread: thread, MaxHold: hold, Seized: func() {
		to.Log(fmt.Sprintf("%s %s by its thread %d (sysmon); Ctrl-C ends the watch and leaves it as it is", verb, name,
			thread))
	}, Dying: func(ctx context.Context, d attach.Death) {
		result.failed = !dying(ctx, d, name)
	}})
	if err != nil {
		return result, name, looks.ViewError(err)
	}
	return result, name, nil
}

// sysmonFrames is how far up a stack runtime.sysmon is looked for: it calls nothing deep.
const sysmonFrames = 4096

// threadNap is the time between two looks for it.
const threadNap = 50 * time.Millisecond

// quietThread finds the thread that runs runtime.sysmon: it runs no goroutines, so it gets hardly any signals. It is
// the one with a return address into that function near the top of its stack.
func quietThread(ctx context.Context, s *looks.Session) (int, error) {
	begin, size, err := s.File.FuncRange("runtime.sysmon")
	if err != nil {
		return 0, rows.Refused(fmt.Errorf("%s: %w", s.Target.Describe(), err))
	}
	begin += s.Bias
	for try := range 10 { // it is begun a moment after the program
		view, err := s.Target.View(ctx, attach.ViewOptions{Kind: attach.Snapshot})
		if errors.Is(err, attach.ErrDeadline) && try < 9 { // its threads wait for the CPU longer than they may be stopped
			if err := looks.Sleep(ctx, threadNap); err != nil {
				return 0, err
			}
			continue
		}
		if err != nil {
			return 0, looks.ViewError(err)
		}
		stack := make([]byte, sysmonFrames)
		for _, thread := range view.Threads() {
			if pc := thread.Regs.PC(); pc >= begin && pc < begin+size {
				view.Close()
				return thread.ID, nil
			}
			n, _ := view.ReadMemory(stack, thread.Regs.SP())
			for i := 0; i+8 <= n; i += 8 {
				if word := binary.LittleEndian.Uint64(stack[i:]); word > begin && word < begin+size {
					view.Close()
					return thread.ID, nil
				}
			}
		}
		view.Close()
		if err := looks.Sleep(ctx, threadNap); err != nil {
			return 0, err
		}
	}
	return 0, rows.Refused(fmt.Errorf("%s: none of its threads runs runtime.sysmon, by which ri watches: %w",
		s.Target.Describe(), attach.ErrNotSupported))
}

// runAll runs the commands on the dying process, and tells whether all went well: a finding is no failure.
func runAll(ctx context.Context, to rows.Listener, commands []command, run func(context.Context, []string) error) bool {
	well := true
	for _, c := range commands {
		if ctx.Err() != nil {
			to.Log(fmt.Sprintf("ri: %s: not run: %v", c.text, context.Cause(ctx)))
			well = false
			continue
		}
		if err := run(ctx, c.words); err != nil && !errors.Is(err, rows.ErrFound) {
			to.Log(fmt.Sprintf("ri: %s: %v", c.text, err))
			well = false
		}
	}
	return well
}

func concludeWatch(to rows.Listener, name string, d deathSeen) error {
	switch {
	case !d.Known:
		return fmt.Errorf("%s ended, and was gone before it could be held: nothing was run on it", name)
	case d.OOM:
		to.Log(name + " was " + d.String() + "; it was let go at once")
		return rows.Said(rows.ErrFound)
	}
	to.Log(fmt.Sprintf("%s: %s; held %s", name, d, rows.ShortDuration(d.Held)))
	switch {
	case d.Cut:
		return rows.Partial(fmt.Errorf("%s was let go before all was done: raise --max-hold, or do less", name))
	case d.failed:
		return rows.Said(rows.ErrPartial)
	case d.Signal != 0 || d.Code != 0:
		return rows.Said(rows.ErrFound)
	}
	return nil
}
