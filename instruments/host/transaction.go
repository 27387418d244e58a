package host

import (
	"fmt"
	"hash/crc32"
	"reflect"

	lua "github.com/yuin/gopher-lua"

	"ri/change"
	"ri/instruments/lang"
	"ri/values"
	"ri/values/eval"
)

// ri.change: a script says what is to be changed; the session commits it once the script has ended. A run changes
// things in one transaction at most, since a second would be worked out on memory that the first has not changed yet.

// openChanges adds what changes need to the table ri.
func (h *Host) openChanges(ri *lua.LTable) {
	h.setFunction(ri, "change", h.riChange, true)
	ri.RawSetString("crc32", h.function(h.riCRC32))
	ri.RawSetString("xor", h.function(h.riXor))
}

// Transaction is what the last run wants changed; nil: nothing.
func (h *Host) Transaction() *change.Plan { return h.transaction }

func (h *Host) riChange(L *lua.LState) int {
	comment, f := L.CheckString(1), L.CheckFunction(2)
	if h.opt.Changing == nil {
		h.raisef(L, "ri.change: this run only looks; --write allows changes, --dry-run shows them")
	}
	if h.transaction != nil {
		h.raisef(L, "ri.change: a run makes one transaction; put all changes into it")
	}
	plan, err := h.opt.Changing(comment)
	if err != nil {
		h.raise(L, err)
	}
	tx := h.transactionTable(plan)
	h.tx, h.txPlan = tx, plan
	defer func() { h.tx, h.txPlan = nil, nil }()
	L.Push(f)
	L.Push(tx)
	L.Call(1, 0) // an error ends the script, and there is no transaction
	h.transaction = plan
	return 0
}

// transactionTable is tx.
func (h *Host) transactionTable(plan *change.Plan) *lua.LTable {
	tx := h.lua.NewTable()
	method := func(name string, f func(L *lua.LState) error) {
		tx.RawSetString(name, h.function(func(L *lua.LState) int {
			if L.Get(1) != lua.LValue(tx) {
				L.RaiseError("tx:%s is called with a colon", name)
			}
			if plan.Aborted != "" {
				return 0
			}
			if err := f(L); err != nil {
				h.raise(L, err)
			}
			return 0
		}))
	}
	method("wait", func(L *lua.LState) error {
		at, to, err := h.placeAndOperand(L, plan, 2, 3)
		if err != nil {
			return err
		}
		return plan.Wait(at, to)
	})
	method("update", func(L *lua.LState) error {
		at, to, err := h.placeAndOperand(L, plan, 2, 3)
		if err != nil {
			return err
		}
		return plan.Update(at, to)
	})
	method("mutate", func(L *lua.LState) error {
		operator := L.CheckString(3)
		at, by, err := h.placeAndOperand(L, plan, 2, 4)
		if err != nil {
			return err
		}
		return plan.Mutate(at, operator, by)
	})
	method("lock", func(L *lua.LState) error {
		v, path := values.Value{}, ""
		if expr, ok := L.Get(2).(lua.LString); ok {
			at, err := plan.At(string(expr))
			if err != nil {
				return err
			}
			v, path = at.Value, at.Path
		} else {
			v, path = h.target(L, 2)
		}
		if _, err := v.Held(); err != nil {
			return fmt.Errorf("tx:lock: %s: %w", path, err)
		}
		plan.Locks = append(plan.Locks, path)
		return nil
	})
	method("comment", func(L *lua.LState) error {
		plan.Comment += "; " + L.CheckString(2)
		return nil
	})
	method("abort", func(L *lua.LState) error {
		plan.Aborted = L.OptString(2, "the script gave it up")
		return nil
	})
	method("shutdown", func(L *lua.LState) error { return h.connectionAction(L, plan, false) })
	method("reset", func(L *lua.LState) error { return h.connectionAction(L, plan, true) })
	return tx
}

func (h *Host) placeAndOperand(L *lua.LState, plan *change.Plan, n, k int) (at change.Place, to change.Operand,
	err error) {
	if at, err = h.changePlace(L, plan, n); err != nil {
		return at, to, err
	}
	to, err = h.newValue(plan, at, L.Get(k))
	return at, to, err
}

// changePlace gives the place that argument n means: an expression, a place, or a value.
func (h *Host) changePlace(L *lua.LState, plan *change.Plan, n int) (change.Place, error) {
	if expr, ok := L.Get(n).(lua.LString); ok {
		return plan.At(string(expr))
	}
	v, path := h.target(L, n)
	for _, expr := range []string{path, "*" + path} { // a place that a pointer leads to has the pointer's path
		if at, err := plan.At(expr); err == nil && at.Addr == v.Addr {
			return at, nil
		}
	}
	// found by a walk that no expression repeats
	return change.Place{Value: v, Path: path, Trace: &values.Trace{ByAddress: true}}, nil
}

// newValue makes a new value of a Lua value, for a place.
func (h *Host) newValue(plan *change.Plan, at change.Place, v lua.LValue) (change.Operand, error) {
	if e, ok := exactOf(v); ok {
		return change.Native(e.goValue()), nil
	}
	if v == lua.LValue(h.null) {
		return change.Native(values.Nil{}), nil
	}
	if p, ok := placeOf(v); ok {
		return h.valueOperand(p.value, p.path), nil
	}
	if r, ok := refOf(v); ok {
		return h.refOperand(at, r), nil
	}
	switch v := v.(type) {
	case *lua.LNilType:
		return change.Native(values.Nil{}), nil
	case lua.LBool:
		return change.Native(bool(v)), nil
	case lua.LNumber:
		if n, ok := lang.WholeNumber(v); ok {
			return change.Native(n), nil
		}
		return change.Native(float64(v)), nil
	case lua.LString:
		inner := at.Type
		if t, _, ok := h.space.Atomic(at.Type); ok {
			inner = t
		}
		switch inner.Kind {
		case reflect.String, reflect.Slice, reflect.Array:
			return change.Native(string(v)), nil
		}
		return plan.Parse(at, string(v)) // a constant's name, a duration, an expression
	}
	return change.Operand{}, fmt.Errorf("%s can't become a Go value", h.describe(v))
}

// valueOperand is a value of the program, with the way to it where an expression has one.
func (h *Host) valueOperand(v values.Value, path string) change.Operand {
	trace := &values.Trace{ByAddress: true}
	if again, t, err := eval.Place(h.space, path); err == nil && again.Addr == v.Addr {
		trace = t
	}
	return change.Operand{Value: v, Trace: trace, Text: path}
}

// refOperand is a Go value in Lua; a pointer there has lost the place that it was read from.
func (h *Host) refOperand(at change.Place, r *ref) change.Operand {
	v := r.value()
	o := h.valueOperand(v, r.path())
	inner := at.Type
	if t, _, ok := h.space.Atomic(at.Type); ok {
		inner = t
	}
	isPointer := r.binding.class == classPointer
	if isPointer || inner.Kind == reflect.Pointer && inner.Elem() != nil && sameType(inner.Elem(), v.Type) {
		t := r.binding.goType
		if !isPointer {
			t = h.space.File().PointerTo(v.Type)
		}
		word := make([]byte, 8)
		for i := range word {
			word[i] = byte(r.addr >> (8 * i))
		}
		o.Value = h.space.Local(word, t)
	}
	return o
}

func (h *Host) riCRC32(L *lua.LState) int {
	L.Push(lua.LNumber(crc32.ChecksumIEEE([]byte(L.CheckString(1)))))
	return 1
}

func (h *Host) riXor(L *lua.LState) int {
	out := []byte(L.CheckString(1))
	for n := 2; n <= L.GetTop(); n++ {
		s := L.CheckString(n)
		if len(s) != len(out) {
			h.raisef(L, "ri.xor: texts of %d and %d bytes", len(out), len(s))
		}
		for i := range out {
			out[i] ^= s[i]
		}
	}
	L.Push(lua.LString(out))
	return 1
}
