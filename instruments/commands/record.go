package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"ri/attach"
	"ri/files"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/record"
	"ri/record/redact"
	"ri/record/seal"
)

// RecordOptions says what is recorded, and what of it is kept.
type RecordOptions struct {
	File        string   // which must not be there
	Recipes     []string // names, each with its NAME=VALUE after it; none: what is asked first on every site
	Exec        string   // a Lua file
	All         bool     // every reading recipe that fits
	Policy      string   // file of rules
	KeyFile     string   // of the tokens' key; "": one that is thrown away
	DenyNumbers bool
	// WholeSymbols has all that the executable says of itself travel along.
	WholeSymbols bool
	Heap         bool     // all that is reachable, too
	EncryptTo    []string // keys, or files of keys, of who may read it
	Series
}

// asked first on every site.
var firstRecipes = []string{"check", "goroutines", "locks", "channels"}

const (
	heapRecipe = "heap"
	// generalCategory is of instruments that fit any program.
	generalCategory = "go"
)

func (o RecordOptions) check(choice looks.TargetChoice) error {
	switch {
	case choice.Recording != "":
		return rows.Usagef("ri record makes a recording of a process (-p PID) or of a core (-c CORE)")
	case o.Every != 0 || o.For != 0:
		if err := o.Series.check(o.File); err != nil {
			return err
		}
	case o.File == "" || o.File == "-":
		return rows.Usagef("ri record writes into a file: name one that isn't there yet (-o FILE)")
	case o.All && (len(o.Recipes) > 0 || o.Exec != ""), o.Exec != "" && len(o.Recipes) > 0:
		return rows.Usagef("recipes by name, --exec and --all exclude each other")
	}
	if _, err := os.Lstat(o.File); err == nil && o.Every == 0 {
		return rows.Usagef("-o %s: is there already, and ri record overwrites nothing; name another file", o.File)
	}
	return choice.Need()
}

// redaction is what is kept, and the key of tokens.
func (o RecordOptions) redaction() (opt record.Options, err error) {
	opt.Policy = &redact.Policy{}
	if o.Policy != "" {
		if opt.Policy, err = policyOf(o.Policy); err != nil {
			return opt, err
		}
	}
	opt.Policy.DenyNumbers = opt.Policy.DenyNumbers || o.DenyNumbers
	if opt.Recipients, err = seal.ReadRecipients(o.EncryptTo); err != nil {
		return opt, rows.Usage(fmt.Errorf("--encrypt-to: %w", err))
	}
	opt.Key = redact.NewKey()
	if o.KeyFile == "" {
		return opt, nil
	}
	opt.KeyKept = true
	opt.Key, err = keyOf(o.KeyFile, opt.Key)
	return opt, err
}

// policyOf reads the rules of a file.
func policyOf(path string) (*redact.Policy, error) {
	file, err := files.Open(path)
	if err != nil {
		return nil, rows.Usage(fmt.Errorf("--policy: %w", err))
	}
	defer file.Close()
	p, err := redact.ReadPolicy(file, path)
	if err != nil {
		return nil, rows.Usage(err)
	}
	return p, nil
}

// keyOf reads the key of a file, or puts a new one there.
func keyOf(path string, fresh [redact.KeySize]byte) ([redact.KeySize]byte, error) {
	file, err := files.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(path, fmt.Appendf(nil, "%x\n", fresh), 0o600); err != nil {
			return fresh, rows.Usage(fmt.Errorf("--key-file: %w", err))
		}
		return fresh, nil
	}
	if err != nil {
		return fresh, rows.Usage(fmt.Errorf("--key-file: %w", err))
	}
	defer file.Close()
	key, err := redact.ReadKey(file)
	if err != nil {
		return key, rows.Usage(fmt.Errorf("--key-file %s: %w", path, err))
	}
	return key, nil
}

// first are the plans of what is asked first on every site, of what is made for this program, and of the heap's types,
// if that can be had within the limits.
func first(c *recipes.Catalogue, s *looks.Session, look looks.Options, note func(string)) []*looks.Plan {
	return s.Fitting(c, look, func(p *looks.Plan) bool {
		switch {
		case slices.Contains(firstRecipes, p.Recipe.Name):
			return true
		case p.Recipe.Name == heapRecipe:
			err := s.NoRoom(p)
			if err != nil {
				note(fmt.Sprintf("%s is left out: %v", heapRecipe, err))
			}
			return err == nil
		}
		return recipes.HeaderOf(p.Script).Category != generalCategory
	})
}

// plans are what is to be run.
func (o RecordOptions) plans(c *recipes.Catalogue, s *looks.Session, look looks.Options,
	note func(string)) ([]*looks.Plan, error) {
	switch {
	case o.All:
		return s.Fitting(c, look, nil), nil
	case o.Exec != "":
		p, err := looks.PrepareLua(c, o.Exec, "", nil, look)
		return []*looks.Plan{p}, err
	}
	names := o.Recipes
	if len(names) == 0 {
		return first(c, s, look, note), nil
	}
	var plans []*looks.Plan
	for len(names) > 0 {
		n := 1
		for n < len(names) && strings.Contains(names[n], "=") {
			n++
		}
		p, err := looks.Prepare(c, names[0], names[1:n], look)
		if err != nil {
			return nil, err
		}
		if p.Recipe.Mode == recipes.Write {
			return nil, rows.Usagef("recipe %s changes the target; a recording only looks", p.Recipe.Name)
		}
		if p.Traces() {
			return nil, rows.Usagef("recipe %s traces; a recording only looks", p.Recipe.Name)
		}
		plans, names = append(plans, p), names[n:]
	}
	return plans, nil
}

// Record makes a recording of what instruments look at, which appears whole or not at all.
func Record(ctx context.Context, out *rows.Output, c *recipes.Catalogue, choice looks.TargetChoice, look looks.Options,
	opt RecordOptions) error {
	if err := opt.check(choice); err != nil {
		return err
	}
	options, err := opt.redaction()
	if err != nil {
		return err
	}
	options.Look, options.Version, options.WholeSymbols = look, OwnVersion(), opt.WholeSymbols
	options.Heap = opt.Heap
	s, err := looks.OpenSession(choice)
	if err != nil {
		return err
	}
	defer s.Close()
	recorder := record.New(s, options)
	plans, err := opt.plans(c, s, look, out.Log)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if err := s.CheckPlan(ctx, p); err != nil {
			return err
		}
	}
	r := recording{recorder: recorder, plans: plans, out: out}
	if opt.Every != 0 {
		return r.series(ctx, opt.File, opt.Series)
	}
	return r.make(ctx, opt.File, reportRecording)
}

// recording is what is to be recorded, once or again and again.
type recording struct {
	recorder *record.Recorder
	plans    []*looks.Plan
	out      *rows.Output
}

// madeOf is what there is to say of one.
type madeOf struct {
	path    string
	size    int64
	header  *record.Header
	results []*rows.Result
	whole   *rows.Result
	took    time.Duration
}

// make makes a recording, which appears whole or not at all.
func (r recording) make(ctx context.Context, path string, report func(*rows.Output, madeOf) error) error {
	did := madeOf{path: path}
	began := time.Now()
	if err := newFile(path, func(file *os.File) (err error) {
		if did.header, did.results, did.whole, err = r.recorder.State(ctx, r.plans, file, r.out); err != nil {
			return err
		}
		did.size, err = file.Seek(0, io.SeekEnd)
		return err
	}); err != nil {
		return err
	}
	did.took = time.Since(began)
	return report(r.out, did)
}

// reportRecording says what was recorded, and what was not.
func reportRecording(out *rows.Output, did madeOf) error {
	h := did.header
	did.problems(out)
	if out.Format != rows.Table {
		out.Of = did.whole
		return out.WriteOne(did.row())
	}
	names := make([]string, len(h.Recipes))
	for i, r := range h.Recipes {
		names[i] = r.Recipe
	}
	return out.WriteText(fmt.Sprintf("%s: %s of what %s looked at in %s; %d texts became tokens, %s were not kept; %s; "+
		"%s in %s\n"+
		"look at it: ri check -r %s\n",
		did.path, rows.ShortBytes(h.Counts.Kept), strings.Join(names, ", "), h.Program.Executable, h.Counts.Tokens,
		rows.ShortBytes(h.Counts.Denied+h.Counts.Unknown), stopText(attach.Stats(did.whole.Stats)), rows.ShortBytes(did.size),
		rows.ShortDuration(did.took), did.path))
}

// problems says what was not recorded.
func (did madeOf) problems(out *rows.Output) {
	var failed []string
	for _, r := range did.results {
		switch {
		case r.Err != nil:
			failed = append(failed, fmt.Sprintf("%s: %v", r.Recipe, r.Err))
		case len(r.Partial) > 0:
			failed = append(failed, fmt.Sprintf("%s: %s", r.Recipe, strings.Join(r.Partial, "; ")))
		}
	}
	for _, note := range append(did.whole.Notes, failed...) {
		out.Log("note: " + note)
	}
}

func (did madeOf) row() rows.Row {
	h := did.header
	return rows.Of("file", did.path, "size_bytes", did.size, "recipes", int64(len(h.Recipes)),
		"kept_bytes", h.Counts.Kept, "denied_bytes", h.Counts.Denied, "unknown_bytes", h.Counts.Unknown, "tokens",
		h.Counts.Tokens, "stops", int64(h.Stop.Stops), "stopped_ns", h.Stop.Stopped, "took_ns", did.took)
}
