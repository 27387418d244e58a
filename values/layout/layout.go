package layout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"ri/symbols"
)

// Field is where a structure keeps a field. The zero Field is one that the program's release of Go doesn't have.
type Field struct {
	Offset int64         // bytes from the start of the structure
	Size   int64         // bytes
	In     *symbols.Type // the structure
}

// Known tells whether the program has the field.
func (f Field) Known() bool { return f.Size > 0 }

// At is the field's address in the structure at base.
func (f Field) At(base uint64) uint64 { return base + uint64(f.Offset) }

// Uint reads the field as an unsigned number from the bytes of its structure; of a field of several words the first. It
// is 0 of a field that isn't Known, and of one beyond the end of b.
func (f Field) Uint(b []byte) uint64 {
	if f.Offset < 0 || f.Offset+min(f.Size, 8) > int64(len(b)) {
		return 0
	}
	switch b = b[f.Offset:]; f.Size {
	case 0:
		return 0
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	default:
		if len(b) < 8 {
			return 0
		}
		return binary.LittleEndian.Uint64(b)
	}
}

// Missing is something that a program lacks.
type Missing struct {
	What string // "field", "type", "variable"
	Name string // "runtime.g.goid"; of a field with several names the latest
	Err  error  // as symbols says it
}

// Group is the structures that are needed together. What was declared as required, and isn't there, makes all of it
// unavailable.
type Group struct {
	Name    string // as an instrument's header says it: "goroutine"
	goes    string // the program's release of Go, for messages
	missing []Missing
}

// Err is nil if the program has all that is required, else it names what is missing. It is symbols.ErrNotFound, or
// symbols.ErrNoDWARF of a program of which nothing is known.
func (g *Group) Err() error {
	if len(g.missing) == 0 {
		return nil
	}
	is := symbols.ErrNotFound
	var names []string
	for _, m := range g.missing {
		if errors.Is(m.Err, symbols.ErrNoDWARF) {
			return m.Err
		}
		if !errors.Is(m.Err, is) {
			return fmt.Errorf("%s %s: %w", m.What, m.Name, m.Err)
		}
		names = append(names, m.What+" "+m.Name)
	}
	return fmt.Errorf("the runtime of this program (%s) has no %s: %w", g.goes, strings.Join(names, ", no "), is)
}

// source is what layouts are found in: a symbols.File.
type source interface {
	Type(name string) (*symbols.Type, error)
	Var(name string) (symbols.Var, error)
	GoVersion() string
}

// declared is a field as it was declared, for tests.
type declared struct {
	group    string
	in       Structure
	paths    []string
	releases releases
	required bool
	found    string // the path that the program has, "" if none
}

// compiler finds in one program what is declared.
type compiler struct {
	source source
	fields []declared
}

func (c *compiler) group(name string, includes ...*Group) Group {
	g := Group{Name: name, goes: c.source.GoVersion()}
	for _, other := range includes {
		g.missing = append(g.missing, other.missing...)
	}
	return g
}

// lack notes what isn't there, once.
func (g *Group) lack(what, name string, err error) {
	for _, m := range g.missing {
		if m.What == what && m.Name == name {
			return
		}
	}
	g.missing = append(g.missing, Missing{what, name, err})
}

// variable is a package variable of the runtime, which has to be there; the zero Var if it isn't.
func (c *compiler) variable(g *Group, name string) symbols.Var {
	v, err := c.source.Var(name)
	if err != nil {
		g.lack("variable", name, err)
	}
	return v
}

// Structure is a type of the runtime.
type Structure struct {
	Type *symbols.Type // nil if the program doesn't have it
	Size int64         // bytes

	c    *compiler
	g    *Group
	name string
}

// structure is one that has to be there.
func (c *compiler) structure(g *Group, name string) Structure {
	t, err := c.source.Type(name)
	if err != nil {
		g.lack("type", name, err)
	}
	return c.of(g, t, name)
}

// ifUsed is a structure whose type a program has only if it uses it, or if its release of Go has it. Its required
// fields are required where it is there.
func (c *compiler) ifUsed(g *Group, name string) Structure {
	t, _ := c.source.Type(name)
	return c.of(g, t, name)
}

// of is a structure whose type is known from elsewhere, nil if it isn't; name is for messages.
func (c *compiler) of(g *Group, t *symbols.Type, name string) Structure {
	s := Structure{Type: t, c: c, g: g, name: name}
	if t != nil {
		s.Size = t.Size
	}
	return s
}

// behind is what a package variable is, or with elem what it consists of or leads to; it has to be there.
func (c *compiler) behind(g *Group, v symbols.Var, name string, elem bool) Structure {
	t := v.Type
	if t != nil && elem {
		t = t.Elem()
	}
	if t == nil && v.Type != nil {
		g.lack("type", name, symbols.ErrNotFound)
	}
	return c.of(g, t, name)
}

// releases are those of Go 1 that have a field: documentation, which a test holds against the runtimes of all releases.
type releases struct{ first, last int }

// always: all releases that ri knows.
var always = releases{}

// since and until give the first and the last release that has a field, as the 21 of Go 1.21.
func since(release int) releases { return releases{first: release} }
func until(release int) releases { return releases{last: release} }

// required declares a field that ri can't do without. A path goes through structs by value: "sched.sp". Of several
// paths the first that the program has is meant: a field that was renamed or has moved.
func (s Structure) required(r releases, paths ...string) Field {
	f, err := s.field(r, true, paths)
	if err != nil && s.Type != nil {
		s.g.lack("field", s.name+"."+paths[0], err)
	}
	return f
}

// optional declares a field without which ri says that something isn't recorded.
func (s Structure) optional(r releases, paths ...string) Field {
	f, _ := s.field(r, false, paths)
	return f
}

func (s Structure) field(r releases, required bool, paths []string) (Field, error) {
	d := declared{s.g.Name, s, paths, r, required, ""}
	defer func() { s.c.fields = append(s.c.fields, d) }()
	if s.Type == nil {
		return Field{}, symbols.ErrNotFound
	}
	var first error
	for _, path := range paths {
		f, err := find(s.Type, path)
		if err == nil {
			d.found = path
			return f, nil
		}
		if first == nil {
			first = err
		}
	}
	return Field{}, first
}

// maxWrappers bounds how many structs around one value are gone through: atomic types, and what the runtime wraps in
// more.
const maxWrappers = 4

// find compiles a path.
func find(t *symbols.Type, path string) (Field, error) {
	whole, off := t, int64(0)
	for name := range strings.SplitSeq(path, ".") {
		p, err := t.FieldByName(name)
		if err != nil {
			return Field{}, err
		}
		if len(p.Steps) > 0 {
			return Field{}, fmt.Errorf("field %s of %s lies behind a pointer: %w", name, t.Name, symbols.ErrNotFound)
		}
		off, t = off+p.Offset, p.Field.Type
	}
	for range maxWrappers {
		inner, ok := only(t)
		if !ok {
			break
		}
		off, t = off+inner.Offset, inner.Type
	}
	if t.Size <= 0 || off < 0 || off+t.Size > whole.Size {
		return Field{}, fmt.Errorf("field %s of %s, %d bytes at %d of %d: %w", path, whole.Name, t.Size, off,
			whole.Size, errLayout)
	}
	return Field{off, t.Size, whole}, nil
}

// errLayout: debug information that can't be.
var errLayout = errors.New("corrupt")

// only is the one field of a struct that has a size.
func only(t *symbols.Type) (inner symbols.Field, ok bool) {
	for _, f := range t.Fields() {
		if f.Type.Size > 0 {
			if ok {
				return inner, false
			}
			inner, ok = f, true
		}
	}
	return inner, ok
}
