package wire

import (
	"testing"

	"golang.org/x/sys/unix"
)

// waitForEnd waits until a process that isn't our child has ended.
func waitForEnd(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
	for err == unix.EINTR { // of the Go runtime's own signals
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
	}
	if err != nil || n == 0 {
		t.Fatalf("ovsdb-client (pid %d) didn't end with the connection: %v", pid, err)
	}
}
