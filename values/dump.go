package values

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"ri/symbols"
)

// DumpOptions bounds Dump.
type DumpOptions struct {
	Depth   int // levels of pointers, structs and containers; 0 means 3
	Elems   int // elements of a slice, array or map; 0 means 64
	Bytes   int // of a string; 0 means 256
	OneLine bool
	Size    int // of the whole text in bytes; 0 means 1 MiB
}

// Dump writes a value in Go syntax. What is cut off says so ("... 12 more"), what can't be read says why in its place,
// and a pointer that isn't followed is written as a conversion that can be typed back in.
func (v Value) Dump(opt DumpOptions) string {
	set := func(p *int, def int) {
		if *p <= 0 {
			*p = def
		}
	}
	set(&opt.Depth, 3)
	set(&opt.Elems, 64)
	set(&opt.Bytes, 256)
	set(&opt.Size, 1<<20)
	d := &dumper{opt: opt, open: map[uint64]*symbols.Type{}}
	if !v.IsValid() {
		return "invalid value"
	}
	d.value(v, opt.Depth, 0, true)
	return d.out.String()
}

type dumper struct {
	opt  DumpOptions
	out  strings.Builder
	open map[uint64]*symbols.Type // structs that are being written, to end cycles
}

func (d *dumper) fail(err error) { fmt.Fprintf(&d.out, "/* %v */", err) }

func (d *dumper) line(indent int) {
	if d.opt.OneLine {
		d.out.WriteByte(' ')
		return
	}
	d.out.WriteByte('\n')
	for range indent {
		d.out.WriteByte('\t')
	}
}

// full tells whether the text has reached its limit, and says so once.
func (d *dumper) full() bool {
	if d.out.Len() < d.opt.Size {
		return false
	}
	if !strings.HasSuffix(d.out.String(), "limit reached */") {
		d.out.WriteString("/* ... output limit reached */")
	}
	return true
}

// value writes v; typed tells whether its type must show.
func (d *dumper) value(v Value, depth, indent int, typed bool) {
	if d.full() {
		return
	}
	name := v.Type.ShortName()
	switch k := v.Type.Kind; {
	case k == reflect.Bool:
		b, err := v.Bool()
		d.scalar(v, strconv.FormatBool(b), err, typed && name != "bool")
	case k >= reflect.Int && k <= reflect.Int64:
		n, err := v.Int()
		d.integer(v, strconv.FormatInt(n, 10), err, typed && name != "int")
	case k >= reflect.Uint && k <= reflect.Uintptr:
		n, err := v.Uint()
		text := strconv.FormatUint(n, 10)
		if k == reflect.Uintptr {
			text = fmt.Sprintf("%#x", n)
		}
		d.integer(v, text, err, typed)
	case k == reflect.Float32 || k == reflect.Float64:
		f, err := v.Float()
		bits := 64
		if k == reflect.Float32 {
			bits = 32
		}
		text := strconv.FormatFloat(f, 'g', -1, bits)
		if f == math.Trunc(f) && !strings.ContainsAny(text, ".eIN") {
			text += ".0"
		}
		d.scalar(v, text, err, typed && name != "float64")
	case k == reflect.Complex64 || k == reflect.Complex128:
		c, err := v.Complex()
		d.scalar(v, fmt.Sprint(c), err, typed && name != "complex128")
	case k == reflect.String:
		text, full, err := v.Text(d.opt.Bytes)
		quoted := strconv.Quote(text)
		if full > len(text) && err == nil {
			quoted += fmt.Sprintf(" /* ... %d more bytes */", full-len(text))
		}
		d.scalar(v, quoted, err, typed && name != "string")
	case k == reflect.Pointer:
		d.pointer(v, depth, indent)
	case k == reflect.Interface:
		inner, err := v.Elem()
		if errors.Is(err, ErrNil) {
			d.out.WriteString("nil")
		} else if err != nil {
			d.fail(err)
		} else {
			d.value(inner, depth, indent, true)
		}
	case k == reflect.Struct:
		d.structure(v, depth, indent)
	case k == reflect.Array, k == reflect.Slice:
		d.list(v, depth, indent)
	case k == reflect.Map:
		d.entries(v, depth, indent)
	case k == reflect.Chan:
		c, err := v.Chan()
		switch {
		case err != nil:
			d.fail(err)
		case c.Addr == 0:
			d.out.WriteString("nil")
		default:
			closed := ""
			if c.Closed {
				closed = ", closed"
			}
			fmt.Fprintf(&d.out, "(%s)(%#x) /* %d of %d queued%s */", name, c.Addr, c.Len, c.Cap, closed)
		}
	case k == reflect.Func:
		f, err := v.Func()
		if errors.Is(err, ErrNil) {
			d.out.WriteString("nil")
		} else if err != nil {
			d.fail(err)
		} else {
			fmt.Fprintf(&d.out, "%s /* %s:%d */", v.s.file.ShortName(f.Func), f.File, f.Line.Line)
		}
	case k == reflect.UnsafePointer:
		w, err := v.Word()
		switch {
		case err != nil:
			d.fail(err)
		case w == 0:
			d.out.WriteString("nil")
		default:
			fmt.Fprintf(&d.out, "%s(%#x)", name, w)
		}
	default:
		fmt.Fprintf(&d.out, "/* %s is not described by the debug information */", v.Type.Name)
	}
}

func (d *dumper) scalar(v Value, text string, err error, typed bool) {
	switch {
	case err != nil:
		d.fail(err)
	case typed:
		fmt.Fprintf(&d.out, "%s(%s)", v.Type.ShortName(), text)
	default:
		d.out.WriteString(text)
	}
}

// integer writes a named constant by its name and a duration as one.
func (d *dumper) integer(v Value, text string, err error, typed bool) {
	if err == nil {
		if name, ok := v.Constant(); ok {
			fmt.Fprintf(&d.out, "%s /* %s */", v.s.file.ShortName(name), text)
			return
		}
		if v.Type.Name == "time.Duration" {
			n, _ := v.Int()
			text += " /* " + time.Duration(n).String() + " */"
		}
	}
	d.scalar(v, text, err, typed)
}

func (d *dumper) pointer(v Value, depth, indent int) {
	addr, err := v.Word()
	if err != nil {
		d.fail(err)
		return
	}
	if addr == 0 {
		d.out.WriteString("nil")
		return
	}
	elem := v.Type.Elem()
	if depth <= 1 || elem == nil || d.open[addr] == elem || elem.Kind == reflect.Invalid {
		fmt.Fprintf(&d.out, "(%s)(%#x)", v.Type.ShortName(), addr)
		return
	}
	inner, err := v.Elem()
	if err != nil {
		d.fail(err)
		return
	}
	if _, err := v.s.Slice(addr, int(min(elem.Size, 1))); err != nil {
		fmt.Fprintf(&d.out, "(%s)(%#x) ", v.Type.ShortName(), addr)
		d.fail(err)
		return
	}
	d.out.WriteByte('&')
	d.value(inner, depth-1, indent, true)
}

func (d *dumper) structure(v Value, depth, indent int) {
	name := v.Type.ShortName()
	if d.library(v, depth, indent) {
		return
	}
	if depth <= 0 {
		fmt.Fprintf(&d.out, "%s{...}", name)
		return
	}
	if d.open[v.Addr] == v.Type {
		fmt.Fprintf(&d.out, "%s{... /* the same as above */}", name)
		return
	}
	d.open[v.Addr] = v.Type
	defer delete(d.open, v.Addr)
	d.out.WriteString(name + "{")
	fields := v.Type.Fields()
	if err := v.Type.Lacks(); err != nil {
		d.fail(err)
	}
	shown := 0
	for _, f := range fields {
		if f.Name == "_" || d.full() {
			continue
		}
		if shown > 0 && d.opt.OneLine {
			d.out.WriteString(", ")
		}
		shown++
		if !d.opt.OneLine {
			d.line(indent + 1)
		}
		d.out.WriteString(f.Name + ": ")
		d.value(v.s.At(v.Addr+uint64(f.Offset), f.Type), depth-1, indent+1, f.Type.Kind == reflect.Interface)
		if !d.opt.OneLine {
			d.out.WriteByte(',')
		}
	}
	if shown > 0 && !d.opt.OneLine {
		d.line(indent)
	}
	d.out.WriteByte('}')
}

// flat tells whether elements of this type are short enough to stand on one line.
func flat(t *symbols.Type) bool {
	return t != nil && (t.Kind < reflect.Array || t.Kind == reflect.String || t.Kind == reflect.UnsafePointer)
}

func (d *dumper) list(v Value, depth, indent int) {
	name := v.Type.ShortName()
	n, err := v.Len()
	if err != nil {
		d.fail(err)
		return
	}
	if v.Type.Kind == reflect.Slice {
		if null, _ := v.IsNil(); null {
			d.out.WriteString(name + "(nil)")
			return
		}
	}
	elem := v.Type.Elem()
	if b, full, err := v.Bytes(d.opt.Bytes); err == nil && v.Type.Kind == reflect.Slice && elem.Kind == reflect.Uint8 && full > 0 {
		fmt.Fprintf(&d.out, "%s(%q)", name, b)
		if full > len(b) {
			fmt.Fprintf(&d.out, " /* ... %d more bytes */", full-len(b))
		}
		return
	}
	if depth <= 0 {
		fmt.Fprintf(&d.out, "%s{... /* %s */}", name, counted(n, "element", "elements"))
		return
	}
	d.items(name, n, flat(elem) || d.opt.OneLine, indent, func(i int) {
		e, err := v.Index(i)
		if err != nil {
			d.fail(err)
			return
		}
		d.value(e, depth-1, indent+1, false)
	})
}

// items writes up to Elems of n things between braces.
func (d *dumper) items(name string, n int, oneLine bool, indent int, item func(i int)) {
	d.out.WriteString(name + "{")
	for i := range min(n, d.opt.Elems) {
		if d.full() {
			break
		}
		if !oneLine {
			d.line(indent + 1)
		} else if i > 0 {
			d.out.WriteString(", ")
		}
		item(i)
		if !oneLine {
			d.out.WriteByte(',')
		}
	}
	if n > d.opt.Elems {
		if !oneLine {
			d.line(indent + 1)
		} else {
			d.out.WriteString(", ")
		}
		fmt.Fprintf(&d.out, "/* ... %d more */", n-d.opt.Elems)
	}
	if n > 0 && !oneLine {
		d.line(indent)
	}
	d.out.WriteByte('}')
}

func (d *dumper) entries(v Value, depth, indent int) {
	name := v.Type.ShortName()
	n, err := v.Len()
	if err != nil {
		d.fail(err)
		return
	}
	if null, _ := v.IsNil(); null {
		d.out.WriteString(name + "(nil)")
		return
	}
	if depth <= 0 {
		fmt.Fprintf(&d.out, "%s{... /* %s */}", name, counted(n, "entry", "entries"))
		return
	}
	var entries []Entry
	var broken error
	for e, err := range v.Entries() {
		if err != nil {
			broken = err
			break
		}
		if entries = append(entries, e); len(entries) == d.opt.Elems {
			break
		}
	}
	oneLine := d.opt.OneLine || (flat(v.Type.Key()) && flat(v.Type.Elem()) && n <= 8)
	if broken != nil {
		n = len(entries)
	}
	d.items(name, n, oneLine, indent, func(i int) {
		d.value(entries[i].Key, depth-1, indent+1, false)
		d.out.WriteString(": ")
		d.value(entries[i].Value, depth-1, indent+1, false)
	})
	if broken != nil {
		d.fail(broken)
	}
}

func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
