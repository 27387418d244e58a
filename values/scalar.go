package values

import (
	"bytes"
	"cmp"
	"math"
	"reflect"
	"strconv"

	"ri/symbols"
)

// ScalarKind is how the bits of a value without parts are to be understood.
type ScalarKind uint8

const (
	NoScalar ScalarKind = iota // it has parts, or there is none
	IntScalar
	UintScalar
	FloatScalar
	BoolScalar
	TextScalar
	WordScalar // a pointer, channel, map, func: its address, 0 if nil
)

var scalarKinds = [...]ScalarKind{
	reflect.Int: IntScalar, reflect.Int8: IntScalar, reflect.Int16: IntScalar, reflect.Int32: IntScalar,
	reflect.Int64: IntScalar, reflect.Uint: UintScalar, reflect.Uint8: UintScalar, reflect.Uint16: UintScalar,
	reflect.Uint32: UintScalar, reflect.Uint64: UintScalar, reflect.Uintptr: UintScalar,
	reflect.Float32: FloatScalar, reflect.Float64: FloatScalar, reflect.Bool: BoolScalar, reflect.String: TextScalar,
	reflect.Pointer: WordScalar, reflect.UnsafePointer: WordScalar, reflect.Chan: WordScalar, reflect.Map: WordScalar,
	reflect.Func: WordScalar,
}

// ScalarKindOf is how values of a kind are read.
func ScalarKindOf(k reflect.Kind) ScalarKind {
	if int(k) < len(scalarKinds) {
		return scalarKinds[k]
	}
	return NoScalar
}

// Integer tells whether it is IntScalar or UintScalar.
func (k ScalarKind) Integer() bool { return k == IntScalar || k == UintScalar }

// Number tells whether it is an integer or FloatScalar.
func (k ScalarKind) Number() bool { return k.Integer() || k == FloatScalar }

// Widen gives a Scalar's Bits for the bits of a value of size bytes.
func (k ScalarKind) Widen(bits uint64, size int64) uint64 {
	switch k {
	case IntScalar:
		shift := 64 - 8*uint(size)
		return uint64(int64(bits<<shift) >> shift)
	case FloatScalar:
		if size == 4 {
			return math.Float64bits(float64(math.Float32frombits(uint32(bits))))
		}
	case BoolScalar:
		return min(bits, 1)
	}
	return bits
}

// Scalar is one value without parts.
type Scalar struct {
	Kind ScalarKind
	Bits uint64        // of an int64, uint64, float64, bool or address
	Text []byte        // of a string; not to be written, and not to be kept
	Type *symbols.Type // Go type; nil of what isn't the program's
}

// Int is the value of an IntScalar.
func (s *Scalar) Int() int64 { return int64(s.Bits) }

// Float is the value of a FloatScalar.
func (s *Scalar) Float() float64 { return math.Float64frombits(s.Bits) }

// Number is the value of a number of whatever kind, rounded to a float64.
func (s *Scalar) Number() float64 {
	switch s.Kind {
	case IntScalar:
		return float64(s.Int())
	case UintScalar:
		return float64(s.Bits)
	}
	return s.Float()
}

// String writes a number or bool in Go syntax.
func (s *Scalar) String() string {
	switch s.Kind {
	case IntScalar:
		return strconv.FormatInt(s.Int(), 10)
	case UintScalar:
		return strconv.FormatUint(s.Bits, 10)
	case FloatScalar:
		return strconv.FormatFloat(s.Float(), 'g', -1, 64)
	case BoolScalar:
		return strconv.FormatBool(s.Bits != 0)
	}
	return ""
}

// Compare orders two scalars: numbers by value, whatever their kinds. A NoScalar is nil. Not ok: they aren't equal and
// have no order.
func (s *Scalar) Compare(t *Scalar) (order int, ok bool) {
	switch {
	case s.Kind.Number() && t.Kind.Number():
		return s.compareNumber(t)
	case t.Kind == NoScalar:
		return 0, s.Kind == NoScalar || s.Kind == WordScalar && s.Bits == 0
	case s.Kind != t.Kind:
		return 0, false
	case s.Kind == TextScalar:
		return bytes.Compare(s.Text, t.Text), true
	}
	return 0, s.Bits == t.Bits
}

func (s *Scalar) compareNumber(t *Scalar) (order int, ok bool) {
	if s.Kind == FloatScalar || t.Kind == FloatScalar {
		a, b := s.Number(), t.Number()
		return cmp.Compare(a, b), a == a && b == b
	}
	below, over := s.Kind == IntScalar && s.Int() < 0, t.Kind == IntScalar && t.Int() < 0
	switch {
	case below && !over:
		return -1, true
	case over && !below:
		return 1, true
	}
	return cmp.Compare(s.Bits, t.Bits), true // two negative numbers are in the order of their bits, too
}

// ScalarOf takes a bool, int64, uint64, float64, string, Nil or Pointer as what a value is compared with.
func ScalarOf(native any) (Scalar, bool) {
	switch n := native.(type) {
	case bool:
		if n {
			return Scalar{Kind: BoolScalar, Bits: 1}, true
		}
		return Scalar{Kind: BoolScalar}, true
	case int64:
		return Scalar{Kind: IntScalar, Bits: uint64(n)}, true
	case uint64:
		return Scalar{Kind: UintScalar, Bits: n}, true
	case float64:
		return Scalar{Kind: FloatScalar, Bits: math.Float64bits(n)}, true
	case string:
		return Scalar{Kind: TextScalar, Text: []byte(n)}, true
	case Nil:
		return Scalar{Kind: WordScalar}, true
	case Pointer:
		return Scalar{Kind: WordScalar, Bits: uint64(n)}, true
	}
	return Scalar{}, false
}

// Scalar reads a number, bool or word; of strings and what has parts only the kind.
func (v Value) Scalar() (s Scalar, err error) {
	s = Scalar{Kind: ScalarKindOf(v.Type.Kind), Type: v.Type}
	if s.Kind != NoScalar && s.Kind != TextScalar {
		s.Bits, err = v.s.Number(v.Addr, v.Type.Size)
		s.Bits = s.Kind.Widen(s.Bits, v.Type.Size)
	}
	return s, err
}

// bits reads a value of one kind; what says what others lack.
func (v Value) bits(kind ScalarKind, what string) (uint64, error) {
	if !v.IsValid() || ScalarKindOf(v.Type.Kind) != kind {
		return 0, v.Lacks(what)
	}
	s, err := v.Scalar()
	return s.Bits, err
}
