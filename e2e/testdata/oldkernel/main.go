// Oldkernel is traced under an old kernel: it calls a function with what grows by one.
package main

import "time"

type order struct {
	number int
	name   string
}

//go:noinline
func work(o *order, times int) (done bool) {
	return o.number%2 == 0 && times > 0
}

func main() {
	for n := 0; ; n++ {
		work(&order{n, "order"}, n)
		time.Sleep(5 * time.Millisecond)
	}
}
