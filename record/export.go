package record

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"ri/attach/recorded"
	"ri/inert"
	"ri/record/format"
)

// Export writes all that a recording keeps in clear, one JSON object a line, each with what it is ("kept"):
//
//   - "header", "process", "look", "heap", "trace", "ended": their blocks as they are.
//   - "hit": a hit, numbered; its texts, values and bytes follow, with the number, and at which end of the call.
//   - "text": a text that is kept, with its field ("" of constants of the program) and address.
//   - "values": of a type (and variable), at an address, the value of each field that is kept. Headers of strings and
//     slices are [pointer, length, capacity]; their texts are among "text" where they are kept.
//   - "bytes": bytes in hexadecimal that belong to no such text or value: words that lead somewhere, bits of the
//     runtime's own. Of a recording without a block of types all is here that isn't a text.
//   - "symbols": a part of what the executable says of itself, in base64, and what of it is readable.
//
// Nothing that is kept is in none of them, but for tokens, and where headers led before ("origins": pointers, as
// bytes).
//
// Errors: format.ErrMalformed, errors of the file and of w.
func Export(file *format.Reader, r *recorded.Recording, w io.Writer) error {
	x := &exporter{file: file, r: r, w: bufio.NewWriterSize(w, 1<<16), covered: map[int][]extent{}}
	for _, step := range []func() error{x.whole, x.texts, x.values, x.rest, x.hits, x.symbols, x.w.Flush} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// memories has the memory of each look.
type memories interface {
	Memory(look int) recorded.Memory
}

type exporter struct {
	file    *format.Reader
	r       memories
	w       *bufio.Writer
	typed   []Typed
	covered map[int][]extent // kept texts, by look
	line    []byte
}

// put writes a line of pairs of a name and its value.
func (x *exporter) put(pairs ...any) error {
	x.line = append(x.line[:0], '{')
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			x.line = append(x.line, ',')
		}
		x.line = append(inert.AppendJSON(x.line, pairs[i].(string)), ':')
		x.line = appendValue(x.line, pairs[i+1])
	}
	_, err := x.w.Write(append(x.line, '}', '\n'))
	return err
}

// raw is JSON already.
type raw []byte

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return inert.AppendJSON(b, v)
	case raw:
		return append(b, v...)
	case []byte: // as text if it is one
		if utf8.Valid(v) {
			return inert.AppendJSON(b, string(v))
		}
		return fmt.Appendf(b, `{"hex":"%x"}`, v)
	case location:
		return fmt.Appendf(b, `"%#x"`, uint64(v))
	case []any:
		b = append(b, '[')
		for i, one := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, one)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(append(inert.AppendJSON(b, name), ':'), v[name])
		}
		return append(b, '}')
	default:
		text, err := json.Marshal(v)
		if err != nil { // numbers that JSON doesn't have
			return inert.AppendJSON(b, fmt.Sprint(v))
		}
		return append(b, text...)
	}
}

type location uint64

// whole writes the blocks that are JSON.
func (x *exporter) whole() error {
	put := func(name string, whole []byte) error {
		text, err := inertJSON(whole)
		if err != nil {
			return fmt.Errorf("its %s: %v: %w", name, err, format.ErrMalformed)
		}
		return x.put("kept", name, name, raw(text))
	}
	if err := put("header", x.file.Header()); err != nil {
		return err
	}
	for _, b := range x.file.Blocks() {
		name, _, _ := strings.Cut(b.Name, "/")
		if !slices.Contains([]string{format.ProcessBlock, "look", "heap", format.TraceBlock, format.EndedBlock}, name) {
			continue
		}
		text, err := x.file.Read(b)
		if err != nil {
			return err
		}
		if err := put(name, text); err != nil {
			return err
		}
	}
	return nil
}

// inertJSON is JSON on one line, whose texts are escaped.
func inertJSON(text []byte) ([]byte, error) {
	if err := format.Bounded(text); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return appendValue(nil, v), nil
}

// texts writes every text that is kept.
func (x *exporter) texts() error {
	list, err := readKept(x.file)
	if err != nil {
		return err
	}
	for _, k := range list {
		for _, place := range k.Places {
			if err := x.text(k, place); err != nil {
				return err
			}
		}
	}
	for look := range x.covered {
		x.covered[look] = sorted(x.covered[look])
	}
	return nil
}

// text writes a text that is kept: once, unless it was another in a later look.
func (x *exporter) text(k Kept, place [2]uint64) error {
	var last []byte
	for look := 1; ; look++ {
		m := x.r.Memory(look)
		if m == nil {
			return nil
		}
		text := make([]byte, place[1])
		n, _ := m.ReadMemory(text, place[0])
		x.covered[look] = append(x.covered[look], extent{place[0], n})
		if n == 0 || bytes.Equal(last, text[:n]) {
			continue
		}
		last = text[:n]
		if err := x.put("kept", "text", "field", k.Field, "constant", k.Constant, "look", look, "address", location(place[0]),
			"text", last, "missing", len(text)-n); err != nil {
			return err
		}
	}
}

// fields calls f for each field of a thing that is there.
func (x *exporter) fields(t *Typed, addr uint64, f func(field *Field, name string, at uint64, b []byte)) {
	m := x.r.Memory(t.Look)
	if m == nil {
		return
	}
	t.each(addr, func(field *Field, name string, at uint64) {
		if field.Size > maxText || at+uint64(field.Size) < at {
			return
		}
		b := m.Direct(at, int(field.Size))
		if b == nil {
			b = make([]byte, field.Size)
			if _, err := m.ReadMemory(b, at); err != nil {
				return
			}
		}
		f(field, name, at, b)
	})
}

func (x *exporter) values() (err error) {
	if x.typed, err = readTyped(x.file); err != nil {
		return err
	}
	for i := range x.typed {
		distinct(x.typed[i].Fields, 0)
	}
	return x.valuesOf(x.typed)
}

// valuesOf writes the values of things of known types. more is written with each.
func (x *exporter) valuesOf(list []Typed, more ...any) error {
	for i := range list {
		t := &list[i]
		for _, addr := range t.At {
			values := []byte{'{'}
			x.fields(t, addr, func(field *Field, name string, at uint64, b []byte) {
				if field.Kind == "padding" || x.r.Memory(t.Look).IsToken(at) {
					return
				}
				if len(values) > 1 {
					values = append(values, ',')
				}
				values = append(inert.AppendJSON(values, name), ':')
				values = appendValue(values, valueOf(field.Kind, b))
			})
			pairs := append([]any{"kept", "values", "type", t.Type, "look", t.Look, "address", location(addr)}, more...)
			if t.Variable != "" {
				pairs = append(pairs, "variable", t.Variable)
			}
			if len(values) == 1 {
				continue
			}
			if err := x.put(append(pairs, "fields", raw(append(values, '}')))...); err != nil {
				return err
			}
		}
	}
	return nil
}

// distinct has no two fields side by side of one name, as blank ones are: who reads an object of JSON sees one of them.
func distinct(list []Field, depth int) {
	seen := map[string]bool{}
	for i := range list {
		f := &list[i]
		if seen[f.Name] && f.Kind != "padding" {
			f.Name += fmt.Sprint("@", f.Offset)
		}
		seen[f.Name] = true
		if depth < maxFieldDepth {
			distinct(f.Fields, depth+1)
		}
	}
}

// kinds are those of numbers, by name.
var kinds = func() map[string]reflect.Kind {
	out := map[string]reflect.Kind{}
	for k := reflect.Bool; k <= reflect.Complex128; k++ {
		out[k.String()] = k
	}
	return out
}()

var kindSizes = map[reflect.Kind]int{reflect.Bool: 1, reflect.Int: 8, reflect.Int8: 1, reflect.Int16: 2,
	reflect.Int32: 4,
	reflect.Int64: 8, reflect.Uint: 8, reflect.Uint8: 1, reflect.Uint16: 2, reflect.Uint32: 4, reflect.Uint64: 8,
	reflect.Uintptr: 8, reflect.Float32: 4, reflect.Float64: 8, reflect.Complex64: 8, reflect.Complex128: 16}

// valueOf is a field's bytes as what JSON can say of them.
func valueOf(kind string, b []byte) any {
	if kind == "bytes" {
		return b
	}
	k, number := kinds[kind]
	if !number && len(b)%8 == 0 && kind != "control" { // pointers, and headers that begin with one
		words := make([]any, len(b)/8)
		for i := range words {
			words[i] = location(binary.LittleEndian.Uint64(b[8*i:]))
		}
		return one(words)
	}
	size := kindSizes[k]
	if !number || len(b)%size != 0 {
		return hex.EncodeToString(b)
	}
	var list []any
	for part := range slices.Chunk(b, size) {
		list = append(list, numberOf(k, part))
	}
	return one(list)
}

// one is a list's only element, or the list.
func one(list []any) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

func numberOf(k reflect.Kind, b []byte) any {
	var word [16]byte
	copy(word[:], b)
	n := binary.LittleEndian.Uint64(word[:])
	shift := 64 - 8*min(len(b), 8)
	switch k {
	case reflect.Bool:
		return n != 0
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return int64(n<<shift) >> shift
	case reflect.Float32:
		return math.Float32frombits(uint32(n))
	case reflect.Float64:
		return math.Float64frombits(n)
	case reflect.Complex64:
		return fmt.Sprint(complex(math.Float32frombits(uint32(n)), math.Float32frombits(uint32(n>>32))))
	case reflect.Complex128:
		return fmt.Sprint(complex(math.Float64frombits(n), math.Float64frombits(binary.LittleEndian.Uint64(word[8:]))))
	case reflect.Uintptr:
		return location(n)
	}
	return n
}

// thing is one of what was looked at as a type.
type thing struct {
	addr uint64
	typ  int32 // index of typed
}

// rest writes the bytes that belong to no text and no value.
func (x *exporter) rest() error {
	for look := 1; x.r.Memory(look) != nil; look++ {
		if err := x.restOf(look); err != nil {
			return err
		}
	}
	origins, err := x.file.Named(format.OriginsBlock)
	if err != nil || len(origins) == 0 {
		return nil // there are none
	}
	return x.put("kept", "origins", "hex", hex.EncodeToString(origins))
}

func (x *exporter) restOf(look int) error {
	var things []thing
	for i := range x.typed {
		if x.typed[i].Look != look {
			continue
		}
		for _, addr := range x.typed[i].At {
			things = append(things, thing{addr, int32(i)})
		}
	}
	slices.SortFunc(things, func(a, b thing) int { return cmp.Compare(a.addr, b.addr) })
	var active []thing
	for _, block := range x.file.Blocks() {
		if block.Name != format.MemoryBlock(look) {
			continue
		}
		data, err := x.file.Read(block)
		if err != nil {
			return err
		}
		runs, err := format.ReadMemory(data)
		if err != nil {
			return err
		}
		if len(runs) == 0 {
			continue
		}
		low, high := runs[0].Addr, runs[len(runs)-1].Addr+uint64(runs[len(runs)-1].Size)
		active = slices.DeleteFunc(active, func(t thing) bool { return t.addr+uint64(x.typed[t.typ].Size) <= low })
		for len(things) > 0 && things[0].addr < high {
			active, things = append(active, things[0]), things[1:]
		}
		c := newCoverage(runs)
		for _, e := range x.covered[look] {
			c.cover(e.addr, e.n)
		}
		for _, t := range active {
			x.fields(&x.typed[t.typ], t.addr, func(f *Field, _ string, at uint64, b []byte) {
				if f.Kind != "padding" || len(bytes.Trim(b, "\x00")) == 0 { // else it is something else, too
					c.cover(at, len(b))
				}
			})
		}
		if err := c.left(func(addr uint64, b []byte) error {
			return x.put("kept", "bytes", "look", look, "address", location(addr), "hex", hex.EncodeToString(b))
		}); err != nil {
			return err
		}
	}
	return nil
}

// coverage notes of runs of bytes which were told of.
type coverage struct {
	runs []format.Memory
	told [][]bool
}

func newCoverage(runs []format.Memory) *coverage {
	c := &coverage{runs: runs, told: make([][]bool, len(runs))}
	for i, r := range runs {
		c.told[i] = make([]bool, len(r.Data))
	}
	return c
}

func (c *coverage) cover(addr uint64, n int) {
	i, _ := slices.BinarySearchFunc(c.runs, addr, func(r format.Memory, addr uint64) int {
		if r.Addr+uint64(r.Size) <= addr {
			return -1
		}
		return 1
	})
	for end := addr + uint64(n); i < len(c.runs) && c.runs[i].Addr < end; i++ {
		r := c.runs[i]
		if r.Kind != format.Data {
			continue
		}
		from, to := max(addr, r.Addr), min(end, r.Addr+uint64(r.Size))
		for k := from; k < to; k++ {
			c.told[i][k-r.Addr] = true
		}
	}
}

// left calls f for what was not told of, and is kept as it was.
func (c *coverage) left(f func(addr uint64, b []byte) error) error {
	for i, r := range c.runs {
		if r.Kind != format.Data {
			continue
		}
		for at := 0; at < r.Size; {
			end := at + 1
			for end < r.Size && c.told[i][end] == c.told[i][at] {
				end++
			}
			if !c.told[i][at] {
				if err := f(r.Addr+uint64(at), r.Data[at:end]); err != nil {
					return err
				}
			}
			at = end
		}
	}
	return nil
}

// symbols writes what travels of the executable.
func (x *exporter) symbols() error {
	for _, b := range x.file.Blocks() {
		if b.Name != recorded.SymbolsBlock && !strings.HasPrefix(b.Name, recorded.SymbolsBlock+"/") {
			continue
		}
		data, err := x.file.Read(b)
		if err != nil {
			return err
		}
		readable := []any{}
		for _, at := range printableRun.FindAllIndex(data, -1) {
			readable = append(readable, string(data[at[0]:at[1]]))
		}
		if err := x.put("kept", "symbols", "part", b.Name, "readable", readable,
			"base64", base64.StdEncoding.EncodeToString(data)); err != nil {
			return err
		}
	}
	return nil
}
