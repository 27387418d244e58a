package record

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"ri/record/format"
	"ri/record/redact"
)

// A window is painted at a time.
const (
	windowShift = 16
	windowSize  = 1 << windowShift
)

// color is what a byte of a window is. Where two say something, the larger counts. The lower half is what is said of
// the byte in the file.
type color byte

const (
	none    color = 0
	padding color = 0x10 | asItIs  // between fields: zeros
	unknown color = 0x20 | notKept // read, and nothing is known of it
	plain   color = 0x30 | asItIs  // a number, a pointer
	header  color = 0x40 | asItIs  // leads to what stands for a text
	meant   color = 0x50 | asItIs  // kept for what it says: a constant, a text that a rule keeps, bits of the runtime's
	token   color = 0x60 | instead
	denied  color = 0x70 | notKept

	asItIs  = 1
	instead = 2
	notKept = 3
)

// Eight colors are looked at as a word, in any order of bytes.
const (
	eachByte = 0x0101010101010101
	written  = 0x0f * eachByte
)

// window is where things are painted before they are written. It is for one goroutine.
type window struct {
	*painter
	glance
	start   uint64
	pages   uint32      // a bit for each of which something was read
	runtime bool        // what is painted is a structure of the runtime
	origins [][2]uint64 // see format.OriginsBlock
	counts  Counts
	headers headerPlace // among those of contents
	room    [maxHeader]byte
	colors  [windowSize]byte
	data    [windowSize]byte
}

// maxHeader is the size of the largest header, a slice's.
const maxHeader = 24

const pageSize = 4096

var zeros [windowSize]byte

func (w *window) end() uint64 { return w.start + windowSize }

// open begins with what lies at an address.
func (w *window) open(start uint64) {
	w.start, w.pages = start, 0
	clear(w.colors[:])
	for i := range uint64(windowSize / pageSize) {
		if w.has(start/pageSize + i) {
			w.pages |= 1 << i
		}
	}
}

// touches tells whether something was read of the pages that a piece lies in.
func (w *window) touches(at, n uint64) bool {
	if at < w.start || at+n > w.end() {
		return w.touched(at, n)
	}
	first, last := (at-w.start)/pageSize, (at+n-1-w.start)/pageSize
	return w.pages>>first&(1<<(last-first+1)-1) != 0
}

func (w *window) eight(i int) uint64 { return binary.NativeEndian.Uint64(w.colors[i:]) }

// set paints bytes, as far as they lie in the window.
func (w *window) set(addr uint64, b []byte, c color) {
	off, b := w.clip(addr, b)
	all := uint64(c) * eachByte
	i := 0
	for ; i+8 <= len(b); i += 8 {
		if was := w.eight(off + i); was == 0 || was == all {
			binary.NativeEndian.PutUint64(w.colors[off+i:], all)
			copy(w.data[off+i:off+i+8], b[i:])
			continue
		}
		w.setEach(off+i, b[i:i+8], byte(c))
	}
	w.setEach(off+i, b[i:], byte(c))
}

func (w *window) setEach(off int, b []byte, c byte) {
	for i, x := range b {
		if w.colors[off+i] <= c {
			w.colors[off+i], w.data[off+i] = c, x
		}
	}
}

// clip gives what of bytes lies in the window, and where.
func (w *window) clip(addr uint64, b []byte) (int, []byte) {
	if addr < w.start {
		b = b[min(w.start-addr, uint64(len(b))):]
		addr = w.start
	}
	off := min(addr-w.start, windowSize)
	return int(off), b[:min(uint64(len(b)), windowSize-off)]
}

func (w *window) deny(addr, n uint64) {
	from, to := max(addr, w.start), min(addr+n, w.end())
	for a := from; a < to; a++ {
		w.colors[a-w.start] = max(w.colors[a-w.start], byte(denied))
	}
}

// paint paints the pieces of a thing, as far as they lie in the window.
func (w *window) paint(plan *plan, addr uint64) {
	for i := range plan.pieces {
		piece := &plan.pieces[i]
		at := addr + uint64(piece.Offset)
		switch {
		case at >= w.end():
		case piece.elem != nil:
			w.array(piece, at)
		case at+uint64(piece.Size) > w.start && w.touches(at, uint64(piece.Size)):
			w.piece(&piece.Piece, at)
		}
	}
}

// array paints the elements that lie in the window.
func (w *window) array(piece *part, at uint64) {
	k, size := uint64(0), uint64(piece.Size)
	if at+size <= w.start {
		k = (w.start - at) / size
	}
	for ; k < uint64(piece.Count) && at+k*size < w.end(); k++ {
		w.paint(piece.elem, at+k*size)
	}
}

// fill paints the rest: contents that are kept, words of no type, and contents that are not kept. The extents begin
// with those that end in this window or behind it.
func (w *window) fill(kept, notKept []extent) {
	for i := 0; i < len(kept) && kept[i].addr < w.end(); i++ {
		from, to := max(kept[i].addr, w.start), min(kept[i].end(), w.end())
		if b, ok := w.mem.Read(from, int(to-from)); ok {
			w.set(from, b, meant)
		}
	}
	w.wordsOfNoType()
	w.denyBoxed()
	for i := 0; i < len(notKept) && notKept[i].addr < w.end(); i++ {
		w.deny(notKept[i].addr, uint64(notKept[i].n))
	}
	w.denyTexts()
	w.keepReturns()
}

// keepReturns paints where functions return to as it is, whatever anybody took it for: the executable says as much, and
// no stack can be walked without.
func (w *window) keepReturns() {
	for page := range windowSize / pageSize {
		words := w.sight.returns[w.start/pageSize+uint64(page)]
		if words == nil || w.pages>>page&1 == 0 {
			continue
		}
		for i, left := range words {
			for ; left != 0; left &= left - 1 {
				off := page*pageSize + 8*(i*64+bits.TrailingZeros64(left))
				if b, ok := w.mem.Read(w.start+uint64(off), 8); ok && w.mem.Code(word(b, 0)) {
					for k := range b {
						w.colors[off+k], w.data[off+k] = byte(meant), b[k]
					}
				}
			}
		}
	}
}

// wordsOfNoType paints what was read as words of no type: addresses are kept, and nil.
func (w *window) wordsOfNoType() {
	for page := range windowSize / pageSize {
		if w.pages>>page&1 == 0 {
			continue
		}
		number := w.start/pageSize + uint64(page)
		whole, _ := w.mem.Read(number*pageSize, pageSize)
		for i, left := range w.sight.words[number] {
			for ; left != 0; left &= left - 1 {
				k := i*64 + bits.TrailingZeros64(left)
				off := page*pageSize + 8*k
				colors := w.eight(off)
				if (colors-eachByte)&^colors&(eachByte<<7) == 0 { // none of the eight is 0
					continue
				}
				at := w.start + uint64(off)
				b, ok := []byte(nil), false
				if whole != nil {
					b = whole[8*k : 8*k+8]
				} else if b, ok = w.mem.Read(at, 8); !ok {
					continue
				}
				w.word(off, at, b)
			}
		}
	}
}

func (w *window) word(off int, at uint64, b []byte) {
	c := unknown
	switch {
	case w.mem.Constant(at, 8):
		c = meant
	case word(b, 0) == 0, w.mem.Mapped(word(b, 0), 1):
		c = plain
	}
	for k := range 8 {
		if w.colors[off+k] == 0 {
			w.colors[off+k], w.data[off+k] = byte(c), b[k]
		}
	}
}

// readsAsText is from how many letters on, side by side, numbers are taken for a text: a guess of a type was wrong, as
// of a variable that the code no longer keeps, or a text was kept in numbers.
const readsAsText = 8

func (w *window) isLetter(i int) bool {
	return w.colors[i] == byte(plain) && w.data[i] >= ' ' && w.data[i] <= '~'
}

// denyTexts takes out what reads as text among numbers. Where so many letters stand side by side, one of them is the
// last of so many bytes.
func (w *window) denyTexts() {
	for i := readsAsText - 1; i < windowSize; i += readsAsText {
		if !w.isLetter(i) {
			continue
		}
		from, to := i, i+1
		for from > 0 && w.isLetter(from-1) {
			from--
		}
		for to < windowSize && w.isLetter(to) {
			to++
		}
		if last := to &^ 7; to%8 != 0 && last > from && w.mem.Mapped(word(w.data[:], last), 1) {
			to = last // an address that ends in letters
		}
		if to-from >= readsAsText {
			for k := from; k < to; k++ {
				w.colors[k] = byte(denied)
			}
		}
		i = max(i, to)
	}
}

// cut makes runs of a window.
func (w *window) cut(out *runs) {
	for i := 0; i < windowSize; {
		c := w.colors[i] & 0x0f
		end, all := i+1, uint64(c)*eachByte
		for end < windowSize && w.colors[end]&0x0f == c {
			if end%8 == 0 && w.eight(end)&written == all {
				end += 8
				continue
			}
			end++
		}
		size := end - i
		switch c {
		case asItIs:
			w.counts.Kept += int64(size)
			out.add(w.start+uint64(i), size, format.Data, w.data[i:end])
		case instead:
			w.counts.Kept += int64(size)
			out.add(w.start+uint64(i), size, format.Tokens, w.data[i:end])
		case notKept:
			unknowns := int64(bytes.Count(w.colors[i:end], []byte{byte(unknown)}))
			w.counts.Unknown += unknowns
			w.counts.Denied += int64(size) - unknowns
			out.add(w.start+uint64(i), size, format.Denied, nil)
		}
		i = end
	}
}

// piece paints one piece of what was looked at as a type.
func (w *window) piece(piece *redact.Piece, at uint64) {
	size := uint64(piece.Size)
	if piece.Form == redact.Contents && piece.Size > maxInPlace {
		w.deny(at, size)
		return
	}
	if piece.Form == redact.Plain || piece.Form == redact.Padding { // what may be long, and is as good in parts
		end := min(at+size, w.end())
		at = max(at, w.start)
		size = end - at
	}
	if piece.Form == redact.Padding {
		w.set(at, zeros[:min(int(size), len(zeros))], padding)
		return
	}
	b, ok := w.mem.Read(at, int(size))
	if !ok {
		if piece.Form == redact.Plain && w.mem.Next != nil {
			w.parts(piece, at, size)
		}
		return
	}
	switch piece.Form {
	case redact.Plain:
		w.plain(piece, at, b)
	case redact.Text, redact.Bytes:
		b, c := w.header(at, piece, b)
		w.set(at, b, c)
	case redact.Contents:
		switch piece.Action {
		case redact.Keep:
			w.set(at, b, meant)
		case redact.Token, redact.Mask:
			stand := w.tokens.Of(b)
			if piece.Action == redact.Mask {
				stand = slices.Repeat([]byte{'*'}, len(b))
			}
			w.set(at, stand, token)
		default:
			w.deny(at, size)
		}
	case redact.Control:
		w.set(at, control(b, piece.Field == "ctrl"), meant)
	}
}

// plain paints a number, a pointer, or many.
func (w *window) plain(piece *redact.Piece, at uint64, b []byte) {
	switch {
	case piece.Action != redact.Keep:
		w.deny(at, uint64(len(b)))
	case w.runtime || w.mem.Constant(at, len(b)):
		w.set(at, b, meant)
	default:
		w.set(at, b, plain)
	}
}

// parts paints what there is of numbers and pointers side by side.
func (w *window) parts(piece *redact.Piece, at, size uint64) {
	for end := at + size; at < end; {
		from, b := w.mem.Next(at, int(end-at))
		if len(b) == 0 {
			return
		}
		w.plain(piece, from, b)
		at = from + uint64(len(b))
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

// header is a header that leads to what stands for its text. It is good until the next one.
func (w *window) header(at uint64, piece *redact.Piece, b []byte) ([]byte, color) {
	addr, n := word(b, 0), word(b, 8)
	if n == 0 || n > maxText || piece.Action == redact.Keep || piece.Action == redact.Drop || len(b) > maxHeader {
		return b, plain
	}
	to, ok := w.standsFor(at, piece.Action == redact.Mask, &w.headers)
	if !ok && piece.Action == redact.Token {
		to, ok = w.common[extent{addr, int(n)}]
	}
	if !ok { // it is kept, or isn't there
		return b, plain
	}
	// Once, where it lies in two windows. What lies in the executable isn't walked, and who has the executable could read
	// there what the text was: a constant, or one letter in the runtime's table of them.
	if at >= w.start && !w.mem.Own(addr) {
		w.origins = append(w.origins, [2]uint64{at, addr})
	}
	out := w.room[:copy(w.room[:], b)]
	binary.LittleEndian.PutUint64(out, to)
	// A capacity that is an address of code is a return address, and the header a guess of a dead variable's.
	if len(out) >= 24 && !w.mem.Code(word(b, 16)) {
		binary.LittleEndian.PutUint64(out[16:], n)
	}
	return out, header
}
