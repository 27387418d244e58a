package main

import (
	"fmt"
	"time"
)

// Op is what a request asks for.
type Op uint8

const (
	OpGet Op = iota + 1
	OpPut
	OpDelete
	OpList
)

func (o Op) String() string {
	switch o {
	case OpGet:
		return "OpGet"
	case OpPut:
		return "OpPut"
	case OpDelete:
		return "OpDelete"
	case OpList:
		return "OpList"
	}
	return fmt.Sprintf("Op(%d)", uint8(o))
}

// RequestState is how far a request has come.
type RequestState int

const (
	RequestNew       RequestState = iota
	RequestWaiting                // in the wait queue, until requests are admitted
	RequestQueued                 // in the run queue, until a worker is free
	RequestRunning                // with a worker
	RequestDone                   // answered
	RequestCancelled              // given up before a worker took it
)

func (s RequestState) String() string {
	switch s {
	case RequestNew:
		return "RequestNew"
	case RequestWaiting:
		return "RequestWaiting"
	case RequestQueued:
		return "RequestQueued"
	case RequestRunning:
		return "RequestRunning"
	case RequestDone:
		return "RequestDone"
	case RequestCancelled:
		return "RequestCancelled"
	}
	return fmt.Sprintf("RequestState(%d)", int(s))
}

// Request is one request of a client. All but what is asked and the answer is
// guarded by Handler.mu.
type Request struct {
	id      uint64
	op      Op
	state   RequestState
	arrival time.Time
	session *Session // nil if it came over HTTP
	worker  *Worker  // who serves it; nil before

	object string // name or, for OpList, prefix
	limit  int    // for OpList
	data   []byte // for OpPut; the answer to OpGet
	values Values // for OpPut

	meta   Metadata // answers
	listed []Listed
	more   bool
	err    error
	done   func(*Request) // called once, when the request is answered

	next, prev *Request // in the run queue
}

// requestQueue is a queue of requests, linked through the requests themselves.
type requestQueue struct {
	head   *Request
	tail   *Request
	length int
}

func (q *requestQueue) push(r *Request) {
	r.prev, r.next = q.tail, nil
	if q.tail == nil {
		q.head = r
	} else {
		q.tail.next = r
	}
	q.tail = r
	q.length++
}

// remove takes a request, which is in the queue, out of it.
func (q *requestQueue) remove(r *Request) {
	if r.prev == nil {
		q.head = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		q.tail = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.next, r.prev = nil, nil
	q.length--
}

// pop takes the first request out; the queue is not empty.
func (q *requestQueue) pop() *Request {
	r := q.head
	q.remove(r)
	return r
}
