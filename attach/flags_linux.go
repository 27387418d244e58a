package attach

import (
	"strings"

	"golang.org/x/sys/unix"
)

// FlagNames are the flags of an open descriptor as open(2) names them.
func FlagNames(flags int) string {
	names := []string{[]string{"RDONLY", "WRONLY", "RDWR", "?"}[flags&unix.O_ACCMODE]}
	for _, f := range []struct {
		bit  int
		name string
	}{{unix.O_APPEND, "APPEND"}, {unix.O_NONBLOCK, "NONBLOCK"}, {unix.O_DIRECT, "DIRECT"}, {unix.O_DSYNC, "DSYNC"}, {unix.O_PATH, "PATH"}, {unix.O_CLOEXEC, "CLOEXEC"}} {
		if flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, "|")
}
