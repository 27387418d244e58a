package process

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// wakeup lets a thread sleep in the kernel until another calls signal, or some time has passed: an eventfd(2).
type wakeup struct {
	mu sync.Mutex // signal may come late, when the number already means another file
	fd int
}

func (w *wakeup) open() (err error) {
	w.fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	return nil
}

// wait returns after a signal, after the time, or for no reason.
func (w *wakeup) wait(d time.Duration) {
	ts := unix.NsecToTimespec(max(0, d.Nanoseconds()))
	unix.Ppoll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, &ts, nil)
}

// clear forgets the signals so far.
func (w *wakeup) clear() {
	var b [8]byte
	unix.Read(w.fd, b[:])
}

// signal ends the wait under way, or the next one.
func (w *wakeup) signal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		unix.Write(w.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (w *wakeup) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	unix.Close(w.fd)
	w.fd = -1
}
