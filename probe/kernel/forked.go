package kernel

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Forked are children of the process, once the probes are gone, that forked without executing anything else while these
// were armed. They have its breakpoints, so their calls cost what a hit costs, and are not counted: the kernel runs
// programs for the process that was asked for alone.
func (a *Armed) Forked() []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.forked
}

// findForked looks at the first probed instruction of each child: a breakpoint there that the file doesn't have was
// inherited.
func (a *Armed) findForked() (out []int) {
	var at spot
	for _, p := range a.places {
		if at = p; !p.back && !p.nowhere {
			break
		}
	}
	if len(a.places) == 0 || at.back || at.nowhere {
		return nil
	}
	const breakpoint = 0xcc
	var own [1]byte
	if _, err := a.file.ReadAt(own[:], int64(at.offset)); err != nil || own[0] == breakpoint {
		return nil
	}
	pc := a.probes[at.probe].Sites[at.site].PC + a.target.Bias
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", a.target.PID))
	for _, list := range lists {
		data, _ := os.ReadFile(list)
		for _, field := range bytes.Fields(data) {
			pid, err := strconv.Atoi(string(field))
			if err != nil {
				continue
			}
			var b [1]byte
			local := []unix.Iovec{{Base: &b[0], Len: 1}}
			n, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(pc), Len: 1}}, 0)
			if err == nil && n == 1 && b[0] == breakpoint {
				out = append(out, pid)
			}
		}
	}
	return out
}
