//go:build amd64

package attach

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SnapshotCost is what a snapshot is estimated to cost.
type SnapshotCost struct {
	Stop      time.Duration
	Bytes     int64 // copied
	Available int64 // memory that ri may still take, in bytes: of the machine, or of its cgroup if that is less; 0 if unknown
}

const (
	samplePages = 512                    // copied, without a stop, to learn what a page costs
	bareStop    = 300 * time.Microsecond // to stop some threads, read registers and let them go
)

// SnapshotCost estimates what it costs to copy these pages, by copying a sample of them from the running process.
func (p *Process) SnapshotCost(pages []uint64) (SnapshotCost, error) {
	cost := SnapshotCost{Stop: bareStop, Bytes: int64(len(pages)) * PageSize, Available: availableMemory()}
	if len(pages) <= samplePages {
		return cost, nil
	}
	sample := make([]uint64, 0, samplePages)
	for i := range samplePages {
		sample = append(sample, pages[i*len(pages)/samplePages])
	}
	slices.Sort(sample)
	buffer, err := faultedIn(len(sample) * PageSize)
	if err != nil {
		return cost, fmt.Errorf("room for a sample: %w", err)
	}
	c := &copying{mem: p.memory(), runs: make([]run, 0, len(sample)), left: buffer}
	c.addPages(slices.Compact(sample))
	ranges := make([]Range, 0, len(c.runs))
	for _, r := range c.runs {
		ranges = append(ranges, Range{Addr: r.addr, Data: r.data})
	}
	scratch := new(ioScratch)
	best := time.Duration(0)
	for range 3 {
		began := time.Now()
		if err := c.mem.readRanges(ranges, scratch); err != nil {
			return cost, err
		}
		if took := time.Since(began); best == 0 || took < best {
			best = took
		}
	}
	workers := min(runtime.NumCPU(), maxWorkers, 1+len(pages)*PageSize/workerShare)
	cost.Stop += best * time.Duration(len(pages)) / samplePages / time.Duration(workers)
	return cost, nil
}

// availableMemory is MemAvailable of /proc/meminfo, or what the cgroup (v2) has left.
func availableMemory() int64 {
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
