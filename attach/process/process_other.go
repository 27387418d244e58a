//go:build !linux || !amd64

package process

import (
	"fmt"
	"runtime"

	"ri/attach"
)

// Open is for Linux on amd64.
func Open(pid int) (attach.Target, error) {
	return nil, fmt.Errorf("live processes on %s/%s; open a core file instead (-c CORE): %w", runtime.GOOS,
		runtime.GOARCH, attach.ErrNotSupported)
}
