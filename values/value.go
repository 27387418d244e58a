package values

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"time"

	"ri/symbols"
)

// Value is a place in memory with a type. Nothing is read until it is asked for. The zero Value is invalid.
type Value struct {
	Type *symbols.Type
	Addr uint64 // runtime address; see IsLocal
	s    *Space
}

// Space is the program that the value is part of.
func (v Value) Space() *Space { return v.s }

// IsValid is false for the zero Value.
func (v Value) IsValid() bool { return v.Type != nil }

// String names the value's place: "main.Object at 0xc000012340".
func (v Value) String() string {
	if v.Type == nil {
		return "invalid value"
	}
	if IsLocal(v.Addr) {
		return v.Type.Name + " (not in memory)"
	}
	return fmt.Sprintf("%s at %#x", v.Type.Name, v.Addr)
}

// Lacks is the error of an operation that the value's type doesn't have.
func (v Value) Lacks(what string) error {
	if v.Type == nil {
		return fmt.Errorf("%s of an invalid value: %w", what, ErrKind)
	}
	if err := v.Type.Lacks(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if v.Type.Kind == reflect.Invalid {
		return fmt.Errorf("%s of %s, which the program's debug information does not describe: %w", what, v.Type.Name, ErrKind)
	}
	return fmt.Errorf("%s is a %s and has no %s: %w", v.Type.Name, v.Type.Kind, what, ErrKind)
}

func (v Value) bytes(n int64) ([]byte, error) {
	if n < 0 || n > MaxBytes {
		return nil, fmt.Errorf("%s claims a size of %d bytes: %w", v, n, ErrCorrupt)
	}
	return v.s.Slice(v.Addr, int(n))
}

// Bool reads a bool; any byte but 0 is true.
func (v Value) Bool() (bool, error) {
	b, err := v.bits(BoolScalar, "truth value")
	return b != 0, err
}

// Int reads a value of a signed integer kind.
func (v Value) Int() (int64, error) {
	n, err := v.bits(IntScalar, "signed integer")
	return int64(n), err
}

// Uint reads a value of an unsigned integer kind, uintptr included.
func (v Value) Uint() (uint64, error) { return v.bits(UintScalar, "unsigned integer") }

// Float reads a float32 or float64.
func (v Value) Float() (float64, error) {
	f, err := v.bits(FloatScalar, "floating-point number")
	return math.Float64frombits(f), err
}

// Complex reads a complex64 or complex128.
func (v Value) Complex() (complex128, error) {
	if !v.IsValid() || v.Type.Kind != reflect.Complex64 && v.Type.Kind != reflect.Complex128 {
		return 0, v.Lacks("complex number")
	}
	var parts [2]float64
	half := v.Type.Size / 2
	for i := range parts {
		bits, err := v.s.Number(v.Addr+uint64(int64(i)*half), half)
		if err != nil {
			return 0, err
		}
		parts[i] = math.Float64frombits(FloatScalar.Widen(bits, half))
	}
	return complex(parts[0], parts[1]), nil
}

// Word reads the pointer word of a pointer, unsafe.Pointer, func, chan or map.
func (v Value) Word() (uint64, error) { return v.bits(WordScalar, "pointer") }

// IsNil tells whether a pointer, unsafe.Pointer, func, chan, map, slice or interface is nil.
func (v Value) IsNil() (bool, error) {
	if v.IsValid() {
		if k := v.Type.Kind; ScalarKindOf(k) == WordScalar || k == reflect.Slice || k == reflect.Interface {
			w, err := v.s.Uint64(v.Addr)
			return w == 0, err
		}
	}
	return false, v.Lacks("nil")
}

// sliceHeader reads data, length and (of a slice) capacity, and checks that they can be.
func (v Value) sliceHeader() (data uint64, length, capacity int64, err error) {
	n := int64(24)
	if v.Type.Kind == reflect.String {
		n = 16
	}
	b, err := v.bytes(n)
	if err != nil {
		return 0, 0, 0, err
	}
	data, length = binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:]))
	capacity = length
	size := int64(1)
	if n == 24 {
		capacity = int64(binary.LittleEndian.Uint64(b[16:]))
		if elem := v.Type.Elem(); elem != nil {
			size = elem.Size
		}
	}
	if length < 0 || capacity < length || (size > 0 && capacity > MaxBytes/size) || (data == 0 && length > 0) {
		return data, length, capacity,
			fmt.Errorf("%s: data %#x, length %d, capacity %d cannot be: %w", v, data, length, capacity, ErrCorrupt)
	}
	return data, length, capacity, nil
}

// Len is the length of a string, array, slice, map or chan (elements queued).
func (v Value) Len() (int, error) {
	if !v.IsValid() {
		return 0, v.Lacks("length")
	}
	switch v.Type.Kind {
	case reflect.Array:
		return int(v.Type.Len()), nil
	case reflect.String, reflect.Slice:
		_, n, _, err := v.sliceHeader()
		return int(n), err
	case reflect.Map:
		return v.mapLen()
	case reflect.Chan:
		c, err := v.Chan()
		return c.Len, err
	}
	return 0, v.Lacks("length")
}

// Cap is the capacity of an array, slice or chan.
func (v Value) Cap() (int, error) {
	if !v.IsValid() {
		return 0, v.Lacks("capacity")
	}
	switch v.Type.Kind {
	case reflect.Array:
		return int(v.Type.Len()), nil
	case reflect.Slice:
		_, _, n, err := v.sliceHeader()
		return int(n), err
	case reflect.Chan:
		c, err := v.Chan()
		return c.Cap, err
	}
	return 0, v.Lacks("capacity")
}

// Text reads a string's first limit bytes and gives its full length in bytes. The bytes are the program's: they may
// hold NUL and invalid UTF-8.
func (v Value) Text(limit int) (text string, full int, err error) {
	if !v.IsValid() || v.Type.Kind != reflect.String {
		return "", 0, v.Lacks("text")
	}
	data, n, _, err := v.sliceHeader()
	if err != nil || n == 0 {
		return "", 0, err
	}
	b, err := v.s.Slice(data, int(min(n, int64(max(limit, 0)))))
	if err != nil {
		return "", int(n), fmt.Errorf("contents of a string of %d bytes: %w", n, err)
	}
	return string(v.s.Known(data, b)), int(n), nil
}

// Bytes reads the first limit bytes of a []byte, [N]byte or string and gives the full length. The bytes must not be
// written.
func (v Value) Bytes(limit int) (b []byte, full int, err error) {
	if !v.IsValid() {
		return nil, 0, v.Lacks("bytes")
	}
	data, n := v.Addr, v.Type.Len()
	switch v.Type.Kind {
	case reflect.String:
	case reflect.Slice, reflect.Array:
		if e := v.Type.Elem(); e == nil || e.Size != 1 {
			return nil, 0, v.Lacks("bytes")
		}
	default:
		return nil, 0, v.Lacks("bytes")
	}
	if v.Type.Kind != reflect.Array {
		if data, n, _, err = v.sliceHeader(); err != nil {
			return nil, 0, err
		}
	}
	if n == 0 {
		return nil, 0, nil
	}
	b, err = v.s.Slice(data, int(min(n, int64(max(limit, 0)))))
	return v.s.Known(data, b), int(n), err
}

// Constant gives the name of the constant that the program declares with exactly the value's named integer type and
// with its value.
func (v Value) Constant() (string, bool) {
	if !v.IsValid() || !ScalarKindOf(v.Type.Kind).Integer() {
		return "", false
	}
	n, err := v.Scalar()
	if err != nil {
		return "", false
	}
	return v.Type.Constant(n.Int())
}

// Time reads a time.Time (fields wall, ext and loc as package time documents them, Go 1.9 and later). Local
// times are given in ri's own local zone, all others in UTC.
func (v Value) Time() (time.Time, error) {
	if !v.IsValid() || v.Type.Name != "time.Time" || v.Type.Size != 24 {
		return time.Time{}, v.Lacks("time")
	}
	b, err := v.bytes(24)
	if err != nil {
		return time.Time{}, err
	}
	wall, ext, loc := binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:])),
		binary.LittleEndian.Uint64(b[16:])
	const (
		hasMonotonic   = 1 << 63
		nsecMask       = 1<<30 - 1
		wallToInternal = (1884*365 + 1884/4 - 1884/100 + 1884/400) * 86400
		unixToInternal = (1969*365 + 1969/4 - 1969/100 + 1969/400) * 86400
	)
	seconds, nanos := ext, int64(wall&nsecMask)
	if wall&hasMonotonic != 0 {
		seconds = wallToInternal + int64(wall<<1>>31)
	}
	if nanos >= 1e9 {
		return time.Time{}, fmt.Errorf("%s: %d nanoseconds: %w", v, nanos, ErrCorrupt)
	}
	t := time.Unix(seconds-unixToInternal, nanos).UTC()
	if local, err := v.s.file.Var("time.localLoc"); err == nil && loc == local.Addr+v.s.bias {
		t = t.Local()
	}
	return t, nil
}
