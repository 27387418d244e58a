package eval

import (
	"encoding/binary"
	"fmt"
	"go/token"
	"math"
	"math/big"
	"reflect"
	"unicode/utf8"

	"ri/symbols"
	"ri/values"
)

// Conversions, T(x), give what Go gives: numbers are rounded and cut as the processor does it, constants have to fit.
// Beyond Go, an integer becomes a pointer, since an address is what people copy from one output to the next.

// maxConverted is the longest text that is copied to convert it.
const maxConverted = 1 << 20

func isSigned(t *symbols.Type) bool  { return values.ScalarKindOf(t.Kind) == values.IntScalar }
func isFloat(t *symbols.Type) bool   { return values.ScalarKindOf(t.Kind) == values.FloatScalar }
func isInteger(t *symbols.Type) bool { return values.ScalarKindOf(t.Kind).Integer() }
func isWord(t *symbols.Type) bool    { return values.ScalarKindOf(t.Kind) == values.WordScalar }
func isComplex(t *symbols.Type) bool {
	return t.Kind == reflect.Complex64 || t.Kind == reflect.Complex128
}

// sliceOf tells whether t is a slice of elements of a kind.
func sliceOf(t *symbols.Type, elem reflect.Kind) bool {
	return t.Kind == reflect.Slice && t.Elem() != nil && t.Elem().Kind == elem
}

// convert makes a value of type t.
func convert(s *values.Space, x operand, t *symbols.Type) (values.Value, error) {
	if x.constant != nil {
		return convertConstant(s, x.constant, t)
	}
	from := x.Type
	if from.Kind == t.Kind && from.Size == t.Size && !isWord(t) { // the same bytes under another name
		return s.At(x.Addr, t), nil
	}
	n, err := x.Scalar()
	if err != nil {
		return values.Value{}, err
	}
	switch {
	case isInteger(from) && (isInteger(t) || isWord(t)), isWord(from) && isWord(t),
		from.Kind == reflect.UnsafePointer && t.Kind == reflect.Uintptr:
		return s.Word(n.Bits, t), nil
	case isFloat(from) && isInteger(t):
		return s.Word(cut(n.Float(), t), t), nil
	case isFloat(t) && n.Kind.Number():
		return keepFloat(s, n.Number(), t), nil
	case isComplex(t) && isComplex(from):
		c, err := x.Complex()
		return keepComplex(s, c, t), err
	case t.Kind == reflect.String && isInteger(from):
		return keepRune(s, n.Bits, t), nil
	}
	return convertText(s, x.Value, t)
}

// cut gives the bits of an integer of type t for a float, as the processor does.
func cut(f float64, t *symbols.Type) uint64 {
	if !isSigned(t) && f >= 1<<63 {
		return uint64(f)
	}
	return uint64(int64(f))
}

// convertText makes a string of a slice, or a slice of a string.
func convertText(s *values.Space, v values.Value, t *symbols.Type) (values.Value, error) {
	from, toText := v.Type, t.Kind == reflect.String
	switch {
	case toText && sliceOf(from, reflect.Uint8):
		data, n, _, err := v.Capacity()
		return keepSlice(s, data, int(n), t), err
	case from.Kind == reflect.String && sliceOf(t, reflect.Uint8):
		data, n, err := v.TextData()
		return keepSlice(s, data, int(n), t), err
	case toText && sliceOf(from, reflect.Int32):
		return runesToText(s, v, t)
	case from.Kind == reflect.String && sliceOf(t, reflect.Int32):
		return textToRunes(s, v, t)
	}
	return values.Value{}, fmt.Errorf("%s can't be converted to %s: %w", from.Name, t.Name, values.ErrKind)
}

func textToRunes(s *values.Space, v values.Value, t *symbols.Type) (values.Value, error) {
	text, full, err := v.Text(maxConverted)
	if err == nil && full > len(text) {
		err = fmt.Errorf("a string of %d bytes is too long for a conversion (at most %d): %w", full, maxConverted,
			values.ErrRange)
	}
	if err != nil {
		return values.Value{}, err
	}
	var b []byte
	for _, r := range text {
		b = binary.LittleEndian.AppendUint32(b, uint32(r))
	}
	return keepSlice(s, s.Keep(b), len(b)/4, t), nil
}

func runesToText(s *values.Space, v values.Value, t *symbols.Type) (values.Value, error) {
	n, err := v.Len()
	if err == nil && n > maxConverted {
		err = fmt.Errorf("%d runes are too many for a conversion (at most %d): %w", n, maxConverted, values.ErrRange)
	}
	if err != nil {
		return values.Value{}, err
	}
	var b []byte
	for i := range n {
		e, err := v.Index(i)
		if err != nil {
			return values.Value{}, err
		}
		r, err := e.Int()
		if err != nil {
			return values.Value{}, err
		}
		b = utf8.AppendRune(b, rune(r))
	}
	return keepText(s, string(b), t), nil
}

// convertConstant gives a constant of the expression a type, if it fits, as Go's compiler does.
func convertConstant(s *values.Space, l *literal, t *symbols.Type) (values.Value, error) {
	switch {
	case l.text == "nil" && l.kind == token.IDENT:
		if isWord(t) || t.Kind == reflect.Slice || t.Kind == reflect.Interface {
			return s.Local(make([]byte, max(t.Size, 8)), t), nil
		}
	case l.kind == token.IDENT:
		if t.Kind == reflect.Bool {
			return s.Word(l.truth(), t), nil
		}
	case l.kind == token.STRING && t.Kind == reflect.String, l.kind == token.STRING && sliceOf(t, reflect.Uint8):
		return keepText(s, l.text, t), nil
	case l.kind == token.INT && t.Kind == reflect.String:
		if l.neg {
			return keepRune(s, math.MaxUint64, t), nil
		}
		return keepRune(s, l.u, t), nil
	default:
		return convertNumber(s, l, t)
	}
	return values.Value{}, l.cannot(t)
}

// convertNumber gives a numeric constant a type.
func convertNumber(s *values.Space, l *literal, t *symbols.Type) (values.Value, error) {
	exact, ok := l.number()
	switch {
	case !ok:
		return values.Value{}, l.cannot(t)
	case isFloat(t):
		f, _ := exact.Float64()
		return keepFloat(s, f, t), nil
	case isComplex(t):
		f, _ := exact.Float64()
		return keepComplex(s, complex(f, 0), t), nil
	case !exact.IsInt() || !isInteger(t) && !isWord(t):
		return values.Value{}, l.cannot(t)
	}
	n := exact.Num()
	least, most := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(8*t.Size))
	if isSigned(t) {
		most.Rsh(most, 1)
		least.Neg(most)
	}
	if n.Cmp(least) < 0 || n.Cmp(most) >= 0 {
		return values.Value{}, fmt.Errorf("%s does not fit into %s: %w", l.describe(), t.Name, values.ErrExpr)
	}
	if n.Sign() >= 0 && (isWord(t) || t.Size == 8) {
		s.NoteLiteral()
	}
	word := new(big.Int).Abs(n).Uint64()
	if n.Sign() < 0 {
		word = -word
	}
	return s.Word(word, t), nil
}

// cannot is the error of a constant that isn't one of a type.
func (l *literal) cannot(t *symbols.Type) error {
	return fmt.Errorf("%s can't be converted to %s: %w", l.describe(), t.Name, values.ErrExpr)
}

// truth is the word of true or false.
func (l *literal) truth() uint64 {
	if l.text == "true" {
		return 1
	}
	return 0
}

// number is a numeric constant as it is written, without rounding.
func (l *literal) number() (*big.Rat, bool) {
	r := new(big.Rat)
	switch l.kind {
	case token.INT:
		r.SetInt(new(big.Int).SetUint64(l.u))
	case token.FLOAT:
		f, _, err := big.ParseFloat(l.text, 0, 512, big.ToNearestEven) // bounds what 1e1000000000 would cost
		if err != nil || f.IsInf() || f.MantExp(nil) > 2000 || f.MantExp(nil) < -2000 {
			return nil, false
		}
		f.Rat(r)
	default:
		return nil, false
	}
	if l.neg {
		r.Neg(r)
	}
	return r, true
}

// describe is the constant in an error.
func (l *literal) describe() string {
	sign := ""
	if l.neg {
		sign = "-"
	}
	if l.kind == token.STRING {
		return fmt.Sprintf("the constant %q", l.text)
	}
	return "the constant " + sign + l.text
}

func keepFloat(s *values.Space, f float64, t *symbols.Type) values.Value {
	if t.Size == 4 {
		return s.Word(uint64(math.Float32bits(float32(f))), t)
	}
	return s.Word(math.Float64bits(f), t)
}

func keepComplex(s *values.Space, c complex128, t *symbols.Type) values.Value {
	var b []byte
	if t.Size == 8 {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(real(c))))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(imag(c))))
	} else {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(real(c)))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(imag(c)))
	}
	return s.Local(b, t)
}

// keepRune makes a string of one character, as Go makes one of an integer.
func keepRune(s *values.Space, n uint64, t *symbols.Type) values.Value {
	if n > utf8.MaxRune {
		n = utf8.RuneError
	}
	return keepText(s, string(rune(n)), t)
}

// keepText makes a string or slice of bytes.
func keepText(s *values.Space, text string, t *symbols.Type) values.Value {
	return keepSlice(s, s.Keep([]byte(text)), len(text), t)
}

// keepSlice makes a string or slice of n elements that are at an address.
func keepSlice(s *values.Space, data uint64, n int, t *symbols.Type) values.Value {
	if n == 0 {
		data = 0
	}
	header := binary.LittleEndian.AppendUint64(nil, data)
	header = binary.LittleEndian.AppendUint64(header, uint64(n))
	if t.Kind == reflect.Slice {
		if n == 0 { // empty and not nil
			binary.LittleEndian.PutUint64(header, s.Keep(nil))
		}
		header = binary.LittleEndian.AppendUint64(header, uint64(n))
	}
	return s.Local(header, t)
}
