package main

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"runtime"
	"sort"
	"strconv"
	"strings"
)

// truth is what the program itself sees of an expression.
type truth struct {
	Expr string
	Type string // as package reflect prints it
	Kind string
	Size uint64
	Addr uint64
	Text string // see canon
}

// queue is what a channel holds.
type queue struct {
	Expr   string
	Len    int
	Cap    int
	Closed bool
	Texts  []string // in the order in which they will be received
}

// caller is a program counter as runtime.Caller gave it.
type caller struct {
	PC   uint64
	Func string
	File string
	Line int
}

// local is a variable of a frame, or one that a closure captured.
type local struct {
	Where     string // the function, or the expression of the func value
	Name      string
	Type      string
	Text      string
	Optimised bool // optimised code keeps it
}

// hidden is a value that no package variable leads to.
type hidden struct {
	Type      string
	Name      string // its field Name
	Func      string // in whose frame it is found
	Optimised bool
}

var truths []truth

// say notes the truth of *p under an expression.
func say(expr string, p any) {
	v := reflect.ValueOf(p).Elem()
	truths = append(truths, truth{expr, v.Type().String(), v.Kind().String(), uint64(v.Type().Size()), uint64(v.UnsafeAddr()), text(v)})
}

func text(v reflect.Value) string {
	c := canon{open: map[string]bool{}}
	c.value(v, 4)
	return c.out.String()
}

const (
	maxElems = 40
	maxBytes = 200
)

// canon writes a value in a form that leaves nothing out which can be compared: floats as bits, nil
// apart from empty, addresses. The test has its twin, which reads through ri.
type canon struct {
	out  strings.Builder
	open map[string]bool
}

func (c *canon) printf(format string, args ...any) { fmt.Fprintf(&c.out, format, args...) }

func (c *canon) value(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Bool:
		c.printf("%v", v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		c.printf("%d", v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		c.printf("%d", v.Uint())
	case reflect.Float32, reflect.Float64:
		c.printf("float %x", math.Float64bits(v.Float()))
	case reflect.Complex64, reflect.Complex128:
		c.printf("complex %x %x", math.Float64bits(real(v.Complex())), math.Float64bits(imag(v.Complex())))
	case reflect.String:
		s := v.String()
		if len(s) > maxBytes {
			c.printf("%d bytes ", len(s))
			s = s[:maxBytes]
		}
		c.printf("%s", strconv.QuoteToASCII(s))
	case reflect.UnsafePointer:
		c.printf("%#x", v.Pointer())
	case reflect.Array, reflect.Slice:
		if v.Kind() == reflect.Slice {
			if v.IsNil() {
				c.printf("nil")
				return
			}
			c.printf("%d of %d ", v.Len(), v.Cap())
		}
		c.printf("[")
		for i := 0; i < v.Len() && i < maxElems; i++ {
			c.value(v.Index(i), depth)
			c.printf(", ")
		}
		c.printf("]")
	case reflect.Map:
		if v.IsNil() {
			c.printf("nil")
			return
		}
		var entries []string
		for it := v.MapRange(); it.Next(); {
			e := canon{open: c.open}
			e.value(it.Key(), depth)
			e.printf(": ")
			e.value(it.Value(), depth)
			entries = append(entries, e.out.String())
		}
		sort.Strings(entries)
		c.printf("map of %d {%s}", v.Len(), strings.Join(entries, ", "))
	case reflect.Chan:
		if v.IsNil() {
			c.printf("nil")
			return
		}
		c.printf("chan %#x %d of %d", v.Pointer(), v.Len(), v.Cap())
	case reflect.Func:
		if v.IsNil() {
			c.printf("nil")
			return
		}
		f := runtime.FuncForPC(v.Pointer())
		file, line := f.FileLine(f.Entry())
		c.printf("func %s %s:%d", f.Name(), filepath.Base(file), line)
	case reflect.Pointer:
		if v.IsNil() {
			c.printf("nil")
			return
		}
		key := fmt.Sprintf("%#x", v.Pointer())
		c.printf("&%s", key)
		if depth == 0 || c.open[key] {
			return
		}
		c.open[key] = true
		c.printf("(")
		c.value(v.Elem(), depth-1)
		c.printf(")")
		delete(c.open, key)
	case reflect.Interface:
		if v.IsNil() {
			c.printf("nil")
			return
		}
		c.printf("<%s>", v.Elem().Type())
		c.value(v.Elem(), depth)
	case reflect.Struct:
		c.printf("{")
		for i := 0; i < v.NumField(); i++ {
			c.printf("%s: ", v.Type().Field(i).Name)
			c.value(v.Field(i), depth)
			c.printf(", ")
		}
		c.printf("}")
	default:
		c.printf("?%s", v.Kind())
	}
}
