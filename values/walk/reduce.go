package walk

import (
	"bytes"
	"cmp"
	"container/heap"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"slices"

	"ri/values"
)

// condition is what an element must meet.
type condition struct {
	path       *path
	op         Op
	want, have values.Scalar
}

// Op compares a part of an element with a value: the bits of those orders for which it holds.
type Op uint8

const (
	less Op = 1 << iota
	equal
	greater
	notEqual = less | greater // also of what has no order
)

// Ops are the operators by what scripts call them.
var Ops = map[string]Op{"==": equal, "~=": notEqual, "!=": notEqual,
	"<": less, "<=": less | equal, ">": greater, ">=": greater | equal}

var numbers = []values.ScalarKind{values.IntScalar, values.UintScalar, values.FloatScalar}

// Where gives the walk with one more condition. The value is nil or what values.ScalarOf takes; a string may name a
// constant of an integer's type. A part that isn't there, since a pointer on the way is nil, equals nil and nothing
// else.
func (w *Walk) Where(field string, op Op, value any) (*Walk, error) {
	p, err := w.path(field)
	if err != nil {
		return nil, err
	}
	want, err := comparable(p, op, value)
	if err != nil {
		return nil, err
	}
	more := *w
	more.conds = append(slices.Clone(w.conds), condition{path: p, op: op, want: want})
	return &more, nil
}

// comparable is what a part is compared with. It refuses what can't be compared, where that is known beforehand.
func comparable(p *path, op Op, value any) (want values.Scalar, err error) {
	if name, ok := value.(string); ok && p.typ != nil && p.class.Integer() {
		n, ok := p.typ.ConstantValue(name)
		if !ok {
			return want, fmt.Errorf("%s has type %s, which has no constant %s: %w", p.name, p.typ.Name, name, values.ErrKind)
		}
		value = n
	}
	want, ok := values.ScalarOf(value)
	if !ok && value != nil {
		return want, fmt.Errorf("a %T can't be compared: %w", value, values.ErrKind)
	}
	unordered := ""
	switch want.Kind {
	case values.NoScalar:
		unordered = "nil"
	case values.BoolScalar:
		unordered, err = want.String(), p.want("not a bool", want.Kind)
	case values.WordScalar:
		unordered, err = "a pointer", p.want("not a pointer", want.Kind)
	case values.TextScalar:
		err = p.want("not a string", want.Kind)
	default:
		err = p.want("not a number", numbers...)
	}
	if unordered != "" && op != equal && op != notEqual {
		err = fmt.Errorf("%s has no order: == or ~=: %w", unordered, values.ErrKind)
	}
	return want, err
}

// holds tells whether an element meets the condition.
func (c *condition) holds(i int, key, elem uint64) (bool, error) {
	if err := c.path.read(i, key, elem, &c.have); err != nil {
		return false, err
	}
	if c.have.Kind == values.TextScalar && c.want.Kind == values.TextScalar &&
		values.IsToken(string(c.have.Text)) != values.IsToken(string(c.want.Text)) {
		return false, c.path.at(i, key, elem, values.NewTokenError("comparing a text with another"))
	}
	order, ok := c.have.Compare(&c.want)
	if !ok {
		return c.op == notEqual, nil
	}
	return c.op>>(order+1)&1 != 0, nil
}

// Sum is an exact sum of integers, and one of floats beside it.
type Sum struct {
	N      int64 // values added
	high   uint64
	low    uint64
	floats float64
	real   bool // there were floats
}

func (s *Sum) add(v *values.Scalar) bool {
	var carry uint64
	switch v.Kind {
	case values.IntScalar:
		s.low, carry = bits.Add64(s.low, v.Bits, 0)
		s.high += uint64(v.Int()>>63) + carry
	case values.UintScalar:
		s.low, carry = bits.Add64(s.low, v.Bits, 0)
		s.high += carry
	case values.FloatScalar:
		s.floats += v.Float()
		s.real = true
	default:
		return false
	}
	s.N++
	return true
}

// addPart adds an element's part.
func (s *Sum) addPart(p *path, i int, key, elem uint64, part *values.Scalar) error {
	if err := p.read(i, key, elem, part); err != nil {
		return err
	}
	if !s.add(part) && part.Kind != values.NoScalar {
		return p.at(i, key, elem, fmt.Errorf("a %s can't be added up: %w", part.Type.Name, values.ErrKind))
	}
	return nil
}

// Int is the sum of the integers.
func (s *Sum) Int() *big.Int {
	n := new(big.Int).SetInt64(int64(s.high))
	n.Lsh(n, 64)
	return n.Add(n, new(big.Int).SetUint64(s.low))
}

// Float is the sum of all; false: there were integers only, and Int has it exactly.
func (s *Sum) Float() (float64, bool) {
	whole, _ := new(big.Float).SetInt(s.Int()).Float64()
	return s.floats + whole, s.real
}

// Sum adds up a part of each element. A part that isn't there, since a pointer on the way is nil, adds nothing.
func (w *Walk) Sum(field string) (sum Sum, err error) {
	p, err := w.summed(field)
	if err != nil {
		return sum, err
	}
	var s values.Scalar
	err = w.each(func(i int, key, elem uint64) (bool, error) {
		return true, sum.addPart(p, i, key, elem, &s)
	}, p)
	return sum, err
}

func (w *Walk) summed(name string) (*path, error) {
	return w.pathTo(name, "which can't be added up", numbers...)
}

// Group is the elements that have one value in a part.
type Group struct {
	Key   values.Scalar // its Text may be kept
	Count int64
	Sum   Sum
}

// groupKey finds a group of anything but strings.
type groupKey struct {
	kind values.ScalarKind
	bits uint64
}

// Group puts the elements together that are the same in a part, and adds up another part of them if sum isn't nil. The
// largest group comes first. More groups than most are an error.
func (w *Walk) Group(by string, sum *string, most int) ([]Group, error) {
	p, err := w.pathTo(by, notSingle, append(numbers[:3:3], values.BoolScalar, values.TextScalar, values.WordScalar)...)
	if err != nil {
		return nil, err
	}
	var add *path
	if sum != nil {
		if add, err = w.summed(*sum); err != nil {
			return nil, err
		}
	}
	var groups []Group
	texts, others := map[string]int{}, map[groupKey]int{}
	var s, part values.Scalar
	err = w.each(func(i int, key, elem uint64) (bool, error) {
		s = values.Scalar{}
		if err := p.read(i, key, elem, &s); err != nil {
			return false, err
		}
		var at int
		var known bool
		if s.Kind == values.TextScalar {
			at, known = texts[string(s.Text)]
		} else {
			if s.Kind == values.FloatScalar && s.Bits == 1<<63 {
				s.Bits = 0 // -0 is 0
			}
			at, known = others[groupKey{s.Kind, s.Bits}]
		}
		if !known {
			if at = len(groups); at >= most {
				return false, fmt.Errorf("more than %d groups: group by something coarser: %w", most, values.ErrRange)
			}
			g := Group{Key: s}
			if s.Kind == values.TextScalar {
				g.Key.Text = bytes.Clone(s.Text)
				texts[string(s.Text)] = at
			} else {
				others[groupKey{s.Kind, s.Bits}] = at
			}
			groups = append(groups, g)
		}
		g := &groups[at]
		g.Count++
		if add == nil {
			return true, nil
		}
		return true, g.Sum.addPart(add, i, key, elem, &part)
	}, p, add)
	slices.SortStableFunc(groups, func(a, b Group) int { return cmp.Compare(b.Count, a.Count) })
	return groups, err
}

// Ranked is an element with the value by which it was ranked.
type Ranked struct {
	Index     int
	Key, Elem uint64 // addresses
	By        values.Scalar
}

// Top gives the n elements with the largest numbers in a part, the largest first; among equals, those that came first.
// Elements that don't have the part, and NaN, are left out.
func (w *Walk) Top(n int, by string) ([]Ranked, error) {
	p, err := w.pathTo(by, "which has no order: a number is needed", numbers...)
	if err != nil {
		return nil, err
	}
	var best ranking
	var s values.Scalar
	err = w.each(func(i int, key, elem uint64) (bool, error) {
		if err := p.read(i, key, elem, &s); err != nil {
			return false, err
		}
		switch {
		case s.Kind == values.NoScalar || s.Kind == values.FloatScalar && math.IsNaN(s.Float()):
			return true, nil
		case !s.Kind.Number():
			return false, p.at(i, key, elem,
				fmt.Errorf("a %s has no order: a number is needed: %w", s.Type.Name, values.ErrKind))
		}
		r := Ranked{i, key, elem, s}
		switch {
		case len(best) < n:
			heap.Push(&best, r)
		case n > 0 && best[0].less(&r):
			best[0] = r
			heap.Fix(&best, 0)
		}
		return true, nil
	}, p)
	slices.SortFunc(best, func(a, b Ranked) int {
		switch {
		case a.less(&b):
			return 1
		case b.less(&a):
			return -1
		}
		return 0
	})
	return best, err
}

// less orders by the number, and the later below the earlier.
func (r *Ranked) less(q *Ranked) bool {
	order, _ := r.By.Compare(&q.By)
	return order < 0 || order == 0 && r.Index > q.Index
}

// ranking is a heap with the least on top.
type ranking []Ranked

func (r ranking) Len() int           { return len(r) }
func (r ranking) Less(i, j int) bool { return r[i].less(&r[j]) }
func (r ranking) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *ranking) Push(x any)        { *r = append(*r, x.(Ranked)) }
func (r *ranking) Pop() any          { old := *r; x := old[len(old)-1]; *r = old[:len(old)-1]; return x }
