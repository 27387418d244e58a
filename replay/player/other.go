//go:build !(linux && amd64)

package player

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// ErrBinary tells that the executable that was recorded isn't here, and none was named.
var ErrBinary = errors.New("the executable has to be named (--binary)")

// Inside tells that this process is a player in a sandbox, of which there are none on this system.
func Inside() bool { return false }

// RunInside plays nothing: Inside is false.
func RunInside() int { return 1 }

// Replay refuses: programs are replayed on linux/amd64.
func Replay(context.Context, *os.File, Options, io.Reader, io.Writer, io.Writer) (*Report, error) {
	return nil, fmt.Errorf("programs are replayed on linux/amd64, this is %s/%s: %w", runtime.GOOS, runtime.GOARCH,
		errors.ErrUnsupported)
}
