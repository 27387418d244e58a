package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What follows is healthy and busy, alone and beside every trouble.
func init() {
	troubles["healthy-http"] = func() {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		s := &site{visits: map[string]int{}}
		server := &http.Server{Handler: s}
		go server.Serve(listener)
		transport := &http.Transport{MaxIdleConnsPerHost: 8}
		for i := range [8]int{} {
			go visit(&http.Client{Transport: transport}, fmt.Sprintf("http://%s/%d", listener.Addr(), i))
		}
		for range [4]int{} { // keep-alive connections on which nothing happens
			conn, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				panic(err)
			}
			kept = append(kept, conn)
		}
	}
	troubles["ballast"] = func() { load(64) } // memory, and nothing else
	troubles["heavy"] = func() { load(256) }  // more than any machine copies in a millisecond
	troubles["crowd"] = func() {              // of goroutines that wait for work, and mean to
		for i := range crowd {
			crowd[i] = make(chan int)
			go await(crowd[i])
		}
	}
	troubles["healthy-pool"] = func() {
		p := &pool{tasks: make(chan func(), 16), results: make(chan int)}
		for range [4]int{} {
			p.group.Add(1)
			go p.work()
		}
		go p.feed()
		go p.collect()
		go func() { p.group.Wait(); close(p.results) }()
		idle := &pool{tasks: make(chan func())} // whose workers wait for ever, and mean to
		for range [16]int{} {
			idle.group.Add(1)
			go idle.work()
		}
		kept = append(kept, idle)
	}
	troubles["healthy-cpu"] = func() { // who computes, and never waits
		jobs := make(chan []byte, 64)
		go compute(jobs)
		go func() {
			for {
				jobs <- make([]byte, 100000)
			}
		}()
		go hash()
	}
	troubles["healthy-timer"] = func() { // whom only a timer's function wakes
		var group sync.WaitGroup
		group.Add(1)
		time.AfterFunc(time.Hour, group.Done)
		go group.Wait()
	}
	troubles["healthy-static"] = func() { // whom only a handler wakes, by a variable that points to what the compiler placed
		desk.open.Add(1)
		http.HandleFunc("/close", func(http.ResponseWriter, *http.Request) { desk.open.Done() })
		go desk.open.Wait()
	}
	troubles["healthy-cond"] = func() {
		q := &queue{}
		q.ready = sync.NewCond(&q.mu)
		for range [4]int{} {
			go func() {
				for {
					q.take()
				}
			}()
		}
		go q.fill()
		go signals()
		go tick(time.NewTicker(20 * time.Millisecond))
		go groups()
		go readers(&registry{names: map[string]int{"a": 1}})
	}
}

var desk = &struct{ open sync.WaitGroup }{}

// load takes so many MiB of memory, and has a page for each part of it.
func load(n int) {
	for i := 0; i < n; i++ {
		b := make([]byte, 1<<20)
		for at := 0; at < len(b); at += 4096 {
			b[at] = 1
		}
		weight = append(weight, b)
	}
}

//go:noinline
func compute(jobs chan []byte) {
	for job := range jobs {
		results.Add(sum(job))
	}
}

var results atomic.Uint64

//go:noinline
func sum(b []byte) (n uint64) {
	for range [40]int{} {
		for _, c := range b {
			n = n*31 + uint64(c)
		}
	}
	return n
}

func hash() {
	var sum [32]byte
	for {
		sum = sha256.Sum256(sum[:])
	}
}

type site struct {
	mu     sync.RWMutex
	visits map[string]int
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.visits[r.URL.Path]++
	s.mu.Unlock()
	select {
	case <-time.After(time.Millisecond):
	case <-r.Context().Done():
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	fmt.Fprintln(w, s.visits[r.URL.Path])
}

func visit(client *http.Client, url string) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
		if err != nil {
			panic(err)
		}
		if answer, err := client.Do(r); err == nil {
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		cancel()
		time.Sleep(2 * time.Millisecond)
	}
}

type pool struct {
	tasks   chan func()
	results chan int
	group   sync.WaitGroup
	mu      sync.Mutex
	sum     int
}

func (p *pool) work() {
	defer p.group.Done()
	for task := range p.tasks {
		task()
	}
}

func (p *pool) feed() {
	for i := 0; ; i++ {
		n := i
		p.tasks <- func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			for k := range [2000]int{} {
				p.sum += k ^ n
			}
			if n%100 == 0 {
				p.results <- p.sum
			}
		}
	}
}

// collect is slow: those who send to it wait, some for long.
func (p *pool) collect() {
	for range p.results {
		time.Sleep(time.Millisecond)
	}
}

func (q *queue) fill() {
	for {
		q.mu.Lock()
		q.n += 3
		q.mu.Unlock()
		q.ready.Broadcast()
		time.Sleep(5 * time.Millisecond)
	}
}

func signals() {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	for range hup {
		fmt.Fprintln(os.Stderr, "reload")
	}
}

func tick(t *time.Ticker) {
	for now := range t.C {
		_ = now
	}
}

// groups waits for workers over and over, in the manner of errgroup.
func groups() {
	for {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for range [8]int{} {
			wg.Add(1)
			go func() {
				defer wg.Done()
				select {
				case <-time.After(1500 * time.Millisecond):
				case <-ctx.Done():
				}
			}()
		}
		wg.Wait()
		cancel()
	}
}

func readers(r *registry) {
	for range [4]int{} {
		go func() {
			for {
				r.lookup("a")
				time.Sleep(time.Millisecond)
			}
		}()
	}
	for i := 0; ; i++ {
		r.add(fmt.Sprint(i % 100))
		time.Sleep(time.Millisecond)
	}
}

var (
	weight [][]byte
	crowd  [20000]chan int
)

func await(c chan int) { <-c }
