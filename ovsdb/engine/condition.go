package engine

import (
	"slices"

	"ri/ovsdb"
)

// function is what a clause asks, in the order in which clauses are tried: the most selective first.
type function int

const (
	never function = iota
	equal
	includes
	lessEqual
	less
	greaterEqual
	greater
	excludes
	notEqual
	always
)

var functions = map[string]function{"==": equal, "<": less, "<=": lessEqual, ">": greater, ">=": greaterEqual,
	"includes": includes, "excludes": excludes, "!=": notEqual}

type clause struct {
	function function
	column   int
	arg      ovsdb.Datum
}

// Condition is a list of clauses of RFC 7047, section 5.1, or of true and false.
type Condition []clause

// ParseCondition reads a condition. Errors are of type *ovsdb.Error.
func (t *Table) ParseCondition(j any, names ovsdb.Names) (Condition, error) {
	list, _ := j.([]any)
	c := make(Condition, 0, len(list))
	for _, e := range list {
		one, err := t.clause(e, names)
		if err != nil {
			return nil, err
		}
		c = append(c, one)
	}
	slices.SortStableFunc(c, func(a, b clause) int {
		if a.function != b.function {
			return int(a.function - b.function)
		}
		return a.column - b.column
	})
	return c, nil
}

func (t *Table) clause(j any, names ovsdb.Names) (c clause, err error) {
	if b, ok := j.(bool); ok {
		if b {
			return clause{function: always}, nil
		}
		return clause{function: never}, nil
	}
	list, _ := j.([]any)
	var column, operator string
	ok := len(list) == 3
	if ok {
		column, ok = list[0].(string)
	}
	if ok {
		operator, ok = list[1].(string)
	}
	if !ok {
		return c, ovsdb.Syntaxf(j, "", "Parse error in condition.")
	}
	if c.column, ok = t.index[column]; !ok {
		return c, ovsdb.Syntaxf(j, "unknown column", "No column %s in table %s.", column, t.schema.Name)
	}
	if c.function, ok = functions[operator]; !ok {
		return c, ovsdb.Errorf("unknown function", "No function named %s.", operator)
	}
	of := t.columns[c.column].Type
	switch c.function {
	case less, lessEqual, greater, greaterEqual:
		number := of.Key.Type == ovsdb.Integer || of.Key.Type == ovsdb.Real
		if !of.Scalar() && !of.Optional() || !number {
			return c, ovsdb.Syntaxf(j, "", "Type mismatch: \"%s\" operator may not be applied to column %s of type %s.",
				operator, column, of.English())
		}
		of.Min = 1
	case excludes:
		if !of.Scalar() {
			of.Min, of.Max = 0, ovsdb.Unlimited
		}
	case includes:
		if !of.Scalar() {
			of.Min = 0
		}
	}
	c.arg, err = of.FromJSON(list[2], names)
	return c, err
}

func (c clause) match(r *Row) bool {
	switch c.function {
	case never:
		return false
	case always:
		return true
	}
	has := r.field(c.column)
	switch c.function {
	case equal:
		return has.Compare(c.arg) == 0
	case notEqual:
		return has.Compare(c.arg) != 0
	case includes:
		return has.Includes(c.arg)
	case excludes:
		return has.Excludes(c.arg)
	}
	if len(has.Keys) != 1 || len(c.arg.Keys) != 1 {
		return false
	}
	switch order := ovsdb.CompareAtoms(has.Keys[0], c.arg.Keys[0]); c.function {
	case less:
		return order < 0
	case lessEqual:
		return order <= 0
	case greater:
		return order > 0
	default:
		return order >= 0
	}
}

// Match: all clauses hold, as a transaction's "where" asks.
func (c Condition) Match(r *Row) bool {
	for _, one := range c {
		if !one.match(r) {
			return false
		}
	}
	return true
}

// MatchAny: there are no clauses, or one holds, as a monitor asks.
func (c Condition) MatchAny(r *Row) bool {
	return len(c) == 0 || slices.ContainsFunc(c, func(one clause) bool { return one.match(r) })
}

// ConditionJSON is the condition in the order in which it is tried.
func (t *Table) ConditionJSON(c Condition) any {
	out := []any{}
	for _, one := range c {
		switch one.function {
		case never:
			out = append(out, false)
			continue
		case always:
			out = append(out, true)
			continue
		}
		name := ""
		for text, f := range functions {
			if f == one.function {
				name = text
			}
		}
		column := t.columns[one.column]
		out = append(out, []any{column.Name, name, one.arg.JSON(column.Type)})
	}
	return out
}

// query gives the rows of a table that match, as the transaction sees them; by _uuid or an index where that will do.
func (x *Txn) query(t *Table, c Condition) []*Row {
	if len(c) > 0 && c[0].function == equal && c[0].column == idColumn {
		id, _ := c[0].arg.Keys[0].(ovsdb.UUID)
		if r := x.row(t, id); r != nil && c.Match(r) {
			return []*Row{r}
		}
		return nil
	}
	changes := x.changes[t]
	if len(changes) == 0 {
		if found, ok := t.byIndex(c); ok {
			if found != nil && c.Match(found) {
				return []*Row{found}
			}
			return nil
		}
	}
	var out []*Row
	if found, ok := t.allOf(c); ok {
		for s := range found {
			if changes[s.row.id] == nil && c.Match(s.row) {
				out = append(out, s.row)
			}
		}
	} else {
		for id, s := range t.rows {
			if changes[id] == nil && c.Match(s.row) {
				out = append(out, s.row)
			}
		}
	}
	for _, ch := range changes {
		if ch.new != nil && c.Match(ch.new) {
			out = append(out, ch.new)
		}
	}
	slices.SortFunc(out, func(a, b *Row) int { return slices.Compare(a.id[:], b.id[:]) })
	return out
}

// byIndex finds the row that has the values which a condition asks for in all columns of an index.
func (t *Table) byIndex(c Condition) (found *Row, ok bool) {
	if len(t.indexes) == 0 || len(c) == 0 {
		return nil, false
	}
	wanted := map[int]ovsdb.Datum{}
	for _, one := range c {
		if one.function == equal {
			wanted[one.column] = one.arg
		}
	}
	for n, columns := range t.indexes {
		var key []byte
		for _, i := range columns {
			d, asked := wanted[i]
			if !asked {
				key = nil
				break
			}
			key = append(d.Append(key, t.columns[i].Type), '\n')
		}
		if key == nil {
			continue
		}
		if s := t.unique[n][string(key)]; s != nil {
			return s.row, true
		}
		return nil, true
	}
	return nil, false
}

// sortKey reads the "sort" of a select, which Open vSwitch's server has besides the RFC.
func sortKey(t *Table, j any) ([]int, error) {
	if j == nil {
		return nil, nil
	}
	return t.columnSet(j)
}
