// Command methods waits in generic methods, which Go has since 1.27: of plain types and of generic ones, in their closures, and in methods
// that have no type arguments of their own.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"sync"
)

type box[T any] struct {
	value T
	list  []T
}

type plain struct{ n int }

var (
	never   = make(chan int)
	started sync.WaitGroup
	sink    []any
)

//go:noinline
func (b *box[T]) get(c chan T) T {
	started.Done()
	<-never
	sink = append(sink, b.value)
	return <-c
}

//go:noinline
func (b *box[T]) with[U any](first T, extra U) U {
	started.Done()
	<-never
	sink = append(sink, b.value, first, extra)
	return extra
}

//go:noinline
func (p *plain) both[U any, V comparable](u U, v V) U {
	started.Done()
	<-never
	sink = append(sink, p.n, u, v)
	return u
}

//go:noinline
func (b *box[T]) inside[U any](extra U) {
	func() {
		defer func() { sink = append(sink, extra) }()
		started.Done()
		<-never
	}()
}

func main() {
	ints, texts := &box[int]{7, []int{1}}, &box[map[string]int]{map[string]int{"a": 1}, nil}
	started.Add(7)
	go ints.get(nil)
	go ints.with(3, "extra")
	go ints.with(4, 2.5)
	go texts.with(texts.value, []int{5})
	go (&plain{8}).both([]string{"u"}, "v")
	go ints.inside(int8(9))
	go func() {
		method := ints.with[int16]
		method(6, 10)
	}()
	started.Wait()
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]int{"PID": os.Getpid()})
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		dump := make([]byte, 1<<20)
		out.Encode(map[string]string{"Stacks": string(dump[:runtime.Stack(dump, true)])})
	}
}
