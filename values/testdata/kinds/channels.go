package main

import "reflect"

var (
	nilChan        chan int
	unbuffered     = make(chan string)
	buffered       = make(chan string, 5)
	wrapped        = make(chan point, 4)
	closedChan     = make(chan int, 3)
	closedEmpty    = make(chan struct{})
	receiveOnly    <-chan int
	chanOfPtrs     = make(chan *node, 2)
	unitChan       = make(chan struct{}, 10)
	chanOfAnything = make(chan any, 8)
	chanOfBytes    = make(chan byte, 3)
)

func channels(r *report) {
	buffered <- "a"
	buffered <- ""
	buffered <- "c\x00"
	for i := 0; i < 6; i++ {
		wrapped <- point{i, -i}
		if i < 3 {
			<-wrapped
		}
	}
	closedChan <- 1
	closedChan <- 2
	<-closedChan
	close(closedChan)
	close(closedEmpty)
	receiveOnly = closedChan
	chanOfPtrs <- &node{"queued", nil}
	unitChan <- struct{}{}
	unitChan <- struct{}{}
	chanOfAnything <- 1
	chanOfAnything <- "text"
	chanOfAnything <- nil
	chanOfAnything <- point{1, 2}
	chanOfAnything <- &points[0]
	chanOfBytes <- 7
	chanOfBytes <- 255
	hold(r, "main.nilChan", &nilChan, false)
	hold(r, "main.unbuffered", &unbuffered, false)
	hold(r, "main.buffered", &buffered, false, "a", "", "c\x00")
	hold(r, "main.wrapped", &wrapped, false, point{3, -3}, point{4, -4}, point{5, -5})
	hold(r, "main.closedChan", &closedChan, true, 2)
	hold(r, "main.closedEmpty", &closedEmpty, true)
	hold(r, "main.unitChan", &unitChan, false, struct{}{}, struct{}{})
	hold(r, "main.chanOfBytes", &chanOfBytes, false, byte(7), byte(255))
	hold[any](r, "main.chanOfAnything", &chanOfAnything, false, 1, "text", nil, point{1, 2}, &points[0])
	say("main.receiveOnly", &receiveOnly)
	looked("main.chanOfPtrs[0].Name", "queued")
	looked("main.buffered[2]", "c\x00")
	looked("len(main.wrapped)", 3)
	looked("cap(main.wrapped)", 4)
}

func hold[T any](r *report, expr string, c *chan T, closed bool, queued ...T) {
	say(expr, c)
	q := queue{expr, len(*c), cap(*c), closed, nil}
	for i := range queued {
		q.Texts = append(q.Texts, text(reflect.ValueOf(&queued[i]).Elem()))
	}
	r.Queues = append(r.Queues, q)
}
