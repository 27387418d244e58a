package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// disarming is how long an agent may take to end what it does: its requests take lettingGo at most.
const disarming = lettingGo + 4*time.Second

// lockName is the file in an agent's folder that the agent holds a lock of, and that has its pid.
const lockName = "lock"

// Disarm ends the agent that has a folder, with all that it does: at first as SIGTERM does, so that a change that is
// being made ends whole, then by SIGKILL, with which its workers die too. It returns the agent's pid when the agent is
// gone, 0 if there was none.
func Disarm(ctx context.Context, folder string) (pid int, err error) {
	lock, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("the agent's folder: %w", err)
	}
	defer lock.Close()
	free := func() (bool, error) {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, nil
		}
		return err == nil, err
	}
	if gone, err := free(); gone || err != nil {
		return 0, err
	}
	text, err := io.ReadAll(io.LimitReader(lock, 32))
	if err != nil {
		return 0, err
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil || pid <= 1 {
		return 0, fmt.Errorf("%s: an agent has it, and doesn't say which (another version's?): end it yourself", folder)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0, fmt.Errorf("the agent, pid %d: %w", pid, err)
	}
	defer unix.Close(fd)
	// who holds the lock now holds it under this pid: it isn't another process that has got the number since
	if gone, err := free(); gone || err != nil {
		return 0, err
	}
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, fmt.Errorf("the agent, pid %d: %w", pid, err)
		}
		for last := time.Now().Add(disarming); time.Now().Before(last); {
			polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if n, err := unix.Poll(polled, 100); n > 0 && err == nil {
				return pid, nil
			}
			if ctx.Err() != nil {
				return 0, fmt.Errorf("the agent, pid %d, was told to end, and was not waited for: %w", pid, ctx.Err())
			}
		}
	}
	return 0, fmt.Errorf("the agent, pid %d, doesn't end by SIGKILL: the kernel holds it", pid)
}
