//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// watcher asks the kernel over and over whether a process is stopped by a tracer.
type watcher struct {
	stop    atomic.Bool
	done    chan struct{}
	longest time.Duration
}

const watchInterval = 50 * time.Microsecond

func watch(pid int) (*watcher, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/task/%d/stat", pid, pid))
	if err != nil {
		return nil, err
	}
	w := &watcher{done: make(chan struct{})}
	go w.run(f)
	return w, nil
}

func (w *watcher) run(f *os.File) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, as does its priority
	defer close(w.done)
	defer f.Close()
	syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), -20)
	syscall.RawSyscall(syscall.SYS_PRCTL, 29, 1, 0) // PR_SET_TIMERSLACK
	nap := syscall.NsecToTimespec(int64(watchInterval))
	buf := make([]byte, 512)
	var since time.Time // of the first look that found it stopped
	last := time.Now()
	for !w.stop.Load() {
		syscall.Nanosleep(&nap, nil)
		n, err := syscall.Pread(int(f.Fd()), buf, 0)
		now := time.Now()
		if err != nil {
			return
		}
		// "pid (name) state ...": the name may hold anything.
		i := bytes.LastIndexByte(buf[:n], ')')
		stopped := i >= 0 && i+2 < n && buf[i+2] == 't'
		switch {
		case stopped && since.IsZero():
			since = last // it may have been stopped right after the look before
		case !stopped && !since.IsZero():
			w.longest = max(w.longest, now.Sub(since))
			since = time.Time{}
		}
		last = now
	}
}

// end gives the longest stop. Both ends are rounded outwards to the next look, so it is never too short.
func (w *watcher) end() time.Duration {
	w.stop.Store(true)
	<-w.done
	return w.longest
}
