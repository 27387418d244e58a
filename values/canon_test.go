package values_test

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"ri/values"
)

// canon is the twin of the type of this name in testdata/kinds/truth.go: the same text, read through ri.
type canon struct {
	out  strings.Builder
	open map[string]bool
}

const (
	maxElems = 40
	maxBytes = 200
)

func text(v values.Value) string {
	c := canon{open: map[string]bool{}}
	c.value(v, 4)
	return c.out.String()
}

func (c *canon) printf(format string, args ...any) { fmt.Fprintf(&c.out, format, args...) }

// check writes an error where a value should stand.
func (c *canon) check(err error) bool {
	if err != nil {
		c.printf("!%v!", err)
	}
	return err == nil
}

func (c *canon) value(v values.Value, depth int) {
	switch k := v.Type.Kind; k {
	case reflect.Bool:
		b, err := v.Bool()
		if c.check(err) {
			c.printf("%v", b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := v.Int()
		if c.check(err) {
			c.printf("%d", n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		n, err := v.Uint()
		if c.check(err) {
			c.printf("%d", n)
		}
	case reflect.Float32, reflect.Float64:
		f, err := v.Float()
		if c.check(err) {
			c.printf("float %x", math.Float64bits(f))
		}
	case reflect.Complex64, reflect.Complex128:
		z, err := v.Complex()
		if c.check(err) {
			c.printf("complex %x %x", math.Float64bits(real(z)), math.Float64bits(imag(z)))
		}
	case reflect.String:
		s, full, err := v.Text(maxBytes)
		if c.check(err) {
			if full > maxBytes {
				c.printf("%d bytes ", full)
			}
			c.printf("%s", strconv.QuoteToASCII(s))
		}
	case reflect.UnsafePointer:
		w, err := v.Word()
		if c.check(err) {
			c.printf("%#x", w)
		}
	case reflect.Array, reflect.Slice:
		c.list(v, depth)
	case reflect.Map:
		c.entries(v, depth)
	case reflect.Chan:
		ch, err := v.Chan()
		switch {
		case !c.check(err):
		case ch.Addr == 0:
			c.printf("nil")
		default:
			c.printf("chan %#x %d of %d", ch.Addr, ch.Len, ch.Cap)
		}
	case reflect.Func:
		f, err := v.Func()
		if errors.Is(err, values.ErrNil) {
			c.printf("nil")
		} else if c.check(err) {
			c.printf("func %s %s:%d", generic(f.Func), filepath.Base(f.File), f.Line.Line)
		}
	case reflect.Pointer:
		c.pointer(v, depth)
	case reflect.Interface:
		inner, err := v.Elem()
		if errors.Is(err, values.ErrNil) {
			c.printf("nil")
		} else if c.check(err) {
			c.printf("<%s>", inner.Type.ShortName())
			c.value(inner, depth)
		}
	case reflect.Struct:
		c.printf("{")
		for _, f := range v.Type.Fields() {
			c.printf("%s: ", f.Name)
			c.value(v.Space().At(v.Addr+uint64(f.Offset), f.Type), depth)
			c.printf(", ")
		}
		c.printf("}")
	default:
		c.printf("?%s", k)
	}
}

func (c *canon) list(v values.Value, depth int) {
	n, err := v.Len()
	if !c.check(err) {
		return
	}
	if v.Type.Kind == reflect.Slice {
		null, err := v.IsNil()
		capacity, err2 := v.Cap()
		if !c.check(err) || !c.check(err2) {
			return
		}
		if null {
			c.printf("nil")
			return
		}
		c.printf("%d of %d ", n, capacity)
	}
	c.printf("[")
	for i := range min(n, maxElems) {
		e, err := v.Index(i)
		if c.check(err) {
			c.value(e, depth)
		}
		c.printf(", ")
	}
	c.printf("]")
}

func (c *canon) entries(v values.Value, depth int) {
	n, err := v.Len()
	null, err2 := v.IsNil()
	if !c.check(err) || !c.check(err2) {
		return
	}
	if null {
		c.printf("nil")
		return
	}
	var entries []string
	for entry, err := range v.Entries() {
		e := canon{open: c.open}
		if e.check(err) {
			e.value(entry.Key, depth)
			e.printf(": ")
			e.value(entry.Value, depth)
		}
		entries = append(entries, e.out.String())
	}
	sort.Strings(entries)
	c.printf("map of %d {%s}", n, strings.Join(entries, ", "))
}

func (c *canon) pointer(v values.Value, depth int) {
	w, err := v.Word()
	if !c.check(err) {
		return
	}
	if w == 0 {
		c.printf("nil")
		return
	}
	key := fmt.Sprintf("%#x", w)
	c.printf("&%s", key)
	if depth == 0 || c.open[key] {
		return
	}
	c.open[key] = true
	c.printf("(")
	if inner, err := v.Elem(); c.check(err) {
		c.value(inner, depth-1)
	}
	c.printf(")")
	delete(c.open, key)
}

// generic writes a generic function's name as the runtime prints it, without the shapes it was made for.
func generic(name string) string {
	var out strings.Builder
	depth := 0
	for _, c := range name {
		if c == '[' {
			depth++
		}
		if depth == 0 {
			out.WriteRune(c)
		}
		if c == ']' {
			if depth--; depth == 0 {
				out.WriteString("[...]")
			}
		}
	}
	return out.String()
}

// firstDifference shows two long texts where they part.
func firstDifference(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	from := max(0, i-60)
	cut := func(s string) string { return s[min(from, len(s)):min(len(s), i+120)] }
	return fmt.Sprintf("at byte %d:\n\tgot  %s\n\twant %s", i, cut(got), cut(want))
}
