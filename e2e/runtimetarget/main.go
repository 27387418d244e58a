// Command runtimetarget does a little of all that the instruments for the Go runtime show, and tells by HTTP what is
// true of it. It is a module of its own, so that old releases of Go build it.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	_ "net/http/pprof"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"strings"
	"sync"
	"time"
)

var (
	released  = make(chan struct{}) // what the slow requests wait for
	db        *sql.DB
	buffers   = sync.Pool{New: func() any { return new([512]byte) }}
	openFile  *os.File
	errReason = errors.New("the operator said so")
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	debug.SetGCPercent(150)
	debug.SetMemoryLimit(3 << 30)
	db = openDatabase()
	mux := http.DefaultServeMux
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/truth", truth)
	mux.HandleFunc("/spin", spin)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	server := &http.Server{Handler: mux, ReadTimeout: 2 * time.Hour}
	go func() { must(server.Serve(listener)) }()
	base := "http://" + listener.Addr().String()

	timers()
	contexts()
	sockets()
	files()
	pools()
	labels()
	locked()
	child()
	useDatabase()
	requests(base)
	second := secondServer()
	runtime.GC()
	runtime.GC()
	fillPools()
	fmt.Println("http on " + base)
	fmt.Println("second on " + second)
	fmt.Println("ready")
	select {}
}

// slow answers when it is released, or never.
func slow(w http.ResponseWriter, r *http.Request) {
	select {
	case <-released:
		fmt.Fprintln(w, "done")
	case <-r.Context().Done():
	}
}

func requests(base string) {
	for i := 0; i < 3; i++ {
		go http.Get(fmt.Sprintf("%s/slow?number=%d", base, i))
	}
	go http.Post(base+"/slow/elsewhere", "text/plain", strings.NewReader("body")) // not found, and its connection stays
	for {
		var buf strings.Builder
		pprof.Lookup("goroutine").WriteTo(&buf, 2)
		if strings.Count(buf.String(), "main.slow(") == 3 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// secondServer speaks HTTP/2, and has two requests on one connection.
func secondServer() string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(slow))
	s.EnableHTTP2 = true
	s.StartTLS()
	client := s.Client()
	for i := 0; i < 2; i++ {
		go client.Get(fmt.Sprintf("%s/second?number=%d", s.URL, i))
	}
	for {
		var buf strings.Builder
		pprof.Lookup("goroutine").WriteTo(&buf, 2)
		if strings.Count(buf.String(), "main.slow(") == 5 {
			return s.URL
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func onceAnHour()   {}
func whenItIsLate() { fmt.Println("late") }

func timers() {
	time.AfterFunc(time.Hour, whenItIsLate)
	ticker := time.NewTicker(90 * time.Minute)
	go func() {
		for range ticker.C {
			onceAnHour()
		}
	}()
	go sleeper()
}

func sleeper() { time.Sleep(2 * time.Hour) }

type requestKey struct{}

func contexts() {
	root, cancelRoot := context.WithCancel(context.Background())
	_ = cancelRoot
	withValue := context.WithValue(root, requestKey{}, "request-17")
	withDeadline, cancel := context.WithTimeout(withValue, 3*time.Hour)
	_ = cancel
	go waitsFor(withDeadline)
	stopped, cancelCause := context.WithCancelCause(root)
	cancelCause(errReason)
	go ignores(stopped)
}

func waitsFor(ctx context.Context) {
	<-ctx.Done()
	fmt.Println(ctx.Err())
}

func ignores(ctx context.Context) {
	select {
	case <-released:
	}
	fmt.Println(ctx.Err())
}

func sockets() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			must(err)
			accepted <- c
		}
	}()
	dial := func() (net.Conn, net.Conn) {
		c, err := net.Dial("tcp", l.Addr().String())
		must(err)
		return c, <-accepted
	}
	// One waits to read, until a deadline; the other has bytes that nobody reads.
	reads, peer := dial()
	must(reads.SetReadDeadline(time.Now().Add(5 * time.Hour)))
	go waitsToRead(reads)
	full, other := dial()
	_, err = other.Write(make([]byte, 777))
	must(err)
	go keeps(full, other, peer)
}

func waitsToRead(c net.Conn) {
	_, err := bufio.NewReader(c).ReadByte()
	fmt.Println(err)
}

func keeps(cs ...net.Conn) {
	<-released
	fmt.Println(len(cs))
}

func files() {
	f, err := os.CreateTemp("", "runtimetarget")
	must(err)
	_, err = f.Write(make([]byte, 4096))
	must(err)
	_, err = f.Seek(123, io.SeekStart)
	must(err)
	must(os.Remove(f.Name()))
	openFile = f
}

func pools() {
	for i := 0; i < 5; i++ {
		buffers.Put(new([512]byte))
	}
}

// fillPools puts back what collections took: a private one and three shared ones on one P.
func fillPools() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := 0; i < 4; i++ {
		buffers.Put(new([512]byte))
	}
}

func labels() {
	for i := 0; i < 2; i++ {
		go pprof.Do(context.Background(), pprof.Labels("job", "indexing", "shard", fmt.Sprint(i)),
			func(context.Context) { labelled() })
	}
}

func labelled() { <-released }

func locked() {
	go func() {
		runtime.LockOSThread()
		<-released
	}()
}

// child runs a process whose output is read: a thread or the netpoller waits for it.
func child() {
	in, _, err := os.Pipe()
	must(err)
	cmd := exec.Command("true")
	must(cmd.Run())
	go readsPipe(in)
}

func readsPipe(f *os.File) {
	_, err := f.Read(make([]byte, 10))
	fmt.Println(err)
}

func spin(w http.ResponseWriter, r *http.Request) {
	d, _ := time.ParseDuration(r.FormValue("for"))
	for end := time.Now().Add(d); time.Now().Before(end); {
		busy(1000)
	}
}

var sink int

//go:noinline
func busy(n int) {
	for i := 0; i < n; i++ {
		sink += i * i % 7
	}
}

// truth tells what the runtime says of itself.
func truth(w http.ResponseWriter, r *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	samples := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}, {Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/gc/cycles/forced:gc-cycles"},
		{Name: "/sched/gomaxprocs:threads"}, {Name: "/sched/goroutines:goroutines"}, {Name: "/gc/gogc:percent"},
		{Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(samples)
	values := map[string]uint64{}
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			values[s.Name] = s.Value.Uint64()
		}
	}
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	position, _ := openFile.Seek(0, io.SeekCurrent)
	json.NewEncoder(w).Encode(map[string]any{
		"mem": m, "metrics": values, "gc": gc, "sql": db.Stats(), "goroutines": runtime.NumGoroutine(),
		"pid":   os.Getpid(),
		"procs": runtime.GOMAXPROCS(0), "go": runtime.Version(), "args": os.Args, "env": os.Environ(),
		"position": position,
	})
}
