package host

import (
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/lang"
	"ri/instruments/rows"
	"ri/values"
)

// What a script gives, from Lua to rows.

const (
	maxNesting  = 16      // of tables in a row
	maxElements = 100_000 // of one cell's tables together

	maxFindingElements = 4_000_000 // of what a finding lists: it may be about every goroutine
)

func (h *Host) riEmit(L *lua.LState) int {
	t, places := L.CheckTable(1), L.OptTable(2, nil)
	h.check(L)
	if places != nil {
		h.checkPlaces(L, places)
	}
	row := h.row[:0]
	for _, c := range h.columns {
		v, err := h.cell(L, t.RawGetString(c.Name), c.Type)
		if err != nil {
			h.raise(L, fmt.Errorf("ri.emit: column %s: %w", c.Name, err))
		}
		row = append(row, rows.Cell{Name: c.Name, Value: v})
	}
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		name, ok := k.(lua.LString)
		if !ok {
			L.RaiseError("ri.emit: a row is {column = value, ...}; it has %s without a name", lang.LuaText(v))
		}
		if h.declared(string(name)) {
			continue
		}
		value, err := h.cell(L, v, rows.ColumnAny)
		if err != nil {
			h.raise(L, fmt.Errorf("ri.emit: column %s: %w", string(name), err))
		}
		row = append(row, rows.Cell{Name: string(name), Value: value})
	}
	h.row, row = row, slices.Clone(row) // there may be a million: each takes what it holds
	_ = h.count(L, &h.given.rows, "rows", rowSize(row))
	if h.kept != nil {
		h.kept.note(places, row)
	}
	if err := h.opt.Sink.Emit(row); err != nil {
		h.cancel(err)
		h.raise(L, err)
	}
	return 0
}

func (h *Host) declared(name string) bool {
	for i := range h.columns {
		if h.columns[i].Name == name {
			return true
		}
	}
	return false
}

// cell is a Lua value as a row holds it, in its column's type.
func (h *Host) cell(L *lua.LState, v lua.LValue, t rows.ColumnType) (any, error) {
	left := maxElements
	value, err := h.plain(v, 0, &left)
	if err != nil || value == nil {
		return value, err
	}
	ok := true
	switch t {
	case rows.ColumnInt, rows.ColumnBytes:
		ok = isInteger(value)
	case rows.ColumnFloat:
		value, ok = float(v)
	case rows.ColumnBool:
		_, ok = value.(bool)
	case rows.ColumnString:
		value, ok = stringCell(value)
	case rows.ColumnDuration:
		value, ok = durationCell(value)
	case rows.ColumnTime:
		value, ok = timeCell(value)
	case rows.ColumnAddress:
		value, ok = addressOf(value)
	}
	if !ok {
		return nil, fmt.Errorf("%s is no %s", h.describe(v), t)
	}
	return value, nil
}

func isInteger(value any) bool {
	switch value.(type) {
	case int64, uint64:
		return true
	}
	return false
}

func stringCell(value any) (any, bool) {
	switch x := value.(type) {
	case int64, uint64, float64, bool:
		return fmt.Sprint(x), true
	case string, rows.Bytes, rows.Address:
		return x, true
	}
	return nil, false
}

// durationCell takes nanoseconds.
func durationCell(value any) (any, bool) {
	switch x := value.(type) {
	case int64:
		return time.Duration(x), true
	case float64:
		return time.Duration(x), math.Abs(x) < math.MaxInt64
	case time.Duration:
		return x, true
	}
	return nil, false
}

// timeCell takes seconds since 1970.
func timeCell(value any) (any, bool) {
	switch x := value.(type) {
	case time.Time:
		return x, true
	case int64:
		return time.Unix(x, 0).UTC(), true
	case float64:
		whole, part := math.Modf(x)
		return time.Unix(int64(whole), int64(part*1e9)).UTC(), math.Abs(x) < 1e12
	}
	return nil, false
}

func addressOf(value any) (any, bool) {
	switch x := value.(type) {
	case int64:
		return rows.Address{Addr: uint64(x), Text: fmt.Sprintf("0x%x", uint64(x))}, true
	case uint64:
		return rows.Address{Addr: x, Text: fmt.Sprintf("0x%x", x)}, true
	case rows.Address:
		return x, true
	}
	return nil, false
}

// plain turns a Lua value into what a Row holds.
func (h *Host) plain(v lua.LValue, depth int, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, fmt.Errorf("more than %d elements", maxElements)
	}
	switch v := v.(type) {
	case *lua.LNilType:
		return nil, nil
	case lua.LBool:
		return bool(v), nil
	case lua.LNumber:
		if whole, ok := lang.WholeNumber(v); ok && !(whole == 0 && math.Signbit(float64(v))) {
			return whole, nil
		}
		return float64(v), nil
	case lua.LString:
		if utf8.ValidString(string(v)) {
			return string(v), nil
		}
		return rows.Bytes(v), nil
	case *lua.LTable:
		if depth >= maxNesting {
			return nil, fmt.Errorf("tables nested deeper than %d", maxNesting)
		}
		return h.plainTable(v, depth, left)
	case *lua.LUserData:
		switch x := v.Value.(type) {
		case *exact:
			return x.goValue(), nil
		case null:
			return nil, nil
		case *ref:
			return h.plainRef(x), nil
		case *place:
			return rows.Address{Addr: x.value.Addr, Type: x.value.Type.Name, Text: x.path}, nil
		case *goroutine:
			return x.g.ID, nil
		}
	}
	return nil, fmt.Errorf("%s can't be in a row", h.describe(v))
}

func (h *Host) plainTable(t *lua.LTable, depth int, left *int) (any, error) {
	n := t.Len()
	var list []any
	var row rows.Row
	for k, e := t.Next(lua.LNil); k != lua.LNil; k, e = t.Next(k) {
		value, err := h.plain(e, depth+1, left)
		if err != nil {
			return nil, err
		}
		if i, ok := k.(lua.LNumber); ok && row == nil && int(i) == len(list)+1 {
			list = append(list, value)
			continue
		}
		name := lang.LuaText(k)
		if s, ok := k.(lua.LString); ok {
			name = string(s)
		} else if e, ok := exactOf(k); ok {
			name = e.String()
		} else if k == lua.LValue(h.null) {
			name = "nil"
		}
		row = append(row, rows.Cell{Name: name, Value: value})
	}
	if row == nil {
		if n == 0 && list == nil {
			list = []any{}
		}
		return list, nil
	}
	for i, e := range list { // mixed: the list's part by number
		row = append(row, rows.Cell{Name: fmt.Sprint(i + 1), Value: e})
	}
	return row, nil
}

// plainRef is a Go value in a row: a time as a time, else its text and address.
func (h *Host) plainRef(r *ref) any {
	if r.binding.goType.Name == "time.Time" {
		if t, err := r.value().Time(); err == nil {
			return t
		}
	}
	return rows.Address{Addr: r.addr, Type: r.binding.goType.Name,
		Text: h.dumpRef(r, values.DumpOptions{Depth: 1, Elems: 8, Bytes: 128, OneLine: true})}
}

func (h *Host) riFinding(L *lua.LState) int {
	t := L.CheckTable(1)
	f := rows.Finding{Severity: rows.Warning}
	text := func(v lua.LValue) string {
		switch x := v.(type) {
		case lua.LString:
			return string(x)
		case *lua.LNilType:
			return ""
		}
		return h.dumpLua(v, values.DumpOptions{OneLine: true, Depth: 1}, 0)
	}
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		switch k {
		case lua.LString("severity"):
			f.Severity = rows.Severity(text(v))
			if f.Severity != rows.Info && f.Severity != rows.Warning && f.Severity != rows.Critical {
				L.RaiseError("ri.finding: severity is info, warning or critical, not %s", lang.LuaText(v))
			}
		case lua.LString("what"):
			f.What = text(v)
		case lua.LString("where"):
			f.Where = text(v)
		case lua.LString("next"):
			f.Next = text(v)
		case lua.LString("evidence"):
			if list, ok := v.(*lua.LTable); ok {
				for i := 1; i <= list.Len(); i++ {
					f.Evidence = append(f.Evidence, text(list.RawGetInt(i)))
				}
			} else {
				f.Evidence = []string{text(v)}
			}
		default:
			left := maxFindingElements
			value, err := h.plain(v, 0, &left)
			if err != nil {
				h.raise(L, fmt.Errorf("ri.finding: %w", err))
			}
			f.Extra = append(f.Extra, rows.Cell{Name: k.String(), Value: value})
		}
	}
	if f.What == "" {
		L.RaiseError("ri.finding: what is missing: the conclusion in one line")
	}
	size := rowSize(f.Extra) + int64(len(f.What)+len(f.Where)+len(f.Next))
	for _, e := range f.Evidence {
		size += lineCost + int64(len(e))
	}
	_ = h.count(L, &h.given.findings, "findings", size)
	if err := h.opt.Sink.Finding(f); err != nil {
		h.cancel(err)
		h.raise(L, err)
	}
	return 0
}

func (h *Host) riLog(L *lua.LState) int {
	var text string
	for i := 1; i <= L.GetTop(); i++ {
		if i > 1 {
			text += " "
		}
		text += textOf(L, L.Get(i))
	}
	_ = h.count(L, nil, "", lineCost+int64(len(text)))
	h.opt.Sink.Log(text)
	return 0
}

func (h *Host) riProgress(L *lua.LState) int {
	h.opt.Sink.Progress(int64(L.CheckNumber(1)), int64(L.OptNumber(2, 0)), L.OptString(3, ""))
	return 0
}

// Rows may be about stacks: goroutines by where they are, heap by what holds it, time by where it goes. Their
// instrument declares what its samples count, and gives them with ri.sample beside its rows. --pprof and --folded write
// them to a file, whatever the instrument.

// sampleDefaults are the values of a script that declares none.
var sampleDefaults = []rows.ProfileValue{{Type: "samples", Unit: "count"}}

// ProfileValues are what the script's samples count.
func (s *Script) ProfileValues() []rows.ProfileValue {
	if s.Header == nil {
		return sampleDefaults
	}
	return s.Header.Profile
}

// riSample gives a sample: frames as ri.stack has them, a number or a list of them, and labels.
func (h *Host) riSample(L *lua.LState) int {
	frames, labels := L.CheckTable(1), L.OptTable(3, nil)
	declared := h.script.ProfileValues()
	if len(declared) == 0 {
		L.RaiseError("ri.sample: the header declares no profile = {{type = 'goroutine', unit = 'count'}}")
	}
	sample := rows.Sample{}
	switch v := L.Get(2).(type) {
	case *lua.LTable:
		for i := 1; i <= v.Len(); i++ {
			sample.Values = append(sample.Values, h.sampleValue(L, v.RawGetInt(i)))
		}
	default:
		sample.Values = []int64{h.sampleValue(L, v)}
	}
	if len(sample.Values) != len(declared) {
		L.RaiseError("ri.sample: %d values, the profile has %d", len(sample.Values), len(declared))
	}
	if !h.opt.Profile {
		return 0 // nobody wants it
	}
	for i := 1; i <= frames.Len(); i++ {
		f, ok := frames.RawGetInt(i).(*lua.LTable)
		if !ok {
			L.RaiseError("ri.sample: frame %d is no {func = ..., file = ..., line = ...}", i)
		}
		line, _ := h.plainInt(f.RawGetString("line"))
		pc, _ := h.plainInt(f.RawGetString("pc"))
		sample.Frames = append(sample.Frames, rows.SampleFrame{
			Func: lua.LVAsString(f.RawGetString("func")), File: lua.LVAsString(f.RawGetString("file")), Line: line,
			PC: uint64(pc),
		})
	}
	// below all goroutines; Go's own profiles leave it out too
	if n := len(sample.Frames); n > 1 && sample.Frames[n-1].Func == "runtime.goexit" {
		sample.Frames = sample.Frames[:n-1]
	}
	if labels != nil {
		sample.Labels = map[string]string{}
		for k, v := labels.Next(lua.LNil); k != lua.LNil; k, v = labels.Next(k) {
			sample.Labels[k.String()] = v.String()
		}
	}
	size := int64(0)
	for _, f := range sample.Frames {
		size += lineCost + int64(len(f.Func)+len(f.File))
	}
	for k, v := range sample.Labels {
		size += lineCost + int64(len(k)+len(v))
	}
	_ = h.count(L, &h.given.samples, "stacks", size)
	if err := h.opt.Sink.Sample(sample); err != nil {
		h.cancel(err)
		h.raise(L, err)
	}
	return 0
}

func (h *Host) sampleValue(L *lua.LState, v lua.LValue) int64 {
	n, err := h.plainInt(v)
	if err != nil {
		L.RaiseError("ri.sample: %s is no integer", h.describe(v))
	}
	return n
}

// plainInt is an integer of a script, exact or not.
func (h *Host) plainInt(v lua.LValue) (int64, error) {
	left := 1
	value, err := h.plain(v, 0, &left)
	if err != nil {
		return 0, err
	}
	switch n := value.(type) {
	case int64:
		return n, nil
	case uint64:
		return int64(n), nil
	case time.Duration:
		return int64(n), nil
	}
	return 0, fmt.Errorf("no integer")
}
