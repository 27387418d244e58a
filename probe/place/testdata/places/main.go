// The program calls functions of every kind that a probe has to find its place in, so many times as it says: one line
// of JSON with the number of calls by function, when it has been asked for it by a line. It says "ready" before.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
)

var (
	calls = map[string]int{}
	sink  int
	text  string
	float float64
	none  any
)

// did notes calls of a function.
func did(name string, n int) { calls[name] += n }

//go:noinline
func leaf(a, b int) int { return a*3 + b }

//go:noinline
func test(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}

//go:noinline
func loop(s []int) (sum int) {
	for _, v := range s {
		sum += v
	}
	return sum
}

//go:noinline
func spin(n uint) (sum uint) {
	for n != 0 {
		sum += n & 1
		n >>= 1
	}
	return sum
}

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

//go:noinline
func grow(n int, s string) int {
	var room [1024]byte
	room[n%1024] = byte(len(s))
	if n == 0 {
		return int(room[0])
	}
	return grow(n-1, s) + int(room[n%1024])
}

//go:noinline
func large(n int) int {
	var room [1 << 16]byte
	room[n&0xffff] = 1
	return int(room[n&0xff]) + leaf(n, 1)
}

//go:nosplit
//go:noinline
func nosplit(a int) int {
	if a > 1000 {
		return nosplitter(a)
	}
	return a
}

//go:nosplit
//go:noinline
func nosplitter(a int) int { return a + 1 }

// T has methods of all sorts.
type T struct {
	n    int
	name string
}

//go:noinline
func (t T) Value() int { return t.n + len(t.name) }

//go:noinline
func (t *T) Pointer(s string) int { return t.n + len(s) + leaf(t.n, 2) }

// U embeds T.
type U struct {
	*T
	more [3]int
}

// Valuer is implemented by T, *T, U, *U and V.
type Valuer interface{ Value() int }

// V is a Valuer.
type V float64

//go:noinline
func (v V) Value() int { return int(v) }

//go:noinline
func through(v Valuer) int { return v.Value() }

//go:noinline
func Map[K, W any](in []K, f func(K) W) (out []W) {
	for _, k := range in {
		out = append(out, f(k))
	}
	return out
}

// Box is generic.
type Box[E any] struct{ e E }

//go:noinline
func (b *Box[E]) Get(n int, s string) (E, int) { return b.e, n + len(s) }

// small functions are inlined.
func small(a, b int) int { return a ^ b<<1 }

func (t *T) getter() int { return t.n }

func branchy(s string) int {
	if len(s) > 3 {
		return int(s[3])
	}
	return -1
}

func looped(s []byte) (n int) {
	for _, c := range s {
		if c == 'x' {
			n++
		}
	}
	return n
}

func nested(t *T, b int) int { return small(t.getter(), b) + 1 }

//go:noinline
func inliner(t *T, s string, n int) (sum int) {
	for i := 0; i < n; i++ {
		sum += small(i, n) // line of small
		did("main.small", 1)
	}
	if n%2 == 0 {
		sum += nested(t, n)
		did("main.nested", 1)
		did("main.small", 1)
	}
	sum += branchy(s)
	did("main.branchy", 1)
	sum += looped([]byte(s))
	did("main.looped", 1)
	return sum
}

//go:noinline
func floats(a float64, b int, c float32, d string) float64 {
	return a*float64(b) + float64(c) + float64(len(d))
}

// Mixed doesn't fit into registers with more.
type Mixed struct {
	A int8
	B string
	C float32
	D [1]int
	E struct{}
	F *int
}

//go:noinline
func many(a int8, b string, c []int, m Mixed, d int, e uint16, f string, _ int, g [2]int) (int, string, error) {
	if d == 0 {
		return 0, "", errors.New("none")
	}
	return int(a) + len(b) + len(c) + len(m.B) + d + int(e) + g[1], f, nil
}

//go:noinline
func escapes(n int, s string) (p *int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	none = &n
	if n%2 == 1 {
		panic(s)
	}
	return &n, nil
}

//go:noinline
func closes(n int, s string) func(int) int {
	m := n
	return func(k int) int {
		m += k
		return m + len(s)
	}
}

//go:noinline
func exits(n int, done chan int) {
	defer close(done)
	if n%2 == 0 {
		runtime.Goexit()
	}
	sink += n
}

//go:noinline
func variadic(a int, rest ...string) string { return strings.Join(rest, ",") }

func assembled(a, b uint64) uint64

func framed(a, b uint64) uint64

// work calls everything, n times.
func work(n int) {
	t := &T{7, "seven"}
	for i := 0; i < n; i++ {
		x := i
		sink += leaf(i, 1) + test(&x) + test(nil) + loop([]int{1, 2, i}) + int(spin(uint(i)))
		did("main.leaf", 1)
		did("main.test", 2)
		did("main.loop", 1)
		did("main.spin", 1)
		sink += fib(5)
		did("main.fib", 15)
		sink += large(i) + nosplit(i*10)
		did("main.large", 1)
		did("main.leaf", 1)
		did("main.nosplit", 1)
		if i*10 > 1000 {
			did("main.nosplitter", 1)
		}
		sink += t.Value() + t.Pointer("abc") + through(*t) + through(t) + through(U{T: t}) + through(V(i))
		did("main.T.Value", 4)
		did("main.(*T).Pointer", 1)
		did("main.leaf", 1)
		did("main.through", 4)
		did("main.V.Value", 1)
		sink += len(Map([]int{1, 2}, func(i int) string { return "x" }))
		sink += len(Map([]string{"a"}, func(s string) *T { return t }))
		did("main.Map", 2)
		did("main.work.func1", 2)
		did("main.work.func2", 1)
		a, k := (&Box[string]{"s"}).Get(1, "k")
		b, l := (&Box[float64]{1.5}).Get(2, "l")
		did("main.(*Box).Get", 2)
		text, float, sink = a, b, sink+k+l
		sink += inliner(t, "longxx"[:i%6], i)
		did("main.inliner", 1)
		float += floats(1.5, i, 2.5, "d")
		did("main.floats", 1)
		p, q, err := many(1, "bb", []int{1}, Mixed{B: "m", F: &x}, i, 2, "f", 0, [2]int{i, 2})
		did("main.many", 1)
		sink, text, none = sink+p, q, err
		_, err = escapes(i, "odd")
		did("main.escapes", 1)
		did("main.escapes.func1", 1)
		sink += closes(i, "cc")(3)
		did("main.closes", 1)
		did("main.closes.func1", 1)
		done := make(chan int)
		go exits(i, done)
		<-done
		did("main.exits", 1)
		text = variadic(i, "a", "b")
		did("main.variadic", 1)
		sink += int(assembled(uint64(i), 2) + framed(uint64(i), 3))
		did("main.assembled", 1)
		did("main.framed", 1)
	}
	for i := 0; i < 3; i++ { // each on a stack that grows
		done := make(chan int)
		go func() { sink += grow(50, "s"); close(done) }()
		<-done
		did("main.grow", 51)
	}
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	for in.Scan() {
		calls = map[string]int{}
		work(100)
		out, _ := json.Marshal(calls)
		fmt.Println(string(out))
	}
}
