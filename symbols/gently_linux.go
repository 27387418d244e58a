package symbols

import (
	"runtime"
	"syscall"
)

// patience is added to the nice value of the threads that load symbols. At 5 a thread gets a third of what one at 0
// gets where there is no CPU to spare. More would be kinder to a busy machine, and keep whoever looks at it waiting. At
// 10 it took half a minute for what takes a second on an idle machine.
const patience = 5

// gently runs f on an OS thread of its own that gives way to others: the machine is the target's first. A thread can't
// go back without privilege, so it ends with f, and Go starts no other from it. Where the kernel groups threads by
// session (sched_autogroup), this counts within ri's session only.
func gently(f func()) {
	done := make(chan struct{})
	run := func() {
		defer close(done)
		if nice, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
			// the call gives 20 less the value; refused, it is as it was
			syscall.Setpriority(syscall.PRIO_PROCESS, 0, min(20-nice+patience, 19))
		}
		f()
	}
	go func() {
		runtime.LockOSThread()
		if syscall.Gettid() != syscall.Getpid() {
			run()
			return
		}
		// The main thread doesn't end. Hold it until another has taken the work.
		begun := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(begun)
			run()
		}()
		<-begun
		runtime.UnlockOSThread()
	}()
	<-done
}
