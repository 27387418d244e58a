package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ri/attach/recorded"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/record/format"
	"ri/record/redact"
	"ri/record/seal"
)

// scriptPlan is the script of testdata/version1.lua.
func scriptPlan(t *testing.T, opt looks.Options) *looks.Plan {
	t.Helper()
	plan, err := looks.PrepareLua(&recipes.Catalogue{}, filepath.Join("testdata", "version1.lua"), "", nil, opt)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// recordScript records what the script looks at in a running program.
func recordScript(t *testing.T, pid int, opt Options) (path string) {
	t.Helper()
	s, err := looks.OpenSession(looks.TargetChoice{PID: fmt.Sprint(pid)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	opt.Look, opt.Key = looks.Options{MaxStop: time.Minute, MaxTime: time.Hour}, redact.NewKey()
	r := New(s, opt)
	file, err := os.Create(filepath.Join(t.TempDir(), "r"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, results, _, err := r.State(context.Background(), []*looks.Plan{scriptPlan(t, opt.Look)}, file, nil)
	if err != nil || results[0].Err != nil {
		t.Fatal(err, results)
	}
	return file.Name()
}

// TestCut cuts a recording at each block, and inside of it: what is there is shown, of which process it is is known
// before there is memory, and once all of the first look is there it answers.
func TestCut(t *testing.T) {
	path := recordScript(t, program(t), Options{})
	whole, err := recorded.Open(path, seal.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	answered, targets, sizes := 0, 0, 0
	for _, b := range whole.File().Blocks() {
		for _, end := range []int64{b.Offset, b.Offset + 20, b.Offset + 33 + b.Stored/2} {
			cut := filepath.Join(t.TempDir(), "cut")
			if err := os.WriteFile(cut, data[:end], 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := recorded.OpenFile(cut, seal.Identities{})
			if err != nil || r.CutShort() == "" {
				t.Fatalf("cut at %d, in block %s: %v", end, b.Name, err)
			}
			var all strings.Builder
			if err := Export(r.File(), r, &all); err != nil || all.Len() < sizes {
				t.Errorf("cut at %d, in block %s: %d bytes are shown, %d before: %v", end, b.Name, all.Len(), sizes, err)
			}
			sizes = max(sizes, all.Len()/2) // its last bytes may be shown otherwise, as part of a value
			if _, err := Check(r.File(), r, nil, false); err != nil {
				t.Errorf("cut at %d, in block %s: %v", end, b.Name, err)
			}
			r.Close()
			if end != b.Offset {
				continue
			}
			s, err := looks.OpenSession(looks.TargetChoice{Recording: cut})
			if err != nil {
				if !errors.Is(err, format.ErrCutShort) || strings.HasPrefix(b.Name, "memory/") {
					t.Errorf("cut at %d, in block %s: %v", end, b.Name, err)
				}
				continue
			}
			targets++
			res, err := s.Run(context.Background(), scriptPlan(t, looks.Options{}), nil)
			if err != nil || !strings.Contains(fmt.Sprint(res.Notes), "cut short") {
				t.Errorf("cut at %d, in block %s: %v", end, b.Name, err)
			} else if len(res.Rows) == 3 {
				answered++
			}
			s.Close()
		}
	}
	if targets < 4 || answered < 2 || answered == targets {
		t.Errorf("%d cut files were targets, %d of them answered", targets, answered)
	}
}

// TestFirstVersion reads a file of version 1, which testdata/version1.lua made of testdata/secrets: the same script
// answers from it, and all that is done with a file works.
func TestFirstVersion(t *testing.T) {
	path := filepath.Join("testdata", "version1.rec")
	r, err := recorded.Open(path, seal.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.File().Version() != 1 || r.Looks() != 2 || len(r.File().Verify()) > 0 {
		t.Errorf("version %d, %d looks, %v", r.File().Version(), r.Looks(), r.File().Verify())
	}
	s, err := looks.OpenSession(looks.TargetChoice{Recording: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	res, err := s.Run(context.Background(), scriptPlan(t, looks.Options{}), nil)
	if err != nil || res.Err != nil {
		t.Fatal(err, res.Err)
	}
	if n := len(res.Printed); len(res.Rows) != 3 || n < 4 || res.Printed[n-1].Text != "true" ||
		!strings.Contains(fmt.Sprint(res.Rows), "\u2039") {
		t.Errorf("%d rows, printed %v, %v", len(res.Rows), res.Printed, res.Rows)
	}
	audit, err := Check(r.File(), r, nil, true)
	if err != nil || len(audit.Kept) == 0 || len(audit.Found) > 0 {
		t.Errorf("check: %+v, %v", audit, err)
	}
	var all strings.Builder
	if err := Export(r.File(), r, &all); err != nil || !strings.Contains(all.String(), `"type":"main.customer"`) {
		t.Errorf("export: %d bytes, %v", all.Len(), err)
	}
	core, err := os.Create(filepath.Join(t.TempDir(), "core"))
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	if done, err := Core(r.File(), r, core); err != nil || done.Threads == 0 {
		t.Errorf("core: %+v, %v", done, err)
	}
	if head, err := io.ReadAll(io.NewSectionReader(core, 0, 4)); err != nil || string(head) != "\x7fELF" {
		t.Errorf("core: %q, %v", head, err)
	}
}

// TestReader has the reader in Python, which was written from docs/recording.md alone, read files of both versions.
func TestReader(t *testing.T) {
	for _, tool := range []string{"python3", "zstd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	again, _ := tightened(t, filepath.Join("testdata", "version1.rec"), Options{Policy: &redact.Policy{}})
	for _, path := range []string{filepath.Join("testdata", "version1.rec"), again} {
		out, err := exec.Command("python3", filepath.Join("testdata", "reader.py"), path, "^main.customer$").CombinedOutput()
		if n := strings.Count(string(out), " main.customer Name token "); err != nil || n != 3 {
			t.Errorf("%s: %d names, %v\n%s", path, n, err, out)
		}
	}
}
