package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Run runs a test without writing it into the library's folder, which may be one that can't be written, such as a
// module of the cache. passed is false where a call differs. What the go command says goes to w.
func (t *Test) Run(ctx context.Context, recording string, w io.Writer, flags ...string) (passed bool, err error) {
	dir, err := os.MkdirTemp("", "ri-replay-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	overlay := map[string]map[string]string{"Replace": {}}
	for name, text := range t.Files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return false, err
		}
		overlay["Replace"][filepath.Join(t.Dir, name)] = path
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600); err != nil {
		return false, err
	}
	abs, err := filepath.Abs(recording)
	if err != nil {
		return false, err
	}
	args := append([]string{"test", "-count=1", "-v", "-vet=off", "-overlay", filepath.Join(dir, "overlay.json"), "-run",
		"^" + t.Name + "$"}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = t.Dir
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
