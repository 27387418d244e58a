//go:build linux && amd64

package player

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"ri/record/format"
	"ri/record/streams"
	"ri/replay/sandbox"
)

// ErrBinary tells that the executable that was recorded isn't here, and none was named.
var ErrBinary = errors.New("the executable has to be named (--binary)")

// Replay replays a recording. What the program writes goes to stdout and stderr. It returns when the program has ended.
// Errors: ErrBinary, ErrNotPlayable, sandbox.ErrNotAllowed, what reading the recording gives.
func Replay(ctx context.Context, file *os.File, opt Options, stdin io.Reader, stdout, stderr io.Writer) (*Report,
	error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	recording, err := openStreams(file, info.Size())
	if err != nil {
		return nil, err
	}
	process := &recording.Header.Process
	if opt.Binary, err = chooseBinary(process, opt.Binary); err != nil {
		return nil, err
	}
	path, err := insidePath(process, opt.Binary)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(job{Options: opt, Path: path, Size: info.Size()})
	if err != nil {
		return nil, err
	}
	inside, err := sandbox.Start(ctx, text, stdin, stdout, stderr, file)
	if err != nil {
		return nil, err
	}
	defer inside.Report.Close()
	var said struct {
		Report *Report
		Error  string
		Kind   string
	}
	decoded := json.NewDecoder(inside.Report).Decode(&said)
	err = inside.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case decoded != nil:
		return nil, fmt.Errorf("the player inside ended without a word: %w", errors.Join(err, decoded))
	case said.Error != "":
		kind, ok := kinds[said.Kind]
		if !ok {
			kind = errInside
		}
		return nil, &insideError{said.Error, kind}
	}
	return said.Report, nil
}

// insideError is an error of the process inside.
type insideError struct {
	text string
	kind error
}

func (e *insideError) Error() string { return e.text }
func (e *insideError) Unwrap() error { return e.kind }

var errInside = errors.New("inside")

// kinds are the errors that callers test for, by their name on the way out.
var kinds = map[string]error{"playable": ErrNotPlayable, "allowed": sandbox.ErrNotAllowed,
	"malformed": format.ErrMalformed}

func kindOf(err error) string {
	for name, kind := range kinds {
		if errors.Is(err, kind) {
			return name
		}
	}
	return ""
}

func openStreams(file *os.File, size int64) (*streams.Reader, error) {
	f, err := format.Open(file, size, filepath.Base(file.Name()))
	if err != nil {
		return nil, err
	}
	return streams.NewReader(f)
}

// chooseBinary gives the executable to run: the one that was named, or the one at the recorded path, if it is the same
// to the byte. So it is never the recording that says what is executed.
func chooseBinary(process *streams.Process, named string) (string, error) {
	if named != "" {
		path, err := filepath.Abs(named)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		return path, err
	}
	path := strings.TrimSuffix(process.Exe, " (deleted)")
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%w: the recording's isn't a path: %q", ErrBinary, process.Exe)
	}
	sum, err := digest(path)
	if err != nil {
		return "", fmt.Errorf("%w: the recorded one isn't here: %w", ErrBinary, err)
	}
	if sum != strings.ToLower(process.ExeSHA256) {
		return "", fmt.Errorf("%w: %s isn't the one that was recorded (its SHA-256 is %.16s..., the recorded %.16s...)",
			ErrBinary, path, sum, process.ExeSHA256)
	}
	return filepath.EvalSymlinks(path)
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(err, fmt.Errorf("%s is no regular file", path))
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// insidePath is where the program is inside: where it was recorded, if that is a place for a program.
func insidePath(process *streams.Process, binary string) (string, error) {
	path := strings.TrimSuffix(process.Exe, " (deleted)")
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || !placeable(path) {
		path = "/run/ri/" + filepath.Base(binary)
	}
	return path, nil
}

// placeable tells that something of a recording may be put at a path: not where the kernel's files are, nor where a
// loader or a shell takes code from.
func placeable(path string) bool {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || strings.ContainsRune(path, 0) || len(path) > 4000 {
		return false
	}
	for _, prefix := range []string{"/proc", "/sys", "/dev", "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32",
		"/usr/lib64", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/ld.so.cache"} {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return false
		}
	}
	return true
}
