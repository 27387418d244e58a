package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// AvailableMemory is MemAvailable of /proc/meminfo, or what the cgroup (v2) has left.
func AvailableMemory() int64 {
	available := int64(0)
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			var kib int64
			if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
				available = kib << 10
			}
		}
	}
	limit, used := cgroupNumber("memory.max"), cgroupNumber("memory.current")
	if limit > 0 && limit-used < available {
		available = max(limit-used, 1)
	}
	return available
}

func cgroupNumber(file string) int64 {
	group, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(group)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		data, err := os.ReadFile("/sys/fs/cgroup" + path + "/" + file)
		if err != nil {
			return 0
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		if err != nil { // "max"
			return 0
		}
		return n
	}
	return 0
}

// OomKills counts what the OOM killer has taken: of the cgroup of the process with that folder (memory.events) and of
// the machine (/proc/vmstat).
func OomKills(folder string) int64 {
	sum := int64(0)
	count := func(path string) {
		data, _ := os.ReadFile(path)
		for line := range strings.Lines(string(data)) {
			var n int64
			if k, _ := fmt.Sscanf(line, "oom_kill %d", &n); k == 1 {
				sum += n
			}
		}
	}
	count("/proc/vmstat")
	if group, err := os.ReadFile(folder + "/cgroup"); err == nil {
		for line := range strings.Lines(string(group)) {
			if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
				count("/sys/fs/cgroup" + path + "/memory.events")
			}
		}
	}
	return sum
}

// MonotonicOffset reads the line "monotonic SECONDS NANOSECONDS"; a kernel without time namespaces has no such file.
func MonotonicOffset(path string) int64 {
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
