package instruments

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"strings"

	"ri/attach"
	"ri/values"
)

// maxPrinted bounds a string or slice that Print gives as one value of JSON.
const maxPrinted = 1 << 20

// Print looks at the target and writes what a Go expression stands for.
func Print(ctx context.Context, out *Output, expr string, depth int, how Look, choice TargetChoice) error {
	if depth < 1 {
		return Usagef("--depth %d: must be 1 or more", depth)
	}
	s, plan, err := explore("print", how, choice)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.checkExpr(ctx, expr); err != nil {
		return err
	}
	res, err := s.run(ctx, plan, out, func(_ context.Context, look *look, sink Sink) error {
		defer countValues(look)()
		v, err := look.space.Eval(expr)
		if err != nil {
			return err
		}
		// What lies beyond it may be broken, and is then said so in its place; the value itself has to be there.
		if _, err := look.space.Slice(v.Addr, int(min(v.Type.Size, attach.PageSize))); err != nil {
			return &pathError{expr, err}
		}
		text := v.Dump(values.DumpOptions{Depth: depth})
		if out.Format == Table {
			sink.Print(strings.ReplaceAll(text, "\t", "    "))
			return nil
		}
		return sink.Emit(Row{{"expr", expr}, {"type", v.Type.Name}, {"addr", addressCell(v.Addr)}, {"value", plainValue(v, text)}})
	})
	if err != nil {
		return err
	}
	res.Columns = []Column{{Name: "expr"}, {Name: "type"}, {Name: "addr"}, {Name: "value"}}
	return out.Conclude(res)
}

func addressCell(addr uint64) any {
	if addr == 0 {
		return nil
	}
	return fmt.Sprintf("%#x", addr)
}

// plainValue is a value as JSON has it where it can: booleans, numbers and strings; else its text in Go syntax.
func plainValue(v values.Value, text string) any {
	var plain any
	var err error
	switch v.Type.Kind {
	case reflect.Bool:
		plain, err = v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		plain, err = v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		var u uint64
		if u, err = v.Uint(); u <= math.MaxInt64 {
			plain = int64(u)
		} else {
			plain = u
		}
	case reflect.Float32, reflect.Float64:
		plain, err = v.Float()
	case reflect.String:
		var s string
		var full int
		if s, full, err = v.Text(maxPrinted); full > len(s) {
			return text
		}
		plain = s
	default:
		return text
	}
	if err != nil {
		return text
	}
	return plain
}
