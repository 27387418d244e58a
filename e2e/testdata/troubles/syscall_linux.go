package main

import (
	"sync"
	"syscall"
)

type logger struct {
	mu   sync.Mutex
	file int
}

//go:noinline
func (l *logger) log() {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b [16]byte
	syscall.Read(l.file, b[:]) // lock-syscall: holds here
}
