//go:build go1.23

package main

import (
	"iter"
	"unique"
)

var (
	handle  = unique.Make("handled")
	counted = count(3)
)

//go:noinline
func count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func newer() {
	say("main.handle", &handle)
	say("main.counted", &counted)
}
