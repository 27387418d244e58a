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
	Scaled               // Index*N
	Add                  // Base+Index
	Tried                // whether a TryLock of the lock at Base succeeded; N tells them apart
)

// Expr is what a register or slot holds, in terms of a function's entry. Equal expressions of one [Function] are the
// same pointer.
type Expr struct {
	Kind  Kind
	Base  *Expr
	Index *Expr
	N     int64
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
	switch e.Kind {
	case Scaled:
		return fmt.Sprintf("%s*%d", e.Index, e.N)
	case Add:
		return fmt.Sprintf("(%s+%s)", e.Base, e.Index)
	case Tried:
		return fmt.Sprintf("tried %s", e.Base)
	}
	return fmt.Sprintf("unknown %x", e.N)
}

// table keeps one Expr of each kind.
type table map[Expr]*Expr

func (t table) of(kind Kind, base *Expr, n int64) *Expr {
	return t.with(kind, base, nil, n)
}

func (t table) with(kind Kind, base, index *Expr, n int64) *Expr {
	key := Expr{kind, base, index, n}
	if e := t[key]; e != nil {
		return e
	}
	e := new(Expr) // of the key itself each look-up would make one
	*e = key
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

// isNumber tells numbers from addresses, which are elsewhere where the executable is.
func (e *Expr) isNumber() bool { return e.Kind == Constant && e.N>>16 == 0 }

// times gives e*n.
func (t table) times(e *Expr, n int64) *Expr {
	switch {
	case n == 1:
		return e
	case e.isNumber():
		return t.of(Constant, nil, e.N*n)
	case e.Kind == Sum:
		return t.plus(t.times(e.Base, n), e.N*n)
	case e.Kind == Scaled:
		return t.with(Scaled, nil, e.Index, e.N*n)
	}
	return t.with(Scaled, nil, e, n)
}

// sum gives a+b.
func (t table) sum(a, b *Expr) *Expr {
	switch {
	case b.isNumber():
		return t.plus(a, b.N)
	case a.isNumber():
		return t.plus(b, a.N)
	case b.Kind == Scaled && b.Index == a:
		return t.times(a, b.N+1)
	case a.Kind == Scaled && a.Index == b:
		return t.times(b, a.N+1)
	case b.Kind == Sum:
		return t.plus(t.sum(a, b.Base), b.N)
	case a.Kind == Sum:
		return t.plus(t.sum(a.Base, b), a.N)
	}
	if a.Kind > b.Kind || a.Kind == b.Kind && a.N > b.N { // one order for both
		a, b = b, a
	}
	return t.with(Add, a, b, 0)
}

// depth is how many steps an expression has: a loop that follows a list would make it grow for ever.
func (e *Expr) depth() int {
	n := 0
	e.each(func(*Expr) { n++ })
	return n
}

// each calls f for an expression and all of its parts.
func (e *Expr) each(f func(*Expr)) {
	for ; e != nil; e = e.Base {
		f(e)
		if e.Index != nil {
			e.Index.each(f)
		}
	}
}

// Has tells whether a part of an expression is another.
func (e *Expr) Has(part *Expr) bool {
	found := false
	e.each(func(p *Expr) { found = found || p == part })
	return found
}

const maxDepth = 12
