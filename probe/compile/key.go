package compile

import (
	"fmt"
	"go/ast"
	"reflect"
	"strconv"

	"ri/probe"
	"ri/symbols"
	"ri/values"
)

// Key is what the kernel counts hits by.
type Key struct {
	probe.Key

	t *symbols.Type // of a number, bool or address; nil: the word is a type's descriptor
}

// Keys compiles what hits are counted by at the entry: numbers, bools, addresses, the types that interfaces hold
// (x.(type)), and texts by their first bytes, which share [probe.MaxKeyText]. Other things the kernel can't count by:
// ErrCannot.
func (s *Scope) Keys(exprs []string) (out []Key, err error) {
	texts := 0
	for _, expr := range exprs {
		k, err := s.key(expr)
		if err != nil {
			return nil, err
		}
		if k.Len != nil {
			texts++
		}
		out = append(out, k)
	}
	for i := range out {
		if out[i].Len != nil {
			out[i].Bytes = max(probe.MaxKeyText/texts, 8) &^ 7
		}
	}
	return out, nil
}

func (s *Scope) key(expr string) (Key, error) {
	c, err := s.compilerOf(expr, false)
	if err != nil {
		return Key{}, err
	}
	k := Key{}
	tree := c.src.Tree
	if a, ok := tree.(*ast.TypeAssertExpr); ok && a.Type == nil {
		x, err := c.place(a.X)
		if err != nil {
			return Key{}, err
		}
		if x.t.Kind != reflect.Interface {
			return Key{}, c.fail(a.X, fmt.Errorf("%s is no interface: %w", x.t.ShortName(), values.ErrKind))
		}
		k.When = x.guards
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
	k.t, k.When = x.t, x.guards
	if isText(x.t) {
		length, err := x.word(8, 8, true)
		if err == nil {
			k.Word, err = x.word(0, 8, false)
		}
		k.Len = &length
		return k, c.fail(tree, err)
	}
	cmp, err := numberOf(x)
	switch {
	case err != nil:
		return Key{}, c.fail(tree, err)
	case cmp.Left.Size == 0:
		return Key{}, c.cannot(tree, "counting by a %s: the kernel counts by numbers, bools, texts, addresses, and types "+
			"(x.(type))", x.t.ShortName())
	}
	k.Word = cmp.Left
	return k, nil
}

// Value is what was counted by as a value of the program, in Go syntax, or why there is none. Of a text word is the
// length, and bytes are its first.
func (k *Key) Value(in *values.Space, word uint64, bytes []byte, state probe.State) (text string, err error) {
	switch {
	case state == probe.Unwanted:
		return "", fmt.Errorf("%w: it isn't there, or whether it is couldn't be read", ErrNotCaptured)
	case k.Len != nil && state == probe.Captured:
		return strconv.Quote(string(bytes)), nil
	case k.Len != nil && state == probe.Truncated:
		return fmt.Sprintf("%q /* ... %d more bytes */", bytes, word-uint64(len(bytes))), nil
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
