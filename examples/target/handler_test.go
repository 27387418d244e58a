package main

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestRequestQueue(t *testing.T) {
	for _, test := range []struct {
		remove []int // of five
		want   string
	}{
		{nil, "[0 1 2 3 4]"},
		{[]int{0}, "[1 2 3 4]"},
		{[]int{4}, "[0 1 2 3]"},
		{[]int{2, 1}, "[0 3 4]"},
		{[]int{0, 4, 1, 3}, "[2]"},
		{[]int{4, 3, 2, 1, 0}, "[]"},
	} {
		var q requestQueue
		requests := make([]*Request, 5)
		for i := range requests {
			requests[i] = &Request{id: uint64(i)}
			q.push(requests[i])
		}
		for _, i := range test.remove {
			q.remove(requests[i])
		}
		forward, back := []uint64{}, 0
		for r := q.head; r != nil; r = r.next {
			forward = append(forward, r.id)
		}
		for r := q.tail; r != nil; r = r.prev {
			back++
		}
		if fmt.Sprint(forward) != test.want || q.length != len(forward) || back != len(forward) {
			t.Errorf("without %v: %v, length %d, %d backwards, want %s", test.remove, forward, q.length, back, test.want)
		}
		for q.length > 0 {
			q.pop()
		}
		if q.head != nil || q.tail != nil {
			t.Errorf("without %v: not empty after all is taken", test.remove)
		}
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for i := 0; i < 1000; i++ {
		if condition() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not in 5 s: %s", what)
}

// lengths counts the requests with workers, in the run and in the wait queue.
func lengths(h *Handler) [3]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	running := 0
	for _, w := range h.workers {
		if w.current != nil {
			running++
		}
	}
	return [3]int{running, h.runQueue.length, h.waitQueue.Len()}
}

func TestHandler(t *testing.T) {
	h := newHandler(2, 12, func(r *Request) {})
	defer h.stop()
	var answered sync.WaitGroup
	submit := func(n int) (requests []*Request) {
		t.Helper()
		for i := 0; i < n; i++ {
			answered.Add(1)
			r := &Request{op: OpGet, done: func(*Request) { answered.Done() }}
			if err := h.submit(r); err != nil {
				t.Fatal(err)
			}
			requests = append(requests, r)
		}
		return requests
	}
	submit(5)
	answered.Wait()

	h.setStalled(true)
	first := submit(6)
	eventually(t, "two run, four are queued", func() bool { return lengths(h) == [3]int{2, 4, 0} })
	h.setAdmitting(false)
	second := submit(8)
	if got := lengths(h); got != [3]int{2, 4, 8} {
		t.Errorf("with requests not admitted: %v", got)
	}
	if err := h.submit(&Request{}); !errors.Is(err, errBusy) {
		t.Errorf("beyond the limit: %v", err)
	}
	h.mu.Lock()
	for i, want := range map[*Request]RequestState{
		first[0]: RequestRunning, first[1]: RequestRunning, first[2]: RequestQueued, second[0]: RequestWaiting,
	} {
		if i.state != want || (i.worker != nil) != (want == RequestRunning) {
			t.Errorf("request %d is %v, want %v", i.id, i.state, want)
		}
	}
	for _, w := range h.workers {
		if w.goroutine == 0 {
			t.Errorf("worker %d doesn't know its goroutine", w.id)
		}
	}
	h.mu.Unlock()
	for r, want := range map[*Request]bool{first[0]: false, first[3]: true, second[3]: true, second[4]: true} {
		got := h.cancel(r)
		if got != want {
			t.Errorf("cancel request %d: %v", r.id, got)
		}
		if got {
			answered.Done()
		}
		if h.cancel(r) {
			t.Errorf("request %d is cancelled twice", r.id)
		}
	}
	h.setStalled(false)
	eventually(t, "only those not admitted are left", func() bool { return lengths(h) == [3]int{0, 0, 6} })

	// What a switch does must not depend on how it is thrown.
	h.mu.Lock()
	h.admitting = true
	h.mu.Unlock()
	answered.Wait()
	if got := lengths(h); got != [3]int{} {
		t.Errorf("in the end: %v", got)
	}
	h.stop()
	if err := h.submit(&Request{}); !errors.Is(err, errStopping) {
		t.Errorf("after stop: %v", err)
	}
}
