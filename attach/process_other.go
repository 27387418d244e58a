//go:build !linux || !amd64

package attach

import (
	"fmt"
	"runtime"
)

// OpenProcess is for Linux on amd64.
func OpenProcess(pid int) (Target, error) {
	return nil, fmt.Errorf("live processes on %s/%s; open a core file instead (-c CORE): %w", runtime.GOOS, runtime.GOARCH, ErrNotSupported)
}
