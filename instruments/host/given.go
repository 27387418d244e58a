package host

import (
	"fmt"
	"slices"

	lua "github.com/yuin/gopher-lua"

	"ri/change"
	"ri/instruments/lang"
	"ri/instruments/rows"
)

// Given is what an instrument gave, with the places of what may be changed in it: the columns that are declared with
// change = true, of which the script gives the place beside the row. Who ran it may have them changed, in the run's
// transaction.
type Given struct {
	Rows []rows.Row

	host   *Host
	places []map[string]lua.LValue // by row and column
	why    string
}

// note takes a row, and the places that the script gave with it.
func (g *Given) note(places *lua.LTable, row rows.Row) {
	var of map[string]lua.LValue
	if places != nil {
		of = map[string]lua.LValue{}
		for i := range g.host.columns {
			if v := places.RawGetString(g.host.columns[i].Name); v != lua.LNil {
				of[g.host.columns[i].Name] = v
			}
		}
	}
	g.Rows, g.places = append(g.Rows, row), append(g.places, of)
}

// checkPlaces refuses places of what the header doesn't declare to be changeable.
func (h *Host) checkPlaces(L *lua.LState, places *lua.LTable) {
	for k, v := places.Next(lua.LNil); k != lua.LNil; k, v = places.Next(k) {
		name, ok := k.(lua.LString)
		i := slices.IndexFunc(h.columns, func(c rows.Column) bool { return c.Name == string(name) })
		if !ok || i < 0 || !h.columns[i].Change {
			h.raisef(L, "ri.emit: %s is no column that is declared with change = true", lang.LuaText(k))
		}
		if _, ok := placeOf(v); !ok {
			h.raisef(L, "ri.emit: the place of column %s is a place (ri.ref), not %s", string(name), h.describe(v))
		}
	}
}

// Begin has a transaction begin, with its comment.
func (g *Given) Begin(why string) { g.why = why }

// Forget gives the transaction up.
func (g *Given) Forget() {
	if g.host != nil {
		g.host.transaction = nil
	}
}

func (g *Given) place(row int, column string) (*change.Plan, change.Place, error) {
	h := g.host
	var v lua.LValue
	if row < len(g.places) {
		v = g.places[row][column]
	}
	if v == nil {
		return nil, change.Place{}, fmt.Errorf("column %s of this row can't be changed: its instrument gives no place of it",
			column)
	}
	if h.opt.Changing == nil {
		return nil, change.Place{}, fmt.Errorf("this run only looks: %w", change.ErrRefused)
	}
	if h.transaction == nil {
		plan, err := h.opt.Changing(g.why)
		if err != nil {
			return nil, change.Place{}, err
		}
		h.transaction = plan
	}
	h.lua.Push(v)
	defer h.lua.Pop(1)
	at, err := h.changePlace(h.lua, h.transaction, h.lua.GetTop())
	return h.transaction, at, err
}

// Update gives a column's place a new value: an int64, float64, bool, or string, which may be a constant's name.
func (g *Given) Update(row int, column string, to any) error {
	plan, at, err := g.place(row, column)
	if err != nil {
		return err
	}
	operand := change.Native(to)
	if text, ok := to.(string); ok {
		if operand, err = g.host.newValue(plan, at, lua.LString(text)); err != nil {
			return err
		}
	}
	return plan.Update(at, operand)
}

// Wait demands that a column's place has still what the row has, when the transaction is made.
func (g *Given) Wait(row int, column string) error {
	plan, at, err := g.place(row, column)
	if err != nil {
		return err
	}
	now, ok := placeOf(g.places[row][column])
	if !ok {
		return fmt.Errorf("column %s of this row has no place", column)
	}
	return plan.Wait(at, g.host.valueOperand(now.value, now.path))
}
