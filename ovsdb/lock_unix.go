package ovsdb

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lock is the lock of Open vSwitch's programs: a POSIX record lock for writing on all of ".NAME.~lock~" beside the file
// (lib/lockfile.c). The kernel drops it when the process ends, however it ends; the file stays.
type lock struct {
	file *os.File
	path string
}

// Such locks belong to the process: two in one process would not see each other.
var (
	heldMu sync.Mutex
	held   = map[string]bool{}
)

func takeLock(path string, patience time.Duration) (*lock, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(filepath.Dir(abs), "."+filepath.Base(abs)+".~lock~")
	for began := time.Now(); ; time.Sleep(lockInterval) {
		l, holder, err := tryLock(name)
		if l != nil || err != nil {
			return l, err
		}
		if time.Since(began) >= patience {
			return nil, fmt.Errorf("%s is in use by pid %d (its lock is %s): %w", path, holder, name, ErrLocked)
		}
	}
}

// tryLock gives the lock, or the pid that holds it.
func tryLock(name string) (*lock, int, error) {
	heldMu.Lock()
	defer heldMu.Unlock()
	if held[name] {
		return nil, os.Getpid(), nil
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, err
	}
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(file.Fd(), unix.F_SETLK, &whole)
	if err == nil {
		held[name] = true
		return &lock{file, name}, 0, nil
	}
	defer file.Close()
	if err != unix.EAGAIN && err != unix.EACCES {
		return nil, 0, fmt.Errorf("locking %s: %w", name, err)
	}
	holder := unix.Flock_t{Type: unix.F_WRLCK}
	if unix.FcntlFlock(file.Fd(), unix.F_GETLK, &holder) != nil {
		holder.Pid = 0
	}
	return nil, int(holder.Pid), nil
}

func (l *lock) release() error {
	heldMu.Lock()
	defer heldMu.Unlock()
	delete(held, l.path)
	return l.file.Close()
}
