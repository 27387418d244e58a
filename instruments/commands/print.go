package commands

import (
	"context"
	"math"
	"reflect"
	"strings"

	"ri/attach"
	"ri/instruments/host"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/values"
	"ri/values/eval"
)

// maxPrinted bounds a string or slice that Print gives as one value of JSON.
const maxPrinted = 1 << 20

// Print looks at the target and writes what a Go expression stands for.
func Print(ctx context.Context, out *rows.Output, expr string, depth int, how looks.Options,
	choice looks.TargetChoice) error {
	if depth < 1 {
		return rows.Usagef("--depth %d: must be 1 or more", depth)
	}
	s, plan, err := looks.Explore("print", how, choice)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.CheckExpr(ctx, expr); err != nil {
		return err
	}
	res, err := s.Look(ctx, plan, s.Collector(plan, out, nil), func(_ context.Context, look *looks.Look,
		sink rows.Sink) error {
		defer looks.CountValues(look)()
		v, err := eval.Expression(look.Space, expr)
		if err != nil {
			return err
		}
		// What lies beyond it may be broken, and is then said so in its place; the value itself has to be there.
		if _, err := look.Space.Slice(v.Addr, int(min(v.Type.Size, attach.PageSize))); err != nil {
			return host.AtPath(expr, err)
		}
		text := v.Dump(values.DumpOptions{Depth: depth})
		if out.Format == rows.Table {
			sink.Print(strings.ReplaceAll(text, "\t", "    "))
			return nil
		}
		return sink.Emit(rows.Of("expr", expr, "type", v.Type.Name, "addr", rows.AddressCell(v.Addr),
			"value", plainValue(v, text)))
	})
	if err != nil {
		return err
	}
	res.Columns = []rows.Column{{Name: "expr"}, {Name: "type"}, {Name: "addr"}, {Name: "value"}}
	return out.Conclude(res)
}

// plainValue is a value as JSON has it where it can: booleans, numbers and strings, what is in a value of sync/atomic,
// a moment, the states of package sync's types; else its text in Go syntax.
func plainValue(v values.Value, text string) any {
	var plain any
	var err error
	if inner, offset, ok := v.Space().Atomic(v.Type); ok {
		return plainValue(v.Space().At(v.Addr+uint64(offset), inner),
			strings.TrimSuffix(text[strings.IndexByte(text, '(')+1:], ")"))
	}
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
	case reflect.Struct:
		plain, err = plainStruct(v, text)
	case reflect.Interface:
		inner, err := v.Elem()
		if err != nil {
			return text
		}
		return plainValue(inner, text)
	default:
		return text
	}
	if err != nil {
		return text
	}
	return plain
}

// plainStruct is a struct of the standard library by what it means.
func plainStruct(v values.Value, text string) (any, error) {
	switch v.Type.Name {
	case "time.Time":
		return v.Time()
	case "sync.Mutex":
		m, err := v.Mutex()
		return rows.Of("locked", m.Locked, "waiting", m.Waiting, "starving", m.Starving), err
	case "sync.RWMutex":
		m, err := v.RWMutex()
		return rows.Of("locked", m.Locked, "readers", m.Readers, "readers_waiting", m.ReadersWaiting,
			"writers_waiting", m.WritersWaiting), err
	case "sync.WaitGroup":
		g, err := v.WaitGroup()
		return rows.Of("count", g.Count, "waiting", g.Waiting), err
	case "sync.Once":
		done, err := v.OnceDone()
		return rows.Of("done", done), err
	case "sync.Map":
		entries := []any{}
		for e, err := range v.SyncMap() {
			if err != nil {
				return text, err
			}
			if len(entries) == maxEntries {
				return text, nil
			}
			entries = append(entries, rows.Of("key", plainEntry(e.Key), "value", plainEntry(e.Value)))
		}
		return entries, nil
	}
	return text, nil
}

// maxEntries bounds a sync.Map that Print gives as JSON.
const maxEntries = 10_000

func plainEntry(v values.Value) any {
	return plainValue(v, v.Dump(values.DumpOptions{Depth: 2, OneLine: true}))
}
