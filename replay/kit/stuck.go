package kit

import (
	"bytes"
	"cmp"
	"runtime"
	"slices"
	"time"
)

// A goroutine that has a lock and calls out waits here for its turn; another that waits for the lock keeps the bubble
// from being told that all wait. Then no step comes any more: the try is given up, and in the next the calls that
// waited are answered at once.

// riUnlocked makes tries until none is stuck. What waits for a lock went on when it was recorded. So a call that has
// the lock and of which no return is recorded had ended by then, as by a panic: whether that is so shows by whether the
// next try comes further.
func riUnlocked(try riTry, free, gone map[*riEvent]bool) riTry {
	looked := map[*riEvent]bool{}
	var again riTry
	again = func(steps []*riStep, holds map[*riStep]uint64) *riReplay {
		before := len(free)
		r := try(steps, holds)
		switch {
		case !r.stuck:
			return r
		case len(free) > before:
			return again(steps, holds)
		}
		slices.SortFunc(r.hung, func(a, b *riEvent) int { return cmp.Compare(a.Seq, b.Seq) })
		for _, e := range r.hung {
			if looked[e] {
				continue
			}
			looked[e], gone[e] = true, true
			switch after := try(steps, holds); {
			case !after.stuck:
				return after
			case after.got > r.got:
				return again(steps, holds)
			}
			delete(gone, e)
		}
		return r
	}
	return again
}

// hangs is what a call does of which no return is recorded. Where it is known to have ended it has its goroutine do so.
func (r *riReplay) hangs(e *riEvent) {
	own := riGoroutine()
	r.mu.Lock()
	r.hung = append(r.hung, e)
	r.mu.Unlock()
	if !r.gone[e] {
		select {}
	}
	r.matching.Lock()
	caller := r.callers[own]
	r.matching.Unlock()
	if caller {
		panic(riEnded + e.Func)
	}
	runtime.Goexit() // nobody may recover there
}

// riEnded is how a panic of a replay begins that stands for one of which only that is known.
const riEnded = "ri: it ended without a return, as recorded: "

// watched runs a try. Where it is stuck, the calls that are not to wait are in free.
func (r *riReplay) watched(try func()) {
	if r.wait == nil {
		try()
		return
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
			return
		case <-look.C:
		}
		now := r.alive.Load()
		if now != before {
			before, quiet = now, 0
			continue
		}
		if quiet++; quiet > 1 && riLocked() {
			r.unhold()
			return
		}
	}
}

// riLook is how often a try is looked at, by the clock of the machine.
const riLook = 20 * time.Millisecond

// unhold notes the calls that wait for their turn. What differs already comes first: who called out otherwise waits for
// ever, with its locks.
func (r *riReplay) unhold() {
	last := r.lastSeq()
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.over = true }()
	if r.failed != "" {
		return
	}
	for e := range r.made {
		if !r.answered[e] {
			r.free[e] = true
		}
	}
	r.stuck, r.failed, r.failedAt = true, "what comes then waits for a lock that a goroutine has which calls out", last
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
