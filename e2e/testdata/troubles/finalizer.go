package main

import (
	"runtime"
	"time"
)

// handle is freed by a finalizer that waits for what somebody else was to say.
type handle struct{ text [256]byte }

var mayFree = make(chan bool)

func (h *handle) free() {
	<-mayFree // finalizer: waits here
}

func init() {
	troubles["finalizer"] = func() {
		for range [100]int{} {
			runtime.SetFinalizer(new(handle), (*handle).free)
		}
		runtime.GC()
		time.Sleep(waits)
	}
}
