//go:build amd64

package attach

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// WritePieces implements Writer. There are at most 1,024.
func (v *stoppedView) WritePieces(pieces []Piece) (int, error) {
	v.writing.Lock()
	defer v.writing.Unlock()
	if v.ended.Load() {
		return 0, v.Err()
	}
	if len(pieces) == 0 || len(pieces) > maxIovecs {
		return 0, fmt.Errorf("writing %d pieces at once: 1 to %d can be: %w", len(pieces), maxIovecs, ErrNotSupported)
	}
	local := make([]unix.Iovec, 0, len(pieces))
	remote := make([]unix.RemoteIovec, 0, len(pieces))
	total := 0
	for i := range pieces {
		p := &pieces[i]
		if len(p.Data) == 0 {
			continue
		}
		local = append(local, unix.Iovec{Base: &p.Data[0], Len: uint64(len(p.Data))})
		remote = append(remote, unix.RemoteIovec{Base: uintptr(p.Addr), Len: len(p.Data)})
		total += len(p.Data)
	}
	n, _, e := unix.Syscall6(unix.SYS_PROCESS_VM_WRITEV, uintptr(v.mem.pid),
		uintptr(unsafe.Pointer(&local[0])), uintptr(len(local)), uintptr(unsafe.Pointer(&remote[0])), uintptr(len(remote)), 0)
	written := int(n)
	if e != 0 {
		written = 0
	}
	if written == total {
		return written, nil
	}
	switch e {
	case 0, unix.EFAULT: // the kernel stops at the first page that can't be written
		at, left := pieces[0].Addr, written
		for _, p := range pieces {
			if left < len(p.Data) {
				at = p.Addr + uint64(left)
				break
			}
			left -= len(p.Data)
		}
		return written, fmt.Errorf("writing %s: %w", v.name, &AddressError{Addr: at, Why: "or is read-only"})
	case unix.ESRCH:
		return written, fmt.Errorf("writing %s: %w", v.name, ErrExited)
	case unix.EPERM, unix.ENOSYS:
		return written, fmt.Errorf("writing %s: process_vm_writev is refused (%v): a seccomp filter of ri's container? %w", v.name, e, ErrPermission)
	}
	return written, fmt.Errorf("writing %s: process_vm_writev: %w", v.name, e)
}

// Identity names this run of this program, and no other on any machine: the machine's boot, the process's start, in clock ticks since then, and a digest of the
// auxiliary vector, whose random addresses each exec chooses anew.
func (p *Process) Identity() string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it the rest still tells
	sum := sha256.Sum256(p.auxv)
	return fmt.Sprintf("%s/%d/%x", strings.TrimSpace(string(boot)), p.startTime, sum[:8])
}

// Started is when the process was started.
func (p *Process) Started() time.Time {
	var since unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &since) != nil {
		return time.Time{}
	}
	const ticks = 100 // sysconf(_SC_CLK_TCK), fixed for user space (USER_HZ)
	return time.Now().Add(-time.Duration(since.Nano())).Add(time.Duration(p.startTime) * time.Second / ticks).Truncate(10 * time.Millisecond)
}
