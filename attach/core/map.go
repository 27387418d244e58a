package core

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// coreMap is a core file mapped into memory, so that what is read of it needs no copy. What was looked at would stay
// mapped until the end: 4 GB of a 4 GB core. So when much is, all is given back to the page cache, from which it comes
// back for a small fault.
//
// A file that becomes shorter while it is mapped means SIGBUS for who reads it: the script's goroutine makes an error
// of it (debug.SetPanicOnFault). What the file didn't have at the beginning isn't mapped.
type coreMap struct {
	data []byte
	stop chan struct{}
	once sync.Once
}

// mappedMost is how much of the core may be mapped at a time, about, and how often that is looked at.
const (
	mappedMost  = 256 << 20
	mappedWatch = 10 * time.Millisecond
)

// mapCore maps a file, nil if that can't be done: then it is read.
func mapCore(file *os.File, size int64) *coreMap {
	if size <= 0 || size != int64(int(size)) {
		return nil
	}
	data, err := unix.Mmap(int(file.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil
	}
	m := &coreMap{data: data, stop: make(chan struct{})}
	if size > mappedMost {
		go m.bound()
	}
	return m
}

// bound gives pages back when many are mapped.
func (m *coreMap) bound() {
	tick := time.NewTicker(mappedWatch)
	defer tick.Stop()
	statm, err := os.Open("/proc/self/statm")
	if err != nil {
		return
	}
	defer statm.Close()
	for {
		select {
		case <-m.stop:
			return
		case <-tick.C:
		}
		if filePages(statm)*attach.PageSize > mappedMost {
			unix.Madvise(m.data, unix.MADV_DONTNEED)
		}
	}
}

// filePages is the third number of /proc/PID/statm: resident pages of files.
func filePages(statm *os.File) (n int64) {
	var text [128]byte
	k, _ := statm.ReadAt(text[:], 0)
	field := 0
	for _, c := range text[:k] {
		switch {
		case c == ' ':
			field++
		case field == 2 && c >= '0' && c <= '9':
			n = n*10 + int64(c-'0')
		}
	}
	return n
}

// close ends the giving back. The mapping stays: a script that was given up may still read it.
func (m *coreMap) close() { m.once.Do(func() { close(m.stop) }) }
