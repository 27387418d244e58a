// Command kinds calls functions with a value of each kind, and says for which calls conditions on them hold.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type State uint8

const (
	Idle State = iota
	Busy
	Closed
)

type Level string

type Base struct{ Seq uint64 }

type Deep struct {
	*Base
	Named string
}

type Box[T any] struct {
	Value T
	Next  *Box[T]
	List  []T
}

type Shape interface{ Sides() int }

type (
	Square struct{ Side int }
	Dot    struct{}
	Wide   struct{ A, B, C int }
)

func (Square) Sides() int { return 4 }
func (Dot) Sides() int    { return 0 }
func (*Wide) Sides() int  { return 3 }

type Failure struct{ Code int }

func (f *Failure) Error() string { return fmt.Sprint("failure ", f.Code) }

type Code int

func (c Code) Error() string { return fmt.Sprint("code ", int(c)) }

var errOdd = errors.New("odd")

// All has a field of each kind.
type All struct {
	Deep
	B        bool
	I8       int8
	I16      int16
	I32      int32
	I64      int64
	I        int
	U8       uint8
	U16      uint16
	U32      uint32
	U64      uint64
	U        uint
	Up       uintptr
	F32      float32
	F64      float64
	Text     string
	Level    Level
	Data     []byte
	Words    []string
	Spare    []int
	Structs  []Base
	Array    [3]int16
	Texts    [2]string
	Map      map[string]int
	Ints     map[int]*Base
	Chan     chan int
	Func     func()
	Ptr      *All
	PtrPtr   **Base
	Any      any
	Shape    Shape
	Err      error
	Took     time.Duration
	State    State
	Box      Box[int32]
	Boxed    *Box[string]
	Nested   struct{ X, Y struct{ N int32 } }
	Count    atomic.Int64
	Mu       sync.Mutex
	Complex  complex128
	ArrayPtr *[3]int16
	Bits     [8]bool
	Empty    struct{}
	Rune     rune
}

func made(id int) *All {
	n := int64(id%5 - 2) // -2 .. 2
	base := &Base{uint64(id % 3)}
	a := &All{
		Deep: Deep{base, fmt.Sprint("deep-", id%3)}, B: id%2 == 0, I8: int8(n * 60), I16: int16(n * 1000),
		I32: int32(n * 100_000), I64: n << 40, I: int(n),
		U8: uint8(id * 51), U16: uint16(id * 9000), U32: uint32(id) * 900_000_000, U64: uint64(id) << 62, U: uint(id % 7),
		Up: uintptr(id % 4), F32: float32(n) / 4, F64: float64(n) * 1.5, Text: strings.Repeat("ab", id%6) + "c",
		Level: Level([]string{"low", "high"}[id%2]), Data: []byte(strings.Repeat("x", id%3) + "\x00y"),
		Words: strings.Fields("alpha beta gamma delta")[:id%5], Structs: []Base{{1}, {uint64(id % 2)}},
		Array: [3]int16{1, int16(n), -7}, Texts: [2]string{"one", fmt.Sprint("two", id%2)},
		Took: time.Duration(id%4) * 25 * time.Millisecond, State: State(id % 3),
		Box: Box[int32]{Value: int32(n), List: []int32{5, int32(id % 2)}}, Complex: complex(float64(n), 1),
		Rune: rune('a' + id%3),
	}
	a.Spare = make([]int, 0, id%4)
	a.Nested.Y.N = int32(id % 3)
	a.Count.Store(n)
	a.ArrayPtr, a.Bits[5] = &a.Array, id%3 == 0
	if id%2 == 0 {
		a.Map, a.Chan, a.Func = map[string]int{"a": 1, "b": 2}, make(chan int, 4), func() {}
		a.Ptr = &All{I: id % 4, Text: "inner"}
		a.Ptr.Ptr = &All{Text: fmt.Sprint("inmost", id%4)}
		a.Chan <- 1
		a.Boxed = &Box[string]{Value: "v", Next: &Box[string]{Value: fmt.Sprint("next", id%4)}}
	}
	a.PtrPtr = &a.Base
	if id%3 == 1 {
		a.Ints = map[int]*Base{}
		for i := range 40 {
			a.Ints[i] = base
		}
	}
	a.Any = []any{nil, "text", 7, uint8(200), 2.5, base, Square{3}, []string{"x"}, map[string]int{"k": 1}, true,
		time.Second, [2]int{1, 2}, Code(4)}[id%13]
	a.Shape = []Shape{nil, Square{id % 4}, Dot{}, &Wide{1, id % 5, 3}}[id%4]
	a.Err = []error{nil, errOdd, io.EOF, &Failure{id % 4}, fmt.Errorf("wrapped: %w", errOdd), Code(id % 3),
		(*Failure)(nil)}[id%7]
	return a
}

//go:noinline
func Pointer(id int, a *All) { use(id, a) }

//go:noinline
func (a *All) Receiver(id int) { use(id, a) }

type Small struct {
	ID   int
	Text string
	B    bool
	I8   int8
	U16  uint16
	Err  error
}

//go:noinline
func (s Small) Value(prefix string) { use(s.ID, s, prefix) }

type Big struct {
	ID    int
	Pad   [20]int64
	Text  string
	F64   float64
	Array [3]uint16
	I8    int8
	Err   error
}

//go:noinline
func Stacked(b Big, id int) { use(id, b) }

//go:noinline
func Scalars(id int, b bool, i8 int8, i16 int16, i32 int32, u8 uint8, u64 uint64, s string) {
	use(id, b, i8, i16, i32, u8, u64, s)
}

//go:noinline
func More(id int, state State, took time.Duration, list []int32, err error, f32 float32, f64 float64, c complex64) {
	use(id, state, took, list, err, f32, f64, c)
}

//go:noinline
func Rest(id int, x any, m map[string]int, c chan int, p *All, f func(), shape Shape) {
	use(id, x, m, c, p, f, shape)
}

//go:noinline
func Results(id int, a *All) (n int8, ok bool, text string, list []string, err error, p *All) {
	use(id, a)
	return a.I8, a.B, a.Text, a.Words, a.Err, a.Ptr
}

//go:noinline
func Many(id int, a *All) (big Big, u16 uint16, f float64, x any) {
	use(id, a)
	return Big{ID: id, Text: a.Text, F64: a.F64, Array: [3]uint16{1, a.U16, 3}, I8: a.I8, Err: a.Err}, a.U16, a.F64, a.Any
}

//go:noinline
func Generic[T any](id int, b *Box[T], v T) (*Box[T], bool) {
	use(id, b, v)
	return b, id%2 == 0
}

var sink atomic.Int64

//go:noinline
func use(id int, all ...any) { sink.Add(int64(id + len(all))) }

// text, and the like, are what ri has for package strings.
func hasPrefix(s, p string) bool { return strings.HasPrefix(s, p) }
func hasSuffix(s, p string) bool { return strings.HasSuffix(s, p) }
func contains(s, p string) bool  { return strings.Contains(s, p) }

func as[T any](x any) (v T) { v, _ = x.(T); return v }
func is[T any](x any) bool  { _, ok := x.(T); return ok }

func main() {
	for _, c := range conditions {
		json.NewEncoder(os.Stdout).Encode(map[string]any{"func": c.function, "when": c.when,
			"refused": c.holds == nil})
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var n int
		fmt.Sscan(in.Text(), &n)
		did := make([][]int, len(conditions))
		for id := range n {
			a := made(id)
			for i, c := range conditions {
				if c.holds != nil && c.holds(a, id) {
					did[i] = append(did[i], id)
				}
			}
			calls(a, id)
		}
		json.NewEncoder(os.Stdout).Encode(did)
	}
}

func calls(a *All, id int) {
	Pointer(id, a)
	a.Receiver(id)
	small(a, id).Value(a.Named)
	Stacked(big(a, id), id)
	Scalars(id, a.B, a.I8, a.I16, a.I32, a.U8, a.U64, a.Text)
	More(id, a.State, a.Took, a.Box.List, a.Err, a.F32, a.F64, complex64(a.Complex))
	Rest(id, a.Any, a.Map, a.Chan, a.Ptr, a.Func, a.Shape)
	Results(id, a)
	Many(id, a)
	Generic(id, &a.Box, a.I32)
	if a.Boxed != nil {
		Generic(id, a.Boxed, a.Text)
	}
}

func small(a *All, id int) Small {
	return Small{ID: id, Text: a.Text, B: a.B, I8: a.I8, U16: a.U16, Err: a.Err}
}

func big(a *All, id int) Big {
	return Big{ID: id, Text: a.Text, F64: a.F64, Array: [3]uint16{1, a.U16, 3}, I8: a.I8, Err: a.Err}
}
