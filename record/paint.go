package record

import (
	"cmp"
	"encoding/binary"
	"maps"
	"reflect"
	"slices"

	"ri/record/format"
	"ri/record/redact"
	"ri/symbols"
)

// Memory is what a painter reads: the copy that was looked at.
type Memory struct {
	// Read gives n bytes at an address, false if they aren't all there. It must not note them as read.
	Read func(addr uint64, n int) ([]byte, bool)
	// Constant tells whether bytes are the program's own, that nobody can have changed.
	Constant func(addr uint64, n int) bool
	// Mapped tells whether the process has memory at an address, n bytes of it.
	Mapped func(addr, n uint64) bool
	// Variable gives the name of the package variable at an address, "" if there is none.
	Variable func(addr uint64) string
	// Tokens is an address from which on the process has no memory.
	Tokens uint64
}

// Counts is what became of what was looked at.
type Counts struct {
	Kept     int64 `json:"kept_bytes"`
	Denied   int64 `json:"denied_bytes"`
	Tokens   int64 `json:"tokens"`        // distinct texts that are not kept
	Replaced int64 `json:"token_bytes"`   // of them
	Unknown  int64 `json:"unknown_bytes"` // that were read, and no type is known of
}

// painter turns what was looked at into what is written.
type painter struct {
	mem    Memory
	policy *redact.Policy
	tokens *redact.Tokens

	layouts map[*symbols.Type]*redact.Layout
	known   map[[16]byte]uint64 // digest of a text -> address of its token
	next    uint64              // where the next token comes
	pending []format.Memory     // tokens that were not written yet
	held    int
	kept    []extent // contents that are kept
	keptAs  map[string]*Kept
	denied  []extent // contents that are not
	counts  Counts
	origins []byte      // see format.OriginsBlock
	look    int         // 1 is the first
	runtime bool        // what is painted is a structure of the runtime
	seen    [][]typedAt // of each look
	emit    func(name string, runs []format.Memory) error
	err     error
}

type extent struct {
	addr uint64
	n    int
}

// maxInPlace is the longest byte array that becomes a token where it lies; longer ones are buffers.
const maxInPlace = 4096

func newPainter(mem Memory, policy *redact.Policy, tokens *redact.Tokens,
	emit func(string, []format.Memory) error) *painter {
	return &painter{mem: mem, policy: policy, tokens: tokens, layouts: map[*symbols.Type]*redact.Layout{},
		known: map[[16]byte]uint64{}, keptAs: map[string]*Kept{}, next: mem.Tokens, emit: emit}
}

func (p *painter) layout(t typedAt) *redact.Layout {
	if name := p.mem.Variable(t.addr); name != "" {
		return p.policy.Of(t.typ, name)
	}
	l := p.layouts[t.typ]
	if l == nil {
		l = p.policy.Of(t.typ, "")
		p.layouts[t.typ] = l
	}
	return l
}

// each calls f for each piece of a layout that lies at an address.
func each(l *redact.Layout, addr uint64, f func(redact.Piece, uint64)) {
	for _, piece := range l.Pieces {
		if piece.Elem == nil {
			f(piece, addr+uint64(piece.Offset))
			continue
		}
		for i := range piece.Count {
			each(piece.Elem, addr+uint64(piece.Offset+i*piece.Size), f)
		}
	}
}

// maxArray is the longest array that is believed of what is no variable, in bytes. The runtime, and others, take
// pointers for such of arrays of any length, (*[1 << 16]scase)(p)[:n], and what lies behind is something else.
const maxArray = 64 << 10

// view tells whether something was looked at as an array only to take a slice of it.
func (p *painter) view(t typedAt) bool {
	return t.typ.Kind == reflect.Array && t.typ.Size >= maxArray && p.mem.Variable(t.addr) == ""
}

// blockBytes is about how much goes into one block of memory.
const blockBytes = 4 << 20

// A window is painted at a time.
const (
	windowShift = 16
	windowSize  = 1 << windowShift
)

// What a byte of a window is. Where two say something, the larger counts.
type color uint8

const (
	none    color = iota
	padding       // between fields: zeros
	unknown       // read, and nothing is known of it
	plain         // a number, a pointer
	meant         // kept for what it says: a constant, a text that a rule keeps, bits of the runtime's
	token
	denied
)

type window struct {
	start  uint64
	colors [windowSize]color
	data   [windowSize]byte
}

// written is what is said of the byte in the file.
func (c color) written() color {
	if c == padding || c == meant {
		return plain
	}
	return c
}

// readsAsText is from how many letters on, side by side, numbers are taken for a text: a guess of a type was wrong, as
// of a variable that the code no longer keeps, or a text was kept in numbers.
const readsAsText = 8

// denyTexts takes out what reads as text among numbers.
func (w *window) denyTexts() {
	for i := 0; i < windowSize; {
		end := i
		for end < windowSize && w.colors[end] == plain && w.data[end] >= ' ' && w.data[end] <= '~' {
			end++
		}
		if end-i >= readsAsText {
			for k := i; k < end; k++ {
				w.colors[k] = denied
			}
		}
		i = end + 1
	}
}

// set paints bytes, as far as they lie in the window.
func (w *window) set(addr uint64, b []byte, c color) {
	for i, x := range b {
		off := addr + uint64(i) - w.start
		if off < windowSize && w.colors[off] <= c {
			w.colors[off], w.data[off] = c, x
		}
	}
}

func (w *window) deny(addr, n uint64, c color) {
	from, to := max(addr, w.start), min(addr+n, w.start+windowSize)
	for a := from; a < to; a++ {
		if w.colors[a-w.start] < c {
			w.colors[a-w.start] = c
		}
	}
}

// paint writes all that was looked at.
func (p *painter) paint(s *Sight, look int) error {
	p.look, p.kept, p.denied = look, nil, nil
	seen := s.all(p.view)
	p.seen = append(p.seen, seen)
	p.texts(s, seen)
	p.flushTokens()
	p.keptList()
	p.kept = sorted(append(p.kept, s.bits...))
	p.denied = sorted(p.denied)

	windows := p.windows(s, seen)
	out := &runs{emit: p.emit, name: format.MemoryBlock(look)}
	w := new(window)
	kept, denied := p.kept, p.denied
	for _, n := range slices.Sorted(maps.Keys(windows)) {
		*w = window{start: n << windowShift}
		for _, i := range windows[n] {
			p.typed(w, s, seen[i])
		}
		kept, denied = from(kept, w.start), from(denied, w.start)
		p.fill(w, s, kept, denied)
		p.cut(w, out)
		if out.err != nil {
			return out.err
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	return p.err
}

// windows are the numbers of all that there is to paint, each with the indexes of what was seen of a type in it. A
// thing may be longer than a window.
func (p *painter) windows(s *Sight, seen []typedAt) map[uint64][]int {
	windows := map[uint64][]int{}
	for i, t := range seen {
		for n := t.addr >> windowShift; n <= (t.addr+uint64(t.typ.Size)-1)>>windowShift; n++ {
			if windows[n] = append(windows[n], i); len(windows) > 1<<24 {
				break
			}
		}
	}
	touch := func(addr, n uint64) {
		for w := addr >> windowShift; w <= (addr+n-1)>>windowShift; w++ {
			windows[w] = windows[w][:len(windows[w]):len(windows[w])]
		}
	}
	for _, e := range p.kept {
		touch(e.addr, uint64(e.n))
	}
	for _, page := range s.pages() {
		touch(page*pageSize, pageSize)
	}
	return windows
}

// typed paints the pieces of what was looked at as a type, as far as they lie in the window.
func (p *painter) typed(w *window, s *Sight, t typedAt) {
	p.runtime = redact.OfRuntime(t.typ) // which is read whole, and has no texts of the program
	each(p.layout(t), t.addr, func(piece redact.Piece, at uint64) {
		if at < w.start+windowSize && at+uint64(piece.Size) > w.start && s.touched(at, uint64(piece.Size)) {
			p.piece(w, piece, at)
		}
	})
}

// fill paints the rest of a window: contents that are kept, words of no type, and contents that are not kept. The
// extents begin with those that end in this window or behind it.
func (p *painter) fill(w *window, s *Sight, kept, notKept []extent) {
	for i := 0; i < len(kept) && kept[i].addr < w.start+windowSize; i++ {
		if b, ok := p.mem.Read(kept[i].addr, kept[i].n); ok {
			w.set(kept[i].addr, b, meant)
		}
	}
	p.words(w, s)
	for i := 0; i < len(notKept) && notKept[i].addr < w.start+windowSize; i++ {
		w.deny(notKept[i].addr, uint64(notKept[i].n), denied)
	}
	w.denyTexts()
}

// from leaves out the extents that end at an address or before it.
func from(list []extent, addr uint64) []extent {
	for len(list) > 0 && list[0].end() <= addr {
		list = list[1:]
	}
	return list
}

const pageSize = 4096

func (e extent) end() uint64 { return e.addr + uint64(e.n) }

// sorted sorts extents and joins those that overlap, so that none begins before one that ends later.
func sorted(list []extent) []extent {
	slices.SortFunc(list, func(a, b extent) int { return cmp.Compare(a.addr, b.addr) })
	out := list[:0]
	for _, e := range list {
		if n := len(out); n > 0 && e.addr < out[n-1].end() {
			out[n-1].n = int(max(out[n-1].end(), e.end()) - out[n-1].addr)
			continue
		}
		out = append(out, e)
	}
	return out
}

// piece paints one piece of what was looked at as a type.
func (p *painter) piece(w *window, piece redact.Piece, at uint64) {
	if piece.Form == redact.Contents && piece.Size > maxInPlace {
		w.deny(at, uint64(piece.Size), denied)
		return
	}
	if piece.Form == redact.Plain || piece.Form == redact.Padding { // what may be long, and is as good in parts
		end := min(at+uint64(piece.Size), w.start+windowSize)
		at = max(at, w.start)
		piece.Size = int64(end - at)
	}
	b, ok := p.mem.Read(at, int(piece.Size))
	if !ok {
		return
	}
	switch piece.Form {
	case redact.Padding:
		w.set(at, make([]byte, piece.Size), padding)
	case redact.Plain:
		switch {
		case piece.Action != redact.Keep:
			w.deny(at, uint64(piece.Size), denied)
		case p.runtime || p.mem.Constant(at, int(piece.Size)):
			w.set(at, b, meant)
		default:
			w.set(at, b, plain)
		}
	case redact.Slice:
		w.set(at, b, plain)
	case redact.Text, redact.Bytes:
		w.set(at, p.header(w, at, piece, b), plain)
	case redact.Contents:
		switch piece.Action {
		case redact.Keep:
			w.set(at, b, meant)
		case redact.Token, redact.Mask:
			stand := p.tokens.Of(b)
			if piece.Action == redact.Mask {
				stand = slices.Repeat([]byte{'*'}, len(b))
			}
			w.set(at, stand, token)
		default:
			w.deny(at, uint64(piece.Size), denied)
		}
	case redact.Control:
		w.set(at, control(b, piece.Field == "ctrl"), meant)
	}
}

// control takes the hashes out of a Swiss group's control word, in which full slots have their top bit clear
// (internal/runtime/maps/group.go), or of a bucket's tophash, in which they are at least minTopHash, 5
// (runtime/map.go).
func control(b []byte, swiss bool) []byte {
	out := slices.Clone(b)
	for i, x := range out {
		switch {
		case swiss && x < 0x80:
			out[i] = 0
		case !swiss && x > 5:
			out[i] = 5
		}
	}
	return out
}

// header is a header that leads to what stands for its text.
func (p *painter) header(w *window, at uint64, piece redact.Piece, b []byte) []byte {
	addr, n := word(b, 0), word(b, 8)
	if n == 0 || n > maxText || piece.Action == redact.Keep || piece.Action == redact.Drop {
		return b
	}
	content, ok := p.mem.Read(addr, int(n))
	if !ok {
		return b
	}
	to, ok := p.replaced(content, piece.Action)
	if !ok { // it is kept
		return b
	}
	if p.look == 1 && at >= w.start { // once, where it lies in two windows
		p.origins = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(p.origins, at), addr)
	}
	out := slices.Clone(b)
	binary.LittleEndian.PutUint64(out, to)
	if len(out) >= 24 {
		binary.LittleEndian.PutUint64(out[16:], n)
	}
	return out
}

// words paints what was read as words of no type: addresses are kept.
func (p *painter) words(w *window, s *Sight) {
	for page := w.start / pageSize; page < (w.start+windowSize)/pageSize; page++ {
		bits := s.words[page]
		if bits == nil {
			continue
		}
		for i := range uint64(wordsInPage) {
			if bits[i/64]>>(i%64)&1 == 0 {
				continue
			}
			at := page*pageSize + 8*i
			b, ok := p.mem.Read(at, 8)
			if !ok {
				continue
			}
			c := unknown
			switch {
			case p.mem.Constant(at, 8):
				c = meant
			case p.mem.Mapped(word(b, 0), 1):
				c = plain
			}
			for k := range uint64(8) {
				if off := at + k - w.start; w.colors[off] == none {
					w.colors[off], w.data[off] = c, b[k]
				}
			}
		}
	}
}

// cut makes runs of a window.
func (p *painter) cut(w *window, out *runs) {
	for i := 0; i < windowSize; {
		c := w.colors[i].written()
		end := i + 1
		for end < windowSize && w.colors[end].written() == c {
			end++
		}
		r := format.Memory{Addr: w.start + uint64(i), Size: end - i}
		switch c {
		case plain, token:
			r.Data = slices.Clone(w.data[i:end])
			if c == token {
				r.Kind = format.Tokens
			}
			p.counts.Kept += int64(r.Size)
			out.add(r)
		case denied, unknown:
			r.Kind = format.Denied
			if c == denied {
				p.counts.Denied += int64(r.Size)
			} else {
				p.counts.Unknown += int64(r.Size)
			}
			out.add(r)
		}
		i = end
	}
}

// runs gathers runs of memory into blocks.
type runs struct {
	name string
	emit func(string, []format.Memory) error
	list []format.Memory
	size int
	err  error
}

func (o *runs) add(r format.Memory) {
	o.list, o.size = append(o.list, r), o.size+len(r.Data)+16
	if o.size >= blockBytes {
		o.flush()
	}
}

func (o *runs) flush() error {
	if o.err == nil && len(o.list) > 0 {
		o.err = o.emit(o.name, o.list)
	}
	o.list, o.size = nil, 0
	return o.err
}
