package compile

import (
	"fmt"
	"go/ast"
	"reflect"

	"ri/probe"
	"ri/symbols"
	"ri/values"
)

// Key is a word that the kernel counts hits by.
type Key struct {
	Word probe.Word

	t      *symbols.Type // of a number, bool or address; nil: the word is a type's descriptor
	source string
}

// Key compiles what hits are counted by at the entry: a number, a bool, an address, or the type that an interface
// holds, x.(type). Texts have no word that would do: ErrCannot.
func (s *Scope) Key(expr string) (Key, error) {
	c, err := s.compilerOf(expr, false)
	if err != nil {
		return Key{}, err
	}
	k := Key{source: expr}
	tree := c.src.Tree
	if a, ok := tree.(*ast.TypeAssertExpr); ok && a.Type == nil {
		x, err := c.place(a.X)
		if err != nil {
			return Key{}, err
		}
		if x.t.Kind != reflect.Interface {
			return Key{}, c.fail(a.X, fmt.Errorf("%s is no interface: %w", x.t.ShortName(), values.ErrKind))
		}
		if k.Word, err = x.word(0, 8, false); err == nil && isTab(x.t) {
			k.Word = probe.Word{Path: follow(k.Word), Size: 8}
			k.Word.Path.Last = 8
		}
		return k, c.fail(tree, err)
	}
	x, err := c.place(tree)
	if err != nil {
		return Key{}, err
	}
	cmp, err := numberOf(x)
	switch {
	case err != nil:
		return Key{}, c.fail(tree, err)
	case cmp.Left.Size == 0 || cmp.Float:
		return Key{}, c.cannot(tree, "counting by a %s: the kernel counts by numbers, bools, addresses, and types (x.(type))",
			x.t.ShortName())
	case len(x.guards) > 0:
		return Key{}, c.cannot(tree, "counting by what isn't always there")
	}
	k.Word, k.t = cmp.Left, x.t
	return k, nil
}

// Value is a counted word as a value of the program, in Go syntax, or why there is none.
func (k *Key) Value(in *values.Space, word uint64, state probe.State) (text string, err error) {
	switch {
	case state == probe.NilOnTheWay && k.t == nil, k.t == nil && word == 0:
		return "nil", nil
	case state == probe.NilOnTheWay:
		return "", fmt.Errorf("a pointer on the way is %w", values.ErrNil)
	case state != probe.Captured:
		return "", ErrNotCaptured
	case k.t == nil:
		t, err := in.RuntimeType(word)
		if err != nil {
			return "", err
		}
		return t.ShortName(), nil
	}
	return in.Word(word, k.t).Dump(values.DumpOptions{Depth: 1, OneLine: true}), nil
}
