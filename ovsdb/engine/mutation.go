package engine

import (
	"math"
	"slices"

	"ri/ovsdb"
)

// mutation is a <mutation> of RFC 7047, section 5.1.
type mutation struct {
	column  int
	mutator string
	arg     ovsdb.Datum
}

// ParseMutations reads mutations. Errors are of type *ovsdb.Error.
func (t *Table) ParseMutations(j any, names ovsdb.Names) ([]mutation, error) {
	list, _ := j.([]any)
	out := make([]mutation, 0, len(list))
	for _, e := range list {
		m, err := t.mutation(e, names)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (t *Table) mutation(j any, names ovsdb.Names) (m mutation, err error) {
	list, _ := j.([]any)
	var column string
	ok := len(list) == 3
	if ok {
		column, ok = list[0].(string)
	}
	if ok {
		m.mutator, ok = list[1].(string)
	}
	if !ok {
		return m, ovsdb.Syntaxf(j, "", "Parse error in mutation.")
	}
	if m.column, ok = t.index[column]; !ok {
		return m, ovsdb.Syntaxf(j, "unknown column", "No column %s in table %s.", column, t.schema.Name)
	}
	c := t.columns[m.column]
	if c.Fixed {
		return m, ovsdb.Syntaxf(j, ovsdb.ConstraintTag, "Cannot mutate immutable column %s in table %s.", column,
			t.schema.Name)
	}
	of := c.Type
	mismatch := ovsdb.Syntaxf(j, "", "Type mismatch: \"%s\" operator may not be applied to column %s of type %s.",
		m.mutator, column, of.English())
	switch m.mutator {
	case "+=", "-=", "*=", "/=", "%=":
		number := of.Key.Type == ovsdb.Integer || of.Key.Type == ovsdb.Real && m.mutator != "%="
		if of.Map() || !number {
			return m, mismatch
		}
		of = ovsdb.ColumnType{Key: ovsdb.BaseType{Type: of.Key.Type}, Min: 1, Max: 1}
		m.arg, err = of.FromJSON(list[2], names)
	case "insert":
		if of.Scalar() {
			return m, mismatch
		}
		of.Min = 0
		m.arg, err = of.FromJSON(list[2], names)
	case "delete":
		if of.Scalar() {
			return m, mismatch
		}
		of.Min, of.Max = 0, ovsdb.Unlimited
		if m.arg, err = of.FromJSON(list[2], names); err != nil && of.Map() {
			of.Value = nil // keys alone will do
			m.arg, err = of.FromJSON(list[2], names)
		}
	default:
		return m, ovsdb.Errorf("unknown mutator", "No mutator named %s.", m.mutator)
	}
	return m, err
}

// apply gives the mutated value of a column. Errors are of type *ovsdb.Error.
func (m mutation) apply(has ovsdb.Datum, c *ovsdb.Column) (ovsdb.Datum, error) {
	switch m.mutator {
	case "insert":
		return fits(has.Plus(m.arg), c)
	case "delete":
		return fits(has.Minus(m.arg), c)
	}
	out := ovsdb.Datum{Keys: slices.Clone(has.Keys)}
	for i, k := range out.Keys {
		var err error
		switch k := k.(type) {
		case int64:
			by, _ := m.arg.Keys[0].(int64)
			out.Keys[i], err = m.integer(k, by)
		case float64:
			by, _ := m.arg.Keys[0].(float64)
			out.Keys[i], err = m.real(k, by)
		}
		if err != nil {
			return has, err
		}
	}
	for _, k := range out.Keys {
		if err := c.Type.Key.Allows(k); err != nil {
			return has, err
		}
	}
	out.Sort()
	for i := 1; i < len(out.Keys); i++ {
		if ovsdb.CompareAtoms(out.Keys[i-1], out.Keys[i]) == 0 {
			return has, ovsdb.Errorf(ovsdb.ConstraintTag, "Result of \"%s\" operation contains duplicates.", m.mutator)
		}
	}
	return out, nil
}

func fits(d ovsdb.Datum, c *ovsdb.Column) (ovsdb.Datum, error) {
	if len(d.Keys) < c.Type.Min || len(d.Keys) > c.Type.Max {
		return d, ovsdb.Errorf(ovsdb.ConstraintTag, "Attempted to store %d elements in %s.", len(d.Keys),
			c.Type.English())
	}
	return d, nil
}

func (m mutation) outOfRange() error {
	return ovsdb.Errorf("range error", "Result of \"%s\" operation is out of range.", m.mutator)
}

func (m mutation) integer(x, y int64) (int64, error) {
	switch m.mutator {
	case "+=":
		if z := x + y; (z > x) == (y > 0) || y == 0 {
			return z, nil
		}
		return x, m.outOfRange()
	case "-=":
		if z := x - y; (z < x) == (y > 0) || y == 0 {
			return z, nil
		}
		return x, m.outOfRange()
	case "*=":
		z := x * y
		if x != 0 && (z/x != y || x == -1 && y == math.MinInt64) {
			return x, m.outOfRange()
		}
		return z, nil
	}
	if y == 0 {
		return x, ovsdb.Errorf("domain error", "Division by zero.")
	}
	if x == math.MinInt64 && y == -1 {
		return x, m.outOfRange()
	}
	if m.mutator == "%=" {
		return x % y, nil
	}
	return x / y, nil
}

func (m mutation) real(x, y float64) (float64, error) {
	switch m.mutator {
	case "+=":
		x += y
	case "-=":
		x -= y
	case "*=":
		x *= y
	case "/=":
		if y == 0 {
			return x, ovsdb.Errorf("domain error", "Division by zero.")
		}
		x /= y
	}
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return x, m.outOfRange()
	}
	return x, nil
}
