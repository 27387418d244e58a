//go:build linux && amd64

package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notification is struct seccomp_notif of include/uapi/linux/seccomp.h.
type notification struct {
	id    uint64
	pid   uint32 // the thread
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// archSetFS is ARCH_SET_FS of arch/x86/include/uapi/asm/prctl.h.
const archSetFS = 0x1002

// clocks are those that tell the wall clock (clock_gettime(2)).
var clocks = []uint32{unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_COARSE, unix.CLOCK_TAI}

// filter asks us of the calls that are answered, and of those that may reach a Unix socket by its path. It refuses
// what would lead out of the namespaces past both, and lets all others pass.
func filter(random bool) []unix.SockFilter {
	const (
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret    = unix.BPF_RET | unix.BPF_K
		atNR   = 0 // struct seccomp_data
		atArch = 4
		atArg0 = 16
	)
	allow := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW}
	ask := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF}
	refuse := func(errno unix.Errno) unix.SockFilter {
		return unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(errno)}
	}
	f := []unix.SockFilter{
		{Code: load, K: atArch}, {Code: equal, K: unix.AUDIT_ARCH_X86_64, Jt: 1}, allow, {Code: load, K: atNR},
	}
	always := []uint32{unix.SYS_GETTIMEOFDAY, unix.SYS_TIME, unix.SYS_CONNECT, unix.SYS_SENDMSG, unix.SYS_SENDMMSG}
	if random {
		always = append(always, unix.SYS_GETRANDOM)
	}
	for _, nr := range always {
		f = append(f, unix.SockFilter{Code: equal, K: nr, Jf: 1}, ask)
	}
	byArgument := func(nr uint32, args []uint32, answer unix.SockFilter) {
		f = append(f, unix.SockFilter{Code: equal, K: nr, Jf: uint8(2*len(args) + 2)}, unix.SockFilter{Code: load, K: atArg0})
		for _, a := range args {
			f = append(f, unix.SockFilter{Code: equal, K: a, Jf: 1}, answer)
		}
		f = append(f, allow)
	}
	byArgument(unix.SYS_CLOCK_GETTIME, clocks, ask)
	byArgument(unix.SYS_ARCH_PRCTL, []uint32{archSetFS}, ask)
	// sendto says whom it is for, or it is for whom the socket is connected to.
	f = append(f, unix.SockFilter{Code: equal, K: unix.SYS_SENDTO, Jf: 6},
		unix.SockFilter{Code: load, K: atArg0 + 4*8}, unix.SockFilter{Code: equal, K: 0, Jf: 2},
		unix.SockFilter{Code: load, K: atArg0 + 4*8 + 4}, unix.SockFilter{Code: equal, K: 0, Jt: 1}, ask, allow)
	// vsock knows no namespaces, and io_uring does what it is asked for past this filter.
	byArgument(unix.SYS_SOCKET, []uint32{unix.AF_VSOCK}, refuse(unix.EAFNOSUPPORT))
	f = append(f, unix.SockFilter{Code: equal, K: unix.SYS_IO_URING_SETUP, Jf: 1}, refuse(unix.ENOSYS))
	return append(f, allow)
}

// installFilter gives this thread the filter, and what is asked of us by it.
func installFilter(random bool) (listener int, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	f := filter(random)
	program := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	// Without the second flag (before Linux 5.19) a signal has a call that is being answered begin anew.
	for _, flags := range []uintptr{
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
	} {
		fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags,
			uintptr(unsafe.Pointer(&program)))
		if errno == 0 {
			// The answering thread and the asking one take turns: on one CPU that is faster (Linux 6.6).
			unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
			return int(fd), nil
		}
		err = errno
	}
	return -1, err
}

// answer answers what is asked, until nobody is left who could ask.
func (p *Program) answer(listener int, answers Answers) {
	runtime.LockOSThread()
	defer unix.Close(listener)
	for {
		var n notification
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV,
			uintptr(unsafe.Pointer(&n)))
		switch errno {
		case 0:
		case unix.EINTR, unix.ENOENT: // who asked was ended by a signal
			continue
		default:
			return
		}
		r := response{id: n.id}
		if done, err := p.answerOne(&n, &r, answers); !done {
			r = response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
			if err != nil && !errors.Is(err, unix.ESRCH) {
				p.fails.CompareAndSwap(nil, &err)
			}
		}
		unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r)))
	}
}

// answerOne answers a call. done is false where the kernel is to do it.
func (p *Program) answerOne(n *notification, r *response, answers Answers) (done bool, err error) {
	if n.nr == unix.SYS_ARCH_PRCTL {
		return false, p.born(int(n.pid), answers)
	}
	switch n.nr {
	case unix.SYS_CONNECT, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG:
		if leaves(n) {
			r.errno = -int32(unix.ECONNREFUSED)
			p.refused.Add(1)
			return true, nil
		}
		return n.nr == unix.SYS_CONNECT && dials(n, r, answers.Elsewhere), nil
	}
	if !p.isOurs(int(n.pid)) {
		return false, nil
	}
	p.asked.Add(1)
	var out []byte
	switch n.nr {
	case unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY, unix.SYS_TIME:
		if answers.Now == nil {
			return false, nil
		}
		out, r.value = timeFor(n, answers.Now())
	case unix.SYS_GETRANDOM:
		size := n.args[1]
		if answers.Random == nil || size > maxRandom {
			return false, nil
		}
		out = make([]byte, size)
		answers.Random(out, n.args[2])
		r.value = int64(size)
	}
	return poke(int(n.pid), n, out, r)
}

// maxRandom bounds one answer: getrandom(2) gives at most this much at once to who could be interrupted.
const maxRandom = 32 << 20

// timeFor is the time as a call wants it, and what the call gives.
func timeFor(n *notification, now int64) (out []byte, value int64) {
	seconds, rest := now/int64(time.Second), now%int64(time.Second)
	order := binary.NativeEndian
	switch n.nr {
	case unix.SYS_CLOCK_GETTIME:
		out = order.AppendUint64(order.AppendUint64(nil, uint64(seconds)), uint64(rest))
	case unix.SYS_GETTIMEOFDAY:
		out = order.AppendUint64(order.AppendUint64(nil, uint64(seconds)), uint64(rest/1000))
	case unix.SYS_TIME:
		out, value = order.AppendUint64(nil, uint64(seconds)), seconds
	}
	return out, value
}

// poke writes where the call's answer belongs.
func poke(pid int, n *notification, out []byte, r *response) (bool, error) {
	to := n.args[0]
	if n.nr == unix.SYS_CLOCK_GETTIME {
		to = n.args[1]
	}
	if to == 0 || len(out) == 0 {
		return n.nr == unix.SYS_TIME, nil // the kernel knows what to say of a nil pointer
	}
	if err := write(pid, uintptr(to), out); err != nil {
		return false, nil // nor of a wild one
	}
	return true, nil
}

func write(pid int, to uintptr, bytes []byte) error {
	local := []unix.Iovec{{Base: &bytes[0], Len: uint64(len(bytes))}}
	n, err := unix.ProcessVMWritev(pid, local, []unix.RemoteIovec{{Base: to, Len: len(bytes)}}, 0)
	if err == nil && n != len(bytes) {
		err = unix.EFAULT
	}
	return err
}

// isOurs tells that a thread is of the program. It is asked by one goroutine, which remembers.
func (p *Program) isOurs(tid int) bool {
	ours, known := p.threads[tid]
	if !known {
		var st unix.Stat_t
		err := unix.Stat(fmt.Sprintf("/proc/%d/exe", tid), &st)
		ours = err == nil && st.Dev == p.exe[0] && st.Ino == p.exe[1]
		p.threads[tid] = ours
	}
	return ours
}

// Entries of the auxiliary vector (include/uapi/linux/auxvec.h, arch/x86/include/uapi/asm/auxvec.h).
const (
	auxNull   = 0
	auxIgnore = 1
	auxRandom = 25
	auxVDSO   = 33
)

// maxStart bounds what is read of a stack: arguments and environment are far above it, their pointers here.
const maxStart = 1 << 20

// born changes the auxiliary vector of the program, which has just been executed.
func (p *Program) born(tid int, answers Answers) error {
	delete(p.threads, tid) // it may have been something else before it executed this
	if !p.isOurs(tid) {
		return nil
	}
	p.pid.CompareAndSwap(0, int64(tid))
	if answers.Now == nil && answers.Random == nil && answers.Boot == nil {
		return nil
	}
	start, err := stackStart(tid)
	if err != nil {
		return fmt.Errorf("the program's auxiliary vector: %w", err)
	}
	vector, err := readStack(tid, start)
	if err != nil {
		return fmt.Errorf("the program's auxiliary vector: %w", err)
	}
	order := binary.NativeEndian
	word := func(i int) uint64 { return order.Uint64(vector[i*8:]) }
	at := 1 // argc, argv and its nil, the environment and its nil, the vector
	for nils := 0; nils < 2; at++ {
		if at >= len(vector)/8 {
			return fmt.Errorf("the program has more than %d bytes of arguments' pointers: its clock is the real one", maxStart)
		}
		if word(at) == 0 {
			nils++
		}
	}
	for ; at+1 < len(vector)/8 && word(at) != auxNull; at += 2 {
		switch word(at) {
		case auxVDSO:
			err = write(tid, start+uintptr(at*8), order.AppendUint64(nil, auxIgnore))
		case auxRandom:
			if answers.Boot != nil {
				err = write(tid, uintptr(word(at+1)), answers.Boot[:])
			}
		}
		if err != nil {
			return fmt.Errorf("changing the program's auxiliary vector: %w", err)
		}
	}
	return nil
}

// stackStart is where the kernel put argc: field 28 of /proc/PID/stat (proc_pid_stat(5)).
func stackStart(tid int) (uintptr, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", tid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var start uint64
	if len(fields) < 26 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", tid, len(fields))
	}
	if _, err := fmt.Sscan(fields[25], &start); err != nil || start == 0 {
		return 0, fmt.Errorf("/proc/%d/stat doesn't say where the stack begins", tid)
	}
	return uintptr(start), nil
}

// readStack reads a stack from its start to its end, if that isn't too far.
func readStack(tid int, start uintptr) ([]byte, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stack := make([]byte, maxStart)
	n := 0
	for n < len(stack) { // page by page: what lies behind the stack isn't mapped
		size := min(4096-(int(start)+n)%4096, len(stack)-n)
		got, err := f.ReadAt(stack[n:n+size], int64(start)+int64(n))
		n += got
		if err != nil {
			break
		}
	}
	if n < 8 {
		return nil, fmt.Errorf("nothing can be read at %#x", start)
	}
	return stack[:n], nil
}
