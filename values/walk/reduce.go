package walk

import (
	"cmp"
	"container/heap"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"ri/values"
	"slices"
)

// condition is what an element must meet.
type condition struct {
	path   *Path
	op     Op
	value  any // nil, bool, int64, uint64, float64, string, Address
	scalar Scalar
}

// Op compares a part of an element with a value.
type Op uint8

const (
	Equal Op = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

// Ops are the operators by what scripts call them.
var Ops = map[string]Op{"==": Equal, "~=": NotEqual, "!=": NotEqual, "<": Less, "<=": LessEqual, ">": Greater, ">=": GreaterEqual}

// Address is a pointer as a value to compare with.
type Address uint64

// Where gives the walk with one more condition. The value is nil, a bool, int64, uint64, float64, string or Address; a string may name a
// constant of an integer's type. A part that isn't there, since a pointer on the way is nil, equals nil and nothing else.
func (w *Walk) Where(field string, op Op, value any) (*Walk, error) {
	p, err := w.Path(field)
	if err != nil {
		return nil, err
	}
	if value, err = comparable(p, op, value); err != nil {
		return nil, err
	}
	more := *w
	more.conds = append(slices.Clone(w.conds), condition{path: p, op: op, value: value})
	return &more, nil
}

// comparable refuses what can't be compared, where that is known beforehand.
func comparable(p *Path, op Op, value any) (any, error) {
	if value == nil {
		if op > NotEqual {
			return nil, fmt.Errorf("nil has no order: == or ~=: %w", values.ErrKind)
		}
		return nil, nil
	}
	switch v := value.(type) {
	case bool:
		if op > NotEqual {
			return nil, fmt.Errorf("%v has no order: == or ~=: %w", v, values.ErrKind)
		}
		return value, p.want("not a bool", BoolScalar)
	case string:
		if p.Type != nil && (p.class == IntScalar || p.class == UintScalar) {
			n, ok := p.Type.ConstantValue(v)
			if !ok {
				return nil, fmt.Errorf("%s has type %s, which has no constant %s: %w", p.name, p.Type.Name, v, values.ErrKind)
			}
			return n, nil
		}
		return value, p.want("not a string", TextScalar)
	case Address:
		if op > NotEqual {
			return nil, fmt.Errorf("a pointer has no order: == or ~=: %w", values.ErrKind)
		}
		return value, p.want("not a pointer", WordScalar)
	case int64, uint64, float64:
		return value, p.want("not a number", IntScalar, UintScalar, FloatScalar)
	}
	return nil, fmt.Errorf("a %T can't be compared: %w", value, values.ErrKind)
}

// holds tells whether an element meets the condition.
func (c *condition) holds(i int, key, elem uint64) (bool, error) {
	if err := c.path.read(i, key, elem, &c.scalar); err != nil {
		return false, err
	}
	order, ok := compareScalar(&c.scalar, c.value)
	if !ok {
		return c.op == NotEqual, nil
	}
	switch c.op {
	case Equal:
		return order == 0, nil
	case NotEqual:
		return order != 0, nil
	case Less:
		return order < 0, nil
	case LessEqual:
		return order <= 0, nil
	case Greater:
		return order > 0, nil
	}
	return order >= 0, nil
}

// compareScalar orders a scalar and a value; not ok: they can't be equal and have no order.
func compareScalar(s *Scalar, value any) (order int, ok bool) {
	switch v := value.(type) {
	case int64:
		switch s.Kind {
		case IntScalar:
			return cmp.Compare(s.Int(), v), true
		case UintScalar:
			if v < 0 {
				return 1, true
			}
			return cmp.Compare(s.Bits, uint64(v)), true
		case FloatScalar:
			return compareFloat(s.Float(), float64(v))
		}
	case uint64:
		switch s.Kind {
		case IntScalar:
			if s.Int() < 0 {
				return -1, true
			}
			return cmp.Compare(s.Bits, v), true
		case UintScalar:
			return cmp.Compare(s.Bits, v), true
		case FloatScalar:
			return compareFloat(s.Float(), float64(v))
		}
	case float64: // no integer, or beyond 64 bits
		switch s.Kind {
		case IntScalar:
			return compareFloat(float64(s.Int()), v)
		case UintScalar:
			return compareFloat(float64(s.Bits), v)
		case FloatScalar:
			return compareFloat(s.Float(), v)
		}
	case string:
		if s.Kind == TextScalar {
			switch { // the compiler makes no strings of these
			case string(s.Text) == v:
				return 0, true
			case string(s.Text) < v:
				return -1, true
			}
			return 1, true
		}
	case bool:
		if s.Kind == BoolScalar && (s.Bits != 0) == v {
			return 0, true
		}
	case Address:
		if s.Kind == WordScalar && s.Bits == uint64(v) {
			return 0, true
		}
	case nil:
		if s.Kind == NoScalar || s.Kind == WordScalar && s.Bits == 0 {
			return 0, true
		}
	}
	return 0, false
}

func compareFloat(a, b float64) (int, bool) {
	return cmp.Compare(a, b), a == a && b == b
}

// Sum is an exact sum of integers, and one of floats beside it.
type Sum struct {
	N      int64 // values added
	high   uint64
	low    uint64
	floats float64
	real   bool // there were floats
}

func (s *Sum) add(v *Scalar) bool {
	switch v.Kind {
	case IntScalar:
		var carry uint64
		s.low, carry = bits.Add64(s.low, v.Bits, 0)
		s.high += uint64(v.Int()>>63) + carry
	case UintScalar:
		var carry uint64
		s.low, carry = bits.Add64(s.low, v.Bits, 0)
		s.high += carry
	case FloatScalar:
		s.floats += v.Float()
		s.real = true
	default:
		return false
	}
	s.N++
	return true
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
func (w *Walk) Sum(field string) (Sum, error) {
	var sum Sum
	p, err := w.Path(field)
	if err == nil {
		err = p.want("which can't be added up", IntScalar, UintScalar, FloatScalar)
	}
	if err != nil {
		return sum, err
	}
	var s Scalar
	err = w.each(func(i int, key, elem uint64) (bool, error) {
		if err := p.read(i, key, elem, &s); err != nil {
			return false, err
		}
		if !sum.add(&s) && s.Kind != NoScalar {
			return false, p.at(i, key, elem, fmt.Errorf("a %s can't be added up: %w", s.Type.Name, values.ErrKind))
		}
		return true, nil
	}, p)
	return sum, err
}

// Group is the elements that have one value in a part.
type Group struct {
	Key   Scalar // its Text may be kept
	Count int64
	Sum   Sum
}

// groupKey finds a group of anything but strings.
type groupKey struct {
	kind ScalarKind
	bits uint64
}

// Group puts the elements together that are the same in a part, and adds up another part of them if sum isn't nil. The
// largest group comes first, at most max of them; more than that is an error.
func (w *Walk) Group(by string, sum *string, most int) ([]Group, error) {
	p, err := w.Path(by)
	if err == nil {
		err = p.want("which is no single value: name a field of it", IntScalar, UintScalar, FloatScalar, BoolScalar, TextScalar, WordScalar)
	}
	if err != nil {
		return nil, err
	}
	var add *Path
	if sum != nil {
		if add, err = w.Path(*sum); err == nil {
			err = add.want("which can't be added up", IntScalar, UintScalar, FloatScalar)
		}
		if err != nil {
			return nil, err
		}
	}
	var groups []Group
	texts, others := map[string]int{}, map[groupKey]int{}
	var s, part Scalar
	err = w.each(func(i int, key, elem uint64) (bool, error) {
		s.Bits = 0
		if err := p.read(i, key, elem, &s); err != nil {
			return false, err
		}
		var at int
		var known bool
		if s.Kind == TextScalar {
			at, known = texts[string(s.Text)]
		} else {
			if s.Kind == NoScalar {
				s.Bits, s.Type = 0, nil
			}
			if s.Kind == FloatScalar && s.Bits == 1<<63 {
				s.Bits = 0 // -0 is 0
			}
			at, known = others[groupKey{s.Kind, s.Bits}]
		}
		if !known {
			if at = len(groups); at >= most {
				return false, fmt.Errorf("more than %d groups: group by something coarser: %w", most, values.ErrRange)
			}
			g := Group{Key: s}
			if s.Kind == TextScalar {
				text := string(s.Text)
				g.Key.Text, g.Key.Bits = []byte(text), 0
				texts[text] = at
			} else {
				g.Key.Text = nil
				others[groupKey{s.Kind, s.Bits}] = at
			}
			groups = append(groups, g)
		}
		g := &groups[at]
		g.Count++
		if add == nil {
			return true, nil
		}
		if err := add.read(i, key, elem, &part); err != nil {
			return false, err
		}
		if !g.Sum.add(&part) && part.Kind != NoScalar {
			return false, add.at(i, key, elem, fmt.Errorf("a %s can't be added up: %w", part.Type.Name, values.ErrKind))
		}
		return true, nil
	}, p, add)
	slices.SortStableFunc(groups, func(a, b Group) int { return cmp.Compare(b.Count, a.Count) })
	return groups, err
}

// Ranked is an element with the value by which it was ranked.
type Ranked struct {
	Index     int
	Key, Elem uint64 // addresses
	By        Scalar
}

// Top gives the n elements with the largest numbers in a part, the largest first; among equals, those that came first. Elements that
// don't have the part, and NaN, are left out.
func (w *Walk) Top(n int, by string) ([]Ranked, error) {
	p, err := w.Path(by)
	if err == nil {
		err = p.want("which has no order: a number is needed", IntScalar, UintScalar, FloatScalar)
	}
	if err != nil {
		return nil, err
	}
	var best ranking
	var s Scalar
	err = w.each(func(i int, key, elem uint64) (bool, error) {
		if err := p.read(i, key, elem, &s); err != nil {
			return false, err
		}
		switch s.Kind {
		case NoScalar:
			return true, nil
		case FloatScalar:
			if math.IsNaN(s.Float()) {
				return true, nil
			}
		case IntScalar, UintScalar:
		default:
			return false, p.at(i, key, elem, fmt.Errorf("a %s has no order: a number is needed: %w", s.Type.Name, values.ErrKind))
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
	order := 0
	switch {
	case r.By.Kind == q.By.Kind && r.By.Kind == UintScalar:
		order = cmp.Compare(r.By.Bits, q.By.Bits)
	case q.By.Kind == IntScalar:
		order, _ = compareScalar(&r.By, q.By.Int())
	case q.By.Kind == UintScalar:
		order, _ = compareScalar(&r.By, q.By.Bits)
	default:
		order, _ = compareScalar(&r.By, q.By.Float())
	}
	return order < 0 || order == 0 && r.Index > q.Index
}

// ranking is a heap with the least on top.
type ranking []Ranked

func (r ranking) Len() int           { return len(r) }
func (r ranking) Less(i, j int) bool { return r[i].less(&r[j]) }
func (r ranking) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *ranking) Push(x any)        { *r = append(*r, x.(Ranked)) }
func (r *ranking) Pop() any          { old := *r; x := old[len(old)-1]; *r = old[:len(old)-1]; return x }
