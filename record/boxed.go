package record

import (
	"encoding/binary"
	"reflect"
)

// The runtime has a table of all bytes, as words: an interface that holds a small number leads into it
// (runtime.staticuint64s, runtime/iface.go), so that a pointer to a constant tells what it points to.

// denyBoxed takes out pointers of interfaces that hold a byte or a rune and lead to a constant. One that lies on the
// heap is not kept either: see redact.Policy.Of.
func (w *window) denyBoxed() {
	for i := 0; i < windowSize; i += 8 {
		if w.colors[i] != byte(plain) {
			continue
		}
		to := word(w.data[:], i)
		if !w.mem.Own(to) || !w.mem.Constant(to, 8) {
			continue
		}
		if typ, ok := w.before(i); ok && w.isLetters(typ) {
			w.deny(w.start+uint64(i), 8)
		}
	}
}

// before is the word before one of the window.
func (w *window) before(i int) (uint64, bool) {
	if i > 0 {
		return word(w.data[:], i-8), w.colors[i-8] == byte(plain)
	}
	b, ok := w.mem.Read(w.start-8, 8)
	if !ok {
		return 0, false
	}
	return word(b, 0), true
}

// Offsets in abi.Type (internal/abi/type.go) and abi.ITab (internal/abi/iface.go), Go 1.20 to 1.27.
const (
	kindOfType = 23
	typeOfITab = 8
	kindBits   = 0x1f
)

// isLetters tells whether an interface's first word says that it holds a number of up to four bytes. Of a type that
// wasn't looked at it isn't known. A word that leads elsewhere than to read-only data of the executable's is another,
// that happens to stand before: a program counter, a variable's address.
func (w *window) isLetters(typ uint64) bool {
	for range 2 {
		if typ%8 != 0 || !w.mem.Own(typ) || !w.mem.Constant(typ, 8) || w.mem.Code(typ) {
			return false
		}
		b, ok := w.mem.Read(typ, kindOfType+1)
		if !ok {
			return true
		}
		size, kind := binary.LittleEndian.Uint64(b), reflect.Kind(b[kindOfType]&kindBits)
		if size <= 1<<20 {
			return size <= 4 && kind >= reflect.Int8 && kind <= reflect.Uint32
		}
		typ = word(b, typeOfITab) // of an interface with methods: a pointer came first
	}
	return false
}
