package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"ri/attach"
	"ri/values"
	"ri/values/eval"
)

// Errors that callers test for; each comes wrapped with what, where and why.
var (
	// ErrConflict: memory isn't what the transaction was made for. Nothing was changed, or all was put back.
	ErrConflict = errors.New("conflict")
	// ErrRefused: what can't be changed safely.
	ErrRefused = errors.New("refused")
	// ErrStale: a place was found by its address, and a collection has begun since. It is an ErrConflict; the plan can
	// be worked out again.
	ErrStale = fmt.Errorf("%w: found by address", ErrConflict)
	// ErrAborted: the script said so.
	ErrAborted = errors.New("aborted")
	// ErrOutcome: an action was begun outside of the process, and nothing says how it ended.
	ErrOutcome = errors.New("how it ended isn't known")
)

// Operation is what a change does, named as in RFC 7047.
type Operation string

const (
	Update Operation = "update"
	Mutate Operation = "mutate"
	Wait   Operation = "wait" // changes nothing: the value must be what was expected
)

// Change is one place and what becomes of it.
type Change struct {
	Operation  Operation
	Path       string // the Go expression
	Type       string
	Addr       uint64
	Before     []byte // of the whole value; for a []byte whose contents change, the contents
	After      []byte // nil for Wait
	BeforeText string // as Go text
	AfterText  string
	// of a string whose bytes may be in the Go heap: what they were, so that undo needs nothing but them; nil for all
	// else
	Text      []byte
	Words     []values.Word // on the way to the place, and to what a pointer is set to
	ByAddress bool          // the way holds only as long as no collection begins
	Pointers  bool          // the words that change, or did before, point to something the collector may care about
	Whole     bool          // more than one word, which must not be seen half written
	// undo would put a pointer into the heap back, which it can only until the next collection begins
	Perishable  bool
	Memory      string // bytes of a new string that need memory of their own
	memoryAt    int    // offset in After of the pointer to it
	Overwritten string // what the program itself has made of it since, as Go text
}

// Plan is a transaction that was worked out and not yet made.
type Plan struct {
	Comment     string
	Changes     []*Change
	Collections uint64 // that had begun when the plan was made
	Undoes      int64  // the number of the transaction that this one undoes; 0: none
	Aborted     string // why the script gave it up
	Actions     []Action
	Locks       []string // expressions of mutexes that must be free at the commit, beside those of the recipe

	space    *values.Space
	mappings []attach.Mapping
	ctx      context.Context // while it is made
}

// Context is that of the transaction being made, for actions.
func (p *Plan) Context() context.Context {
	if p.ctx == nil {
		return context.Background()
	}
	return p.ctx
}

// NewPlan begins a plan over one look at the target. mappings is the target's memory map.
func NewPlan(space *values.Space, mappings []attach.Mapping, comment string) (*Plan, error) {
	p := &Plan{Comment: comment, space: space, mappings: mappings}
	_, begun, err := space.Collector()
	if err != nil {
		return nil, fmt.Errorf("the state of the garbage collector can't be read, so nothing can be changed safely: "+
			"%w: %w", err, ErrRefused)
	}
	p.Collections = begun
	return p, nil
}

// Same tells whether two plans change the same bytes at the same places in the same way.
func (p *Plan) Same(q *Plan) bool {
	return slices.EqualFunc(p.Changes, q.Changes, func(a, b *Change) bool {
		return a.Path == b.Path && a.Addr == b.Addr && bytes.Equal(a.Before, b.Before) && a.sameAfter(b)
	})
}

// sameAfter tells whether two changes make the same of a place. Where the bytes of a string come to lie makes no
// difference to anybody.
func (c *Change) sameAfter(d *Change) bool {
	return bytes.Equal(c.After, d.After) || (c.Memory != "" || d.Memory != "") && c.Type == d.Type &&
		c.AfterText == d.AfterText
}

// stale tells whether the plan relies on addresses that a collection may have given to something else.
func (p *Plan) stale(begun uint64) error {
	if begun == p.Collections {
		return nil
	}
	for _, c := range p.Changes {
		if c.ByAddress {
			return fmt.Errorf("%s was found by its address, and a garbage collection has begun since, after which "+
				"something else may be there; "+
				"try again, or name it by a path that begins at a package variable: %w", c.Path, ErrStale)
		}
	}
	return nil
}

// Action is something done to the process, or outside of it, that is no change of its memory, and that no undo takes
// back unless it replaces a file. Actions come after the changes.
type Action struct {
	Text string // what is done to what
	Do   func() error
	// File is a file that is replaced, "" if none is, with its contents.
	File          string
	Before, After []byte
}

// Empty tells whether nothing would be written.
func (p *Plan) Empty() bool {
	if len(p.Actions) > 0 {
		return false
	}
	for _, c := range p.Changes {
		if c.Operation != Wait && len(c.pieces()) > 0 {
			return false
		}
	}
	return true
}

// Place is what is to be changed: a value's place, its path and how it was found.
type Place struct {
	values.Value
	Path  string
	Trace *values.Trace
}

// At resolves an expression to a place.
func (p *Plan) At(expr string) (Place, error) {
	v, trace, err := eval.Place(p.space, expr)
	if err != nil {
		return Place{}, err
	}
	return Place{v, expr, trace}, nil
}

// Wait demands that a place holds what is expected, now and at the commit.
func (p *Plan) Wait(at Place, expected Operand) error {
	inner, err := p.readable(at)
	if err != nil {
		return err
	}
	c := p.newChange(Wait, at, inner)
	if c.Before, err = copyBytes(inner, int(inner.Type.Size)); err != nil {
		return err
	}
	same, err := p.same(inner, expected)
	if err != nil {
		return fmt.Errorf("%s: %w", at.Path, err)
	}
	if !same {
		return fmt.Errorf("%s is %s, and not %s; nothing was changed: %w", at.Path, c.BeforeText, expected.Text,
			ErrConflict)
	}
	p.Changes = append(p.Changes, c)
	return nil
}

// Update gives a place a new value.
func (p *Plan) Update(at Place, to Operand) error { return p.change(Update, at, to) }

// Mutate changes a number by another: += -= *= /= %=.
func (p *Plan) Mutate(at Place, operator string, by Operand) error {
	inner, err := p.writable(at)
	if err != nil {
		return err
	}
	to, err := mutated(inner, operator, by)
	if err != nil {
		return fmt.Errorf("%s %s %s: %w", at.Path, operator, by.Text, err)
	}
	return p.change(Mutate, at, to)
}

func (p *Plan) change(op Operation, at Place, to Operand) error {
	inner, err := p.writable(at)
	if err != nil {
		return err
	}
	c := p.newChange(op, at, inner)
	if err := p.encode(c, inner, to); err != nil {
		return fmt.Errorf("%s: %w", at.Path, err)
	}
	for _, other := range p.Changes {
		if other.Operation != Wait && other.Addr < c.Addr+uint64(len(c.Before)) &&
			c.Addr < other.Addr+uint64(len(other.Before)) {
			return fmt.Errorf("%s: this transaction changes %s already, which lies in the same place: %w", at.Path,
				other.Path, ErrRefused)
		}
	}
	if err := p.checkMemory(c); err != nil {
		return err
	}
	c.Whole = c.Whole && len(c.pieces()) > 1
	c.Perishable = c.Pointers && c.Text == nil && p.intoHeap(differing(c.Addr, c.After, c.Before[:len(c.After)])) != 0
	p.Changes = append(p.Changes, c)
	return nil
}

// intoHeap is the first of some words that leads to where a collector frees what nothing holds; 0: none.
func (p *Plan) intoHeap(words []attach.Piece) uint64 {
	for _, piece := range words {
		if len(piece.Data) == 8 && !p.outsideHeap(word(piece.Data)) {
			return word(piece.Data)
		}
	}
	return 0
}

// Perishable tells whether the plan can be undone only until the next collection of garbage begins.
func (p *Plan) Perishable() bool {
	return slices.ContainsFunc(p.Changes, func(c *Change) bool { return c.Perishable })
}

func (p *Plan) newChange(op Operation, at Place, inner values.Value) *Change {
	c := &Change{Operation: op, Path: at.Path, Type: at.Type.Name, Addr: inner.Addr, BeforeText: text(inner)}
	if at.Trace != nil {
		c.Words = append(c.Words, at.Trace.Words...)
		c.ByAddress = at.Trace.ByAddress
	}
	return c
}

// maxText bounds values in messages and in the journal, in bytes.
const maxText = 256

func text(v values.Value) string {
	return v.Dump(values.DumpOptions{Depth: 2, OneLine: true, Bytes: maxText})
}

// textAt gives the bytes that a string's two words lead to. It gives nil if there are none or too many to be kept, or
// if they can't be read.
func (p *Plan) textAt(header []byte) []byte {
	addr, n := word(header), word(header[8:])
	if n == 0 || n > maxString {
		return nil
	}
	b, err := p.space.Slice(addr, int(n))
	if err != nil {
		return nil
	}
	return bytes.Clone(b)
}

// perishableText is textAt for a string whose bytes a collector could free.
func (p *Plan) perishableText(header []byte) []byte {
	if p.outsideHeap(word(header)) {
		return nil
	}
	return p.textAt(header)
}

// readable gives what is in a place: of a type of sync/atomic, what it holds.
func (p *Plan) readable(at Place) (values.Value, error) {
	v := at.Value
	for range 2 { // atomic.Bool holds a uint32, which is a bool
		inner, offset, ok := p.space.Atomic(v.Type)
		if !ok {
			break
		}
		v = p.space.At(v.Addr+uint64(offset), inner)
	}
	if values.IsLocal(v.Addr) {
		return v, fmt.Errorf("%s has no place in memory: %w", at.Path, ErrRefused)
	}
	return v, nil
}

// pieces are the words of a change that differ.
func (c *Change) pieces() []attach.Piece { return differing(c.Addr, c.Before, c.After) }

// differing gives the aligned words, or parts of one, in which before and after differ, with the bytes of after.
func differing(addr uint64, before, after []byte) (out []attach.Piece) {
	for at := 0; at < len(after); {
		end := min(len(after), at+8-int((addr+uint64(at))%8))
		if string(before[at:end]) != string(after[at:end]) {
			out = append(out, attach.Piece{Addr: addr + uint64(at), Data: after[at:end]})
		}
		at = end
	}
	return out
}

func copyBytes(v values.Value, n int) ([]byte, error) {
	b, err := v.Space().Slice(v.Addr, n)
	if err != nil {
		return nil, err
	}
	return append([]byte(nil), b...), nil
}

// hasPointers tells whether values of a kind are, or hold, words that the collector follows.
func pointerKind(k reflect.Kind) bool {
	switch k {
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.Interface, reflect.Slice, reflect.String,
		reflect.UnsafePointer:
		return true
	}
	return false
}
