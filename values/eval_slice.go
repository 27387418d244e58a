package values

import (
	"encoding/binary"
	"fmt"
	"go/ast"
	"reflect"
)

func (e *evaluator) slice(n *ast.SliceExpr) (operand, error) {
	x, err := e.value(n.X)
	if err != nil {
		return operand{}, err
	}
	length, err := x.Len()
	if err != nil {
		return operand{}, e.at(n, err)
	}
	low, high := 0, length
	if e.toCapacity && x.Type.Kind == reflect.Slice {
		if length, err = x.Cap(); err != nil {
			return operand{}, e.at(n, err)
		}
	}
	if n.Low != nil {
		if low, err = e.integer(n.Low); err != nil {
			return operand{}, err
		}
	}
	if n.High != nil {
		if high, err = e.integer(n.High); err != nil {
			return operand{}, err
		}
	}
	if low < 0 || high < low || high > length {
		return operand{}, e.at(n, fmt.Errorf("bounds %d:%d with length %d: %w", low, high, length, ErrRange))
	}
	e.s.note(x.Addr, 8)
	v, err := x.slice(low, high, length)
	return operand{Value: v}, e.at(n, err)
}

// Slice gives v[low:high] of a string, slice or array; bounds are those of the length.
func (v Value) Slice(low, high int) (Value, error) {
	length, err := v.Len()
	if err != nil {
		return Value{}, err
	}
	return v.slice(low, high, length)
}

func (v Value) slice(low, high, length int) (Value, error) {
	data, t, size := v.Addr, v.Type, int64(1)
	switch v.Type.Kind {
	case reflect.Array:
		t = v.s.file.SliceOf(v.Type.Elem())
		size = v.Type.Elem().Size
	case reflect.Slice, reflect.String:
		var err error
		if data, _, _, err = v.sliceHeader(); err != nil {
			return Value{}, err
		}
		if v.Type.Kind == reflect.Slice && v.Type.Elem() != nil {
			size = v.Type.Elem().Size
		}
	default:
		return Value{}, v.wrong("slices")
	}
	if low < 0 || high < low || high > length {
		return Value{}, fmt.Errorf("bounds %d:%d with length %d: %w", low, high, length, ErrRange)
	}
	header := binary.LittleEndian.AppendUint64(nil, data+uint64(int64(low)*size))
	header = binary.LittleEndian.AppendUint64(header, uint64(high-low))
	if t.Kind == reflect.Slice {
		header = binary.LittleEndian.AppendUint64(header, uint64(high-low))
	}
	return v.s.At(v.s.keep(header), t), nil
}
