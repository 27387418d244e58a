package place

import (
	"reflect"

	"ri/symbols"
)

// This file computes where Go's compiler puts arguments and results: cmd/compile's abi-internal.md, "Function call
// argument and result passing", for amd64, and the stack order of ABI0. Debug information doesn't say it at a return,
// nor of arguments that aren't used. The same from Go 1.18 to 1.27.

// argRegisters are the integer registers in the order of the ABI, by DWARF's numbers: AX, BX, CX, DI, SI, R8 to R11.
var argRegisters = []int{0, 3, 2, 5, 4, 8, 9, 10, 11}

const (
	floatRegisters = 15 // X0 to X14
	wordSize       = 8
	maxSteps       = 1 << 16
	maxNesting     = 50
)

// frame assigns arguments, then results, to registers and the stack.
type frame struct {
	stackOnly bool // ABI0
	ints      int
	floats    int
	stack     int64
	steps     int // that were taken: malformed types can be made of ever more parts
}

// assign gives where a value of a type lies. It is false for a type that isn't known.
func (a *frame) assign(t *symbols.Type) ([]Piece, bool) {
	size, align, ok := a.sized(t, 0)
	if !ok {
		return nil, false
	}
	if size == 0 {
		a.stack = roundUp(a.stack, align) // it has no bytes, but its place is aligned
		return nil, true
	}
	if !a.stackOnly {
		try := taker{frame: a, ints: a.ints, floats: a.floats}
		if try.take(t, 0, 0) {
			a.ints, a.floats = try.ints, try.floats
			return try.pieces, true
		}
	}
	a.stack = roundUp(a.stack, align)
	p := Piece{Kind: OnStack, Off: a.stack, Size: size}
	a.stack += size
	return []Piece{p}, true
}

// results begins to assign results, behind the arguments.
func (a *frame) results() {
	a.ints, a.floats, a.stack = 0, 0, roundUp(a.stack, wordSize)
}

// taker takes registers for one value, all or none.
type taker struct {
	frame        *frame
	ints, floats int
	pieces       []Piece
}

func (r *taker) integer(at, size int64) bool {
	if r.ints == len(argRegisters) {
		return false
	}
	r.pieces = append(r.pieces, Piece{Kind: InRegister, Register: argRegisters[r.ints], At: at, Size: size})
	r.ints++
	return true
}

func (r *taker) float(at, size int64) bool {
	if r.floats == floatRegisters {
		return false
	}
	r.pieces = append(r.pieces, Piece{Kind: Gone, Register: firstVector + r.floats, At: at, Size: size})
	r.floats++
	return true
}

// firstVector is DWARF's number of X0.
const firstVector = 17

func (r *taker) take(t *symbols.Type, at int64, depth int) bool {
	if r.frame.steps++; depth > maxNesting || r.frame.steps > maxSteps {
		return false
	}
	switch t.Kind {
	case reflect.Float32, reflect.Float64:
		return r.float(at, t.Size)
	case reflect.Complex64, reflect.Complex128:
		return r.float(at, t.Size/2) && r.float(at+t.Size/2, t.Size/2)
	case reflect.String, reflect.Interface:
		return r.integer(at, wordSize) && r.integer(at+wordSize, wordSize)
	case reflect.Slice:
		return r.integer(at, wordSize) && r.integer(at+wordSize, wordSize) && r.integer(at+2*wordSize, wordSize)
	case reflect.Struct:
		for _, f := range t.Fields() {
			if f.Type.Size > 0 && !r.take(f.Type, at+f.Offset, depth+1) {
				return false
			}
		}
		return true
	case reflect.Array:
		switch {
		case t.Len() == 0 || t.Size == 0:
			return t.Len() <= 1
		case t.Len() == 1:
			return r.take(t.Elem(), at, depth+1)
		}
		return false
	}
	return r.integer(at, t.Size)
}

// sized gives a type's size and alignment, in bytes; false for one that isn't known.
func (a *frame) sized(t *symbols.Type, depth int) (size, align int64, ok bool) {
	a.steps++
	if t == nil || a.steps > maxSteps || depth > maxNesting || t.Size < 0 || t.Size > 1<<30 || t.Lacks() != nil {
		return 0, 1, false
	}
	switch t.Kind {
	case reflect.Invalid:
		return 0, 1, false
	case reflect.Struct:
		align, ok = a.sizedFields(t, depth)
		return t.Size, align, ok
	case reflect.Array:
		if t.Elem() == nil {
			return 0, 1, false
		}
		_, align, ok = a.sized(t.Elem(), depth+1)
		return t.Size, align, ok
	case reflect.Complex64:
		return t.Size, 4, t.Size == 8
	case reflect.String, reflect.Interface:
		return t.Size, wordSize, t.Size == 2*wordSize
	case reflect.Slice:
		return t.Size, wordSize, t.Size == 3*wordSize
	case reflect.Complex128:
		return t.Size, wordSize, t.Size == 2*wordSize
	}
	return t.Size, t.Size, t.Size == 1 || t.Size == 2 || t.Size == 4 || t.Size == 8
}

// sizedFields gives the alignment of a struct; false where its fields aren't known.
func (a *frame) sizedFields(t *symbols.Type, depth int) (align int64, ok bool) {
	align, end := int64(1), int64(0)
	for _, f := range t.Fields() {
		_, own, ok := a.sized(f.Type, depth+1)
		if !ok || f.Offset < end || f.Offset+f.Type.Size > t.Size {
			return 1, false
		}
		align, end = max(align, own), f.Offset
	}
	return align, len(t.Fields()) > 0 || t.Size == 0
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }
