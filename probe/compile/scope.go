package compile

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"ri/probe"
	"ri/symbols"
	"ri/values"
)

// Errors that callers test for; each comes wrapped with the part of the expression, and why.
var (
	// ErrCannot: the expression is right, and the kernel can't decide or capture it.
	ErrCannot = errors.New("can't be decided in the kernel")
	// ErrReturns: the expression speaks of a call's results or duration, and its return isn't probed.
	ErrReturns = errors.New("known at the return only")
	// ErrGone: at the site, the argument is nowhere.
	ErrGone = errors.New("optimised away")
)

// Argument is a receiver, argument or result of a function, with where it is at a site.
type Argument struct {
	Name   string
	Type   *symbols.Type
	Result bool
	Pieces []Piece // in the order of its bytes; none of a type without bytes, or with Err
	Err    error   // why it isn't anywhere
	// Pointer: it lies elsewhere, and Pieces are its address (Go moved it to the heap).
	Pointer bool
	// At, instead of Pieces, leads to it, where all of When hold.
	At   *probe.Path
	When []probe.Compare
}

// Piece is a part of an argument, and where it is.
type Piece struct {
	Kind     PieceKind
	Size     int64
	Register int    // by DWARF number
	Shift    uint8  // InRegister: which bit it begins at
	Off      int64  // OnStack: from the CFA on; Behind: from what Register points to
	Data     []byte // Fixed
	Err      error  // Gone: why
}

// PieceKind is where a piece lies.
type PieceKind uint8

const (
	InRegister PieceKind = iota
	OnStack
	Behind // what a register points to
	Fixed  // known beforehand
	Gone
	inItem // at Off of what the read Register captured
)

// Scope is what names stand for at a site, and in the program.
type Scope struct {
	Space     *values.Space // of live memory: variables' addresses, types' descriptors
	Arguments []Argument    // at the entry, or at the line
	Results   []Argument    // at the return
	Returns   bool          // the return is probed
	Package   string        // the function's, whose names need no package; empty: not known
}

// find gives an argument or result by its name; result, r0, r1, ... are those of the results, in their order.
func (c *Scope) find(name string) (a *Argument, ok bool) {
	for _, list := range [][]Argument{c.Arguments, c.Results} {
		for i := range list {
			if list[i].Name == name {
				return &list[i], true
			}
		}
	}
	n := -1
	if name == "result" {
		n = 0
	} else if name == "err" {
		// What every Go program calls it: the error that a function gives without having named it.
		n = slices.IndexFunc(c.Results, func(r Argument) bool { return r.Type.Name == "error" })
	} else if digits, ok := strings.CutPrefix(name, "r"); ok && len(digits) < 4 {
		if i, err := strconv.Atoi(digits); err == nil && digits == strconv.Itoa(i) {
			n = i
		}
	}
	if n >= 0 && n < len(c.Results) {
		return &c.Results[n], true
	}
	return nil, false
}

// ResultName is how the i-th result is called; one that has no name of its own by its place.
func (c *Scope) ResultName(i int) string {
	r := &c.Results[i]
	given := r.Name != "" && r.Name != "_" && r.Name[0] != '~' && r.Name != fmt.Sprintf("r%d", i)
	switch at, ok := c.find("err"); {
	case given:
		return r.Name
	case ok && at == r:
		return "err"
	case len(c.Results) == 1:
		return "result"
	}
	return fmt.Sprintf("r%d", i)
}

// names lists what can be named, for errors.
func (c *Scope) names() []string {
	var all []string
	for _, a := range c.Arguments {
		all = append(all, a.Name)
	}
	for i := range c.Results {
		all = append(all, c.ResultName(i))
	}
	return all
}

// pointerKind tells whether a value of the kind is one word that is an address.
func pointerKind(k reflect.Kind) bool {
	switch k {
	case reflect.Pointer, reflect.UnsafePointer, reflect.Map, reflect.Chan, reflect.Func:
		return true
	}
	return false
}

// variable gives a package variable, of the function's own package first.
func (c *Scope) variable(name string) (values.Value, error) {
	if c.Package != "" && !strings.Contains(name, ".") {
		if v, err := c.Space.Var(c.Package + "." + name); err == nil {
			return v, nil
		}
	}
	return c.Space.Var(name)
}

// typeNamed gives a type by its name, of the function's own package first.
func (c *Scope) typeNamed(name string) (*symbols.Type, error) {
	if c.Package != "" && !strings.Contains(name, ".") {
		own := strings.TrimLeft(name, "*[]")
		if t, err := c.Space.Type(name[:len(name)-len(own)] + c.Package + "." + own); err == nil {
			return t, nil
		}
	}
	return c.Space.Type(name)
}
