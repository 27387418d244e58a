package values

import (
	"encoding/binary"
	"fmt"
	"go/token"
	"math"
	"math/big"
	"reflect"
	"unicode/utf8"

	"ri/symbols"
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
func (s *Space) convert(x operand, t *symbols.Type) (Value, error) {
	if x.constant != nil {
		return s.convertConstant(x.constant, t)
	}
	from := x.Type
	switch {
	case pointerLike(t.Kind):
		word, err := x.Word()
		if err != nil && isInteger(from.Kind) {
			word, err = x.bits()
		}
		if err != nil {
			return Value{}, err
		}
		return s.keepWord(word, t), nil
	case t.Kind == reflect.Uintptr && from.Kind == reflect.UnsafePointer:
		word, err := x.Word()
		return s.keepWord(word, t), err
	case from.Kind == t.Kind && from.Size == t.Size: // the same bytes under another name
		return s.At(x.Addr, t), nil
	case isInteger(t.Kind) && isInteger(from.Kind):
		word, err := x.bits()
		return s.keepWord(word, t), err
	case isInteger(t.Kind) && isFloat(from.Kind):
		f, err := x.Float()
		word := uint64(int64(f))
		if !isSigned(t.Kind) && f >= 1<<63 {
			word = uint64(f)
		}
		return s.keepWord(word, t), err
	case isFloat(t.Kind) && (isInteger(from.Kind) || isFloat(from.Kind)):
		f, err := x.float()
		return s.keepFloat(f, t), err
	case isComplex(t.Kind) && isComplex(from.Kind):
		c, err := x.Complex()
		return s.keepComplex(c, t), err
	case t.Kind == reflect.String && isInteger(from.Kind):
		word, err := x.bits()
		r := rune(utf8.RuneError)
		if word <= utf8.MaxRune {
			r = rune(word)
		}
		return s.keepText(string(r), t), err
	case t.Kind == reflect.String && from.Kind == reflect.Slice && from.Elem() != nil && from.Elem().Kind == reflect.Uint8,
		t.Kind == reflect.Slice && from.Kind == reflect.String && t.Elem() != nil && t.Elem().Kind == reflect.Uint8:
		data, n, _, err := x.sliceHeader() // of both the same: where it is, and its length
		if err != nil {
			return Value{}, err
		}
		return s.keepSlice(data, int(n), t), nil
	case t.Kind == reflect.String && from.Kind == reflect.Slice && from.Elem() != nil && from.Elem().Kind == reflect.Int32:
		return s.runesToText(x.Value, t)
	case t.Kind == reflect.Slice && from.Kind == reflect.String && t.Elem() != nil && t.Elem().Kind == reflect.Int32:
		text, full, err := x.Text(maxConverted)
		if err == nil && full > len(text) {
			err = fmt.Errorf("a string of %d bytes is too long for a conversion (at most %d): %w", full, maxConverted, ErrRange)
		}
		if err != nil {
			return Value{}, err
		}
		var b []byte
		for _, r := range text {
			b = binary.LittleEndian.AppendUint32(b, uint32(r))
		}
		return s.keepSlice(s.keep(b), len(b)/4, t), nil
	}
	return Value{}, fmt.Errorf("%s can't be converted to %s: %w", from.Name, t.Name, ErrKind)
}

// bits are an integer's, extended to 64 by its sign if it has one.
func (v Value) bits() (uint64, error) {
	if isSigned(v.Type.Kind) {
		n, err := v.Int()
		return uint64(n), err
	}
	return v.Uint()
}

func (v Value) float() (float64, error) {
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

func (s *Space) runesToText(v Value, t *symbols.Type) (Value, error) {
	n, err := v.Len()
	if err == nil && n > maxConverted {
		err = fmt.Errorf("%d runes are too many for a conversion (at most %d): %w", n, maxConverted, ErrRange)
	}
	if err != nil {
		return Value{}, err
	}
	var b []byte
	for i := range n {
		e, err := v.Index(i)
		if err != nil {
			return Value{}, err
		}
		r, err := e.Int()
		if err != nil {
			return Value{}, err
		}
		b = utf8.AppendRune(b, rune(r))
	}
	return s.keepText(string(b), t), nil
}

// convertConstant gives a constant of the expression a type, if it fits, as Go's compiler does.
func (s *Space) convertConstant(l *literal, t *symbols.Type) (Value, error) {
	no := fmt.Errorf("%s can't be converted to %s: %w", l.describe(), t.Name, ErrExpr)
	switch l.kind {
	case token.IDENT:
		switch {
		case l.text == "nil" && (pointerLike(t.Kind) || t.Kind == reflect.Slice || t.Kind == reflect.Interface):
			return s.At(s.keep(make([]byte, max(t.Size, 8))), t), nil
		case l.text != "nil" && t.Kind == reflect.Bool:
			word := uint64(0)
			if l.text == "true" {
				word = 1
			}
			return s.keepWord(word, t), nil
		}
		return Value{}, no
	case token.STRING:
		switch {
		case t.Kind == reflect.String:
			return s.keepText(l.text, t), nil
		case t.Kind == reflect.Slice && t.Elem() != nil && t.Elem().Kind == reflect.Uint8:
			return s.keepSlice(s.keep([]byte(l.text)), len(l.text), t), nil
		}
		return Value{}, no
	}
	exact, ok := l.number()
	switch {
	case !ok:
		return Value{}, no
	case isFloat(t.Kind):
		f, _ := exact.Float64()
		return s.keepFloat(f, t), nil
	case isComplex(t.Kind):
		f, _ := exact.Float64()
		return s.keepComplex(complex(f, 0), t), nil
	case t.Kind == reflect.String && l.kind == token.INT:
		r := rune(utf8.RuneError)
		if !l.neg && l.u <= utf8.MaxRune {
			r = rune(l.u)
		}
		return s.keepText(string(r), t), nil
	case !exact.IsInt() || !isInteger(t.Kind) && !pointerLike(t.Kind):
		return Value{}, no
	}
	n, bits := exact.Num(), uint(8*t.Size)
	least, most := new(big.Int), new(big.Int).Lsh(big.NewInt(1), bits)
	if isSigned(t.Kind) {
		most.Rsh(most, 1)
		least.Neg(most)
	}
	if n.Cmp(least) < 0 || n.Cmp(most) >= 0 {
		return Value{}, fmt.Errorf("%s does not fit into %s: %w", l.describe(), t.Name, ErrExpr)
	}
	if s.trace != nil && n.Sign() >= 0 && (pointerLike(t.Kind) || t.Size == 8) {
		s.trace.ByAddress, s.trace.Literal = true, true
	}
	word := new(big.Int).Abs(n).Uint64()
	if n.Sign() < 0 {
		word = -word
	}
	return s.keepWord(word, t), nil
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

func (s *Space) keepFloat(f float64, t *symbols.Type) Value {
	if t.Size == 4 {
		return s.keepWord(uint64(math.Float32bits(float32(f))), t)
	}
	return s.keepWord(math.Float64bits(f), t)
}

func (s *Space) keepComplex(c complex128, t *symbols.Type) Value {
	var b []byte
	if t.Size == 8 {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(real(c))))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(imag(c))))
	} else {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(real(c)))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(imag(c)))
	}
	return s.At(s.keep(b), t)
}

func (s *Space) keepText(text string, t *symbols.Type) Value {
	return s.keepSlice(s.keep([]byte(text)), len(text), t)
}

// keepSlice makes a string or slice of n elements that are at an address.
func (s *Space) keepSlice(data uint64, n int, t *symbols.Type) Value {
	if n == 0 {
		data = 0
	}
	header := binary.LittleEndian.AppendUint64(nil, data)
	header = binary.LittleEndian.AppendUint64(header, uint64(n))
	if t.Kind == reflect.Slice {
		if n == 0 { // empty and not nil
			binary.LittleEndian.PutUint64(header, localBase)
		}
		header = binary.LittleEndian.AppendUint64(header, uint64(n))
	}
	return s.At(s.keep(header), t)
}
