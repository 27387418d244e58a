package host

import (
	"fmt"
	"runtime/debug"
	"time"
)

// Grace is how long a script may take to notice that its run has ended.
const Grace = time.Second

func WaitFor(finished <-chan error, most time.Duration) bool {
	select {
	case <-finished:
		return true
	case <-time.After(most):
		return false
	}
}

// Safely turns a panic into an error: broken memory must not end ri while a target is held.
//
// A core that is cut short while it is mapped, or a disk that fails, shows as a fault in whoever reads it.
func Safely(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
