// Command tiny is about the smallest Go program: what symbols.Open is given broken.
package main

type pair[K comparable, V any] struct {
	key K
	val V
	any
	next *pair[K, V]
}

type state int

const (
	idle state = iota
	busy
)

var (
	current = busy
	table   = map[string]*pair[string, int]{"a": {key: "a"}}
)

// stamp and other are the linker's to set.
var stamp, other string

//go:noinline
func lookup(k string) (p *pair[string, int]) {
	for _, c := range []state{idle, busy} {
		f := func() state { return c + current }
		if f() > 0 {
			p = table[k]
		}
	}
	return p
}

func main() {
	lookup("a").val++
	println(stamp + other)
}
