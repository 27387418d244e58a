package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Run runs a test without writing it into the library's folder, which may be one that can't be written, such as a
// module of the cache. passed is false where a call differs. What the go command says goes to w.
func (t *Test) Run(ctx context.Context, recording string, w io.Writer, flags ...string) (passed bool, err error) {
	dir, err := os.MkdirTemp("", "ri-replay-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	place := t.overlay
	if t.module != nil && !t.module.Main {
		place = t.copied
	}
	where, args, err := place(ctx, dir)
	if err != nil {
		return false, err
	}
	abs, err := filepath.Abs(recording)
	if err != nil {
		return false, err
	}
	args = append(append([]string{"test", "-count=1", "-v", "-vet=off", "-run", "^" + t.Name + "$"}, flags...), args...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = where
	cmd.Env = append(os.Environ(), "RI_REPLAY="+abs)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(w, &out), w
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &exit) && bytes.Contains(out.Bytes(), []byte("--- FAIL: "+t.Name)):
		return false, nil
	}
	return false, fmt.Errorf("go test in %s: %w", t.Dir, err)
}

// overlay has the test lie in the library's folder for the go command only.
func (t *Test) overlay(_ context.Context, dir string) (where string, args []string, err error) {
	overlay := map[string]map[string]string{"Replace": {}}
	for name, text := range t.Files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return "", nil, err
		}
		overlay["Replace"][filepath.Join(t.Dir, name)] = path
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		return "", nil, err
	}
	path := filepath.Join(dir, "overlay.json")
	return t.Dir, []string{"-overlay", path, "."}, os.WriteFile(path, list, 0o600)
}

// copied has the test lie in a copy of the library's module, without its own tests and what they need: the go command
// takes no overlay of its cache. Everything else is of the versions that the program was built with.
func (t *Test) copied(ctx context.Context, dir string) (where string, args []string, err error) {
	to := filepath.Join(dir, "module")
	err = filepath.WalkDir(t.module.Dir, func(path string, d fs.DirEntry, err error) error {
		rel, why := filepath.Rel(t.module.Dir, path)
		switch {
		case err != nil || why != nil:
			return errors.Join(err, why)
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case strings.HasSuffix(rel, "_test.go") || !d.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), text, 0o600)
	})
	if err != nil {
		return "", nil, err
	}
	mod := filepath.Join(to, "go.mod") // one of before there were modules has none
	if _, err := os.Stat(mod); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(mod, []byte("module "+t.module.Path+"\n\ngo 1.22\n"), 0o600); err != nil {
			return "", nil, err
		}
	}
	rel, err := filepath.Rel(t.module.Dir, t.Dir)
	if err != nil {
		return "", nil, err
	}
	for name, text := range t.Files {
		if err := os.WriteFile(filepath.Join(to, rel, name), text, 0o600); err != nil {
			return "", nil, err
		}
	}
	cmd := exec.CommandContext(ctx, "go", "env", "GOMOD")
	cmd.Dir = t.main
	main, err := cmd.Output()
	if err != nil {
		return "", nil, fmt.Errorf("go env GOMOD in %s: %w", t.main, err)
	}
	mod = filepath.Join(dir, "replay.mod")
	for from, to := range map[string]string{"go.mod": mod, "go.sum": filepath.Join(dir, "replay.sum")} {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(strings.TrimSpace(string(main))), from))
		if err != nil {
			return "", nil, err
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			return "", nil, err
		}
	}
	edit := exec.CommandContext(ctx, "go", "mod", "edit", "-replace", t.module.Path+"="+to, mod)
	if out, err := edit.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("go mod edit: %w: %s", err, out)
	}
	return t.main, []string{"-modfile", mod, t.Package}, nil
}
