package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"ri/record/format"
	"ri/record/redact"
)

// typedBlock says what the bytes of memory are: a JSON list of Typed. There may be many.
const typedBlock = "typed"

// Typed is what was looked at as one type.
type Typed struct {
	Type     string  `json:"type"`
	Variable string  `json:"variable,omitempty"` // package variable
	Look     int     `json:"look"`               // 1 is the first
	Size     int64   `json:"size"`
	Fields   []Field `json:"fields"` // those of which something is kept
	// At are the addresses, in order: the first, then how far each is from the one before.
	At []uint64 `json:"at"`
}

// Field is a part of a type that is kept.
type Field struct {
	Name   string `json:"name,omitempty"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
	// Kind is a kind of package reflect for what is kept as it is (an array's bytes: "bytes"), "string" and "slice" for
	// headers, "control" for a map's notes of its slots, "padding" for what is written as zeros.
	Kind string `json:"kind"`
	// Of an array of what has fields: so many, Size apart.
	Count  int64   `json:"count,omitempty"`
	Fields []Field `json:"fields,omitempty"`
}

// What one block holds, about.
const (
	typedAddresses = 1 << 16
	typedBytes     = memoryBytes
)

// typesOf writes as what memory was looked at in one look. Things come by address.
type typesOf struct {
	*painter
	byPlan map[*plan]*typedText
	blocks []byte // texts that were not written yet
}

// typedText is a Typed on its way into a block. Addresses are its largest part by far: they are text from the start.
type typedText struct {
	head     []byte // JSON, to the list of addresses
	at       []byte
	n        int
	previous uint64
}

// add takes things.
func (x *typesOf) add(t things) {
	one := x.byPlan[t.plan]
	if one == nil {
		one = &typedText{}
		head, err := json.Marshal(Typed{Type: t.typ.Name, Variable: x.mem.Variable(t.addr), Look: x.look, Size: t.typ.Size,
			Fields: fieldsOf(t.plan.layout), At: []uint64{}})
		if err != nil {
			x.out.fail(err)
			return
		}
		one.head = head[:len(head)-len("]}")]
		x.byPlan[t.plan] = one
	}
	var room [24]byte
	step := strconv.AppendUint(append(room[:0], ','), uint64(t.step), 10)
	for i := range t.n {
		switch {
		case i > 0 && one.n > 0:
			one.at = append(one.at, step...)
		case one.n > 0:
			one.at = append(one.at, ',')
			fallthrough
		default:
			one.at = strconv.AppendUint(one.at, t.at(i)-one.previous, 10)
		}
		one.n, one.previous = one.n+1, t.at(i)
		if one.n >= typedAddresses {
			x.take(one)
		}
	}
}

// take moves what was gathered of one type into a block.
func (x *typesOf) take(one *typedText) {
	if one.n == 0 {
		return
	}
	separator := byte(',')
	if len(x.blocks) == 0 {
		x.blocks, separator = x.out.buffer(), '['
	}
	x.blocks = append(append(append(append(x.blocks, separator), one.head...), one.at...), "]}"...)
	one.at, one.n, one.previous = one.at[:0], 0, 0
	if len(x.blocks) >= typedBytes {
		x.flush()
	}
}

func (x *typesOf) flush() {
	if len(x.blocks) > 0 {
		x.out.block(job{name: typedBlock, data: append(x.blocks, ']')})
		x.blocks = nil
	}
}

// close writes what is left, by the types' names.
func (x *typesOf) close() {
	left := slices.SortedFunc(maps.Values(x.byPlan), func(a, b *typedText) int { return bytes.Compare(a.head, b.head) })
	for _, one := range left {
		x.take(one)
	}
	x.flush()
}

// fieldsOf are the pieces of a layout that are kept.
func fieldsOf(l *redact.Layout) (out []Field) {
	for _, p := range l.Pieces {
		f := Field{Name: p.Field, Offset: p.Offset, Size: p.Size}
		switch {
		case p.Elem != nil:
			f.Kind, f.Count, f.Fields = "array", p.Count, fieldsOf(p.Elem)
			if len(f.Fields) == 0 {
				continue
			}
		case p.Form == redact.Padding:
			f.Kind = "padding"
		case p.Form == redact.Text:
			f.Kind = "string"
		case p.Form == redact.Bytes, p.Form == redact.Slice:
			f.Kind = "slice"
		case p.Form == redact.Control:
			f.Kind = "control"
		case p.Action != redact.Keep:
			continue
		case p.Form == redact.Contents, p.Kind == reflect.Invalid:
			f.Kind = "bytes"
		default:
			f.Kind = p.Kind.String()
		}
		out = append(out, f)
	}
	return out
}

// readTyped reads what a recording says of types: nothing, of one that was made before there was such a block.
func readTyped(file *format.Reader) (list []Typed, err error) {
	total, fields := 0, 0
	for _, b := range file.Blocks() {
		if b.Name != typedBlock {
			continue
		}
		text, err := file.Read(b)
		if err != nil {
			return nil, err
		}
		part, err := parseTyped(text, &total, &fields)
		if err != nil {
			return nil, err
		}
		list = append(list, part...)
	}
	return list, nil
}

// parseTyped reads a block, or a part of one, of types. total counts the things.
func parseTyped(text []byte, total, fields *int) (part []Typed, err error) {
	if len(text) == 0 {
		return nil, nil
	}
	if err := format.Unmarshal(text, &part); err != nil {
		return nil, fmt.Errorf("what it says of types: %w", err)
	}
	for _, t := range part {
		if *total, *fields = *total+len(t.At), *fields+1+countFields(t.Fields); *total > maxTyped || *fields > maxFields {
			return nil, fmt.Errorf("more than %d things of known types, or %d fields of them: %w", maxTyped, maxFields,
				format.ErrMalformed)
		}
		for i := 1; i < len(t.At); i++ {
			t.At[i] += t.At[i-1]
		}
	}
	return part, nil
}

// maxTyped bounds what is taken into memory, 16 bytes each.
const maxTyped = 1 << 25

// maxFieldDepth bounds how deep arrays of arrays are gone into.
const maxFieldDepth = 16

func countFields(list []Field) int {
	n := len(list)
	for _, f := range list {
		n += countFields(f.Fields)
	}
	return n
}

// maxFields bounds how many fields of one thing are gone through, and of all types together.
const maxFields = 1 << 22

// each calls f for each field, of which the array's elements are one each, until f says false.
func (t *Typed) each(addr uint64, f func(field *Field, name string, at uint64)) {
	left := maxFields
	eachField(t.Fields, "", addr, &left, 0, f)
}

func eachField(list []Field, prefix string, addr uint64, left *int, depth int, f func(*Field, string, uint64)) {
	for i := range list {
		field := &list[i]
		if *left--; *left < 0 || depth > maxFieldDepth {
			return
		}
		name := prefix + field.Name
		if field.Count <= 0 || len(field.Fields) == 0 {
			if field.Size > 0 {
				f(field, name, addr+uint64(field.Offset))
			}
			continue
		}
		for k := int64(0); k < field.Count && *left > 0; k++ {
			inner := fmt.Sprintf("%s[%d]", name, k)
			if len(field.Fields) > 1 || field.Fields[0].Name != "" {
				inner += "."
			}
			eachField(field.Fields, inner, addr+uint64(field.Offset+k*field.Size), left, depth+1, f)
		}
	}
}
