// Command calls makes calls that a test asks for, by lines on its standard input, and says after each what it called with
// what: a line of JSON.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Request is what take is called with.
type Request struct {
	ID    int64
	Name  string
	Next  *Request
	Price float64
	Ratio float32
	Small int16
	Big   uint8
	Blob  []byte
	Sub   *struct{ Deep *Request }
}

// Call is what the program says of a call.
type Call struct {
	ID      int64
	N       int
	Name    string
	List    []int64
	Price   float64
	Ratio   float32
	Small   int16
	Big     uint8
	Next    int64 // -1: nil
	Deep    int64 // -1: nil on the way
	Blob    []byte
	Result  int
	Failed  bool
	Panics  bool
	Exits   bool
	Thread  int
	Elapsed time.Duration
}

var sum int

//go:noinline
func take(r *Request, n int, name string, list []int64) (int, error) {
	runtime.KeepAlive(r)
	total := n + len(name)
	for _, v := range list {
		total += int(v)
	}
	if total%7 == 0 {
		return total, errors.New("seven")
	}
	return total, nil
}

//go:noinline
func empty(n int) int {
	if n > 1<<40 {
		return deep(n, nil)
	}
	return n + sum
}

// deep recurs, with frames large enough for the stack to grow.
//
//go:noinline
func deep(n int, end func()) int {
	var pad [512]byte
	pad[n&511] = byte(n)
	if n == 0 {
		if end != nil {
			end()
		}
		return int(pad[0])
	}
	return deep(n-1, end) + 1 + int(pad[(n+1)&511])
}

//go:noinline
func guarded(n int, end func()) (out int, failed bool) {
	defer func() {
		if recover() != nil {
			failed = true
		}
	}()
	return deep(n, end), false
}

//go:noinline
func slow(d time.Duration) time.Duration {
	begin := time.Now()
	for time.Since(begin) < d {
	}
	return time.Since(begin)
}

func request(i int) *Request {
	r := &Request{ID: int64(i), Name: fmt.Sprintf("name-%d-%s", i, strings.Repeat("x", i%90)), Price: float64(i)/4 - 3,
		Ratio: float32(i%5) - 2, Small: int16(i - 20), Big: uint8(i * 7), Blob: []byte(strings.Repeat("needle."[:i%8], i%5))}
	if i%11 == 5 {
		r.Price = math.NaN()
	}
	if i%3 != 0 {
		r.Next = &Request{ID: int64(1000 + i)}
	}
	if i%4 != 0 {
		r.Sub = &struct{ Deep *Request }{}
		if i%4 != 1 {
			r.Sub.Deep = &Request{ID: int64(2000 + i), Name: "deep"}
		}
	}
	return r
}

func call(i int) (c Call) {
	r := request(i)
	var list []int64
	for j := 0; j < i%6; j++ {
		list = append(list, int64(i*j))
	}
	c = Call{ID: r.ID, N: i * 3, Name: r.Name, List: list, Price: r.Price, Ratio: r.Ratio, Small: r.Small, Big: r.Big,
		Next: -1, Deep: -1, Blob: r.Blob, Thread: syscall.Gettid()}
	if math.IsNaN(c.Price) {
		c.Price = -1e300 // JSON has no NaN
	}
	if r.Next != nil {
		c.Next = r.Next.ID
	}
	if r.Sub != nil && r.Sub.Deep != nil {
		c.Deep = r.Sub.Deep.ID
	}
	var err error
	c.Result, err = take(r, c.N, r.Name, list)
	c.Failed = err != nil
	return c
}

// mapped calls take with a request whose memory is a file's, and not in any page cache.
func mapped(n int) []Call {
	f, err := os.CreateTemp("", "calls")
	check(err)
	defer os.Remove(f.Name())
	page := os.Getpagesize()
	var calls []Call
	check(f.Truncate(int64(n * page)))
	all, err := syscall.Mmap(int(f.Fd()), 0, n*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	check(err)
	for i := 0; i < n; i++ {
		r := (*Request)(unsafe.Pointer(&all[i*page]))
		r.ID, r.Small = int64(i), int16(i*3)
	}
	check(syscall.Munmap(all))
	check(f.Sync())
	_, _, no := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, 4, 0, 0) // POSIX_FADV_DONTNEED
	if no != 0 {
		check(no)
	}
	all, err = syscall.Mmap(int(f.Fd()), 0, n*page, syscall.PROT_READ, syscall.MAP_SHARED)
	check(err)
	for i := 0; i < n; i++ {
		r := (*Request)(unsafe.Pointer(&all[i*page]))
		take(r, i, "mapped", nil)
		calls = append(calls, Call{ID: int64(i), Small: int16(i * 3), N: i})
	}
	// What isn't there at all.
	check(syscall.Munmap(all))
	take((*Request)(unsafe.Pointer(&all[0])), -1, "gone", nil)
	return calls
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	check(out.Encode(map[string]int{"PID": os.Getpid()}))
	for in.Scan() {
		var what string
		var n, m int
		fmt.Sscan(in.Text(), &what, &n, &m)
		var calls []Call
		begin := cpu()
		switch what {
		case "take": // n calls on m goroutines
			calls = make([]Call, n)
			several(n, m, func(i int) { calls[i] = call(i) })
		case "mapped":
			calls = mapped(n)
		case "empty":
			for i := 0; i < n; i++ {
				sum = empty(i) & 1
			}
		case "bench": // n calls of take with the same arguments
			runtime.LockOSThread()
			r := request(m)
			r.Next, r.Sub = &Request{ID: 7, Name: "next"}, &struct{ Deep *Request }{&Request{ID: 9}}
			list := []int64{1, 2, 3}
			begin = cpu()
			for i := 0; i < n; i++ {
				take(r, i, r.Name, list)
			}
		case "spin": // empty for n milliseconds, on m threads
			check(out.Encode(map[string]bool{"Started": true}))
			var wg sync.WaitGroup
			count := make([]int, m)
			for j := 0; j < m; j++ {
				j := j
				wg.Add(1)
				go func() {
					defer wg.Done()
					for end := time.Now().Add(time.Duration(n) * time.Millisecond); time.Now().Before(end); {
						for i := 0; i < 1000; i++ {
							empty(i)
						}
						count[j] += 1000
					}
				}()
			}
			wg.Wait()
			for _, c := range count {
				calls = append(calls, Call{N: c})
			}
		case "deep": // n goroutines, each m deep
			calls = make([]Call, n)
			several(n, n, func(i int) { calls[i] = Call{N: i, Result: deep(m+i%3, nil)} })
		case "panics", "exits":
			calls = make([]Call, n)
			var wg sync.WaitGroup
			for i := 0; i < n; i++ {
				i := i
				wg.Add(1)
				done := make(chan struct{})
				go func() {
					defer wg.Done()
					defer close(done)
					end := func() { panic("now") }
					if what == "exits" {
						end = runtime.Goexit
					}
					if i%2 == 0 {
						end = nil
					}
					calls[i] = Call{N: m, Panics: what == "panics" && end != nil, Exits: what == "exits" && end != nil}
					calls[i].Result, _ = guarded(m, end)
					deep(1, nil)
				}()
				<-done
			}
			wg.Wait()
		case "flows": // n calls of enter on m goroutines, each with steps of its own, and steps of nobody's
			several(n, m, func(i int) { recovered(func() { enter(i, i%7 == 0) }); step(-1 - i) })
		case "slow":
			for i := 0; i < n; i++ {
				calls = append(calls, Call{N: i, Elapsed: slow(time.Duration(m) * time.Microsecond)})
			}
		case "fork": // a child by fork and exec, and one that executes nothing and waits to be killed
			check(exec.Command("/bin/true").Run())
			runtime.LockOSThread()
			pid, _, no := syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0)
			if pid == 0 {
				for {
					syscall.RawSyscall(syscall.SYS_PAUSE, 0, 0, 0)
				}
			}
			if no != 0 {
				check(no)
			}
			calls = append(calls, Call{N: int(pid)})
		case "end":
			check(syscall.Kill(n, syscall.SIGKILL))
		}
		check(out.Encode(map[string]any{"Calls": calls, "CPU": cpu() - begin}))
	}
}

// enter is a call with a number that is known on its way: it makes four steps, enters itself, starts a goroutine that
// starts one, and may panic. One that it starts outlives it.
//
//go:noinline
func enter(id int, panics bool) {
	step(id)
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		defer wg.Done()
		step(id)
		go func() {
			defer wg.Done()
			step(id)
		}()
	}()
	late := make(chan bool)
	go func() {
		<-late
		step(-1)
	}()
	wg.Wait()
	deeper(id)
	if panics { // where it ends isn't seen until its goroutine does something else
		panic("on the way")
	}
	step(id)
	after(late)
}

// after lets what outlives a call go on once that has returned.
func after(late chan bool) { time.AfterFunc(20*time.Millisecond, func() { close(late) }) }

//go:noinline
func deeper(id int) {
	if id%2 == 0 {
		nested(id)
		return
	}
	step(id)
}

//go:noinline
func nested(id int) { step(id) }

//go:noinline
func step(id int) { runtime.KeepAlive(id) }

func recovered(f func()) {
	defer func() { recover() }()
	f()
}

// several does n things on m goroutines.
func several(n, m int, f func(int)) {
	var wg sync.WaitGroup
	for j := 0; j < m; j++ {
		j := j
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := j; i < n; i += m {
				f(i)
			}
		}()
	}
	wg.Wait()
}

// cpu is this thread's CPU time.
func cpu() time.Duration {
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 3, uintptr(unsafe.Pointer(&t)), 0) // CLOCK_THREAD_CPUTIME_ID
	return time.Duration(t.Nano())
}
