// Program uses what Go programs use of the runtime, so that the linker keeps it: its debug information is where the
// layouts of stripped programs come from.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"
)

type pair struct{ a, b any }

var (
	mu     sync.Mutex
	rw     sync.RWMutex
	once   sync.Once
	pool   sync.Pool
	shared sync.Map
	number atomic.Int64
	sink   any
)

func main() {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	defer func() { fmt.Println(recover()) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		go func() { c, _ := l.Accept(); sink = c }()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	pprof.Do(ctx, pprof.Labels("a", "b"), func(context.Context) { once.Do(func() {}) })
	var wg sync.WaitGroup
	cond := sync.NewCond(&mu)
	timer, ticker := time.NewTimer(time.Second), time.NewTicker(time.Second)
	time.AfterFunc(time.Hour, func() {})
	c, m := make(chan int, 3), map[string]pair{}
	byNumber, byAny := map[int]*pair{}, map[any]struct{}{}
	wg.Add(1)
	go func() {
		defer wg.Done()
		runtime.LockOSThread()
		mu.Lock()
		cond.Broadcast()
		mu.Unlock()
		rw.RLock()
		rw.RUnlock()
		select {
		case c <- 1:
		case <-timer.C:
		case <-ticker.C:
		}
	}()
	wg.Wait()
	m["x"], byNumber[1], byAny[c] = pair{c, m}, &pair{}, struct{}{}
	shared.Store(m, byNumber)
	pool.Put(number.Add(1))
	runtime.SetFinalizer(&pair{}, func(*pair) {})
	debug.SetGCPercent(50)
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	sink = reflect.ValueOf(byAny)
	pprof.Lookup("goroutine").WriteTo(os.Stdout, 1)
	pprof.Lookup("heap").WriteTo(os.Stdout, 1)
	pprof.Lookup("mutex").WriteTo(os.Stdout, 1)
	panic("end")
}
