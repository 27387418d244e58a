package heap

import (
	"encoding/binary"
	"fmt"
	"strings"

	"ri/attach"
	"ri/symbols"
	"ri/values"
)

// This file tells how a root leads to an object: the chain of first parents, turned round and written as one would in
// Go.

// Path is the way from a root to an object.
type Path struct {
	Root      string // "main.store", "goroutine 12: main.serve: s"
	Goroutine int64  // of a root on a stack, 0 for others
	Text      string // the whole way in Go's words, as far as types carry: main.store.objects["a"].blocks[3]
	Steps     []Step
}

// Step is an object on a path.
type Step struct {
	Addr uint64 // where it begins
	Type string
	Text string // what leads there, from the step before: ".objects[\"a\"]"
}

// maxPathSteps bounds a path; a chain that is longer is given from the object upwards, so far.
const maxPathSteps = 1 << 20

// keptSteps is how many steps of a path are told one by one, on either end.
const keptSteps = 50

// Path gives a way from a root to the object at an address: the one by which it was first reached, which is among the
// shortest. An error: the address lies in no object, or nothing leads there.
func (h *Heap) Path(addr uint64) (*Path, error) {
	sp, slot := h.find(addr)
	if sp == nil {
		return nil, fmt.Errorf("%#x lies in no object of the heap: %w", addr, values.ErrNotFound)
	}
	object := sp.first + slot
	if !h.isLive(object) {
		return nil, fmt.Errorf("nothing leads to %#x: it is garbage, or was never an object: %w", addr, values.ErrNotFound)
	}
	chain := h.chain(object)
	w := pathWriter{h: h}
	root := chain[len(chain)-1]
	p := &Path{}
	for i := len(chain) - 1; i >= 0; i-- {
		if i == len(chain)-1 {
			if root&rootFlag == 0 {
				p.Root = "..."
				w.text.WriteString(p.Root)
			}
			continue
		}
		text := w.step(chain[i+1], chain[i])
		if chain[i]&rootFlag != 0 {
			continue
		}
		if i < keptSteps || len(chain)-i < keptSteps {
			at := chain[i] - 1
			p.Steps = append(p.Steps, Step{h.base(at), h.describe(h.types[at]>>2, h.spanOf(at).size), text})
		}
	}
	if root&rootFlag != 0 {
		r := &h.roots[root&^rootFlag]
		p.Root, p.Goroutine = w.root, r.goroutine
	}
	if off := addr - h.base(object); off > 0 {
		w.inside(object, off, true)
	}
	w.flush()
	p.Text = w.text.String()
	return p, nil
}

// chain gives an object's parents, itself first; the last is a root.
func (h *Heap) chain(object uint32) []uint32 {
	chain := []uint32{object + 1}
	for ref := object + 1; len(chain) < maxPathSteps; {
		if ref&rootFlag == 0 {
			ref = h.parents[ref-1]
		} else {
			ref = h.roots[ref&^rootFlag].parent
		}
		if ref == noParent {
			break
		}
		chain = append(chain, ref)
	}
	return chain
}

// pathWriter writes a path as an expression.
type pathWriter struct {
	h       *Heap
	text    strings.Builder
	root    string
	last    string // the selector that was written last, and is waiting to be written
	times   int
	landing uint64 // where the pointer that was followed leads to
}

// add writes a selector; the same many times over is written once, with their number.
func (w *pathWriter) add(selector string) {
	if selector == w.last {
		w.times++
		return
	}
	w.flush()
	w.last, w.times = selector, 1
}

func (w *pathWriter) flush() {
	if w.times > 3 {
		fmt.Fprintf(&w.text, "%s{%d times}", w.last, w.times)
	} else {
		w.text.WriteString(strings.Repeat(w.last, w.times))
	}
	w.last, w.times = "", 0
}

// step goes from one object or root to the next, and gives what it wrote.
func (w *pathWriter) step(from, to uint32) string {
	h := w.h
	low, high := h.extent(to)
	if from&rootFlag != 0 {
		return w.fromRoot(&h.roots[from&^rootFlag], low, high)
	}
	object := from - 1
	sp := h.spanOf(object)
	start := sp.offset(object)
	off, word, ok := findWord(sp.contents(start), low, high)
	if !ok {
		return ""
	}
	text := w.inside(object, off, false)
	w.landing = word
	return text + w.assertion(h.types[object]>>2, sp.contents(start), off)
}

// extent is where an object, or what is static, lies.
func (h *Heap) extent(ref uint32) (low, high uint64) {
	if ref&rootFlag != 0 {
		r := &h.roots[ref&^rootFlag]
		return r.addr, r.addr + max(h.shapes[r.shape].size, 1)
	}
	sp := h.spanOf(ref - 1)
	low = sp.base(ref - 1)
	return low, low + sp.size
}

// findWord finds a word that points between two addresses.
func findWord(data []byte, low, high uint64) (off, word uint64, ok bool) {
	for at := 0; at+8 <= len(data); at += 8 {
		if word := binary.LittleEndian.Uint64(data[at:]); word >= low && word < high {
			return uint64(at), word, true
		}
	}
	return 0, 0, false
}

// inside writes what selects the pointer at an offset of an object, or, at the end of a path, the place itself.
func (w *pathWriter) inside(object uint32, off uint64, end bool) string {
	h := w.h
	sp := h.spanOf(object)
	base := sp.base(object)
	text := h.selector(h.types[object]>>2, base, off, w.landing)
	if end && text == "" {
		text = fmt.Sprintf("+%#x", off)
	}
	w.add(text)
	return text
}

// selector says what lies at an offset of an object that a pointer to landing led to.
func (h *Heap) selector(id uint32, base, off, landing uint64) string {
	s := h.shapes[id]
	at := base + off
	index := func(size uint64) (uint64, uint64) {
		if size == 0 || at < landing {
			return 0, 0
		}
		return (at - landing) / size, (at - landing) % size
	}
	switch s.form {
	case formMap, formTable, formDirectory, formChan, formText:
		return ""
	case formArray, formBuffer:
		if landing < base {
			landing = base
		}
		i, rest := index(s.size)
		return fmt.Sprintf("[%d]%s", i, values.Selector(s.typ, int64(rest), nil))
	case formGroups, formBuckets:
		if landing < base {
			landing = base
		}
		i, rest := index(s.size)
		return h.entrySelector(s, landing+i*s.size, int64(rest))
	case formClosure:
		for _, fv := range h.s.File().FuncVars(s.pc - h.s.Bias()).All() {
			if fv.ClosureOffset >= 8 && off >= uint64(fv.ClosureOffset) && off < uint64(fv.ClosureOffset+max(fv.Type.Size, 1)) {
				return "." + strings.TrimPrefix(fv.Name, "&") + values.Selector(fv.Type, int64(off)-fv.ClosureOffset, nil)
			}
		}
		return fmt.Sprintf(".captured+%#x", off)
	}
	if s.typ == nil {
		return fmt.Sprintf("+%#x", off)
	}
	if landing >= base && landing <= at && id != 0 { // behind a malloc header
		off = at - landing
	}
	if off >= s.size && s.size > 0 {
		return fmt.Sprintf("[%d]%s", off/s.size, values.Selector(s.typ, int64(off%s.size), nil))
	}
	return values.Selector(s.typ, int64(off), nil)
}

// entrySelector names the entry of a map whose key or element a group or bucket has at an offset.
func (h *Heap) entrySelector(s *shape, group uint64, off int64) string {
	l, err := h.s.MapLayout(s.of)
	if err != nil {
		return ""
	}
	i, _, isKey := l.Keys.Holding(off)
	rest := int64(0)
	if !isKey {
		var isElem bool
		if i, rest, isElem = l.Elems.Holding(off); !isElem {
			return ""
		}
	}
	at := group + uint64(l.Keys.Of(i))
	if l.IndirectKey {
		if at, err = h.s.Uint64(at); err != nil {
			return "[?]"
		}
	}
	text := "[" + values.Absent(attach.ErrNotKept) + "]"
	if !h.keyless {
		text = "[" + h.s.At(at, l.Key).Dump(values.DumpOptions{OneLine: true, Depth: 1, Elems: 4, Bytes: 64, Size: 128}) + "]"
	}
	if isKey {
		return text + " (the key)"
	}
	if l.IndirectElem {
		return text
	}
	return text + values.Selector(l.Elem, rest, nil)
}

// assertion writes the type of what an interface holds, if the pointer at an offset is an interface's.
func (w *pathWriter) assertion(id uint32, data []byte, off uint64) string {
	h := w.h
	s := h.shapes[id]
	if !s.compiled || s.size == 0 {
		return ""
	}
	skip := uint64(0)
	if uint64(len(data)) > smallObject && !h.table.Bitmap.Known() && uint64(len(data)) <= sizeClasses[len(sizeClasses)-1] {
		skip = mallocHeader
	}
	if off < skip {
		return ""
	}
	in := off - skip
	if s.repeated {
		in %= s.size
	}
	for k := range s.slots {
		p := &s.slots[k]
		if uint64(p.off) != in {
			continue
		}
		at := off + uint64(int64(p.other))
		if at+8 > uint64(len(data)) {
			return ""
		}
		return w.assert(p, binary.LittleEndian.Uint64(data[at:]))
	}
	return ""
}

func (w *pathWriter) assert(p *slot, other uint64) string {
	h := w.h
	desc := other
	switch p.kind {
	case slotIface:
		desc = h.itabType(other)
	case slotEface:
	default:
		return ""
	}
	d := h.dynamicOf(desc)
	if d.name == "" {
		return ""
	}
	text := ".(" + h.s.File().ShortName(d.name) + ")"
	w.add(text)
	return text
}

// fromRoot begins a path.
func (w *pathWriter) fromRoot(r *heapRoot, low, high uint64) string {
	h := w.h
	name, selected := h.rootName(r), ""
	switch r.kind {
	case rootVar, rootStatic:
		var s *shape
		n := int64(8)
		if r.kind == rootVar {
			s = h.shapes[h.one(h.vars[r.index].Type)]
			n = h.vars[r.index].Type.Size
		} else {
			s = h.shapes[r.shape]
			n = int64(s.size)
			if s.repeated {
				n = 1 << 16
			}
		}
		data, err := h.s.Slice(r.addr, int(min(n, 1<<28)))
		if err != nil {
			break
		}
		off, word, ok := findWord(data, low, high)
		if !ok {
			break
		}
		if s.repeated && s.size > 0 {
			selected = fmt.Sprintf("[%d]", off/s.size)
		}
		selected += values.Selector(s.typ, int64(off%max(s.size, 1)), nil)
		w.landing = word
		defer func() {
			if !s.compiled {
				h.compile(s)
			}
			for k := range s.slots {
				if p := &s.slots[k]; uint64(p.off) == off%max(s.size, 1) {
					if at := off + uint64(int64(p.other)); at+8 <= uint64(len(data)) {
						w.assert(p, binary.LittleEndian.Uint64(data[at:]))
					}
				}
			}
		}()
	case rootFrame:
		if variable, word := h.frameRoot(r, low, high); word != 0 {
			name += ": " + variable
			w.landing = word
		}
	}
	if w.root == "" {
		w.root = name
		w.text.WriteString(name)
	}
	w.add(selected)
	return selected
}

// rootName names a root without what of it.
func (h *Heap) rootName(r *heapRoot) string {
	short := h.s.File().ShortName
	switch r.kind {
	case rootVar:
		return short(h.vars[r.index].Name)
	case rootData:
		return fmt.Sprintf("package data at %#x", r.addr)
	case rootStatic:
		return ""
	case rootFrame:
		name := fmt.Sprintf("goroutine %d", r.goroutine)
		if frames := h.s.FramesAt(r.pc, r.exact); len(frames) > 0 {
			name += ": " + short(frames[len(frames)-1].Func)
		}
		return name
	case rootRegisters:
		return fmt.Sprintf("goroutine %d: a register", r.goroutine)
	case rootFinalizer:
		return fmt.Sprintf("finalizer or cleanup noted at %#x", r.addr)
	case rootGoroutine:
		return fmt.Sprintf("goroutine %d: what it waits for", r.goroutine)
	}
	return "?"
}

// frameRoot finds the variable of a frame that leads between two addresses.
func (h *Heap) frameRoot(r *heapRoot, low, high uint64) (name string, word uint64) {
	p := h.planAt(r.pc, r.exact)
	if r.addr == 0 || p.size < 0 {
		return "", 0
	}
	from := r.addr - uint64(h.s.File().Arch().FrameBytes(p.size))
	if p.size > 1<<24 || p.args > 1<<20 {
		return "", 0
	}
	data, err := h.s.Slice(from, int(p.size)+8+int(p.args))
	if err != nil {
		return "", 0
	}
	name = "(unnamed)"
	for at := 0; at+8 <= len(data); {
		off, found, ok := findWord(data[at:], low, high)
		if !ok {
			break
		}
		if word == 0 {
			word = found
		}
		place := int64(from) + int64(at) + int64(off) - int64(r.addr)
		if variable := h.variableAt(r, place); variable != "" {
			return variable, found
		}
		at += int(off) + 8
	}
	return name, word
}

// variableAt names the variable at a place of a frame, with the field.
func (h *Heap) variableAt(r *heapRoot, place int64) (name string) {
	h.s.FramePlaces(r.pc, r.exact, func(v *symbols.FrameVar, parts []values.Place) bool {
		off := int64(0)
		for _, p := range parts {
			if name == "" && p.InMemory && place >= p.Offset && place < p.Offset+p.Size && v.Type.Size > 0 {
				name = strings.TrimPrefix(v.Name, "&") + values.Selector(v.Type, off+place-p.Offset, nil)
			}
			off += p.Size
		}
		return name != ""
	})
	return name
}
