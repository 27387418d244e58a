package compile

import (
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/constant"
	"reflect"

	"ri/probe"
	"ri/symbols"
	"ri/values"
)

// element is a map's element by a constant key, which the kernel looks for among the places of a small map.
func (c *compiler) element(n *ast.IndexExpr, m spot) (operand, error) {
	l, err := c.Space.MapLayout(m.t)
	if err != nil {
		return operand{}, c.fail(n, err)
	}
	if !l.Swiss {
		return operand{}, c.cannot(n, "an element of a map, in a program built by Go before 1.24")
	}
	key, text, err := c.mapKey(n.Index, l.Key)
	if err != nil {
		return operand{}, err
	}
	if len(key) > probe.MaxMapKey || l.IndirectKey {
		return operand{}, c.cannot(n, fmt.Sprintf("a map's key of more than %d bytes", probe.MaxMapKey))
	}
	header, err := m.word(0, 8, false)
	if err != nil {
		return operand{}, c.fail(n, err)
	}
	elem := &probe.Elem{Map: header, Key: key, Text: text, Directory: l.Directory.Offset, Tables: l.Tables.Offset,
		Groups: l.Table.Groups.Offset, Mask: l.Table.Mask.Offset, Group: l.Slots.Size, Control: l.Slots.Control.Offset,
		Keys: probe.Slots{First: l.Keys.First, Stride: l.Keys.Stride}, Elems: probe.Slots{First: l.Elems.First,
			Stride: l.Elems.Stride}}
	out := spot{t: l.Elem, path: probe.Path{Base: probe.Base{Kind: probe.Element, Elem: elem}}, entry: m.entry,
		guards: m.guards}
	if l.IndirectElem {
		out.path.Steps = []int64{0}
	}
	return operand{spot: out}, nil
}

// mapKey is a constant as the bytes of a key; of a string it is the text's.
func (c *compiler) mapKey(n ast.Expr, t *symbols.Type) (key []byte, text bool, err error) {
	at, err := c.expr(n)
	if err != nil {
		return nil, false, err
	}
	if at.constant == nil {
		return nil, false, c.cannot(n, "a map's key has to be a constant")
	}
	switch kind := at.constant.Kind(); {
	case t.Kind == reflect.String && kind == constant.String:
		return []byte(constant.StringVal(at.constant)), true, nil
	case t.Kind >= reflect.Int && t.Kind <= reflect.Uintptr && kind == constant.Int:
		x, exact := constant.Int64Val(at.constant)
		if u, isUint := constant.Uint64Val(at.constant); !exact && isUint {
			x, exact = int64(u), true
		}
		bits := uint(64 - 8*t.Size)
		unsigned := t.Kind >= reflect.Uint
		if !exact || !unsigned && x<<bits>>bits != x || unsigned && uint64(x)<<bits>>bits != uint64(x) {
			return nil, false, c.fail(n, fmt.Errorf("no %s: %w", t.ShortName(), values.ErrRange))
		}
		return binary.LittleEndian.AppendUint64(nil, uint64(x))[:t.Size], false, nil
	}
	return nil, false, c.fail(n, fmt.Errorf("a map's key here is a constant %s, and strings and integers can be looked "+
		"for: %w", t.ShortName(), ErrCannot))
}
