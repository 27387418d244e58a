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

// Conversions, T(x), give what Go gives: numbers are rounded and cut as the processor does it, constants have to fit. Beyond Go, an integer becomes a pointer,
// since an address is what people copy from one output to the next.

// maxConverted is the longest text that is copied to convert it.
const maxConverted = 1 << 20

func pointerLike(k reflect.Kind) bool {
	return k == reflect.Pointer || k == reflect.UnsafePointer || k == reflect.Map || k == reflect.Chan || k == reflect.Func
}

func isInteger(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Uintptr }
func isSigned(k reflect.Kind) bool  { return k >= reflect.Int && k <= reflect.Int64 }
func isFloat(k reflect.Kind) bool   { return k == reflect.Float32 || k == reflect.Float64 }
func isComplex(k reflect.Kind) bool { return k == reflect.Complex64 || k == reflect.Complex128 }

// convert makes a value of type t.
func convert(s *values.Space, x operand, t *symbols.Type) (values.Value, error) {
	if x.constant != nil {
		return convertConstant(s, x.constant, t)
	}
	from := x.Type
	switch {
	case pointerLike(t.Kind):
		word, err := x.Word()
		if err != nil && isInteger(from.Kind) {
			word, err = integerOf(x.Value)
		}
		if err != nil {
			return values.Value{}, err
		}
		return s.Word(word, t), nil
	case t.Kind == reflect.Uintptr && from.Kind == reflect.UnsafePointer:
		word, err := x.Word()
		return s.Word(word, t), err
	case from.Kind == t.Kind && from.Size == t.Size: // the same bytes under another name
		return s.At(x.Addr, t), nil
	case isInteger(t.Kind) && isInteger(from.Kind):
		word, err := integerOf(x.Value)
		return s.Word(word, t), err
	case isInteger(t.Kind) && isFloat(from.Kind):
		f, err := x.Float()
		word := uint64(int64(f))
		if !isSigned(t.Kind) && f >= 1<<63 {
			word = uint64(f)
		}
		return s.Word(word, t), err
	case isFloat(t.Kind) && (isInteger(from.Kind) || isFloat(from.Kind)):
		f, err := floatOf(x.Value)
		return keepFloat(s, f, t), err
	case isComplex(t.Kind) && isComplex(from.Kind):
		c, err := x.Complex()
		return keepComplex(s, c, t), err
	case t.Kind == reflect.String && isInteger(from.Kind):
		word, err := integerOf(x.Value)
		r := rune(utf8.RuneError)
		if word <= utf8.MaxRune {
			r = rune(word)
		}
		return keepText(s, string(r), t), err
	case t.Kind == reflect.String && from.Kind == reflect.Slice && from.Elem() != nil && from.Elem().Kind == reflect.Uint8,
		t.Kind == reflect.Slice && from.Kind == reflect.String && t.Elem() != nil && t.Elem().Kind == reflect.Uint8:
		data, n, err := dataOf(x.Value)
		if err != nil {
			return values.Value{}, err
		}
		return keepSlice(s, data, int(n), t), nil
	case t.Kind == reflect.String && from.Kind == reflect.Slice && from.Elem() != nil && from.Elem().Kind == reflect.Int32:
		return runesToText(s, x.Value, t)
	case t.Kind == reflect.Slice && from.Kind == reflect.String && t.Elem() != nil && t.Elem().Kind == reflect.Int32:
		text, full, err := x.Text(maxConverted)
		if err == nil && full > len(text) {
			err = fmt.Errorf("a string of %d bytes is too long for a conversion (at most %d): %w", full, maxConverted, values.ErrRange)
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
	return values.Value{}, fmt.Errorf("%s can't be converted to %s: %w", from.Name, t.Name, values.ErrKind)
}

// dataOf says where the bytes of a string or slice are, and how many elements there are.
func dataOf(v values.Value) (data uint64, n int64, err error) {
	if v.Type.Kind == reflect.String {
		return v.TextData()
	}
	data, n, _, err = v.Capacity()
	return data, n, err
}

// integerOf gives the bits of an integer, extended to 64 by its sign if it has one.
func integerOf(v values.Value) (uint64, error) {
	if isSigned(v.Type.Kind) {
		n, err := v.Int()
		return uint64(n), err
	}
	return v.Uint()
}

func floatOf(v values.Value) (float64, error) {
	switch {
	case isFloat(v.Type.Kind):
		return v.Float()
	case isSigned(v.Type.Kind):
		n, err := v.Int()
		return float64(n), err
	}
	n, err := v.Uint()
	return float64(n), err
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
	no := fmt.Errorf("%s can't be converted to %s: %w", l.describe(), t.Name, values.ErrExpr)
	switch l.kind {
	case token.IDENT:
		switch {
		case l.text == "nil" && (pointerLike(t.Kind) || t.Kind == reflect.Slice || t.Kind == reflect.Interface):
			return s.Local(make([]byte, max(t.Size, 8)), t), nil
		case l.text != "nil" && t.Kind == reflect.Bool:
			word := uint64(0)
			if l.text == "true" {
				word = 1
			}
			return s.Word(word, t), nil
		}
		return values.Value{}, no
	case token.STRING:
		switch {
		case t.Kind == reflect.String:
			return keepText(s, l.text, t), nil
		case t.Kind == reflect.Slice && t.Elem() != nil && t.Elem().Kind == reflect.Uint8:
			return keepSlice(s, s.Keep([]byte(l.text)), len(l.text), t), nil
		}
		return values.Value{}, no
	}
	exact, ok := l.number()
	switch {
	case !ok:
		return values.Value{}, no
	case isFloat(t.Kind):
		f, _ := exact.Float64()
		return keepFloat(s, f, t), nil
	case isComplex(t.Kind):
		f, _ := exact.Float64()
		return keepComplex(s, complex(f, 0), t), nil
	case t.Kind == reflect.String && l.kind == token.INT:
		r := rune(utf8.RuneError)
		if !l.neg && l.u <= utf8.MaxRune {
			r = rune(l.u)
		}
		return keepText(s, string(r), t), nil
	case !exact.IsInt() || !isInteger(t.Kind) && !pointerLike(t.Kind):
		return values.Value{}, no
	}
	n, bits := exact.Num(), uint(8*t.Size)
	least, most := new(big.Int), new(big.Int).Lsh(big.NewInt(1), bits)
	if isSigned(t.Kind) {
		most.Rsh(most, 1)
		least.Neg(most)
	}
	if n.Cmp(least) < 0 || n.Cmp(most) >= 0 {
		return values.Value{}, fmt.Errorf("%s does not fit into %s: %w", l.describe(), t.Name, values.ErrExpr)
	}
	if n.Sign() >= 0 && (pointerLike(t.Kind) || t.Size == 8) {
		s.NoteLiteral()
	}
	word := new(big.Int).Abs(n).Uint64()
	if n.Sign() < 0 {
		word = -word
	}
	return s.Word(word, t), nil
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
