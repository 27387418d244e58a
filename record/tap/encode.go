package tap

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"ri/probe/compile"
	"ri/record/calls"
	"ri/record/redact"
	"ri/symbols"
	"ri/values"
)

// encoder writes values as JSON (docs/calls.md), redacted.
type encoder struct {
	policy   *redact.Policy
	tokens   *redact.Tokens
	constant func(addr uint64, n int) bool // a constant of the program, which may be kept
	layouts  map[layoutKey]*redact.Layout
	channels numbers
	crosses  map[int]calls.Channel                                // those through which something comes in, by number
	leaves   map[int]calls.Channel                                // those through which something may go out
	kept     map[string]bool                                      // fields whose texts a rule keeps
	receiver func(t *symbols.Type, addr uint64) (id int, ok bool) // one of the boundary's, by the pointer's type
	errors   map[held]string                                      // names of package variables, by what they hold
	// callbacks are functions whose calls are recorded.
	callbacks map[string]bool
	// outside: what interfaces hold is somebody else's, and isn't written.
	outside bool
	inward  bool // channels in it may be those through which something comes in

	out      []byte
	seen     map[pointer]string // what was written already, of this event
	denied   map[string]bool    // constants that have a secret's name somewhere: they are tokens everywhere
	missing  int
	short    bool // something of it didn't fit
	replaced int
}

type layoutKey struct {
	t        *symbols.Type
	variable string
}

type pointer struct {
	addr uint64
	t    *symbols.Type
}

const (
	maxNesting = 64
	maxText    = 1 << 16
	maxElems   = 1 << 12
)

// spot is a value's place in what it lies in by value, which says what may be kept of it.
type spot struct {
	layout *redact.Layout
	off    int64
	path   string // from the event's values on
	depth  int
	hidden bool // it lies in a field that isn't exported
}

// begin begins an event.
func (e *encoder) begin(inward bool) {
	e.seen, e.missing, e.short, e.replaced, e.inward = map[pointer]string{}, 0, false, 0, inward
}

// encode writes a value that has a name of its own: variable is what rules and the list of secrets' names go by.
func (e *encoder) encode(v values.Value, variable, path string) json.RawMessage {
	e.out = nil
	e.value(v, spot{layout: e.layout(v.Type, variable), path: path})
	return e.out
}

// absent writes that there is no value.
func (e *encoder) absent(err error) json.RawMessage {
	e.out = nil
	e.lacks(err)
	return e.out
}

// lacks writes why something isn't there.
func (e *encoder) lacks(err error) {
	e.short = e.short || errors.Is(err, compile.ErrNotCaptured)
	e.miss(values.Absent(err))
}

// part writes that only a part of something is there.
func (e *encoder) part(format string, args ...any) {
	e.short = true
	e.miss(fmt.Sprintf(format, args...))
}

func (e *encoder) layout(t *symbols.Type, variable string) *redact.Layout {
	key := layoutKey{t, variable}
	l := e.layouts[key]
	if l == nil {
		l = e.policy.Of(t, variable)
		e.layouts[key] = l
	}
	return l
}

func (e *encoder) text(s string) {
	b, err := json.Marshal(s)
	if err != nil { // a string always can be
		b = []byte(`""`)
	}
	e.out = append(e.out, b...)
}

// special writes an object with one key.
func (e *encoder) special(key, text string) {
	e.out = append(append(append(e.out, `{"$`...), key...), `":`...)
	e.text(text)
	e.out = append(e.out, '}')
}

func (e *encoder) miss(why string) {
	e.missing++
	e.special("missing", why)
}

// piece is what the policy says of a value that lies at a spot: the strictest of all of its bytes.
func piece(l *redact.Layout, off, size int64) (out redact.Piece, ok bool) {
	for _, p := range l.Pieces {
		whole := p.Size
		if p.Elem != nil {
			whole = p.Size * p.Count
		}
		if off+size <= p.Offset || off >= p.Offset+whole || p.Form == redact.Padding {
			continue
		}
		if p.Elem != nil && p.Size > 0 {
			if p, ok = piece(p.Elem, (off-p.Offset)%p.Size, min(size, p.Size)); !ok {
				continue
			}
		}
		if !ok || p.Action >= out.Action {
			out, ok = p, true
		}
	}
	return out, ok
}

// value writes a value.
func (e *encoder) value(v values.Value, at spot) {
	if at.depth > maxNesting {
		e.miss("nested too deep")
		return
	}
	at.depth++
	t := v.Type
	if inner, off, ok := v.Space().Atomic(t); ok {
		at.off += off
		e.value(v.Space().At(v.Addr+uint64(off), inner), at)
		return
	}
	switch t.Kind {
	case reflect.Struct:
		e.structure(v, at)
	case reflect.Array:
		e.array(v, at)
	case reflect.String:
		e.str(v, at)
	case reflect.Slice:
		e.slice(v, at)
	case reflect.Map:
		e.table(v, at)
	case reflect.Pointer:
		e.pointer(v, at)
	case reflect.Interface:
		e.boxed(v, at)
	case reflect.Func:
		e.function(v)
	case reflect.Chan:
		e.queue(v, at)
	case reflect.UnsafePointer:
		e.miss("an unsafe.Pointer")
	default:
		e.number(v, at)
	}
}

// number writes a bool or a number.
func (e *encoder) number(v values.Value, at spot) {
	if p, ok := piece(at.layout, at.off, v.Type.Size); v.Type.Size > 0 && (!ok || p.Action != redact.Keep) {
		e.miss("left out by the policy")
		return
	}
	switch v.Type.Kind {
	case reflect.Complex64, reflect.Complex128:
		c, err := v.Complex()
		if err != nil {
			e.lacks(err)
			return
		}
		e.out = append(e.out, `{"$complex":[`...)
		e.float(real(c))
		e.out = append(e.out, ',')
		e.float(imag(c))
		e.out = append(e.out, `]}`...)
		return
	}
	n, err := v.Scalar()
	switch {
	case err != nil:
		e.lacks(err)
	case n.Kind == values.BoolScalar:
		e.out = strconv.AppendBool(e.out, n.Bits != 0)
	case n.Kind == values.IntScalar:
		e.out = strconv.AppendInt(e.out, n.Int(), 10)
	case n.Kind == values.FloatScalar:
		e.float(n.Float())
	default:
		e.out = strconv.AppendUint(e.out, n.Bits, 10)
	}
}

// float writes a number so that it is read as the same one.
func (e *encoder) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		e.special("float", strconv.FormatFloat(f, 'g', -1, 64))
		return
	}
	e.out = strconv.AppendFloat(e.out, f, 'g', -1, 64)
}

// slice writes a slice: bytes as such.
func (e *encoder) slice(v values.Value, at spot) {
	if null, err := v.IsNil(); err != nil || null {
		e.nothing(err)
		return
	}
	elem := v.Type.Elem()
	if elem == nil {
		e.miss("a slice of what isn't known")
		return
	}
	if elem.Kind == reflect.Uint8 {
		b, full, err := v.Bytes(maxText)
		switch {
		case err != nil:
			e.lacks(err)
		case full != len(b):
			e.part("%d of %d bytes were captured", len(b), full)
		default:
			data, _, _, _ := v.Capacity()
			e.content(b, data, at, v.Type.Size, true)
		}
		return
	}
	if p, ok := piece(at.layout, at.off, v.Type.Size); ok && p.Form == redact.Slice && p.Action != redact.Keep {
		e.miss("numbers, left out by the policy")
		return
	}
	n, err := v.Len()
	if err != nil {
		e.lacks(err)
		return
	}
	layout := e.layout(elem, "")
	e.elements(v, n, func(i int) spot {
		return spot{layout: layout, path: fmt.Sprintf("%s[%d]", at.path, i), depth: at.depth, hidden: at.hidden}
	})
}

// elements writes so many of them; what was not captured ends the list.
func (e *encoder) elements(v values.Value, n int, of func(i int) spot) {
	e.out = append(e.out, '[')
	why := ""
	for i := range n {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		part, err := v.Index(i)
		if err == nil && i < maxElems {
			before, lost := len(e.out), e.missing
			e.value(part, of(i))
			if e.missing == lost || i == n-1 || string(e.out[before:min(before+12, len(e.out))]) != `{"$missing":` {
				continue
			}
			why = ": " + missingText(e.out[before:])
			e.out, e.missing = e.out[:before], lost
		}
		if err != nil {
			why = ": " + values.Absent(err)
		}
		e.part("%d of %d elements were captured%s", i, n, why)
		break
	}
	e.out = append(e.out, ']')
}

// missingText is why a value is not there.
func missingText(raw []byte) string {
	var m map[string]string
	if json.Unmarshal(raw, &m) != nil {
		return "not captured"
	}
	return m["$missing"]
}

func (e *encoder) array(v values.Value, at spot) {
	elem := v.Type.Elem()
	if elem == nil {
		e.miss("an array of what isn't known")
		return
	}
	if elem.Kind == reflect.Uint8 {
		b, full, err := v.Bytes(maxText)
		if err != nil || full != len(b) {
			e.lacks(err)
			return
		}
		e.content(b, 0, at, v.Type.Size, true)
		return
	}
	e.elements(v, int(v.Type.Len()), func(i int) spot {
		next := at
		next.off += int64(i) * elem.Size
		next.path = fmt.Sprintf("%s[%d]", at.path, i)
		return next
	})
}

func (e *encoder) nothing(err error) {
	if err != nil {
		e.lacks(err)
		return
	}
	e.out = append(e.out, "null"...)
}

// opaque are types that say nothing to whoever replays them.
var opaque = map[string]bool{"sync.Mutex": true, "internal/sync.Mutex": true, "sync.RWMutex": true,
	"sync.WaitGroup": true, "sync.Once": true, "sync.Cond": true, "sync.Pool": true, "time.Timer": true,
	"time.Ticker": true, "google.golang.org/protobuf/internal/impl.MessageState": true}

func (e *encoder) structure(v values.Value, at spot) {
	switch {
	case v.Type.Name == "time.Time":
		e.time(v, at)
		return
	case opaque[v.Type.Name]:
		e.out = append(e.out, "{}"...)
		return
	}
	e.out = append(e.out, '{')
	first := true
	for _, f := range v.Type.Fields() {
		if f.Name == "_" {
			continue
		}
		if !first {
			e.out = append(e.out, ',')
		}
		first = false
		e.text(f.Name)
		e.out = append(e.out, ':')
		next := at
		next.off += f.Offset
		next.path = at.path + "." + f.Name
		next.hidden = at.hidden || !isExported(f.Name)
		e.value(v.Space().At(v.Addr+uint64(f.Offset), f.Type), next)
	}
	e.out = append(e.out, '}')
}

// time writes a moment.
func (e *encoder) time(v values.Value, at spot) {
	if p, ok := piece(at.layout, at.off, 8); ok && p.Action != redact.Keep {
		e.miss("left out by the policy")
		return
	}
	when, err := v.Time()
	if err != nil {
		e.lacks(err)
		return
	}
	e.special("time", when.Format(time.RFC3339Nano))
}

// pointer writes what a pointer leads to; what was written already by where that is.
func (e *encoder) pointer(v values.Value, at spot) {
	word, err := v.Word()
	if err != nil || word == 0 {
		e.nothing(err)
		return
	}
	elem := v.Type.Elem()
	if elem == nil {
		e.miss("a pointer to what isn't known")
		return
	}
	if id, ok := e.receiver(v.Type, word); ok {
		e.out = fmt.Appendf(e.out, `{"$on":%d}`, id)
		return
	}
	key := pointer{word, elem}
	if path, ok := e.seen[key]; ok && elem.Size > 0 {
		e.special("ref", path)
		return
	}
	e.seen[key] = at.path
	to, err := v.Elem()
	if err != nil {
		e.lacks(err)
		return
	}
	e.value(to, spot{layout: e.layout(elem, ""), path: at.path, depth: at.depth, hidden: at.hidden})
}

// boxed writes what an interface holds, with its type.
func (e *encoder) boxed(v values.Value, at spot) {
	if null, err := v.IsNil(); err != nil || null {
		e.nothing(err)
		return
	}
	in, err := v.Elem()
	if err != nil {
		e.lacks(err)
		return
	}
	e.out = append(e.out, `{"$type":`...)
	e.text(in.Type.Name)
	if in.Type.Kind == reflect.Pointer {
		word, err := in.Word()
		if id, ok := e.receiver(in.Type, word); ok && err == nil {
			e.out = fmt.Appendf(e.out, `,"$on":%d}`, id)
			return
		}
		if name, ok := e.errors[held{word, in.Type.Name}]; ok && err == nil {
			e.out = append(e.out, `,"$var":`...)
			e.text(name)
		}
	}
	if e.outside {
		e.out = append(e.out, '}')
		return
	}
	e.out = append(e.out, `,"value":`...)
	e.value(in, spot{layout: e.layout(in.Type, ""), path: at.path, depth: at.depth, hidden: at.hidden})
	e.out = append(e.out, '}')
}

func (e *encoder) queue(v values.Value, at spot) {
	word, err := v.Word()
	if err != nil || word == 0 {
		e.nothing(err)
		return
	}
	e.channel(v.Type, word, at)
}

// table writes a map's entries in an order of their own.
func (e *encoder) table(v values.Value, at spot) {
	if null, err := v.IsNil(); err != nil || null {
		e.nothing(err)
		return
	}
	e.out = append(e.out, `{"$map":[`...)
	n := 0
	for entry, err := range v.Entries() {
		if n > 0 {
			e.out = append(e.out, ',')
		}
		if err != nil || n >= maxElems {
			if err == nil {
				err = errors.New("more entries than are kept")
			}
			e.lacks(err)
			break
		}
		e.out = append(e.out, '[')
		e.value(entry.Key, spot{layout: e.layout(entry.Key.Type, ""), path: fmt.Sprintf("%s.$map[%d][0]", at.path, n),
			depth: at.depth, hidden: at.hidden})
		e.out = append(e.out, ',')
		e.value(entry.Value, spot{layout: e.layout(entry.Value.Type, ""),
			path: fmt.Sprintf("%s.$map[%d][1]", at.path, n), depth: at.depth, hidden: at.hidden})
		e.out = append(e.out, ']')
		n++
	}
	e.out = append(e.out, `]}`...)
}
