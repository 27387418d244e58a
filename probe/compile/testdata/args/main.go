// Command args has a value of each kind that a function may be given, and says what Go makes of conditions on them.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Large has more than a hit takes along of one structure.
type Large struct {
	First      int
	_          [2000]byte
	A, B, C, D int
}

var large = &Large{First: 17}

type State int

const (
	Idle State = iota
	Busy
)

type Inner struct {
	Name  string
	N     int32
	Small int8
	Next  *Inner
	Tags  []string
}

type Base struct{ ID uint64 }

type Shape interface{ Area() float64 }

type Fault struct {
	Code int
	Text string
	In   *Inner
}

func (f *Fault) Error() string { return f.Text }

type Square struct{ Side float64 }

func (s Square) Area() float64 { return s.Side * s.Side }

type Circle struct{ R float64 }

func (c *Circle) Area() float64 { return 3 * c.R * c.R }

type All struct {
	*Base
	Inner   Inner
	Ptr     *Inner
	Nil     *Inner
	Text    string
	Empty   string
	Data    []byte
	Words   []string
	Inners  []*Inner
	Numbers [4]int16
	Ratio   float64
	Half    float32
	On      bool
	Off     bool
	State   State
	Took    time.Duration
	At      time.Time
	Map     map[string]int
	NoMap   map[string]int
	Deep    map[string]*Inner
	Many    map[int16]string // in a table
	Grown   map[string]int   // more than is searched
	Chan    chan int
	Err     error
	NoErr   error
	Wrapped error
	EOF     error
	Path    error
	Own     error
	Square  Shape
	Circle  Shape
	Any     any
	Number  any
	Func    func(int) int
	Count   atomic.Int64
	U8      uint8
	U64     uint64
	Neg     int64
	Long    string
}

var leaf = &Inner{Name: "leaf", N: -7, Small: -1}

var all = &All{
	Base:    &Base{ID: 42},
	Inner:   Inner{Name: "inner", N: 12, Tags: []string{"a", "b"}, Next: leaf},
	Ptr:     &Inner{Name: "pointed", N: -3, Small: 5, Next: leaf, Tags: []string{"first", "second"}},
	Text:    "GET /orders/17 HTTP/1.1",
	Data:    []byte("payload: \x00\xff"),
	Words:   []string{"zero", "one", "two"},
	Inners:  []*Inner{leaf, nil, {Name: "third"}},
	Numbers: [4]int16{1, -2, 3, -4},
	Ratio:   1.5,
	Half:    -0.25,
	On:      true,
	State:   Busy,
	Took:    75 * time.Millisecond,
	At:      time.Unix(1700000000, 0),
	Map:     map[string]int{"one": 1, "two": 2},
	Deep:    map[string]*Inner{"leaf": leaf},
	Many:    map[int16]string{},
	Grown:   map[string]int{},
	Chan:    make(chan int, 3),
	Err:     errors.New("no such order"),
	Wrapped: fmt.Errorf("reading: %w", io.EOF),
	EOF:     io.EOF,
	Path:    &fs.PathError{Op: "open", Path: "/etc/motd", Err: errors.New("denied")},
	Own:     &Fault{Code: 5, Text: "of our own", In: &Inner{Name: "inner"}},
	Square:  Square{2},
	Circle:  &Circle{3},
	Any:     "boxed",
	Number:  7,
	Func:    func(n int) int { return n },
	U8:      200,
	U64:     1 << 63,
	Neg:     -1 << 40,
	Long:    strings.Repeat("x", 300) + "needle",
}

var (
	text   = "in registers"
	data   = []byte("bytes")
	number = int16(-5)
	flag   = true
	fault  = error(all.Path)
	shape  = all.Square
	null   *All
)

// Truth is what Go says of a condition.
type Truth struct {
	Expr string
	Is   bool
}

func hasPrefix(s, p string) bool { return strings.HasPrefix(s, p) }
func hasSuffix(s, p string) bool { return strings.HasSuffix(s, p) }
func contains(s, p string) bool  { return strings.Contains(s, p) }

func main() {
	a := all
	a.Chan <- 1
	a.Count.Store(9)
	for i := 0; i < 5000; i++ {
		a.Grown[fmt.Sprint("key", i)] = i
		if i < 24 {
			a.Many[int16(i-12)] = fmt.Sprint("many", i-12)
		}
	}
	delete(a.Many, -12)
	if a.Square.Area()+a.Circle.Area() < 1 || large.First+large.A+large.B+large.C+large.D < 1 {
		panic("no area")
	}
	const ms = time.Millisecond
	truths := []Truth{
		{`a.Inner.N == 12`, a.Inner.N == 12},
		{`a.Inner.N != 12`, a.Inner.N != 12},
		{`a.Ptr.N < 0`, a.Ptr.N < 0},
		{`a.Ptr.N >= -3`, a.Ptr.N >= -3},
		{`a.Ptr.N > -3`, a.Ptr.N > -3},
		{`a.Ptr.Next.Small == -1`, a.Ptr.Next.Small == -1},
		{`-1 == a.Ptr.Next.Small`, -1 == a.Ptr.Next.Small},
		{`0 > a.Ptr.Next.Small`, 0 > a.Ptr.Next.Small},
		{`a.ID == 42`, a.ID == 42},
		{`a.Base.ID <= 41`, a.Base.ID <= 41},
		{`(*a.Ptr).N == -3`, (*a.Ptr).N == -3},
		{`a.Numbers[1] == -2`, a.Numbers[1] == -2},
		{`a.Numbers[3] < a.Numbers[1]`, a.Numbers[3] < a.Numbers[1]},
		{`a.Words[1] == "one"`, a.Words[1] == "one"},
		{`len(a.Words) > 3 && a.Words[3] == "one"`, len(a.Words) > 3 && a.Words[3] == "one"},
		{`a.Inners[0].Name == "leaf"`, a.Inners[0].Name == "leaf"},
		{`a.Inners[0] == a.Ptr.Next`, a.Inners[0] == a.Ptr.Next},
		{`a.Inners[1] == nil`, a.Inners[1] == nil},
		{`len(a.Words) == 3`, len(a.Words) == 3},
		{`cap(a.Chan) == 3 && len(a.Chan) == 1`, cap(a.Chan) == 3 && len(a.Chan) == 1},
		{`len(a.Map) == 2`, len(a.Map) == 2},
		{`len(a.NoMap) == 0`, len(a.NoMap) == 0},
		{`len(a.NoMap) > 0`, len(a.NoMap) > 0},
		{`len(a.Text) == 23`, len(a.Text) == 23},
		{`a.Text == "GET /orders/17 HTTP/1.1"`, a.Text == "GET /orders/17 HTTP/1.1"},
		{`a.Text == "GET"`, a.Text == "GET"},
		{`a.Text != "GET"`, a.Text != "GET"},
		{`a.Text == ""`, a.Text == ""},
		{`a.Empty == ""`, a.Empty == ""},
		{`a.Empty == "x"`, a.Empty == "x"},
		{`hasPrefix(a.Text, "GET ")`, hasPrefix(a.Text, "GET ")},
		{`strings.HasPrefix(a.Text, "POST ")`, strings.HasPrefix(a.Text, "POST ")},
		{`hasSuffix(a.Text, "1.1")`, hasSuffix(a.Text, "1.1")},
		{`contains(a.Text, "orders")`, contains(a.Text, "orders")},
		{`strings.Contains(a.Text, "/invoices/")`, strings.Contains(a.Text, "/invoices/")},
		{`hasPrefix(string(a.Data), "payload")`, hasPrefix(string(a.Data), "payload")},
		{`string(a.Data) == "payload"`, string(a.Data) == "payload"},
		{`a.Data[0] == 'p'`, a.Data[0] == 'p'},
		{`a.Text[4] == '/'`, a.Text[4] == '/'},
		{`a.Ratio > 1.25`, a.Ratio > 1.25},
		{`a.Ratio == 2`, a.Ratio == 2},
		{`a.Half < 0`, a.Half < 0},
		{`a.On`, a.On},
		{`!a.On`, !a.On},
		{`a.Off || a.On && a.Inner.N > 1`, a.Off || a.On && a.Inner.N > 1},
		{`!(a.Off || a.Ptr.Name == "pointed")`, !(a.Off || a.Ptr.Name == "pointed")},
		{`a.On == true`, a.On == true},
		{`a.State == Busy`, a.State == Busy},
		{`a.State == Idle`, a.State == Idle},
		{`a.Took > 50*time.Millisecond`, a.Took > 50*time.Millisecond},
		{`a.Took < time.Second/20`, a.Took < time.Second/20},
		{`a.Nil == nil`, a.Nil == nil},
		{`a.Ptr != nil`, a.Ptr != nil},
		{`a.Nil != nil && a.Nil.N == 3`, a.Nil != nil && a.Nil.N == 3},
		{`a.Nil == nil || a.Nil.N == 3`, a.Nil == nil || a.Nil.N == 3},
		{`a.NoErr == nil`, a.NoErr == nil},
		{`a.Err != nil`, a.Err != nil},
		{`a.EOF == io.EOF`, a.EOF == io.EOF},
		{`a.Err == io.EOF`, a.Err == io.EOF},
		{`a.Err != io.EOF`, a.Err != io.EOF},
		{`a.Circle.(*Circle).R == 3`, a.Circle.(*Circle).R == 3},
		{`a.Square.(Square).Side > 1.5`, a.Square.(Square).Side > 1.5},
		{`a.Any.(string) == "boxed"`, a.Any.(string) == "boxed"},
		{`a.Number.(int) == 7`, a.Number.(int) == 7},
		{`a.Path.(*fs.PathError).Op == "open"`, a.Path.(*fs.PathError).Op == "open"},
		{`a.NoMap == nil`, a.NoMap == nil},
		{`a.Func != nil`, a.Func != nil},
		{`a.U8 == 200`, a.U8 == 200},
		{`a.U64 > 5`, a.U64 > 5},
		{`a.Neg < -1`, a.Neg < -1},
		{`a.U8 > uint8(a.Ptr.Small)`, a.U8 > uint8(a.Ptr.Small)},
		{`text == "in registers"`, text == "in registers"},
		{`len(text) > 100`, len(text) > 100},
		{`hasSuffix(text, "registers") && flag`, hasSuffix(text, "registers") && flag},
		{`number == -5`, number == -5},
		{`number > 0`, number > 0},
		{`len(data) == 5 && cap(data) >= 5 && data[1] == 'y'`, len(data) == 5 && cap(data) >= 5 && data[1] == 'y'},
		{`fault != nil && fault.(*fs.PathError).Path == "/etc/motd"`,
			fault != nil && fault.(*fs.PathError).Path == "/etc/motd"},
		{`shape.(Square).Side == 2`, shape.(Square).Side == 2},
		{`null == nil`, null == nil},
		{`null != nil && null.On`, null != nil && null.On},
		{`a.Ptr == (*Inner)(nil)`, a.Ptr == (*Inner)(nil)},
	}
	_ = ms
	for _, t := range truths {
		line, err := json.Marshal(t)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s\n", line)
	}
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
	for _, f := range []any{null, shape, fault, flag, number, data, text, leaf} { // so that none of them is optimised away
		fmt.Fprintln(io.Discard, f)
	}
}
