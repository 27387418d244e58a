package commands

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"unicode/utf8"

	"ri/instruments/rows"
	"ri/symbols"
	"ri/values"
)

// Bounds of what Print gives as one value of JSON.
const (
	maxPrinted = 1 << 20 // bytes of a string
	maxEntries = 10_000  // of a slice, array or map
	maxNodes   = 200_000 // values in all
)

// jsonOf is a value as JSON has it. Structs and maps are objects, whose members are in the program's order, or in none;
// pointers and interfaces are what they lead to; types of the standard library are what they mean. What isn't there
// says so: {"$missing": why}; what goes on, too: a list ends with {"$more": n}, an object has a member $more, a text is
// {"$text": its beginning, "$more": bytes}. A pointer that isn't followed has its address: {"$addr", "$type", "text"}.
func jsonOf(v values.Value, depth int) any {
	w := &jsonWriter{open: map[uint64]*symbols.Type{}}
	return w.value(v, depth)
}

type jsonWriter struct {
	nodes int
	open  map[uint64]*symbols.Type // structs that are being written, to end cycles
}

func missing(err error) any {
	if errors.Is(err, values.ErrNil) {
		return nil
	}
	return rows.Missing(err.Error())
}

func (w *jsonWriter) value(v values.Value, depth int) any {
	if w.nodes++; w.nodes > maxNodes {
		return rows.Missing(fmt.Sprintf("more than %d values: --depth shows fewer", maxNodes))
	}
	plain, err := w.known(v, depth)
	if err != nil {
		return missing(err)
	}
	return plain
}

// known is a value, or why it isn't known.
func (w *jsonWriter) known(v values.Value, depth int) (any, error) {
	if inner, offset, ok := v.Space().Atomic(v.Type); ok {
		return w.known(v.Space().At(v.Addr+uint64(offset), inner), depth)
	}
	switch v.Type.Kind {
	case reflect.Invalid:
		return rows.Missing("not described by the debug information"), nil
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		u, err := v.Uint()
		if u <= math.MaxInt64 {
			return int64(u), err
		}
		return u, err
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.Complex64, reflect.Complex128:
		c, err := v.Complex()
		return rows.Of("real", real(c), "imag", imag(c)), err
	case reflect.String:
		s, full, err := v.Text(maxPrinted)
		return cut(s, full-len(s)), err
	case reflect.Struct:
		return w.structure(v, depth)
	case reflect.Array, reflect.Slice:
		return w.list(v, depth)
	case reflect.Map:
		if null, err := v.IsNil(); null || err != nil {
			return nil, err
		}
		n, err := v.Len()
		if err != nil {
			return nil, err
		}
		return w.entries(v.Entries(), n, depth)
	case reflect.Pointer:
		return w.pointer(v, depth)
	case reflect.Interface:
		inner, err := v.Elem()
		if err != nil {
			return nil, err
		}
		return w.known(inner, depth)
	case reflect.Chan:
		c, err := v.Chan()
		if err != nil || c.Addr == 0 {
			return nil, err
		}
		return rows.Of("$addr", fmt.Sprintf("%#x", c.Addr), "len", int64(c.Len), "cap", int64(c.Cap), "closed", c.Closed), nil
	case reflect.Func:
		f, err := v.Func()
		captured := rows.Row{}
		for _, c := range f.Captured {
			captured = append(captured, rows.Cell{Name: c.Name, Value: w.value(c.Value, 0)})
		}
		return rows.Of("func", f.Func, "file", f.File, "line", int64(f.Line.Line), "captured", captured), err
	}
	return w.address(v)
}

// cut is a text, with how many bytes of it aren't shown.
func cut(s string, more int) any {
	var text any = s
	if !utf8.ValidString(s) {
		text = rows.Bytes(s)
	}
	if more > 0 {
		return rows.Of("$text", text, "$more", int64(more))
	}
	return text
}

// address is a pointer that isn't followed.
func (w *jsonWriter) address(v values.Value) (any, error) {
	addr, err := v.Word()
	if err != nil || addr == 0 {
		return nil, err
	}
	return rows.Address{Addr: addr, Type: v.Type.Name, Text: fmt.Sprintf("(%s)(%#x)", v.Type.ShortName(), addr)}, nil
}

func (w *jsonWriter) pointer(v values.Value, depth int) (any, error) {
	addr, err := v.Word()
	if err != nil || addr == 0 {
		return nil, err
	}
	elem := v.Type.Elem()
	if depth <= 1 || elem == nil || w.open[addr] == elem || elem.Kind == reflect.Invalid {
		return w.address(v)
	}
	return w.known(v.Space().At(addr, elem), depth-1)
}

func (w *jsonWriter) structure(v values.Value, depth int) (any, error) {
	switch v.Type.Name {
	case "time.Time":
		return v.Time()
	case "sync.Mutex", "internal/sync.Mutex":
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
				return nil, err
			}
			if len(entries) == maxEntries {
				return append(entries, rows.Of("$more", true)), nil
			}
			entries = append(entries, rows.Of("key", w.value(e.Key, depth-1), "value", w.value(e.Value, depth-1)))
		}
		return entries, nil
	}
	if depth <= 0 || w.open[v.Addr] == v.Type {
		return rows.Address{Addr: v.Addr, Type: v.Type.Name, Text: v.Type.ShortName() + "{...}"}, nil
	}
	w.open[v.Addr] = v.Type
	defer delete(w.open, v.Addr)
	fields := v.Type.Fields()
	if err := v.Type.Lacks(); err != nil && len(fields) == 0 {
		return nil, err
	}
	out := rows.Row{}
	for _, f := range fields {
		if f.Name != "_" {
			out = append(out, rows.Cell{Name: f.Name, Value: w.value(v.Space().At(v.Addr+uint64(f.Offset), f.Type), depth-1)})
		}
	}
	return out, nil
}

func (w *jsonWriter) list(v values.Value, depth int) (any, error) {
	n, err := v.Len()
	if err != nil {
		return nil, err
	}
	elem := v.Type.Elem()
	if v.Type.Kind == reflect.Slice {
		if null, err := v.IsNil(); null || err != nil {
			return nil, err
		}
		if elem.Kind == reflect.Uint8 {
			if b, full, err := v.Bytes(maxPrinted); err == nil {
				return cut(string(b), full-len(b)), nil
			}
		}
	}
	if depth <= 0 && n > 0 {
		return []any{rows.Of("$more", int64(n))}, nil
	}
	out := make([]any, 0, min(n, maxEntries))
	for i := range min(n, maxEntries) {
		e, err := v.Index(i)
		if err != nil {
			out = append(out, missing(err))
			continue
		}
		out = append(out, w.value(e, depth-1))
	}
	if n > maxEntries {
		out = append(out, rows.Of("$more", int64(n-maxEntries)))
	}
	return out, nil
}

// entries are those of a map with n: an object, whose members' names are the keys' texts.
func (w *jsonWriter) entries(all iter.Seq2[values.Entry, error], n, depth int) (any, error) {
	out := rows.Row{}
	if depth <= 0 {
		if n > 0 {
			out = append(out, rows.Cell{Name: "$more", Value: int64(n)})
		}
		return out, nil
	}
	for e, err := range all {
		if err != nil {
			return append(out, rows.Cell{Name: "$missing", Value: err.Error()}), nil
		}
		if len(out) == maxEntries {
			return append(out, rows.Cell{Name: "$more", Value: int64(max(n-maxEntries, 1))}), nil
		}
		out = append(out, rows.Cell{Name: keyText(e.Key), Value: w.value(e.Value, depth-1)})
	}
	return out, nil
}

// keyText is a map's key as a member's name.
func keyText(v values.Value) string {
	if v.Type.Kind == reflect.String {
		if s, full, err := v.Text(1 << 10); err == nil && full == len(s) && utf8.ValidString(s) {
			return s
		}
	}
	if v.Type.Kind == reflect.Interface {
		if inner, err := v.Elem(); err == nil && inner.Type.Kind == reflect.String {
			return keyText(inner)
		}
	}
	return v.Dump(values.DumpOptions{Depth: 2, OneLine: true})
}
