//go:build amd64

package attach

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Nanotime implements Target. A time namespace may shift the target's clock against ours (time_namespaces(7)).
func (p *Process) Nanotime() int64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0
	}
	return now.Nano() + monotonicOffset(p.proc("timens_offsets")) - monotonicOffset("/proc/self/timens_offsets")
}

// monotonicOffset reads the line "monotonic SECONDS NANOSECONDS"; a kernel without time namespaces has no such file.
func monotonicOffset(path string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(data) {
		var seconds, nanos int64
		if n, _ := fmt.Sscanf(string(line), "monotonic %d %d", &seconds, &nanos); n == 2 {
			return seconds*1e9 + nanos
		}
	}
	return 0
}
