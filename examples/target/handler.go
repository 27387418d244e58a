package main

import (
	"bytes"
	"container/list"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errBusy     = errors.New("too many requests are queued")
	errStopping = errors.New("the server is stopping")
)

// Handler queues requests and has its workers serve them. While requests are
// not admitted, those that arrive wait in the wait queue, and those in the run
// queue are still served.
type Handler struct {
	mu        sync.Mutex
	work      *sync.Cond // something came into the run queue, or stopping
	resume    *sync.Cond // no longer stalled, or stopping
	admitting bool
	stalled   bool // workers hold what they have taken
	stopping  bool
	runQueue  requestQueue
	waitQueue *list.List // of *Request
	workers   []*Worker
	nextID    uint64
	limit     int // most requests in the two queues

	serve  func(*Request) // what the workers call
	served atomic.Uint64
	failed atomic.Uint64
	busy   atomic.Uint64 // requests refused because of the limit
	group  sync.WaitGroup
}

// Worker is one goroutine that serves requests.
type Worker struct {
	id        int
	goroutine uint64   // its number in stack dumps
	current   *Request // what it serves; nil while idle
	served    uint64
}

// newHandler starts a handler and its workers.
func newHandler(workers, limit int, serve func(*Request)) *Handler {
	h := &Handler{admitting: true, waitQueue: list.New(), limit: limit, nextID: 1, serve: serve}
	h.work = sync.NewCond(&h.mu)
	h.resume = sync.NewCond(&h.mu)
	for i := 0; i < workers; i++ {
		w := &Worker{id: i}
		h.workers = append(h.workers, w)
		h.group.Add(1)
		go h.run(w)
	}
	go h.admitLoop()
	return h
}

// submit queues a request. Its done is called later, unless there is an error.
func (h *Handler) submit(r *Request) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return errStopping
	}
	if h.runQueue.length+h.waitQueue.Len() >= h.limit {
		h.busy.Add(1)
		return errBusy
	}
	r.id = h.nextID
	h.nextID++
	r.arrival = time.Now()
	if !h.admitting {
		r.state = RequestWaiting
		h.waitQueue.PushBack(r)
		return nil
	}
	r.state = RequestQueued
	h.runQueue.push(r)
	h.work.Signal()
	return nil
}

// cancel gives a request up, if no worker has taken it yet; its done is then
// never called.
func (h *Handler) cancel(r *Request) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch r.state {
	case RequestQueued:
		h.runQueue.remove(r)
	case RequestWaiting:
		for e := h.waitQueue.Front(); e != nil; e = e.Next() {
			if e.Value.(*Request) == r {
				h.waitQueue.Remove(e)
				break
			}
		}
	default:
		return false
	}
	r.state = RequestCancelled
	return true
}

// run serves requests until the handler stops.
func (h *Handler) run(w *Worker) {
	defer h.group.Done()
	h.mu.Lock()
	w.goroutine = goroutineID()
	for {
		for h.runQueue.length == 0 && !h.stopping {
			h.work.Wait()
		}
		if h.stopping {
			h.mu.Unlock()
			return
		}
		r := h.runQueue.pop()
		r.state, r.worker, w.current = RequestRunning, w, r
		for h.stalled && !h.stopping {
			h.resume.Wait()
		}
		h.mu.Unlock()
		h.serve(r)
		h.served.Add(1)
		if r.err != nil {
			h.failed.Add(1)
		}
		h.mu.Lock()
		r.state, w.current = RequestDone, nil
		w.served++
		h.mu.Unlock()
		r.done(r)
		h.mu.Lock()
	}
}

// admitLoop moves the requests that wait into the run queue once requests are
// admitted again.
func (h *Handler) admitLoop() {
	for {
		time.Sleep(20 * time.Millisecond)
		h.mu.Lock()
		if h.stopping {
			h.mu.Unlock()
			return
		}
		if h.admitting && h.waitQueue.Len() > 0 {
			for e := h.waitQueue.Front(); e != nil; e = h.waitQueue.Front() {
				r := h.waitQueue.Remove(e).(*Request)
				r.state = RequestQueued
				h.runQueue.push(r)
			}
			h.work.Broadcast()
		}
		h.mu.Unlock()
	}
}

func (h *Handler) setAdmitting(admitting bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.admitting = admitting
}

func (h *Handler) setStalled(stalled bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stalled = stalled
	h.resume.Broadcast()
}

// stop ends the workers after what they are doing. Requests still queued are
// not answered.
func (h *Handler) stop() {
	h.mu.Lock()
	h.stopping = true
	h.work.Broadcast()
	h.resume.Broadcast()
	h.mu.Unlock()
	h.group.Wait()
}

// goroutineID reads the number of the calling goroutine from its stack dump,
// so that what we print can be matched with one.
func goroutineID() uint64 {
	var buffer [64]byte
	text := buffer[:runtime.Stack(buffer[:], false)]
	text = bytes.TrimPrefix(text, []byte("goroutine "))
	if i := bytes.IndexByte(text, ' '); i >= 0 {
		text = text[:i]
	}
	id, _ := strconv.ParseUint(string(text), 10, 64)
	return id
}
