package record

import (
	"reflect"
	"slices"

	"ri/symbols"
)

// Types are sometimes guesses: of a variable that optimised code no longer keeps, of memory that was something else
// before. What lies there tells most of them: pointers that lead nowhere, or between two words, bools that are neither,
// slices longer than their room, or a function's return address among its words. Such a guess still denies what it
// would have denied, and says nothing else.

// maxChecks bounds how many words of a value are checked.
const maxChecks = 256

// apart gives what can be of its type, and what can't; with that goes what was looked at as a part of it. What lies
// nowhere is left out: its address was something else, a text maybe, and would be told. The list is by address, the
// wholes first.
func (p *painter) apart(s *Sight, list []typedAt) (out, wrong []typedAt) {
	g := &glance{sight: s}
	out = list[:0]
	var around []typedAt // wrong ones that aren't over
	for _, t := range list {
		if !p.mem.Mapped(t.addr, uint64(t.typ.Size)) && !p.view(t) {
			continue
		}
		around = slices.DeleteFunc(around, func(w typedAt) bool { return w.addr+uint64(w.typ.Size) <= t.addr })
		isPart := func(w typedAt) bool { return hasPart(w.typ, int64(t.addr-w.addr), t.typ) }
		switch {
		case !p.plausible(t), s.returnsWithin(t.addr, t.typ.Size) && !p.view(t):
			if len(around) < maxAround && !p.view(t) {
				around = append(around, t)
			}
			wrong = append(wrong, t)
		case slices.ContainsFunc(around, isPart):
			wrong = append(wrong, t)
		default:
			out = append(out, t)
			if p.checksOf(t.typ).cut && !p.view(t) {
				p.nowhere(g, p.of(t.typ, t.addr), t.addr)
			}
		}
	}
	return out, wrong
}

// nowhere denies the pointers of a thing that lead nowhere, where there are too many for all to be checked: they aren't
// what its type says. A thing that was checked whole has none, and a thing that can't be of its type denies no words of
// its own: another one, that is right, may lie around it.
func (p *painter) nowhere(g *glance, plan *plan, addr uint64) {
	for i := range plan.pointers {
		piece := &plan.pointers[i]
		at := addr + uint64(piece.Offset)
		if piece.elem != nil {
			for k := range piece.Count {
				p.nowhere(g, piece.elem, at+uint64(k*piece.Size))
			}
			continue
		}
		if !g.touched(at, 8) {
			continue
		}
		if b, ok := p.mem.Read(at, 8); ok && word(b, 0) != 0 && !p.mem.Mapped(word(b, 0), 1) {
			p.denied = gather(p.denied, extent{at, 8})
		}
	}
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

// check is one of the words that tell whether something can be of a type.
type check struct {
	off   int64
	kind  reflect.Kind
	unit  uint64 // of a slice, the size of an element
	align uint64 // of what it leads to
}

// checks are those of a type, prepared for the many things that are of it.
type checks struct {
	list     []check
	from, to int64 // where they lie
	types    int   // gone through so far
	cut      bool  // there are more
}

// sizes of what is read for a check, in bytes.
var checkSize = [reflect.UnsafePointer + 1]int64{reflect.Bool: 1, reflect.String: 16, reflect.Slice: 24,
	reflect.Interface: 16, reflect.Pointer: 8, reflect.Map: 8, reflect.Chan: 8, reflect.Func: 8,
	reflect.UnsafePointer: 8}

func (p *painter) checksOf(t *symbols.Type) *checks {
	c := p.checks[t]
	if c == nil {
		c = &checks{}
		c.add(t, 0, 0)
		for i, one := range c.list {
			if i == 0 || one.off < c.from {
				c.from = one.off
			}
			c.to = max(c.to, one.off+checkSize[one.kind])
		}
		p.checks[t] = c
	}
	return c
}

func (c *checks) add(t *symbols.Type, off int64, depth int) {
	if c.types++; c.types > maxChecks || depth > 16 || t == nil {
		c.cut = true
		return
	}
	one := check{off: off, kind: t.Kind, align: 1}
	switch t.Kind {
	case reflect.Bool, reflect.String:
	case reflect.Slice:
		one.unit, one.align = 1, alignment(t.Elem())
		if elem := t.Elem(); elem != nil {
			one.unit = uint64(max(elem.Size, 1))
		}
	case reflect.Pointer:
		one.align = alignment(t.Elem())
	case reflect.Interface, reflect.Map, reflect.Chan, reflect.Func:
		one.align = 8
	case reflect.UnsafePointer:
	case reflect.Struct:
		for _, f := range t.Fields() {
			c.add(f.Type, off+f.Offset, depth+1)
		}
		return
	case reflect.Array:
		elem := t.Elem()
		if elem == nil || elem.Size <= 0 || elem.Numbers() {
			return
		}
		for i := int64(0); i < t.Len() && !c.cut; i++ {
			c.add(elem, off+i*elem.Size, depth+1)
		}
		return
	default:
		return
	}
	c.list = append(c.list, one)
}

// plausible tells whether what lies at an address can be of the type that it was looked at as.
func (p *painter) plausible(t typedAt) bool {
	c := p.checksOf(t.typ)
	if len(c.list) == 0 {
		return true
	}
	var whole []byte
	if c.to-c.from <= pageSize {
		whole, _ = p.mem.Read(t.addr+uint64(c.from), int(c.to-c.from))
	}
	for i := range c.list {
		one, b, ok := &c.list[i], whole, true
		if n := checkSize[one.kind]; b != nil {
			b = b[one.off-c.from:][:n]
		} else if b, ok = p.mem.Read(t.addr+uint64(one.off), int(n)); !ok {
			continue // nobody looked
		}
		if !p.can(one, b) {
			return false
		}
	}
	return true
}

// can tells whether bytes can be what a check is of.
func (p *painter) can(c *check, b []byte) bool {
	switch c.kind {
	case reflect.Bool:
		return b[0] <= 1
	case reflect.String:
		n := word(b, 8)
		return n == 0 || n < 1<<40 && p.mem.Mapped(word(b, 0), n)
	case reflect.Slice:
		n, room := word(b, 8), word(b, 16)
		return n <= room && (room == 0 || room < 1<<40/c.unit && p.leads(word(b, 0), c.align) &&
			p.mem.Mapped(word(b, 0), room*c.unit))
	}
	return p.leads(word(b, 0), c.align)
}

// leads tells whether an address can be one of what is so aligned.
func (p *painter) leads(addr, align uint64) bool {
	return addr == 0 || addr%align == 0 && p.mem.Mapped(addr, 1)
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
