package attach

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptor is a file descriptor of a process, as the kernel has it.
type Descriptor struct {
	FD int
	// "file", "directory", "device", "pipe", "socket", "eventpoll", "eventfd", "timerfd", "pidfd", ..., "?"
	Kind     string
	Path     string // as /proc/PID/fd names it: a path, "pipe:[4711]", "socket:[4712]"
	Position int64  // where the next read or write of a file happens
	Flags    int    // as of open(2): O_RDWR, O_APPEND, O_NONBLOCK, ...
	Socket   *Socket
	Err      string // why something of it can't be told; "" mostly
}

// Socket is a socket that a descriptor leads to.
type Socket struct {
	Protocol      string // "tcp", "tcp6", "udp", "udp6", "unix"; "?" for others, such as netlink
	Local, Remote string // address:port or a path; "" if there is none
	State         string // "ESTABLISHED", "LISTEN", ...; of unix sockets "LISTEN", "CONNECTED", ...
	// Receive is what has come and wasn't read, in bytes; of a listening socket the connections that wait to be
	// accepted. Send is what was written and not yet acknowledged. Of unix sockets neither is told.
	Receive, Send int64
}

// FlagNames are the flags of an open descriptor as open(2) names them.
func FlagNames(flags int) string {
	names := []string{[]string{"RDONLY", "WRONLY", "RDWR", "?"}[flags&unix.O_ACCMODE]}
	for _, f := range []struct {
		bit  int
		name string
	}{{unix.O_APPEND, "APPEND"}, {unix.O_NONBLOCK, "NONBLOCK"}, {unix.O_DIRECT, "DIRECT"}, {unix.O_DSYNC,
		"DSYNC"}, {unix.O_PATH, "PATH"}, {unix.O_CLOEXEC, "CLOEXEC"}} {
		if flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, "|")
}

// End is who has the other end of a pipe or a connection.
type End struct {
	PID  int
	Name string // of the process, as the kernel has it
	FD   int
}

// Child is a child process.
type Child struct {
	PID     int
	Name    string // as the kernel has it
	State   string // as of proc_pid_stat(5): R, S, D, Z (it has ended, and nobody has waited for it), T, ...
	Started time.Time
	Command []string
}
