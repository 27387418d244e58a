package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"ri/files"
	"ri/instruments/recipes"
	"ri/instruments/rows"

	"github.com/kballard/go-shellquote"
	"gopkg.in/yaml.v3"
)

// trial is a test of an instrument, as *.test.yaml declares it.
type trial struct {
	Build  string // a shell command before, in the file's folder
	Target string // a shell command that starts the target; it is killed afterwards
	Ready  string // what the target says when it is ready; "": as soon as it says anything
	Core   string // in the place of target
	Exe    string // the core's
	// Recording, in their place, is looked at; with a target, it is made of that when a person wants it anew.
	Recording string
	Run       runs     // what follows ri run: ./my.lua name=alpha
	Exit      int      // expected; 0 if it isn't said
	Hide      []string // regular expressions of what varies; it is replaced by ...
	name      string
	file      string
}

// runs is a line, or a list of them.
type runs []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (r *runs) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*r = runs{n.Value}
		return nil
	}
	return n.Decode((*[]string)(r))
}

// trialKeys are what a test may declare.
var trialKeys = []string{"build", "target", "ready", "core", "exe", "recording", "run", "exit", "hide"}

// TrialOptions says what is written anew.
type TrialOptions struct {
	Update bool // what is printed, as what is wanted
	Record bool // recordings, of the tests that say of which target, and Update for those
}

// unknownKey is how the decoder of YAML says that a key is none of those.
var unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)

// trialPatience is how long a target may take to say that it is ready.
const trialPatience = time.Minute

// RunTrials runs the tests in a folder's *.test.yaml, or in one of those. Each has a target, a core or a recording, and
// the line that follows ri run, or several. What that must print is in NAME.golden beside it.
func RunTrials(ctx context.Context, out *rows.Output, dir string, opt TrialOptions) error {
	trials, err := readTrials(dir)
	if err != nil {
		return rows.Usage(err)
	}
	failed := 0
	var list []rows.Row
	for _, t := range trials {
		began := time.Now()
		result, why := "ok", ""
		record := opt.Record && t.Recording != "" && t.Target != ""
		update := opt.Update || record
		if err := t.run(ctx, update, record); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			result, why = "failed", err.Error()
			failed++
		} else if update {
			result = "written"
		}
		list = append(list, rows.Of("test", t.name, "result", result, "took", time.Since(began).Round(time.Millisecond)))
		if why != "" {
			if out.Format == rows.Table {
				out.Log(t.name + ": " + why)
			} else {
				list[len(list)-1] = append(list[len(list)-1], rows.Cell{Name: "why", Value: why})
			}
		}
	}
	if err := out.WriteRows([]rows.Column{{Name: "test"}, {Name: "result"}, {Name: "took", Type: rows.ColumnDuration}},
		list); err != nil {
		return err
	}
	if err := out.Commit(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s failed", failed, rows.Plural(int64(len(list)), "test"))
	}
	return nil
}

func readTrials(dir string) (trials []*trial, err error) {
	paths := []string{dir}
	if !strings.HasSuffix(dir, ".test.yaml") {
		if paths, err = filepath.Glob(filepath.Join(dir, "*.test.yaml")); err != nil {
			return nil, err
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no tests in %s: a test is declared in a file *.test.yaml (docs/recipes.md says how)", dir)
	}
	for _, file := range paths {
		data, err := files.Read(file, files.MaxText)
		if err != nil {
			return nil, err
		}
		named := map[string]*trial{}
		decoder := yaml.NewDecoder(bytes.NewReader(data))
		decoder.KnownFields(true)
		if err := decoder.Decode(&named); err != nil {
			text := unknownKey.ReplaceAllStringFunc(recipes.YamlError(file, err).Error(), func(m string) string {
				key := unknownKey.FindStringSubmatch(m)[1]
				return "no key " + key + rows.DidYouMean(key, trialKeys)
			})
			return nil, errors.New(text)
		}
		for _, name := range rows.SortedKeys(named) {
			t := named[name]
			if why := t.lacks(); why != "" {
				return nil, fmt.Errorf("%s: test %s %s", file, name, why)
			}
			t.name, t.file = name, file
			trials = append(trials, t)
		}
	}
	return trials, nil
}

// lacks says what is wrong with what a test declares.
func (t *trial) lacks() string {
	switch {
	case t == nil || len(t.Run) == 0 || slices.Contains(t.Run, ""):
		return "needs run"
	case t.Target == "" && t.Core == "" && t.Recording == "":
		return "needs a target, a core or a recording"
	case t.Core != "" && (t.Target != "" || t.Recording != ""):
		return "has a core, and a target or a recording besides; it needs one of them"
	}
	return ""
}

func (t *trial) run(ctx context.Context, update, record bool) error {
	hide := make([]*regexp.Regexp, len(t.Hide))
	for i, pattern := range t.Hide {
		var err error
		if hide[i], err = regexp.Compile(pattern); err != nil {
			return fmt.Errorf("hide: %w", err)
		}
	}
	where := []string{"-c", t.Core}
	switch {
	case t.Recording != "" && !record:
		where = []string{"-r", t.Recording}
	case t.Core == "":
		target, err := t.begin(ctx)
		if err != nil {
			return err
		}
		defer target.end()
		where = []string{"-p", strconv.Itoa(target.cmd.Process.Pid)}
	case t.Exe != "":
		where = append(where, "--exe", t.Exe)
	}
	if record {
		if err := t.record(ctx, where); err != nil {
			return err
		}
		where = []string{"-r", t.Recording}
	}
	got := ""
	for _, line := range t.Run {
		if len(t.Run) > 1 {
			got += "$ ri run " + line + "\n"
		}
		text, err := t.printed(ctx, line, where)
		if err != nil {
			return err
		}
		if got += text; len(t.Run) > 1 && !strings.HasSuffix(got, "\n") {
			got += "\n"
		}
	}
	for _, h := range hide {
		got = h.ReplaceAllString(got, "...")
	}
	golden := filepath.Join(filepath.Dir(t.file), t.name+".golden")
	if update {
		return os.WriteFile(golden, []byte(got), 0o644)
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		return fmt.Errorf("%w; ri test %s --update writes it", err, filepath.Dir(t.file))
	}
	if got != string(want) {
		return errors.New("prints something else than " + golden + " (- wanted, + printed):\n" + lineDiff(string(want), got))
	}
	return nil
}

// begin builds and starts the target.
func (t *trial) begin(ctx context.Context) (*trialTarget, error) {
	dir := filepath.Dir(t.file)
	if t.Build != "" {
		build := exec.CommandContext(ctx, "sh", "-c", t.Build)
		build.Dir = dir
		if text, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build: %w: %s", err, text)
		}
	}
	return t.start(ctx, dir)
}

// record makes the recording anew, of what the lines read.
func (t *trial) record(ctx context.Context, where []string) error {
	var recipes []string
	for _, line := range t.Run {
		words, err := shellquote.Split(line)
		if err != nil {
			return fmt.Errorf("run: %w", err)
		}
		recipes = append(recipes, slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "-") })...)
	}
	path := filepath.Join(filepath.Dir(t.file), t.Recording)
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, slices.Concat([]string{"record", "-o", t.Recording + ".new"}, where, recipes)...)
	cmd.Dir = filepath.Dir(t.file)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ri record: %w: %s", err, text)
	}
	return os.Rename(fresh, path)
}

// printed is what ri run prints for a line, in a process of its own, as a person runs it. The words are the shell's, so
// that they can be quoted.
func (t *trial) printed(ctx context.Context, line string, where []string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", `exec "$0" run `+line+` "$@"`, self)
	cmd.Args = append(cmd.Args, where...)
	cmd.Dir = filepath.Dir(t.file)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if cmd.ProcessState == nil {
		return "", err
	}
	if code := cmd.ProcessState.ExitCode(); code != t.Exit {
		return "", fmt.Errorf("ri run %s exits with %d, want %d: %s", line, code, t.Exit, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// trialTarget is a target that a test started.
type trialTarget struct {
	cmd   *exec.Cmd
	ready chan struct{}
	mu    sync.Mutex
	said  strings.Builder
	text  string
	once  sync.Once
}

// Write takes what the target says.
func (t *trialTarget) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.said.Len() < 1<<20 {
		t.said.Write(p)
	}
	if strings.Contains(t.said.String(), t.text) {
		t.once.Do(func() { close(t.ready) })
	}
	return len(p), nil
}

func (t *trial) start(ctx context.Context, dir string) (*trialTarget, error) {
	target := &trialTarget{cmd: exec.Command("sh", "-c", "exec "+t.Target), ready: make(chan struct{}), text: t.Ready}
	target.cmd.Dir = dir
	target.cmd.Stdout, target.cmd.Stderr = target, target
	target.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	target.cmd.WaitDelay = time.Second
	if err := target.cmd.Start(); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	ended := make(chan struct{})
	go func() { target.cmd.Wait(); close(ended) }()
	select {
	case <-target.ready:
		return target, nil
	case <-ended:
		return nil, fmt.Errorf("the target ended before it was ready: %s", target.saidText())
	case <-ctx.Done():
		target.end()
		return nil, context.Cause(ctx)
	case <-time.After(trialPatience):
		target.end()
		return nil, fmt.Errorf("the target did not say %q within %s; it said: %s", t.Ready,
			rows.DurationText(trialPatience), target.saidText())
	}
}

func (t *trialTarget) saidText() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.said.String())
}

// end kills the target and what it started: its process group, which is the test's own.
func (t *trialTarget) end() { _ = syscall.Kill(-t.cmd.Process.Pid, syscall.SIGKILL) }

// lineDiff shows lines that only one of two texts has.
func lineDiff(want, got string) string {
	wanted, printed := strings.Split(want, "\n"), strings.Split(got, "\n")
	var b strings.Builder
	for _, l := range wanted {
		if !slices.Contains(printed, l) {
			b.WriteString("- " + l + "\n")
		}
	}
	for _, l := range printed {
		if !slices.Contains(wanted, l) {
			b.WriteString("+ " + l + "\n")
		}
	}
	if b.Len() == 0 {
		return "the same lines in another order"
	}
	return strings.TrimSuffix(b.String(), "\n")
}
