// Command dying says "ready", counts SIGUSR2 and, at SIGUSR1, dies in the way of its first argument. "exec" begins
// itself anew in its place, with the arguments that are left.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

type record struct {
	id   int
	name string
}

var (
	records = map[string]*record{"a": {1, "alpha"}, "b": {2, "beta"}}
	got     int
)

//go:noinline
func endless(n int) int {
	var room [1 << 10]int
	room[n%len(room)] = n
	return endless(n+1) + room[(n+1)%len(room)]
}

func main() {
	c := make(chan os.Signal, 64)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2)
	for range 3 {
		go func() { // runs all the time, so that the runtime preempts it by signals
			for n := 0; got >= 0; n++ {
			}
		}()
	}
	fmt.Println("ready")
	for s := range c {
		if s == syscall.SIGUSR2 {
			got++
			continue
		}
		switch os.Args[1] {
		case "exit":
			os.Exit(7)
		case "return":
			return
		case "panic":
			var none *record
			records["c"] = &record{3, none.name}
		case "fatal":
			for range 2 {
				go func() {
					for i := 0; ; i++ {
						records[fmt.Sprint(i)] = nil
					}
				}()
			}
		case "overflow":
			endless(1)
		case "memory":
			got = len(make([]byte, got+1<<46))
		case "exec":
			syscall.Exec("/proc/self/exe", append(os.Args[:1], os.Args[2:]...), os.Environ())
		}
	}
}
