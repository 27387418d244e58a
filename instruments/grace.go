package instruments

import (
	"fmt"
	"runtime/debug"
	"time"
)

// grace is how long a script may take to notice that its run has ended.
const grace = time.Second

func waitFor(finished <-chan error, most time.Duration) bool {
	select {
	case <-finished:
		return true
	case <-time.After(most):
		return false
	}
}

// safely turns a panic into an error: broken memory must not end ri while a target is held.
//
// A core that is cut short while it is mapped, or a disk that fails, shows as a fault in whoever reads it.
func safely(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
