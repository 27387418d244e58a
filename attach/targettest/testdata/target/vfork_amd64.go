package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// vfork starts a child as vfork(2) does, and gives its pid when it has read a byte of fd and ended.
func vfork(fd int) int

// forkChildren starts a child that ends when a byte is written to what this gives, again and again. It returns when the
// first is there.
func forkChildren() (end *os.File) {
	var fds [2]int
	if err := syscall.Pipe(fds[:]); err != nil {
		panic(err)
	}
	thread := make(chan int)
	go func() {
		runtime.LockOSThread()
		thread <- syscall.Gettid()
		for {
			pid := vfork(fds[0])
			if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
				errors.Add(1)
			}
			children.Add(1)
		}
	}()
	path := fmt.Sprintf("/proc/self/task/%d/children", <-thread)
	for {
		if data, err := os.ReadFile(path); err != nil || len(data) > 0 {
			return os.NewFile(uintptr(fds[1]), "pipe")
		}
	}
}
