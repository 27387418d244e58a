package record

import (
	"reflect"
	"slices"

	"ri/symbols"
)

// Types are sometimes guesses: of a variable that optimised code no longer keeps, of memory that was something else
// before. What lies there tells most of them: pointers that lead nowhere, or between two words, bools that are neither,
// slices longer than their room. Such a guess still denies what it would have denied, and says nothing else.

// maxChecks bounds how many words of a value are checked.
const maxChecks = 256

// apart gives what can be of its type, and what can't; with that goes what was looked at as a part of it. The list is
// by address, the wholes first.
func (p *painter) apart(list []typedAt) (out, wrong []typedAt) {
	out = list[:0]
	var around []typedAt // wrong ones that aren't over
	for _, t := range list {
		around = slices.DeleteFunc(around, func(w typedAt) bool { return w.addr+uint64(w.typ.Size) <= t.addr })
		isPart := func(w typedAt) bool { return hasPart(w.typ, int64(t.addr-w.addr), t.typ) }
		switch {
		case !p.plausible(t):
			if len(around) < maxAround && !p.view(t) {
				around = append(around, t)
			}
			wrong = append(wrong, t)
		case slices.ContainsFunc(around, isPart):
			wrong = append(wrong, t)
		default:
			out = append(out, t)
		}
	}
	return out, wrong
}

// maxAround bounds how many wrong things around one are known.
const maxAround = 64

// hasPart tells whether a type has one of another type at an offset.
func hasPart(t *symbols.Type, off int64, part *symbols.Type) bool {
	for range 16 {
		var inner *symbols.Type
		switch t.Kind {
		case reflect.Struct:
			for _, f := range t.Fields() {
				if f.Type != nil && off >= f.Offset && off < f.Offset+f.Type.Size {
					inner, off = f.Type, off-f.Offset
					break
				}
			}
		case reflect.Array:
			if inner = t.Elem(); inner != nil && inner.Size > 0 {
				off %= inner.Size
			}
		}
		if inner == nil {
			return false
		}
		if off == 0 && inner == part {
			return true
		}
		t = inner
	}
	return false
}

// plausible tells whether what lies at an address can be of the type that it was looked at as.
func (p *painter) plausible(t typedAt) bool {
	left := maxChecks
	return p.can(t.typ, t.addr, &left, 0)
}

func (p *painter) can(t *symbols.Type, addr uint64, left *int, depth int) bool {
	if *left--; *left < 0 || depth > 16 {
		return true
	}
	size := map[reflect.Kind]int{reflect.Bool: 1, reflect.String: 16, reflect.Slice: 24, reflect.Interface: 16,
		reflect.Pointer: 8, reflect.Map: 8, reflect.Chan: 8, reflect.Func: 8}[t.Kind]
	var b []byte
	if size > 0 {
		var ok bool
		if b, ok = p.mem.Read(addr, size); !ok {
			return true // nobody looked
		}
	}
	switch t.Kind {
	case reflect.Bool:
		return b[0] <= 1
	case reflect.String:
		n := word(b, 8)
		return n == 0 || n < 1<<40 && p.mem.Mapped(word(b, 0), n)
	case reflect.Slice:
		n, room := word(b, 8), word(b, 16)
		size := uint64(1)
		if elem := t.Elem(); elem != nil {
			size = uint64(max(elem.Size, 1))
		}
		return n <= room && (room == 0 || room < 1<<40/size && p.leads(word(b, 0), t.Elem()) &&
			p.mem.Mapped(word(b, 0), room*size))
	case reflect.Interface:
		return p.leads(word(b, 0), nil) && word(b, 0)%8 == 0
	case reflect.Pointer:
		return p.leads(word(b, 0), t.Elem())
	case reflect.Map, reflect.Chan, reflect.Func:
		return p.leads(word(b, 0), nil) && word(b, 0)%8 == 0
	case reflect.Struct:
		for _, f := range t.Fields() {
			if !p.can(f.Type, addr+uint64(f.Offset), left, depth+1) {
				return false
			}
		}
	case reflect.Array:
		elem := t.Elem()
		if elem == nil || elem.Size <= 0 || elem.Numbers() {
			return true
		}
		for i := int64(0); i < t.Len() && *left > 0; i++ {
			if !p.can(elem, addr+uint64(i*elem.Size), left, depth+1) {
				return false
			}
		}
	}
	return true
}

// leads tells whether an address can be one of a type.
func (p *painter) leads(addr uint64, t *symbols.Type) bool {
	return addr == 0 || p.mem.Mapped(addr, 1) && addr%alignment(t) == 0
}

// alignment is that of a type, as far as it is sure (cmd/compile/internal/types/size.go).
func alignment(t *symbols.Type) uint64 {
	for t != nil {
		switch t.Kind {
		case reflect.Struct:
			if len(t.Fields()) == 0 {
				return 1
			}
			most := uint64(1)
			for _, f := range t.Fields() {
				if f.Type == nil || f.Type.Kind == reflect.Struct || f.Type.Kind == reflect.Array {
					continue // which may be aligned by less than it looks
				}
				most = max(most, alignment(f.Type))
			}
			return most
		case reflect.Array:
			t = t.Elem()
			continue
		case reflect.Invalid, reflect.Complex64, reflect.Complex128:
			return 1
		case reflect.String, reflect.Slice, reflect.Interface:
			return 8
		}
		if t.Size >= 1 && t.Size <= 8 && t.Size&(t.Size-1) == 0 {
			return uint64(t.Size)
		}
		return 1
	}
	return 1
}
