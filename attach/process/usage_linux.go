//go:build amd64

package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"ri/attach"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ, 1/100 s on every Linux that Go supports (proc_pid_stat(5)).
const tick = 10 * time.Millisecond

// Usage reads what the kernel accounts to the process: /proc/PID/status, stat and limits (proc(5)). The process goes on
// meanwhile.
//
// Errors: ErrExited, ErrPermission, wrapped.
func (p *Process) Usage() (attach.Usage, error) {
	if err := p.checkIdentity(); err != nil {
		return attach.Usage{}, err
	}
	u := attach.Usage{At: time.Now()}
	status, err := os.ReadFile(p.proc("status"))
	if err != nil {
		return u, p.exited(err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		number, unit, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			continue
		}
		if unit == "kB" {
			n <<= 10
		}
		switch name {
		case "VmRSS":
			u.Resident = n
		case "RssFile":
			u.File = n
		case "VmSwap":
			u.Swap = n
		case "Threads":
			u.Threads = int(n)
		}
	}
	stat, err := os.ReadFile(p.proc("stat"))
	if err != nil {
		return u, p.exited(err)
	}
	// Fields 14 and 15, counted behind the name, which may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return u, fmt.Errorf("%s: %d fields, want 13 or more", p.proc("stat"), len(fields))
	}
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s: %w", p.proc("stat"), err)
		}
		u.CPU += time.Duration(n) * tick
	}
	if limits, err := os.ReadFile(p.proc("limits")); err == nil {
		for line := range strings.Lines(string(limits)) {
			if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
				if f := strings.Fields(rest); len(f) > 0 {
					u.MaxDescriptors, _ = strconv.ParseInt(f[0], 10, 64) // 0 for "unlimited"
				}
			}
		}
	}
	return u, nil
}
