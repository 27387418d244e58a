package record

import (
	"fmt"
	"runtime"
	"sync"
)

// line has jobs done on all processors, and hands on what came of them in the order in which the jobs came: so what is
// written doesn't depend on who was first. It is for one user.
type line[T any] struct {
	jobs, order chan *worked[T]
	ended       sync.WaitGroup
}

type worked[T any] struct {
	job  T
	done chan struct{}
}

// newLine begins one. Each goroutine has something of its own that does jobs, which doer makes; then takes the jobs one
// after the other when they are done. What panics is told to fail.
func newLine[T any](doer func() func(T), then func(T), fail func(error)) *line[T] {
	n := runtime.GOMAXPROCS(0)
	l := &line[T]{jobs: make(chan *worked[T], 2*n), order: make(chan *worked[T], 2*n)}
	for range n {
		l.ended.Go(func() {
			do := doer()
			for w := range l.jobs {
				safely(func() { do(w.job) }, fail)
				close(w.done)
			}
		})
	}
	l.ended.Go(func() {
		for w := range l.order {
			<-w.done
			safely(func() { then(w.job) }, fail)
		}
	})
	return l
}

// add adds a job. It waits while many are under way.
func (l *line[T]) add(job T) {
	w := &worked[T]{job, make(chan struct{})}
	l.order <- w
	l.jobs <- w
}

// close waits until all is done.
func (l *line[T]) close() {
	close(l.jobs)
	close(l.order)
	l.ended.Wait()
}

// safely runs f, and tells of a panic: it must not end ri, which may have to let a process go.
func safely(f func(), fail func(error)) {
	defer func() {
		if r := recover(); r != nil {
			fail(fmt.Errorf("internal error while a recording is written: %v", r))
		}
	}()
	f()
}
