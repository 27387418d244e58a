package change

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"ri/symbols"
	"ri/values"
	"ri/values/eval"
)

// Operand is a new value, or one to compare with: a Go bool, int64, uint64, float64, string or values.Nil; or a value
// of the program.
type Operand struct {
	Native any
	Value  values.Value
	Trace  *values.Trace // of Value
	Text   string        // for messages
}

// Native makes an operand of a Go value.
func Native(v any) Operand {
	o := Operand{Native: v, Text: fmt.Sprint(v)}
	switch v := v.(type) {
	case string:
		o.Text = strconv.Quote(v)
	case values.Nil:
		o.Text = "nil"
	}
	return o
}

// Parse reads what a person typed as a new value for a place. It is a Go literal, the name of a constant of the place's
// type, a duration such as 5s, or an expression for a value of the program. For a string it may be the bare text.
func (p *Plan) Parse(at Place, typed string) (Operand, error) {
	v, err := p.readable(at)
	if err != nil {
		return Operand{}, err
	}
	trimmed := strings.TrimSpace(typed)
	integer := v.Type.Kind >= reflect.Int && v.Type.Kind <= reflect.Uintptr
	switch native, ok := literal(v.Type, trimmed); {
	case ok:
		return Operand{Native: native, Text: trimmed}, nil
	case integer:
		if n, ok := v.Type.ConstantValue(trimmed); ok {
			if v.Type.Kind >= reflect.Uint {
				return Operand{Native: uint64(n), Text: trimmed}, nil
			}
			return Operand{Native: n, Text: trimmed}, nil
		}
	}
	native, value, trace, err := eval.Operand(p.space, trimmed)
	if err == nil && native == nil && trace.Literal && pointerKind(value.Type.Kind) {
		return Operand{}, fmt.Errorf("%s: whether a value of type %s still lives at an address that was typed can't "+
			"be told; name it by its path: %w", trimmed, value.Type.Name, ErrRefused)
	}
	if err == nil {
		return Operand{Native: native, Value: value, Trace: trace, Text: trimmed}, nil
	}
	// A shell takes quotes away.
	if v.Type.Kind == reflect.String && (!strings.ContainsAny(trimmed, "\"`") && trimmed == typed) {
		return Native(typed), nil
	}
	if integer {
		if names := v.Type.Constants(); len(names) > 0 {
			return Operand{}, fmt.Errorf("%s is no number and no constant of type %s, which has %s: %w", trimmed,
				v.Type.ShortName(), strings.Join(shortened(names), ", "), err)
		}
	}
	return Operand{}, fmt.Errorf("%s: %w", trimmed, err)
}

// literal reads what Go has no literals for: a duration, a moment, a complex number in one piece, an infinity.
func literal(t *symbols.Type, typed string) (native any, ok bool) {
	switch {
	case t.Name == "time.Duration":
		d, err := time.ParseDuration(typed)
		return int64(d), err == nil
	case t.Name == "time.Time":
		m, err := time.Parse(time.RFC3339Nano, strings.Trim(typed, `"`))
		return m, err == nil
	case t.Kind == reflect.Complex64 || t.Kind == reflect.Complex128:
		c, err := strconv.ParseComplex(strings.ReplaceAll(typed, " ", ""), 128)
		return c, err == nil
	case t.Kind == reflect.Float32 || t.Kind == reflect.Float64:
		switch strings.ToLower(strings.TrimLeft(typed, "+-")) {
		case "inf", "nan":
			f, err := strconv.ParseFloat(typed, 64)
			return f, err == nil
		}
	}
	return nil, false
}

func shortened(names []string) []string {
	if len(names) > 12 {
		return append(names[:12:12], "...")
	}
	return names
}
