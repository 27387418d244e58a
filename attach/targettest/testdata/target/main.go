// Command target is what package attach is tested on. It knows nothing of ri. It does what its flags say,
// prints one line of JSON when it is ready, and then answers each line on its standard input with a line of JSON; it
// ends when its standard input does.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Facts are what the tests compare with.
type Facts struct {
	PID       int
	Address   uintptr // of Pattern
	Size      int
	Counter   uintptr // address of the counter that the busy goroutines count up
	Rounds    uintptr // address of a word in each page of -rounds bytes, one after the other set to the round's number
	RoundSize int
	Comes     uintptr // address of what -remap keeps: an address, or 0, and the number that each page there begins with
	Heartbeat int64
	Signals   int64
	Threads   int64 // started by -churn
	Children  int64 // run by -exec
	Errors    int64 // failed system calls
	LongestMS float64
	Computed  int64
}

var (
	pattern   []byte
	counter   atomic.Int64
	computed  atomic.Int64
	rounds    []byte
	comes     struct{ address, number atomic.Uint64 }
	heartbeat atomic.Int64
	signals   atomic.Int64
	churned   atomic.Int64
	children  atomic.Int64
	errors    atomic.Int64
	longest   atomic.Int64 // ns between two beats
)

// Of C, if there is any.
var (
	startC      = func(int) {}
	failuresOfC = func() int64 { return 0 }
)

// waitHere has a known frame for stack traces.
//
//go:noinline
func waitHere(name string, c chan struct{}) {
	<-c
	runtime.KeepAlive(name)
}

func facts() Facts {
	return Facts{
		PID: os.Getpid(), Address: uintptr(unsafe.Pointer(&pattern[0])), Size: len(pattern),
		Counter:   uintptr(unsafe.Pointer(&counter)),
		Heartbeat: heartbeat.Load(), Signals: signals.Load(), Threads: churned.Load(), Children: children.Load(),
		Rounds: uintptr(unsafe.Pointer(unsafe.SliceData(rounds))), RoundSize: len(rounds),
		Comes:  uintptr(unsafe.Pointer(&comes)),
		Errors: errors.Load() + failuresOfC(), LongestMS: float64(longest.Load()) / 1e6, Computed: computed.Load(),
	}
}

func main() {
	threads := flag.Int("threads", 0, "goroutines locked to a thread that sleeps in the kernel")
	goroutines := flag.Int("goroutines", 0, "goroutines parked in waitHere")
	busy := flag.Int("busy", 0, "goroutines that count")
	churn := flag.Int("churn", 0, "goroutines that start and end threads all the time")
	execs := flag.Int("exec", 0, "goroutines that run child processes all the time")
	roundSize := flag.Int("rounds", 0, "bytes of memory that is written to page by page, round after round, in order")
	nap := flag.Duration("nap", 0, "pause after 64 pages of -rounds")
	remap := flag.Int("remap", 0, "pages of a mapping that comes and goes all the time")
	ofC := flag.Int("cthreads", 0, "threads of C, if it is built with the tag cthreads")
	compute := flag.Int("compute", 0, "goroutines that compute, in all registers, and check what they computed")
	filter := flag.Bool("seccomp", false, "run under a seccomp filter, which allows everything")
	size := flag.Int("size", 1<<20, "bytes of memory with a known pattern")
	mappings := flag.Int("mappings", 0,
		"have the known pattern in so many mappings of a page each, of which every other can't be written to")
	forks := flag.Bool("vfork", false,
		"have a child that has not started its program yet; the line vfork ends it, and the next one begins")
	reexec := flag.Duration("reexec", 0, "replace the program by itself after this time, again and again")
	flag.Parse()

	if *filter {
		allowAll()
	}
	if pattern = make([]byte, *size); *mappings > 0 {
		pattern = mapped(*mappings)
	}
	for i := range pattern {
		pattern[i] = byte(i*7 + i>>8)
	}
	for page := 1; page < *mappings; page += 2 {
		if syscall.Mprotect(pattern[page*4096:][:4096], syscall.PROT_READ) != nil {
			errors.Add(1)
		}
	}
	usr1 := make(chan os.Signal, 1024)
	signal.Notify(usr1, syscall.SIGUSR1)
	go func() {
		for range usr1 {
			signals.Add(1)
		}
	}()
	go beat()
	wait := make(chan struct{})
	for range *goroutines {
		go waitHere("parked", wait)
	}
	for range *busy {
		go func() {
			for {
				counter.Add(1)
			}
		}()
	}
	for range *threads {
		started := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			var fds [2]int
			if err := syscall.Pipe(fds[:]); err != nil {
				panic(err)
			}
			close(started)
			var b [1]byte
			for { // a read in the kernel that nothing ends
				if _, err := syscall.Read(fds[0], b[:]); err != nil {
					errors.Add(1)
				}
			}
		}()
		<-started
	}
	for range *churn {
		go func() {
			for {
				done := make(chan struct{})
				go func() { // a locked goroutine that ends takes its thread with it
					runtime.LockOSThread()
					churned.Add(1)
					close(done)
				}()
				<-done
			}
		}()
	}
	for range *execs {
		go func() {
			for {
				if err := exec.Command("/bin/true").Run(); err != nil {
					errors.Add(1)
					fmt.Fprintln(os.Stderr, err)
				}
				children.Add(1)
			}
		}()
	}
	startC(*ofC)
	for range *compute {
		go checkComputing()
	}
	if *roundSize > 0 {
		rounds = make([]byte, *roundSize)
		go writeRounds(*nap)
	}
	if *remap > 0 {
		go comeAndGo(*remap)
	}
	var endChild *os.File
	if *forks {
		endChild = forkChildren()
	}
	if *reexec > 0 {
		time.AfterFunc(*reexec, func() {
			panic(syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
		})
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(facts())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch in.Text() {
		case "reset":
			longest.Store(0)
		case "vfork":
			endChild.Write([]byte{0})
		case "exec": // become the same program again, which says that it is ready
			panic(syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
		}
		out.Encode(facts())
	}
}

func beat() {
	last := time.Now()
	for {
		time.Sleep(time.Millisecond)
		now := time.Now()
		if d := int64(now.Sub(last)); d > longest.Load() {
			longest.Store(d)
		}
		last = now
		heartbeat.Add(1)
	}
}

// writeRounds writes the round's number to each page in turn: at any moment the numbers fall by one at one place at
// most.
func writeRounds(nap time.Duration) {
	for round := uint64(1); ; round++ {
		for at := 0; at < len(rounds); at += 4096 {
			(*atomic.Uint64)(unsafe.Pointer(&rounds[at])).Store(round)
			if nap > 0 && at>>12&63 == 0 {
				time.Sleep(nap)
			}
		}
	}
}

// mapped maps so many pages.
func mapped(pages int) []byte {
	b, err := syscall.Mmap(-1, 0, pages*4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		panic(err)
	}
	return b
}

// comeAndGo maps memory, fills it, says where it is, says that it is gone, and unmaps it; every third time it drops the
// pages and fills them again instead.
func comeAndGo(pages int) {
	for number := uint64(1); ; {
		b, err := syscall.Mmap(-1, 0, pages*4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			errors.Add(1)
			return
		}
		for range 3 {
			for at := 0; at < len(b); at += 4096 {
				(*atomic.Uint64)(unsafe.Pointer(&b[at])).Store(number)
			}
			comes.number.Store(number)
			comes.address.Store(uint64(uintptr(unsafe.Pointer(&b[0]))))
			time.Sleep(2 * time.Millisecond)
			comes.address.Store(0)
			syscall.Madvise(b, syscall.MADV_DONTNEED)
			number++
		}
		syscall.Munmap(b)
	}
}

// checkComputing computes the same things again and again.
func checkComputing() {
	data := make([]byte, 32<<10)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	sum, crc := sha256.Sum256(data), crc32.ChecksumIEEE(data)
	real := func() float64 {
		a, b, c, d := 1.0, 2.0, 3.0, 5.0
		for i := range 20_000 {
			a, b, c, d = a+b*1e-3, math.Sqrt(b+c), c+1/a, d*1.0000001+float64(i)
		}
		return a + b + c + d
	}
	want := real()
	for {
		if !hold(200_000) || sha256.Sum256(data) != sum || crc32.ChecksumIEEE(data) != crc || real() != want {
			errors.Add(1)
			fmt.Fprintln(os.Stderr, "a wrong result")
		}
		computed.Add(1)
	}
}

// allowAll installs a seccomp filter (seccomp(2)) for all threads.
func allowAll() {
	type instruction struct {
		code   uint16
		jt, jf uint8
		k      uint32
	}
	program := []instruction{{code: 6, k: 0x7fff0000}} // BPF_RET, SECCOMP_RET_ALLOW
	filter := struct {
		length uint16
		first  *instruction
	}{1, &program[0]}
	const setNoNewPrivs, setModeFilter, synchronise, seccomp = 38, 1, 1, 317
	if _, _, e := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0); e != 0 {
		panic(e)
	}
	if _, _, e := syscall.RawSyscall(seccomp, setModeFilter, synchronise, uintptr(unsafe.Pointer(&filter))); e != 0 {
		panic(e)
	}
}
