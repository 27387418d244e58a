package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// What goes round and round, each in a way of its own.
func init() {
	troubles["spin-eof-file"] = func() { go follow(temporary("one\ntwo\n")) }
	troubles["spin-eof-conn"] = func() { go attend(deserted()) }
	troubles["spin-eof-pipe"] = func() {
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		w.Close()
		go drain(r)
	}
	troubles["spin-eof-commands"] = func() { go (&console{}).attend(bufio.NewReader(temporary("one\ntwo\n"))) }
	troubles["spin-eof-packets"] = func() { go packets(bufio.NewReader(deserted())) }
	troubles["spin-eof-copied"] = func() { go gather(temporary("one\ntwo\n")) }
	troubles["spin-eof-scanner"] = func() { go scan(bufio.NewScanner(strings.NewReader("one\ntwo\n"))) }
	troubles["spin-eof-memory"] = func() {
		r, w := io.Pipe()
		w.Close()
		go drain(r)
	}
	troubles["spin-accept"] = func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		l.Close()
		go accept(l)
	}
	troubles["spin-closed"] = func() {
		c := make(chan int)
		close(c)
		go takeAll(c)
	}
	troubles["spin-closed-select"] = func() {
		stop := make(chan struct{})
		close(stop)
		go choose(make(chan int), stop)
	}
	troubles["spin-context"] = func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		go keepOn(ctx, make(chan int))
	}
	troubles["spin-dial"] = func() { go dialAgain(nobodyListens()) }
	troubles["spin-timer"] = func() { go rearm(time.NewTimer(0)) }
	troubles["spin-after"] = func() { go lapse(make(chan int)) }
	troubles["spin-decoder"] = func() { go decode(json.NewDecoder(strings.NewReader(`{"a": 1}`))) }
	troubles["spin-deadline"] = func() {
		_, c := connected()
		c.SetReadDeadline(time.Now().Add(-time.Second))
		go attend(c)
	}
	troubles["spin-write"] = func() {
		_, c := connected()
		c.Close()
		go push(c, []byte("text"))
	}
	troubles["spin-channels"] = func() { go pollAll([]chan int{make(chan int), make(chan int), make(chan int)}) }
	troubles["spin-parse"] = func() { go parse("12x") }
	troubles["spin-copy"] = func() { go io.Copy(io.Discard, endless{temporary("")}) }
	troubles["spin-open"] = func() { go openAgain("/nowhere/is/it") }
	troubles["spin-empty"] = func() { go pollRing(&ring{}) }
	troubles["spin-endless"] = func() { go arithmetic() }
	troubles["spin-crowd"] = func() {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR2) // or it would have to wait for its turn among them
		for range [300]int{} {
			go spin()
		}
	}
}

func temporary(text string) *os.File {
	f, err := os.CreateTemp("", "followed")
	if err != nil {
		panic(err)
	}
	os.Remove(f.Name())
	io.WriteString(f, text)
	f.Seek(0, io.SeekStart)
	return f
}

// deserted is a connection whose peer has closed it.
func deserted() net.Conn {
	conn, peer := connected()
	conn.Close()
	return peer
}

// connected are the two ends of a connection. The first is kept.
func connected() (net.Conn, net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	peer, err := l.Accept()
	if err != nil {
		panic(err)
	}
	kept = append(kept, l, conn)
	return conn, peer
}

func nobodyListens() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

//go:noinline
func dialAgain(address string) net.Conn {
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			return c
		}
	}
}

//go:noinline
func rearm(t *time.Timer) {
	for {
		<-t.C
		results.Add(1)
		t.Reset(0)
	}
}

//go:noinline
func lapse(stop chan int) {
	for {
		select {
		case <-time.After(0):
		case <-stop:
			return
		}
	}
}

//go:noinline
func decode(d *json.Decoder) {
	for {
		var v map[string]int
		if err := d.Decode(&v); err != nil {
			continue
		}
		results.Add(uint64(len(v)))
	}
}

//go:noinline
func push(c net.Conn, b []byte) {
	for len(b) > 0 {
		n, _ := c.Write(b)
		b = b[n:]
	}
}

//go:noinline
func pollAll(all []chan int) {
	for {
		for _, c := range all {
			select {
			case v := <-c:
				results.Add(uint64(v))
			default:
			}
		}
	}
}

//go:noinline
func parse(text string) int {
	for {
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
	}
}

// endless is a reader that hides the end.
type endless struct{ from io.Reader }

func (e endless) Read(b []byte) (int, error) {
	n, err := e.from.Read(b)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

//go:noinline
func follow(f *os.File) {
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			continue
		}
		results.Add(uint64(len(line)))
	}
}

//go:noinline
func attend(c net.Conn) {
	var b [512]byte
	for {
		n, _ := c.Read(b[:])
		results.Add(uint64(n))
	}
}

//go:noinline
func drain(r io.Reader) {
	b := make([]byte, 512)
	for {
		n, err := r.Read(b)
		if n > 0 && err == nil {
			results.Add(uint64(b[n-1]))
		}
	}
}

//go:noinline
func scan(s *bufio.Scanner) {
	for {
		if s.Scan() {
			results.Add(uint64(len(s.Bytes())))
		}
	}
}

//go:noinline
func accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			continue
		}
		c.Close()
	}
}

//go:noinline
func takeAll(c chan int) {
	for {
		results.Add(uint64(<-c))
	}
}

//go:noinline
func choose(c chan int, stop chan struct{}) {
	for {
		select {
		case v := <-c:
			results.Add(uint64(v))
		case <-stop:
		}
	}
}

//go:noinline
func keepOn(ctx context.Context, c chan int) {
	for {
		select {
		case v := <-c:
			results.Add(uint64(v))
		case <-ctx.Done():
			continue
		}
	}
}

//go:noinline
func openAgain(path string) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
		if err == nil {
			syscall.Close(fd)
		}
	}
}

type ring struct {
	mu   sync.Mutex
	jobs []func()
}

//go:noinline
func (r *ring) take() func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.jobs) == 0 {
		return nil
	}
	job := r.jobs[0]
	r.jobs = r.jobs[1:]
	return job
}

//go:noinline
func pollRing(r *ring) {
	for {
		if job := r.take(); job != nil {
			job()
		}
	}
}

//go:noinline
func arithmetic() {
	x := uint64(1)
	for {
		x = x*31 + 7
	}
}
