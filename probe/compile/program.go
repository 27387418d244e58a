package compile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"reflect"
	"strings"

	"ri/attach"
	"ri/probe"
	"ri/symbols"
	"ri/values"
)

// Wanted is what a trace asks of a function, in Go expressions.
type Wanted struct {
	When  []string // all must hold
	After []string // as When, decided by Decide over what a hit took along
	// Show is what is taken along; nil: all arguments, and all results where the return is probed. Where the program has
	// no such type or field, an expression that begins with a question mark is one that isn't there.
	Show []string
	// Shallow is how many of the first arguments are taken along without what they lead to, of all that are.
	Shallow int
	// Last is how many of the first arguments find room for what they lead to when all else has.
	Last  int
	Limit Limits
}

// Program is what was wanted of a function, for the sites at which its arguments are where the scope says.
type Program struct {
	At, Back probe.Plan
	// Over counts what found no room in a hit.
	Over int

	at, back side
	limits   Limits
	after    []*after
}

// side is what is taken along at one end of a call.
type side struct {
	shown  []shown
	hidden []shown // what conditions decided afterwards ask for
	space  *values.Space
	mem    *memory
}

// Compile compiles what is wanted. What the kernel can't do is an error, ErrCannot or values.ErrExpr, that names the
// part of the expression. What is not there at the sites is no error: see [Value].
func Compile(s *Scope, w Wanted) (*Program, error) {
	p := &Program{limits: w.Limit.withDefaults()}
	for _, expr := range w.When {
		if err := p.when(s, expr); err != nil {
			return nil, err
		}
	}
	// The two sides of a call share the room of a hit.
	limits := p.limits
	if s.Returns {
		limits.Bytes /= 2
	}
	at := &capture{Scope: s, limits: limits}
	back := &capture{Scope: s, limits: limits}
	if w.Show == nil {
		for i := range s.Arguments {
			at.bare, at.late = i < w.Shallow, 0
			if i < w.Last {
				at.late = last
			}
			p.at.shown = append(p.at.shown, at.argument(&s.Arguments[i], s.Arguments[i].Name))
		}
		for i := range s.Results {
			if s.Returns {
				p.back.shown = append(p.back.shown, back.argument(&s.Results[i], s.ResultName(i)))
			}
		}
	}
	for _, expr := range w.Show {
		if err := p.show(s, expr, at, back); err != nil {
			return nil, err
		}
	}
	for _, expr := range w.After {
		if err := p.decideAfter(s, expr, at, back); err != nil {
			return nil, err
		}
	}
	p.At.Reads, p.Back.Reads = at.finish(), back.finish()
	p.Over = at.over + back.over
	for _, side := range []*side{&p.at, &p.back} {
		side.mem = &memory{over: p.Over > 0, left: at.left + back.left, bytes: p.limits.Bytes, one: at.one(),
			cut: max(at.cut, back.cut)}
		side.space = values.New(s.Space.File(), attach.NewCache(side.mem), s.Space.Bias())
	}
	return p, nil
}

// Static gives what never changes in the program's memory, which events needn't have: its code, type descriptors,
// constant texts.
func (p *Program) Static(read func(b []byte, addr uint64) bool) {
	p.at.mem.static, p.back.mem.static = read, read
}

// when adds a condition: each part of a conjunction is decided as early as it can be.
func (p *Program) when(s *Scope, expr string) error {
	c, err := s.compilerOf(expr, false)
	if err != nil {
		return err
	}
	for _, part := range conjuncts(c.src.Tree) {
		c.back = false
		when, err := c.condition(part)
		plan := &p.At
		if errors.Is(err, ErrReturns) && s.Returns {
			c.back, plan = true, &p.Back
			when, err = c.condition(part)
		}
		if err != nil {
			return err
		}
		if plan.When == nil {
			plan.When = when
		} else {
			plan.When = probe.And{plan.When, when}
		}
	}
	return nil
}

// conjuncts are what must hold, each for itself.
func conjuncts(n ast.Expr) []ast.Expr {
	switch x := n.(type) {
	case *ast.ParenExpr:
		return conjuncts(x.X)
	case *ast.BinaryExpr:
		if x.Op == token.LAND {
			return append(conjuncts(x.X), conjuncts(x.Y)...)
		}
	}
	return []ast.Expr{n}
}

func (c *compiler) condition(n ast.Expr) (probe.Condition, error) {
	x, err := c.expr(n)
	if err != nil {
		return nil, err
	}
	return c.truth(n, x)
}

// argument takes an argument along; one that isn't there says so.
func (c *capture) argument(a *Argument, name string) shown {
	s, err := spotOf(a, false)
	if err != nil {
		return shown{name: name, t: a.Type, err: err}
	}
	return c.root(name, s)
}

// show takes along what an expression stands for.
func (p *Program) show(s *Scope, name string, at, back *capture) error {
	expr, optional := strings.CutPrefix(name, "?")
	c, err := s.compilerOf(expr, false)
	if err != nil {
		return err
	}
	spot, err := c.place(c.src.Tree)
	side, to := at, &p.at.shown
	if errors.Is(err, ErrReturns) && s.Returns {
		c.back, side, to = true, back, &p.back.shown
		spot, err = c.place(c.src.Tree)
	}
	if errors.Is(err, ErrGone) || optional && (errors.Is(err, symbols.ErrNotFound) || errors.Is(err, ErrCannot)) {
		*to = append(*to, shown{name: name, err: err})
		return nil
	}
	if err != nil {
		return err
	}
	*to = append(*to, side.root(name, spot))
	return nil
}

// Value is something shown of a hit: a value, or why there is none.
type Value struct {
	Name  string
	Value values.Value // over the hit's memory, until the next hit is read
	Plain any          // of an expression that has no Value, as len(path): a number, a bool or a text
	Err   error        // ErrNotCaptured, ErrGone, values.ErrNil, ...
	// Owner, of a field, is the struct that has it, Inside bytes before the value; nil of all else.
	Owner  *symbols.Type
	Inside int64
}

// Entry gives what a hit took along at the entry. It is good until the next hit is read.
func (p *Program) Entry(ev *probe.Event) []Value {
	p.at.set(ev.Pieces)
	return p.values(&p.at, p.at.shown, ev.Pieces, ev.Registers)
}

// Return is Entry of what a hit took along at the return.
func (p *Program) Return(ev *probe.Event) []Value {
	if ev.Return == nil {
		return nil
	}
	p.back.set(ev.Return.Pieces)
	return p.values(&p.back, p.back.shown, ev.Return.Pieces, ev.Return.Registers)
}

// Dump is how much of a value hits have.
func (p *Program) Dump() values.DumpOptions {
	return values.DumpOptions{Depth: p.limits.Depth, Elems: p.limits.Elems, Bytes: p.limits.Text, OneLine: true}
}

// set has the side's space be that of a hit.
func (s *side) set(pieces []probe.Piece) {
	s.mem.set(pieces)
	s.space.Mem().Reset(s.mem)
	s.space.Reset()
}

func (p *Program) values(s *side, all []shown, pieces []probe.Piece, registers map[int]uint64) []Value {
	out := make([]Value, 0, len(all))
	for i := range all {
		v := Value{Name: all[i].name, Owner: all[i].spot.owner, Inside: all[i].spot.inside}
		v.Value, v.Err = p.value(s, &all[i], pieces, registers)
		out = append(out, v)
	}
	return out
}

// value is what one of those shown is in a hit.
func (p *Program) value(in *side, s *shown, pieces []probe.Piece, registers map[int]uint64) (values.Value, error) {
	space := in.space
	if s.err != nil {
		return values.Value{}, s.err
	}
	if s.t.Size <= 0 {
		return space.Local(nil, s.t), nil
	}
	if s.spot.pieces == nil {
		piece, err := p.piece(s.reads[0], pieces, s.spot.path.Base.Kind == probe.Element)
		if err != nil {
			return values.Value{}, err
		}
		return space.At(piece.Addr, s.t), nil
	}
	var data []byte
	for i, part := range s.spot.pieces {
		b := make([]byte, 8)
		switch part.Kind {
		case InRegister:
			word, ok := registers[part.Register]
			if !ok {
				return values.Value{}, fmt.Errorf("register %d: %w", part.Register, ErrNotCaptured)
			}
			binary.LittleEndian.PutUint64(b, word>>part.Shift)
		case Fixed:
			b = part.Data
		case Gone:
			// A slice without its capacity is still one that can be read.
			if s.t.Kind != reflect.Slice || i != 2 || len(data) != 16 {
				return values.Value{}, part.Err
			}
			b = data[8:16]
		default:
			piece, err := p.piece(s.reads[i], pieces, false)
			if err != nil {
				return values.Value{}, err
			}
			b = piece.Data
		}
		if int64(len(b)) < part.Size {
			return values.Value{}, ErrNotCaptured
		}
		data = append(data, b[:part.Size]...)
	}
	if int64(len(data)) != s.t.Size {
		return values.Value{}, ErrGone
	}
	size := s.t.Size
	if s.spot.owner != nil {
		size = max(size, s.spot.owner.Size)
	}
	return space.At(in.mem.local(data, s.spot.inside, size), s.t), nil
}

// piece is what a read captured, or why it didn't.
func (p *Program) piece(read int, pieces []probe.Piece, elem bool) (*probe.Piece, error) {
	if read < 0 {
		return nil, fmt.Errorf("%w: the hit's %d bytes were full", ErrNotCaptured, p.limits.Bytes)
	}
	if read >= len(pieces) {
		return nil, ErrNotCaptured
	}
	switch piece := &pieces[read]; piece.State {
	case probe.Captured, probe.Truncated:
		return piece, nil
	case probe.NilOnTheWay:
		if elem {
			return nil, fmt.Errorf("the map has no such key, or a pointer on the way is %w", values.ErrNil)
		}
		return nil, fmt.Errorf("a pointer on the way is %w", values.ErrNil)
	case probe.Unreadable:
		if elem {
			return nil, fmt.Errorf("%w: the map has more than the %d places that are searched, or memory on the way can't be "+
				"read", ErrNotCaptured, probe.MaxGroups*probe.GroupSlots)
		}
		return nil, fmt.Errorf("unreadable at %#x: %w", piece.Addr, ErrNotCaptured)
	}
	return nil, fmt.Errorf("%w: it isn't there", ErrNotCaptured)
}
