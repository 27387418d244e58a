package values

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
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
	out  bytes.Buffer
	open map[uint64]*symbols.Type // structs that are being written, to end cycles
	last struct{ at, end int }    // of what was written last in the place of a value
}

func (d *dumper) fail(err error) {
	d.last.at = d.out.Len()
	d.out.WriteString(Absent(err))
	d.last.end = d.out.Len()
}

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
	switch v.Type.Kind {
	case reflect.Invalid:
		fmt.Fprintf(&d.out, "/* %s is not described by the debug information */", v.Type.Name)
	case reflect.Pointer:
		d.pointer(v, depth, indent)
	case reflect.Interface:
		if inner, err := v.Elem(); !d.without(err) {
			d.value(inner, depth, indent, true)
		}
	case reflect.Struct:
		d.structure(v, depth, indent)
	case reflect.Array, reflect.Slice:
		d.list(v, depth, indent)
	case reflect.Map:
		d.entries(v, depth, indent)
	case reflect.Chan:
		d.channel(v)
	case reflect.Func:
		if f, err := v.Func(); !d.without(err) {
			of := ""
			if r, ok := f.Receiver(); ok {
				of = "of " + r.reference() + ", "
			}
			fmt.Fprintf(&d.out, "%s /* %s%s:%d */", v.s.file.ShortName(f.Func), of, f.File, f.Line.Line)
		}
	case reflect.UnsafePointer:
		w, err := v.Word()
		if err == nil && w == 0 {
			err = ErrNil
		}
		if !d.without(err) {
			fmt.Fprintf(&d.out, "%s(%#x)", v.Type.ShortName(), w)
		}
	default:
		d.plain(v, typed)
	}
}

// without writes what stands for a value that is nil or can't be read; false where err is nil.
func (d *dumper) without(err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, ErrNil):
		d.out.WriteString("nil")
	default:
		d.fail(err)
	}
	return true
}

// ownTypes are the types that constants have by themselves.
var ownTypes = []string{"bool", "int", "float64", "complex128", "string"}

// plain writes a number, bool or string; a conversion around it where its type must show.
func (d *dumper) plain(v Value, typed bool) {
	text, named, err := d.plainText(v)
	name := v.Type.ShortName()
	switch {
	case err != nil:
		d.fail(err)
	case typed && !named && !slices.Contains(ownTypes, name):
		fmt.Fprintf(&d.out, "%s(%s)", name, text)
	default:
		d.out.WriteString(text)
	}
}

// plainText is a number, bool or string in Go syntax; a named constant by its name, a duration with what it means.
func (d *dumper) plainText(v Value) (text string, named bool, err error) {
	n, err := v.Scalar()
	if err != nil {
		return "", false, err
	}
	switch f := n.Float(); {
	case n.Kind == TextScalar:
		contents, full, err := v.Text(d.opt.Bytes)
		return strconv.Quote(contents) + moreBytes(full-len(contents)), false, err
	case n.Kind == NoScalar:
		c, err := v.Complex()
		return fmt.Sprint(c), false, err
	case n.Kind == FloatScalar:
		text = strconv.FormatFloat(f, 'g', -1, int(8*v.Type.Size))
		if f == math.Trunc(f) && !strings.ContainsAny(text, ".eIN") {
			text += ".0"
		}
	case v.Type.Kind == reflect.Uintptr:
		text = fmt.Sprintf("%#x", n.Bits)
	default:
		text = n.String()
	}
	if name, ok := v.Constant(); ok {
		return fmt.Sprintf("%s /* %s */", v.s.file.ShortName(name), text), true, nil
	}
	if v.Type.Name == "time.Duration" {
		text += " /* " + time.Duration(n.Int()).String() + " */"
	}
	return text, false, nil
}

// moreBytes tells how many bytes are not shown.
func moreBytes(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" /* ... %d more bytes */", n)
}

func (d *dumper) channel(v Value) {
	c, err := v.Chan()
	if err == nil && c.Addr == 0 {
		err = ErrNil
	}
	if d.without(err) {
		return
	}
	closed := ""
	if c.Closed {
		closed = ", closed"
	}
	fmt.Fprintf(&d.out, "(%s)(%#x) /* %d of %d queued%s */", v.Type.ShortName(), c.Addr, c.Len, c.Cap, closed)
}

func (d *dumper) pointer(v Value, depth, indent int) {
	addr, err := v.Word()
	if err == nil && addr == 0 {
		err = ErrNil
	}
	if d.without(err) {
		return
	}
	elem := v.Type.Elem()
	if depth <= 1 || elem == nil || d.open[addr] == elem || elem.Kind == reflect.Invalid {
		fmt.Fprintf(&d.out, "(%s)(%#x)", v.Type.ShortName(), addr)
		return
	}
	if _, err := v.s.Slice(addr, int(min(elem.Size, 1))); err != nil {
		fmt.Fprintf(&d.out, "(%s)(%#x) ", v.Type.ShortName(), addr)
		d.fail(err)
		return
	}
	d.out.WriteByte('&')
	d.value(v.s.At(addr, elem), depth-1, indent, true)
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
	shown, begin := 0, d.out.Len()
	var lacks []lacking
	for _, f := range fields {
		if f.Name == "_" || d.full() {
			continue
		}
		start := d.out.Len()
		if shown > 0 && d.opt.OneLine {
			d.out.WriteString(", ")
		}
		shown++
		if !d.opt.OneLine {
			d.line(indent + 1)
		}
		d.out.WriteString(f.Name + ": ")
		at := d.out.Len()
		d.value(v.s.At(v.Addr+uint64(f.Offset), f.Type), depth-1, indent+1, f.Type.Kind == reflect.Interface)
		if end := d.out.Len(); d.opt.OneLine && d.last.at == at && d.last.end == end {
			lacks = append(lacks, lacking{start, end, string(d.out.Bytes()[at:])})
		}
		if !d.opt.OneLine {
			d.out.WriteByte(',')
		}
	}
	d.together(begin, lacks)
	if shown > 0 && !d.opt.OneLine {
		d.line(indent)
	}
	d.out.WriteByte('}')
}

// lacking is where a field stands on a line that has a reason in its value's place.
type lacking struct {
	start, end int
	why        string
}

// fewLacking is how many fields of a struct may say the same reason, each for itself.
const fewLacking = 3

// together has fields on a line that lack a value for one reason say so once, behind the others.
func (d *dumper) together(begin int, lacks []lacking) {
	count := map[string]int{}
	for _, l := range lacks {
		count[l.why]++
	}
	if !slices.ContainsFunc(lacks, func(l lacking) bool { return count[l.why] > fewLacking }) {
		return
	}
	var kept bytes.Buffer
	text, from := d.out.Bytes(), begin
	for _, l := range lacks {
		if count[l.why] > fewLacking {
			kept.Write(text[from:l.start])
			from = l.end
		}
	}
	kept.Write(text[from:])
	for _, l := range lacks {
		if n := count[l.why]; n > fewLacking {
			why := strings.TrimSuffix(strings.TrimPrefix(l.why, "/* "), " */")
			fmt.Fprintf(&kept, ", /* %d fields: %s */", n, why)
			count[l.why] = 0
		}
	}
	d.out.Truncate(begin)
	d.out.Write(bytes.TrimPrefix(kept.Bytes(), []byte(", ")))
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
	if b, full, err := v.Bytes(d.opt.Bytes); err == nil && v.Type.Kind == reflect.Slice &&
		elem.Kind == reflect.Uint8 && full > 0 {
		fmt.Fprintf(&d.out, "%s(%q)%s", name, b, moreBytes(full-len(b)))
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
	entries, _, broken := d.some(v.Entries())
	oneLine := d.opt.OneLine || (flat(v.Type.Key()) && flat(v.Type.Elem()) && n <= 8)
	if broken != nil && len(entries) == 0 { // how many there are is known
		fmt.Fprintf(&d.out, "%s{... /* %s */} ", name, counted(n, "entry", "entries"))
		d.fail(broken)
		return
	}
	if broken != nil {
		n = len(entries)
	}
	d.pairs(name, entries, n, oneLine, depth, indent)
	if broken != nil {
		d.fail(broken)
	}
}

// some gives as many entries as are shown, and whether there are more.
func (d *dumper) some(all iter.Seq2[Entry, error]) (entries []Entry, more bool, err error) {
	for e, err := range all {
		if len(entries) == d.opt.Elems {
			return entries, true, nil
		}
		if err != nil {
			return entries, false, err
		}
		entries = append(entries, e)
	}
	return entries, false, nil
}

// pairs writes the first of n entries.
func (d *dumper) pairs(name string, entries []Entry, n int, oneLine bool, depth, indent int) {
	d.items(name, n, oneLine, indent, func(i int) {
		d.value(entries[i].Key, depth-1, indent+1, false)
		d.out.WriteString(": ")
		d.value(entries[i].Value, depth-1, indent+1, false)
	})
}

func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
