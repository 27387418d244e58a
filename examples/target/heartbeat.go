package main

import (
	"runtime"
	"sync"
	"time"
)

// Heartbeat ticks every millisecond and remembers the longest time between
// two ticks: how long the process stood still.
type Heartbeat struct {
	mu     sync.Mutex
	since  time.Time // of the last report
	last   time.Time // of the last tick
	ticks  uint64    // since the last report
	maxGap time.Duration
}

func newHeartbeat() *Heartbeat {
	now := time.Now()
	h := &Heartbeat{since: now, last: now}
	go h.run()
	return h
}

func (h *Heartbeat) run() {
	runtime.LockOSThread()
	for {
		time.Sleep(time.Millisecond)
		h.mu.Lock()
		h.tick(time.Now())
		h.mu.Unlock()
	}
}

func (h *Heartbeat) tick(now time.Time) {
	if gap := now.Sub(h.last); gap > h.maxGap {
		h.maxGap = gap
	}
	h.last = now
	h.ticks++
}

// report tells the ticks and the longest gap since the last report, an
// unfinished one included, and starts anew.
func (h *Heartbeat) report() (ticks uint64, maxGap, period time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	ticks, maxGap, period = h.ticks, h.maxGap, now.Sub(h.since)
	if gap := now.Sub(h.last); gap > maxGap {
		maxGap = gap
	}
	h.ticks, h.maxGap, h.since = 0, 0, now
	return ticks, maxGap, period
}
