package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// Status is what /proc/PID/status says (proc_pid_status(5)).
type Status struct {
	Name      string
	State     byte // R S D T t Z X I
	Tgid      int
	TracerPid int
	Uids      [4]uint32 // real, effective, saved, filesystem
	Gids      [4]uint32
	NSpid     []int // from the outermost namespace that /proc shows, inwards
	Seccomp   int   // 0 off, 1 strict, 2 filter, -1 not said
	Threads   int
	CapEff    uint64
	CapPrm    uint64
}

func ReadStatus(path string) (Status, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Status{}, err
	}
	return ParseStatus(data), nil
}

func ParseStatus(data []byte) Status {
	st := Status{Seccomp: -1}
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch key {
		case "Name":
			st.Name = value
		case "State":
			if value != "" {
				st.State = value[0]
			}
		case "Tgid":
			st.Tgid, _ = strconv.Atoi(value)
		case "TracerPid":
			st.TracerPid, _ = strconv.Atoi(value)
		case "Uid":
			st.Uids = parseIDs(value)
		case "Gid":
			st.Gids = parseIDs(value)
		case "NSpid":
			for _, f := range strings.Fields(value) {
				n, _ := strconv.Atoi(f)
				st.NSpid = append(st.NSpid, n)
			}
		case "Seccomp":
			st.Seccomp, _ = strconv.Atoi(value)
		case "Threads":
			st.Threads, _ = strconv.Atoi(value)
		case "CapEff":
			st.CapEff, _ = strconv.ParseUint(value, 16, 64)
		case "CapPrm":
			st.CapPrm, _ = strconv.ParseUint(value, 16, 64)
		}
	}
	if st.TracerPid != 0 { // the kernel names the tracer's thread
		st.TracerPid = processOf(st.TracerPid)
	}
	return st
}

// processOf is the process that a thread belongs to, or the thread's own id if that can't be read.
func processOf(tid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return tid
	}
	_, tgid, _ := bytes.Cut(data, []byte("\nTgid:\t"))
	line, _, _ := bytes.Cut(tgid, []byte("\n"))
	pid, err := strconv.Atoi(string(line))
	if err != nil {
		return tid
	}
	return pid
}

func parseIDs(s string) (ids [4]uint32) {
	for i, f := range strings.Fields(s) {
		if i < len(ids) {
			n, _ := strconv.ParseUint(f, 10, 32)
			ids[i] = uint32(n)
		}
	}
	return ids
}

// Stat is what of /proc/PID/stat (proc_pid_stat(5)) isn't in status.
type Stat struct {
	State     byte
	PPid      int
	Flags     uint64 // PF_*, linux/sched.h
	StartTime uint64 // clock ticks (1/100 s) after boot; with the pid it is a process's identity
}

const FlagKernelThread = 0x00200000 // PF_KTHREAD

func ReadStat(path string) (Stat, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Stat{}, err
	}
	// The second field is the name in parentheses and may hold anything, so count from its end.
	i := bytes.LastIndexByte(data, ')')
	if i < 0 {
		return Stat{}, fmt.Errorf("%s: no name in %q", path, data)
	}
	f := strings.Fields(string(data[i+1:]))
	if len(f) < 20 {
		return Stat{}, fmt.Errorf("%s: %d fields, want 20 or more", path, len(f))
	}
	var st Stat
	st.State = f[0][0]
	st.PPid, _ = strconv.Atoi(f[1])
	st.Flags, _ = strconv.ParseUint(f[6], 10, 64)
	st.StartTime, err = strconv.ParseUint(f[19], 10, 64)
	return st, err
}

// ParseMaps reads /proc/PID/maps (proc_pid_maps(5)).
func ParseMaps(data []byte) ([]attach.Mapping, error) {
	var maps []attach.Mapping
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		// 00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus-daemon
		f := strings.SplitN(line, " ", 6)
		if len(f) < 5 || len(f[1]) < 4 {
			return nil, fmt.Errorf("unexpected line in the memory map: %q", line)
		}
		lo, hi, _ := strings.Cut(f[0], "-")
		var m attach.Mapping
		var err1, err2, err3 error
		m.Start, err1 = strconv.ParseUint(lo, 16, 64)
		m.End, err2 = strconv.ParseUint(hi, 16, 64)
		m.Offset, err3 = strconv.ParseUint(f[2], 16, 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("unexpected line in the memory map: %q: %w", line, err)
		}
		m.Read, m.Write, m.Exec, m.Shared = f[1][0] == 'r', f[1][1] == 'w', f[1][2] == 'x', f[1][3] == 's'
		if len(f) == 6 {
			m.Path = strings.TrimLeft(f[5], " ")
		}
		maps = append(maps, m)
	}
	return maps, nil
}

// Gone says whether an error of a file under /proc/PID means that the process isn't there (any more).
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// CommOf is a process's name for messages, "?" if it can't be read.
func CommOf(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "?"
	}
	return strings.TrimSuffix(string(data), "\n")
}

// CheckProcMount refuses a /proc of another pid namespace, whose numbers mean other processes to system calls.
func CheckProcMount() error {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return fmt.Errorf("/proc can't be read (%v): ri needs it; in a container mount it with: mount -t proc proc "+
			"/proc: %w", err, attach.ErrNotSupported)
	}
	if self != fmt.Sprint(os.Getpid()) {
		return fmt.Errorf("/proc belongs to another pid namespace (it calls this process %s, and it is %d): run ri "+
			"in that namespace (nsenter -p, kubectl debug --target), or mount this one's: mount -t proc proc /proc: "+
			"%w", self, os.Getpid(), attach.ErrNotSupported)
	}
	return nil
}

// Alive tells whether a process is there, and no zombie.
func Alive(pid int) bool {
	stat, err := ReadStat(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && stat.State != 'Z' && stat.State != 'X'
}
