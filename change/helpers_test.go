package change

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ri/attach"
	"ri/attach/process"
	"ri/symbols"
	"ri/symbols/testprogram"
	"ri/values"
)

// program is testdata/changed, running.
type program struct {
	t       testing.TB
	cmd     *exec.Cmd
	in      io.Writer
	out     *bufio.Reader
	target  Target
	file    *symbols.File
	bias    uint64
	journal string
}

func start(t testing.TB, v testprogram.Variant, args ...string) *program {
	t.Helper()
	if f := process.Capabilities(); f.Ptrace != nil {
		t.Skip("ptrace is not allowed here")
	}
	exe := testprogram.Build(t, "testdata/changed", v)
	p := &program{t: t, cmd: exec.Command(exe, args...), journal: filepath.Join(t.TempDir(), "journal.db")}
	p.cmd.Env = append(os.Environ(), "GODEBUG=gccheckmark=1", "GOTRACEBACK=all")
	stderr := &strings.Builder{}
	p.cmd.Stderr = stderr
	p.in, p.out = testprogram.Run(t, p.cmd)
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		if stderr.Len() > 0 {
			t.Errorf("the program complains:\n%.4000s", stderr)
		}
	})
	if line, err := p.out.ReadString('\n'); err != nil || !strings.HasPrefix(line, "ready") {
		t.Fatalf("the program says %q, %v", line, err)
	}
	target, err := process.Open(p.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	p.target = target.(Target)
	if p.file, err = symbols.Open(target.Executable(), "changed"); err != nil {
		t.Fatal(err)
	}
	p.bias = target.Entry() - p.file.Entry()
	return p
}

// ask gives the program's answer: what it sees itself.
func (p *program) ask(what string) string {
	p.t.Helper()
	if _, err := io.WriteString(p.in, what+"\n"); err != nil {
		p.t.Fatal(err)
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%s: no answer: %v", what, err)
	}
	return strings.TrimSpace(line)
}

// plan works a plan out on a snapshot, as ri does: rehearsed on live memory first.
func (p *program) plan(f func(*Plan) error) (*Plan, error) {
	p.t.Helper()
	ctx := context.Background()
	live, err := p.target.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		p.t.Fatal(err)
	}
	defer live.Close()
	mappings, err := p.target.Mappings()
	if err != nil {
		p.t.Fatal(err)
	}
	cache := attach.NewCache(live)
	build := func(space *values.Space) (*Plan, error) {
		plan, err := NewPlan(space, mappings, "test")
		if err != nil {
			return nil, err
		}
		return plan, f(plan)
	}
	space := values.New(p.file, cache, p.bias)
	_, _ = build(space)
	for range 5 {
		snapshot, err := p.target.View(ctx,
			attach.ViewOptions{Kind: attach.Snapshot, Pages: cache.Pages(), MaxStop: 5 * time.Second})
		if err != nil {
			p.t.Fatal(err)
		}
		cache.Exact = true
		pages := cache.Pages()
		_ = pages
		space.Mem().Reset(snapshot)
		space.Reset()
		space.SetThreads(snapshot.Threads())
		plan, err := build(space)
		if err != nil || len(snapshot.Coverage().Missed) == 0 {
			return plan, err
		}
	}
	p.t.Fatal("pages are missing from each snapshot")
	return nil, nil
}

func (p *program) options() Options {
	return Options{File: p.file, Bias: p.bias, MaxStop: 5 * time.Second, Who: WhoAmI()}
}

// commit commits a plan into the program's own journal.
func (p *program) commit(plan *Plan, opt Options) (*Outcome, error) {
	p.t.Helper()
	j, err := OpenJournal(p.journal)
	if err != nil {
		p.t.Fatal(err)
	}
	defer j.Close()
	return Commit(context.Background(), p.target, plan, j, opt)
}

// assignment is EXPR = VALUE as it is typed.
func assignment(expr, value string) func(*Plan) error {
	return func(plan *Plan) error {
		at, err := plan.At(expr)
		if err != nil {
			return err
		}
		to, err := plan.Parse(at, value)
		if err != nil {
			return err
		}
		return plan.Update(at, to)
	}
}

// set is ri set.
func (p *program) set(expr, value string) (*Outcome, error) {
	p.t.Helper()
	plan, err := p.plan(assignment(expr, value))
	if err != nil {
		return nil, err
	}
	return p.commit(plan, p.options())
}

// undo is ri undo.
func (p *program) undo(number int64, force bool) (*Outcome, error) {
	p.t.Helper()
	j, err := ReadJournal(p.journal)
	if err != nil {
		p.t.Fatal(err)
	}
	entry, err := j.Entry(number)
	if err != nil {
		p.t.Fatal(err)
	}
	plan, err := p.plan(func(on *Plan) error {
		undo, err := Undo(on.space, on.mappings, entry, p.target.Identity(), force)
		if err == nil {
			*on = *undo
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.commit(plan, p.options())
}
