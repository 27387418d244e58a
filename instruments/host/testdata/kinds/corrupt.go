package main

import (
	"container/list"
	"unsafe"
)

// corrupt makes what a crashed process may hold. The collector may not run after it: see the test.
func corrupt() {
	// The middle element's next leads back to the first: a walk never ends.
	front := all.badList.Front()
	type element struct {
		next, prev *list.Element
	}
	(*element)(unsafe.Pointer(front.Next())).next = front
	badJobs = []*Job{jobs[0], nil, jobs[1]}
	*(*uintptr)(unsafe.Pointer(&badJobs[2])) = 0x18
	broken = &Node{1, &Node{2, nil}}
	*(*uintptr)(unsafe.Pointer(&broken.next.next)) = 0x18
}
