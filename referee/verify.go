package referee

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"

	"ri/attach"
	"ri/symbols"
)

// States of a Check.
const (
	OK          = "ok"
	Differ      = "differ"
	NotCompared = "not compared" // in full: what was compared is no verdict
)

// Check is one line of what came out.
type Check struct {
	What   string // variables, types, goroutines, stacks
	State  string
	Detail string
}

// Subject is what Delve and ri both read.
type Subject struct {
	Target attach.Target
	File   *symbols.File
	Bias   uint64 // run-time address less the link-time address
}

// Take takes a view that holds still.
type Take func(context.Context) (attach.View, error)

// typeChunk is how many types are compared between two looks at the clock.
const typeChunk = 256

// ErrSlow says that Delve's part of a comparison took too long.
var ErrSlow = errors.New("cut off")

// Verify has Delve and ri read the same program, and compares in both directions: package variables' addresses, types'
// sizes, goroutines, and their stacks. It says whether ri can be believed on this program, whatever built it. What
// needs no memory is compared first. Then take gives a view that holds still, which Verify closes. Each part of Delve's
// but the loading of symbols may last as long as most.
//
// There is always a check for each of the four; what wasn't compared says why. The error is that of take, or the
// context's.
func Verify(ctx context.Context, s Subject, most time.Duration, take Take) ([]Check, error) {
	delve, err := (*Delve)(nil), s.File.NoDWARF()
	if err != nil {
		err = fmt.Errorf("Delve needs debug information: %w", err)
	} else {
		delve, err = NewDelve(s.Target)
	}
	if err != nil {
		return notCompared(err, "variables", "types", "goroutines", "stacks"), nil
	}
	defer delve.Close()
	clock := &clock{most: most}
	checks := []Check{verifyVariables(s, delve), verifyTypes(s, delve, clock.start(ctx))}
	view, err := take(ctx)
	if err != nil {
		return append(checks, notCompared(err, "goroutines", "stacks")...), err
	}
	defer view.Close()
	stop := context.AfterFunc(ctx, func() { view.Close() }) // Delve's reads fail from then on
	defer stop()
	m := &moment{s: s, delve: delve, view: view}
	checks = append(checks, m.verify(clock.start(ctx))...)
	return checks, context.Cause(ctx)
}

// clock allots a time to one part after the other.
type clock struct {
	most  time.Duration
	began time.Time
	ctx   context.Context
}

func (c *clock) start(ctx context.Context) *clock {
	return &clock{most: c.most, began: time.Now(), ctx: ctx}
}

// over says whether the time is over, with the time that all would need, judged by how much of it is done. Something
// always is.
func (c *clock) over(done, all int, what string) error {
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	took := time.Since(c.began)
	if took < c.most || done == 0 {
		return nil
	}
	need := took * time.Duration(max(all, done)) / time.Duration(done)
	enough := (need + need/2).Round(time.Second) + time.Second
	return fmt.Errorf("the part of Delve was %w after %v, with %d of %d %s; it needs about %v: --max-time %v",
		ErrSlow, took.Round(time.Millisecond), done, all, what, need.Round(time.Millisecond), enough)
}

func notCompared(err error, what ...string) (checks []Check) {
	why, _, _ := strings.Cut(err.Error(), "\n") // without a panic's stack
	for _, w := range what {
		checks = append(checks, Check{w, NotCompared, why})
	}
	return checks
}

// tally counts what is the same and what is not.
type tally struct {
	what         string
	same, differ int
	first        string // difference
	unable       int    // one of the two could not read it
	why          string // the first of those
}

func (t *tally) differs(format string, args ...any) {
	if t.differ++; t.differ == 1 {
		t.first = fmt.Sprintf(format, args...)
	}
}

func (t *tally) couldNot(format string, args ...any) {
	if t.unable++; t.unable == 1 {
		t.why = fmt.Sprintf(format, args...)
	}
}

// check is the verdict. cut says why the comparison ended early, nil if it didn't.
func (t *tally) check(are string, cut error) Check {
	all := t.same + t.differ
	detail := fmt.Sprintf("%d of %d %s", t.same, all, are)
	if t.unable > 0 {
		detail += fmt.Sprintf("; %d could not be read: %s", t.unable, t.why)
	}
	switch {
	case t.differ > 0:
		return Check{t.what, Differ, detail + "; " + t.first}
	case cut != nil:
		c := notCompared(cut, t.what)[0]
		if t.same > 0 {
			c.Detail += "; " + detail
		}
		return c
	case all == 0 && t.unable > 0:
		return Check{t.what, NotCompared, fmt.Sprintf("none of %d could be read: %s", t.unable, t.why)}
	case all == 0:
		return Check{t.what, NotCompared, "there are none"}
	}
	return Check{t.what, OK, detail}
}

// plain undoes the linker's %xx escapes in import paths, which Delve's names have.
func plain(name string) string {
	name = strings.ReplaceAll(name, "%25", "%") // Go 1.27 escapes closures' names twice
	if unescaped, err := url.PathUnescape(name); err == nil {
		return unescaped
	}
	return name
}

func verifyVariables(s Subject, delve *Delve) Check {
	t := &tally{what: "variables"}
	theirs := map[string]uint64{}
	err := contain(func() error {
		// Package variables need no frame.
		scope := proc.FrameToScope(delve.target, delve.target.Memory(), nil, 0, proc.Stackframe{})
		loaded, err := scope.PackageVariables(proc.LoadConfig{})
		for _, v := range loaded {
			theirs[plain(v.Name)] = v.Addr
		}
		return err
	})
	ours := map[string]uint64{}
	for _, v := range s.File.AllVars() {
		ours[v.Name] = v.Addr + s.Bias
	}
	for name, addr := range ours {
		there, ok := theirs[name]
		switch {
		case !ok && err == nil:
			t.differs("%s: ri has it at %#x, Delve doesn't have it", name, addr)
		case ok && addr != there:
			t.differs("%s: ri has it at %#x, Delve at %#x", name, addr, there)
		case ok:
			t.same++
		}
	}
	for name, addr := range theirs {
		// Without a package it is one of C, which ri doesn't know.
		if _, ok := ours[name]; !ok && strings.Contains(name, ".") {
			t.differs("%s: Delve has it at %#x, ri doesn't have it", name, addr)
		}
	}
	return t.check("package variables lie where Delve has them", err)
}

func verifyTypes(s Subject, delve *Delve, clock *clock) Check {
	t := &tally{what: "types"}
	ours := s.File.TypeNames()
	var theirs []string
	err := contain(func() (err error) {
		theirs, err = delve.target.BinInfo().Types()
		return err
	})
	raw := make(map[string]string, len(theirs))
	for i, name := range theirs {
		if i%typeChunk == 0 && err == nil {
			err = clock.over(i, len(theirs), "types")
		}
		if err != nil {
			break
		}
		raw[plain(name)] = name
		if !strings.HasPrefix(name, "C.") { // types of C, as Delve names them
			t.typeSize(s, delve, plain(name), name)
		}
	}
	for _, name := range ours {
		if _, ok := raw[name]; !ok && err == nil {
			t.typeSize(s, delve, name, name)
		}
	}
	return t.check("types have the size that Delve has", err)
}

// typeSize compares a type's size. name is ri's name of it, raw Delve's.
func (t *tally) typeSize(s Subject, delve *Delve, name, raw string) {
	mine, err := s.File.Type(name)
	size, none := int64(0), false
	failed := contain(func() error {
		typ, err := delve.target.BinInfo().FindType(raw)
		if err == nil {
			size = typ.Size()
			_, none = typ.(*godwarf.UnspecifiedType)
		}
		return err
	})
	switch {
	case none: // which stands in debug information for what has no type
	case err != nil && failed != nil:
		t.couldNot("%s: %v", name, err)
	case err != nil:
		t.differs("%s: Delve knows it, ri doesn't: %v", name, err)
	case failed != nil:
		t.differs("%s: ri knows it, Delve doesn't: %v", name, failed)
	case mine.Size != size:
		t.differs("%s: ri says %d bytes, Delve %d", name, mine.Size, size)
	default:
		t.same++
	}
}
