package kit

import (
	"bytes"
	"runtime"
	"time"
)

// A goroutine that has a lock and calls out waits here for its turn; another that waits for the lock keeps the bubble
// from being told that all wait. Then no step comes any more: the try is given up, and in the next the calls that
// waited are answered at once.

// watched runs a try. It is false if the try is stuck, and then the calls that are not to wait are in free.
func (r *riReplay) watched(try func()) bool {
	if r.wait == nil {
		try()
		return true
	}
	done, failed := make(chan struct{}), any(nil)
	go func() {
		defer close(done)
		defer func() { failed = recover() }()
		try()
	}()
	look := time.NewTicker(riLook)
	defer look.Stop()
	before, quiet := int64(-1), 0
	for {
		select {
		case <-done:
			if failed != nil {
				panic(failed)
			}
			return true
		case <-look.C:
		}
		now := r.alive.Load()
		if now != before {
			before, quiet = now, 0
			continue
		}
		if quiet++; quiet > 1 && riLocked() {
			r.unhold()
			return false
		}
	}
}

// riLook is how often a try is looked at, by the clock of the machine.
const riLook = 20 * time.Millisecond

// unhold notes the calls that wait for their turn.
func (r *riReplay) unhold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for e := range r.made {
		if !r.answered[e] {
			r.free[e] = true
		}
	}
	r.failed, r.over = "it waits for a lock that a goroutine has which calls out", true
}

// riLocked tells whether all goroutines of bubbles wait, and some of them for locks.
func riLocked() bool {
	room := make([]byte, 1<<20)
	for {
		n := runtime.Stack(room, true)
		if n < len(room) {
			room = room[:n]
			break
		}
		room = make([]byte, 2*len(room))
	}
	locks := false
	for _, stack := range bytes.Split(room, []byte("\n\n")) {
		head, _, _ := bytes.Cut(stack, []byte("\n"))
		switch {
		case !bytes.Contains(head, []byte("synctest bubble")):
		case bytes.Contains(head, []byte("[running")), bytes.Contains(head, []byte("[runnable")):
			return false
		case bytes.Contains(head, []byte("[sync.Mutex.Lock")), bytes.Contains(head, []byte("[sync.RWMutex.")),
			bytes.Contains(head, []byte("[semacquire")):
			locks = true
		}
	}
	return locks
}
