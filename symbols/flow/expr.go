package flow

import "fmt"

// Kind of an expression.
type Kind uint8

const (
	Unknown  Kind = iota // N tells unknowns apart
	Entry                // register N at the function's entry
	Argument             // the word at CFA+N at the function's entry
	Constant             // N, a number or a link-time address
	Stack                // the address CFA+N
	Load                 // the word at Base+N, when it was read
	Sum                  // Base+N
)

// Expr is what a register or slot holds, in terms of a function's entry. Equal expressions of one [Function] are the same pointer.
type Expr struct {
	Kind Kind
	Base *Expr
	N    int64
}

func (e *Expr) String() string {
	switch e.Kind {
	case Entry:
		return fmt.Sprintf("register %d", e.N)
	case Argument:
		return fmt.Sprintf("argument at %d", e.N)
	case Constant:
		return fmt.Sprintf("%#x", uint64(e.N))
	case Stack:
		return fmt.Sprintf("CFA%+d", e.N)
	case Load:
		return fmt.Sprintf("[%s%+d]", e.Base, e.N)
	case Sum:
		return fmt.Sprintf("(%s%+d)", e.Base, e.N)
	}
	return fmt.Sprintf("unknown %x", e.N)
}

// table keeps one Expr of each kind.
type table map[Expr]*Expr

func (t table) of(kind Kind, base *Expr, n int64) *Expr {
	key := Expr{kind, base, n}
	if e := t[key]; e != nil {
		return e
	}
	e := &key
	t[key] = e
	return e
}

// plus gives e+n.
func (t table) plus(e *Expr, n int64) *Expr {
	if n == 0 {
		return e
	}
	switch e.Kind {
	case Constant, Stack:
		return t.of(e.Kind, nil, e.N+n)
	case Sum:
		return t.plus(e.Base, e.N+n)
	}
	return t.of(Sum, e, n)
}

// depth is how many steps an expression has: a loop that follows a list would make it grow for ever.
func (e *Expr) depth() int {
	n := 0
	for ; e != nil; e = e.Base {
		n++
	}
	return n
}

const maxDepth = 12
