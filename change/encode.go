package change

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"time"

	"ri/symbols"
	"ri/values"
)

// encode works out a change's bytes.
func (p *Plan) encode(c *Change, v values.Value, to Operand) (err error) {
	kind := v.Type.Kind
	switch {
	case kind == reflect.Bool || kind >= reflect.Int && kind <= reflect.Float64:
		if c.Before, err = copyBytes(v, int(v.Type.Size)); err != nil {
			return err
		}
		if c.After, err = scalarBytes(v.Type, to); err != nil {
			return err
		}
		c.AfterText = text(p.space.Local(c.After, v.Type))
		return nil
	case kind == reflect.Complex64 || kind == reflect.Complex128:
		return p.encodeComplex(c, v, to)
	case v.Type.Name == "time.Time" && v.Type.Size == 24:
		return p.encodeTime(c, v, to)
	case kind == reflect.String:
		return p.encodeString(c, v, to)
	case kind == reflect.Pointer || kind == reflect.Map || kind == reflect.Chan || kind == reflect.Func:
		return p.encodePointer(c, v, to)
	case kind == reflect.Interface:
		return p.encodeInterface(c, v, to)
	case kind == reflect.Slice:
		return p.encodeSlice(c, v, to)
	case kind == reflect.Array && v.Type.Elem() != nil && v.Type.Elem().Size == 1:
		c.Whole = true
		return p.encodeContents(c, v.Addr, v.Type.Len(), to)
	}
	return fmt.Errorf("a %s is changed by its parts: name a field or an element; one transaction can change several "+
		"(ri.change): %w", v.Type.Name, ErrRefused)
}

// scalarBytes is a bool, integer or float as it stands in memory.
func scalarBytes(t *symbols.Type, to Operand) ([]byte, error) {
	native := to.Native
	if native == nil {
		var err error
		if native, err = nativeOf(to.Value); err != nil {
			return nil, err
		}
	}
	wrong := fmt.Errorf("%s is no value of type %s: %w", to.Text, t.Name, ErrRefused)
	var word uint64
	switch k := t.Kind; {
	case k == reflect.Bool:
		b, ok := native.(bool)
		if !ok {
			return nil, wrong
		}
		if b {
			word = 1
		}
	case k == reflect.Float32, k == reflect.Float64:
		f, ok := asFloat(native)
		if !ok {
			return nil, wrong
		}
		if word = math.Float64bits(f); k == reflect.Float32 {
			if math.Abs(f) > math.MaxFloat32 && !math.IsInf(f, 0) {
				return nil, fmt.Errorf("%s is too large for a %s: %w", to.Text, t.Name, ErrRefused)
			}
			word = uint64(math.Float32bits(float32(f)))
		}
	default:
		n, ok := asInteger(native)
		low, high := rangeOf(t)
		if f, isFloat := native.(float64); !ok && isFloat && f == math.Trunc(f) && math.Abs(f) >= 1<<62 {
			return nil, fmt.Errorf("%s does not fit into a %s, which goes from %s to %s: %w", to.Text, t.Name, low,
				high, ErrRefused)
		}
		if !ok {
			return nil, wrong
		}
		if n.Cmp(low) < 0 || n.Cmp(high) > 0 {
			return nil, fmt.Errorf("%s does not fit into a %s, which goes from %s to %s: %w", to.Text, t.Name, low,
				high, ErrRefused)
		}
		if word = n.Uint64(); n.Sign() < 0 {
			word = uint64(n.Int64())
		}
	}
	return binary.LittleEndian.AppendUint64(nil, word)[:t.Size], nil
}

func (p *Plan) encodeComplex(c *Change, v values.Value, to Operand) (err error) {
	if c.Before, err = copyBytes(v, int(v.Type.Size)); err != nil {
		return err
	}
	n, ok := to.Native.(complex128)
	if f, real := asFloat(to.Native); real {
		n, ok = complex(f, 0), true
	}
	if to.Native == nil && (to.Value.Type.Kind == reflect.Complex64 || to.Value.Type.Kind == reflect.Complex128) {
		n, err = to.Value.Complex()
		ok = true
	}
	if !ok || err != nil {
		return errors.Join(err, fmt.Errorf("%s is no value of type %s (such as 1+2i): %w", describe(to), v.Type.Name,
			ErrRefused))
	}
	if v.Type.Size == 8 {
		c.After = binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(real(n))))
		c.After = binary.LittleEndian.AppendUint32(c.After, math.Float32bits(float32(imag(n))))
	} else {
		c.After = binary.LittleEndian.AppendUint64(nil, math.Float64bits(real(n)))
		c.After = binary.LittleEndian.AppendUint64(c.After, math.Float64bits(imag(n)))
	}
	c.Whole = true
	c.AfterText = text(p.space.Local(c.After, v.Type))
	return nil
}

// encodeTime gives a time.Time another moment. A Go time keeps the location that the place has, and has no reading of
// the monotonic clock, as a time that was parsed. Another time.Time of the program is taken with all that is in it. The
// layout is that of package time (fields wall, ext and loc, Go 1.9 and later).
func (p *Plan) encodeTime(c *Change, v values.Value, to Operand) (err error) {
	if c.Before, err = copyBytes(v, 24); err != nil {
		return err
	}
	c.Whole = true
	switch t, ok := to.Native.(time.Time); {
	case ok:
		const unixToInternal = (1969*365 + 1969/4 - 1969/100 + 1969/400) * 86400
		c.After = binary.LittleEndian.AppendUint64(nil, uint64(t.Nanosecond()))
		c.After = binary.LittleEndian.AppendUint64(c.After, uint64(t.Unix()+unixToInternal))
		c.After = append(c.After, c.Before[16:]...)
	case to.Native == nil && sameType(v.Type, to.Value.Type):
		if c.After, err = copyBytes(to.Value, 24); err != nil {
			return err
		}
		c.holds(to)
		c.Pointers = word(c.After[16:]) != word(c.Before[16:])
	default:
		return fmt.Errorf("%s is no moment such as 2026-01-31T12:00:00Z, and no time.Time of the program: %w",
			describe(to), ErrRefused)
	}
	c.AfterText = text(p.space.Local(c.After, v.Type))
	return nil
}

// rangeOf is what an integer type can hold.
func rangeOf(t *symbols.Type) (low, high *big.Int) {
	bits := uint(8 * t.Size)
	one := big.NewInt(1)
	if t.Kind >= reflect.Uint {
		return new(big.Int), new(big.Int).Sub(new(big.Int).Lsh(one, bits), one)
	}
	half := new(big.Int).Lsh(one, bits-1)
	return new(big.Int).Neg(half), new(big.Int).Sub(half, one)
}

func asInteger(v any) (*big.Int, bool) {
	switch v := v.(type) {
	case int64:
		return big.NewInt(v), true
	case uint64:
		return new(big.Int).SetUint64(v), true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
			return big.NewInt(int64(v)), true
		}
	}
	return nil, false
}

func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// nativeOf reads a scalar or string of the program.
func nativeOf(v values.Value) (any, error) {
	if !v.IsValid() {
		return nil, fmt.Errorf("no value: %w", ErrRefused)
	}
	if inner, offset, ok := v.Space().Atomic(v.Type); ok {
		return nativeOf(v.Space().At(v.Addr+uint64(offset), inner))
	}
	switch k := v.Type.Kind; {
	case k == reflect.Bool:
		return v.Bool()
	case k >= reflect.Int && k <= reflect.Int64:
		return v.Int()
	case k >= reflect.Uint && k <= reflect.Uintptr:
		return v.Uint()
	case k == reflect.Float32, k == reflect.Float64:
		return v.Float()
	case k == reflect.String:
		s, full, err := v.Text(maxString)
		if err == nil && full > len(s) {
			err = fmt.Errorf("a string of %d bytes: %w", full, ErrRefused)
		}
		return s, err
	}
	return nil, fmt.Errorf("a %s is no plain value: %w", v.Type.Name, ErrRefused)
}

// maxString bounds new strings and contents, in bytes.
const maxString = 1 << 20

// same compares a place with an operand.
func (p *Plan) same(v values.Value, to Operand) (bool, error) {
	if to.Native == nil {
		if pointerKind(v.Type.Kind) && v.Type.Kind != reflect.String {
			return v.Same(to.Value)
		}
		native, err := nativeOf(to.Value)
		if err != nil {
			return false, err
		}
		to.Native = native
	}
	if _, ok := to.Native.(values.Nil); ok {
		return v.IsNil()
	}
	if v.Type.Kind == reflect.Slice || v.Type.Kind == reflect.Array {
		want, ok := to.Native.(string)
		have, _, err := v.Bytes(maxString)
		return ok && string(have) == want, err
	}
	if f, ok := to.Native.(float64); ok && v.Type.Kind == reflect.Float32 {
		to.Native = float64(float32(f))
	}
	return v.Equals(to.Native)
}

// mutated computes a number from another, exactly.
func mutated(v values.Value, operator string, by Operand) (Operand, error) {
	have, err := nativeOf(v)
	if err != nil {
		return Operand{}, err
	}
	native := by.Native
	if native == nil {
		if native, err = nativeOf(by.Value); err != nil {
			return Operand{}, err
		}
	}
	if k := v.Type.Kind; k == reflect.Float32 || k == reflect.Float64 {
		a, _ := asFloat(have)
		b, ok := asFloat(native)
		if !ok {
			return Operand{}, fmt.Errorf("%s is no number: %w", by.Text, ErrRefused)
		}
		return mutatedFloat(a, operator, b)
	}
	a, ok := asInteger(have)
	b, ok2 := asInteger(native)
	if !ok || !ok2 {
		return Operand{}, fmt.Errorf("%s and %s are no two integers: %w", text(v), by.Text, ErrRefused)
	}
	return mutatedInteger(a, operator, b)
}

var (
	errDivision = fmt.Errorf("division by zero: %w", ErrRefused)
	errOperator = fmt.Errorf("no such operator: += -= *= /= %%= can be used, on numbers: %w", ErrRefused)
)

func mutatedFloat(a float64, operator string, b float64) (Operand, error) {
	switch operator {
	case "+=":
		a += b
	case "-=":
		a -= b
	case "*=":
		a *= b
	case "/=":
		if b == 0 {
			return Operand{}, errDivision
		}
		a /= b
	default:
		return Operand{}, errOperator
	}
	return Native(a), nil
}

func mutatedInteger(a *big.Int, operator string, b *big.Int) (Operand, error) {
	if (operator == "/=" || operator == "%=") && b.Sign() == 0 {
		return Operand{}, errDivision
	}
	r := new(big.Int)
	switch operator {
	case "+=":
		r.Add(a, b)
	case "-=":
		r.Sub(a, b)
	case "*=":
		r.Mul(a, b)
	case "/=":
		r.Quo(a, b)
	case "%=":
		r.Rem(a, b)
	default:
		return Operand{}, errOperator
	}
	switch {
	case r.IsInt64():
		return Native(r.Int64()), nil
	case r.IsUint64():
		return Native(r.Uint64()), nil
	}
	return Operand{}, fmt.Errorf("%s overflows every integer: %w", r, ErrRefused)
}

// isNil tells whether an operand is nil.
func (o Operand) isNil() bool { _, ok := o.Native.(values.Nil); return ok }

// sameType tells whether two types are the program's same one.
func sameType(a, b *symbols.Type) bool { return a == b || a.Name == b.Name && a.Kind == b.Kind }

// holds adds what the operand's own path went through: the value must still be there, and alive, at the commit.
func (c *Change) holds(to Operand) {
	if to.Trace != nil {
		c.Words = append(c.Words, to.Trace.Words...)
		c.ByAddress = c.ByAddress || to.Trace.ByAddress
	}
	if v := to.Value; v.IsValid() && !values.IsLocal(v.Addr) {
		if b, err := copyBytes(v, int(min(v.Type.Size, 24))); err == nil {
			c.Words = append(c.Words, values.Word{Addr: v.Addr, Bytes: b})
		}
	}
}
