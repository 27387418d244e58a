package values

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"ri/symbols"
)

// Leaf is a part of a value that has no parts: a number, a string, a pointer, a length.
type Leaf struct {
	Path    string // in Go syntax: main.store.devices[3].free, len(main.store.devices)
	Element string // of the value, where that is a list or a map: [3], ["alpha"]; else ""
	Text    string // in Go syntax
	Number  float64
	Numeric bool // whether Number says what Text does, as far as a float64 can
}

// LeafOptions bounds Leaves.
type LeafOptions struct {
	Depth int // pointers, slices and maps followed; 0 means 3
	Elems int // elements of a slice, array or map; 0 means 64
	Limit int // leaves; 0 means 10,000
}

// leafBytes is how much of a string is shown.
const leafBytes = 64

// Leaves takes a value apart. What several pointers lead to is in it once, locks and the like of package sync aren't.
// truncated tells that Limit or Elems left something out.
func (v Value) Leaves(path string, opt LeafOptions) (leaves []Leaf, truncated bool) {
	set := func(p *int, def int) {
		if *p <= 0 {
			*p = def
		}
	}
	set(&opt.Depth, 3)
	set(&opt.Elems, 64)
	set(&opt.Limit, 10_000)
	p := &picker{opt: opt, seen: map[place]bool{}, root: path}
	if v.IsValid() {
		p.pick(v, path, opt.Depth, 0)
	}
	return p.leaves, p.truncated
}

type picker struct {
	opt       LeafOptions
	leaves    []Leaf
	truncated bool
	seen      map[place]bool // what pointers led to
	root      string
	element   string // that is being taken apart
}

func (p *picker) add(l Leaf) {
	if len(p.leaves) >= p.opt.Limit {
		p.truncated = true
		return
	}
	l.Element = p.element
	p.leaves = append(p.leaves, l)
}

// enter takes an element of the list or map at path apart.
func (p *picker) enter(v Value, path, key string, depth, nested int) {
	if p.element == "" && path == p.root {
		p.element = key
		defer func() { p.element = "" }()
	}
	p.pick(v, path+key, depth, nested)
}

func (p *picker) text(path, text string) { p.add(Leaf{Path: path, Text: text}) }

func (p *picker) number(path string, n float64, text string) {
	p.add(Leaf{Path: path, Text: text, Number: n, Numeric: true})
}

func (p *picker) fail(path string, err error) { p.text(path, Absent(err)) }

// pick takes v apart. nested bounds interfaces in arrays in interfaces, which cost no depth.
func (p *picker) pick(v Value, path string, depth, nested int) {
	if p.truncated && len(p.leaves) >= p.opt.Limit {
		return
	}
	if nested > 32 {
		p.text(path, "...")
		return
	}
	switch v.Type.Kind {
	case reflect.Pointer:
		p.pointer(v, path, depth, nested)
	case reflect.Interface:
		inner, err := v.Elem()
		if err != nil {
			p.text(path, v.Dump(DumpOptions{OneLine: true, Depth: 1}))
			return
		}
		p.pick(inner, path, depth, nested+1)
	case reflect.Struct:
		p.structure(v, path, depth, nested)
	case reflect.Slice, reflect.Array:
		p.list(v, path, depth, nested)
	case reflect.Map:
		p.entries(v, path, depth, nested)
	case reflect.Chan:
		if n, err := v.Len(); err == nil {
			p.number("len("+path+")", float64(n), strconv.Itoa(n))
			return
		}
		p.text(path, v.Dump(DumpOptions{OneLine: true, Depth: 1}))
	default:
		p.scalar(v, path)
	}
}

func (p *picker) pointer(v Value, path string, depth, nested int) {
	word, err := v.Word()
	if err != nil {
		p.fail(path, err)
		return
	}
	elem := v.Type.Elem()
	if word == 0 {
		p.text(path, "nil")
		return
	}
	p.text(path, fmt.Sprintf("(%s)(%#x)", v.Type.ShortName(), word))
	if elem == nil || depth <= 0 || p.seen[place{word, elem}] {
		return
	}
	p.seen[place{word, elem}] = true
	inner := v.s.At(word, elem)
	if elem.Kind != reflect.Struct {
		path = "*" + path
	}
	p.pick(inner, path, depth-1, nested+1)
}

// silent are types whose words say nothing to anybody outside package sync.
func silent(t *symbols.Type) bool {
	switch t.Name {
	case "sync.Mutex", "sync.RWMutex", "sync.WaitGroup", "sync.Once", "sync.Cond", "sync.Pool", "sync.noCopy",
		"sync/atomic.noCopy", "sync/atomic.align64":
		return true
	}
	return false
}

func (p *picker) structure(v Value, path string, depth, nested int) {
	if silent(v.Type) {
		return
	}
	if inner, offset, ok := v.s.Atomic(v.Type); ok {
		p.pick(v.s.At(v.Addr+uint64(offset), inner), path, depth, nested+1)
		return
	}
	if v.Type.Name == "time.Time" {
		if t, err := v.Time(); err == nil {
			p.text(path, t.UTC().Format(time.RFC3339Nano))
			return
		}
	}
	if err := v.Type.Lacks(); err != nil {
		p.fail(path, err)
		return
	}
	for _, f := range v.Type.Fields() {
		if f.Name != "_" {
			p.pick(v.s.At(v.Addr+uint64(f.Offset), f.Type), path+"."+f.Name, depth, nested+1)
		}
	}
}

func (p *picker) list(v Value, path string, depth, nested int) {
	n, err := v.Len()
	if err != nil {
		p.fail(path, err)
		return
	}
	if v.Type.Kind == reflect.Slice {
		p.number("len("+path+")", float64(n), strconv.Itoa(n))
	}
	elem := v.Type.Elem()
	if elem == nil || depth <= 0 {
		return
	}
	if elem.Kind == reflect.Uint8 { // bytes change as one
		b, _, err := v.Bytes(leafBytes)
		if err != nil {
			p.fail(path, err)
			return
		}
		p.text(path, strconv.Quote(string(b)))
		return
	}
	for i := range n {
		if i == p.opt.Elems {
			p.truncated = true
			return
		}
		e, err := v.Index(i)
		if err != nil {
			p.fail(fmt.Sprintf("%s[%d]", path, i), err)
			return
		}
		p.enter(e, path, fmt.Sprintf("[%d]", i), depth-1, nested+1)
	}
}

func (p *picker) entries(v Value, path string, depth, nested int) {
	n, err := v.Len()
	if err != nil {
		p.fail(path, err)
		return
	}
	p.number("len("+path+")", float64(n), strconv.Itoa(n))
	if depth <= 0 {
		return
	}
	i := 0
	for e, err := range v.Entries() {
		if err != nil {
			p.fail(path, err)
			return
		}
		if i++; i > p.opt.Elems {
			p.truncated = true
			return
		}
		key := e.Key.Dump(DumpOptions{OneLine: true, Depth: 1, Bytes: leafBytes})
		p.enter(e.Value, path, "["+key+"]", depth-1, nested+1)
	}
}

func (p *picker) scalar(v Value, path string) {
	n, err := v.Scalar()
	if err != nil {
		p.fail(path, err)
		return
	}
	switch name, named := v.Constant(); {
	case v.Type.Name == "time.Duration":
		p.text(path, time.Duration(n.Int()).String())
	case named:
		p.text(path, name)
	case n.Kind.Number():
		f := n.Number()
		p.add(Leaf{Path: path, Text: n.String(), Number: f, Numeric: !math.IsNaN(f) && !math.IsInf(f, 0)})
	case n.Kind == BoolScalar:
		p.text(path, n.String())
	case n.Kind == TextScalar:
		s, full, err := v.Text(leafBytes)
		if err != nil {
			p.fail(path, err)
			return
		}
		text := strconv.Quote(s)
		if full > len(s) {
			text += fmt.Sprintf("... /* %d bytes */", full)
		}
		p.text(path, text)
	default:
		p.text(path, strings.TrimSpace(v.Dump(DumpOptions{OneLine: true, Depth: 1})))
	}
}
