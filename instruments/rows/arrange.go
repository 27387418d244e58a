package rows

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Arrangement is how a person wants rows: which, in what order, how many, summed up by what. The zero value leaves
// them as they are.
//
// Where has conditions that all hold, each "COL OP VALUE". OP is = (or ==), !=, <, <=, >, >=, =~ and !~ (a regular
// expression of Go's package regexp). VALUE is read as the column has it: 250ms, 10MiB, 2026-01-02T15:04:05Z, a
// number, a text with or without quotes; "-" is what tables have where nothing is known. Of a list it is enough that
// one element fits (!= and !~: that none does). What isn't known fits no other condition.
//
// Sort has columns, "-COL" for the largest first; rows in which it isn't known come last. Group makes a row of those
// that are the same in its columns: with how many they are (rows), the most first, and the sums of the columns in Sum.
// It comes before Sort and Limit. Limit 0 is no limit.
type Arrangement struct {
	Where, Sort, Group, Sum []string
	Limit                   int
}

// countColumn is the column of a group with how many rows it is made of.
const countColumn = "rows"

// None tells that rows stay as they are.
func (a *Arrangement) None() bool {
	return a == nil || len(a.Where)+len(a.Sort)+len(a.Group)+len(a.Sum) == 0 && a.Limit == 0
}

// Check says what is wrong with it for rows of these columns, before anybody looks. Of rows without declared columns
// only they themselves tell. Errors: ErrUsage.
func (a *Arrangement) Check(columns []Column) error {
	if a.None() {
		return nil
	}
	_, err := a.compile(columns, len(columns) > 0)
	return err
}

// Whole tells that all rows must be there before the first can be shown.
func (a *Arrangement) Whole() bool {
	return a != nil && (len(a.Sort)+len(a.Group)+len(a.Sum) > 0 || a.Limit != 0)
}

// arranged is an Arrangement whose words were read.
type arranged struct {
	where []condition
	sort  []order
	group []Column
	sum   []Column
	limit int
}

type order struct {
	name       string
	descending bool
}

// compile reads the words. If the columns aren't known, any name may be one.
func (a *Arrangement) compile(columns []Column, known bool) (*arranged, error) {
	find := func(flag, name string, columns []Column) (Column, error) {
		for _, c := range columns {
			if c.Name == name {
				return c, nil
			}
		}
		if !known {
			return Column{Name: name}, nil
		}
		var names []string
		for _, c := range columns {
			names = append(names, c.Name)
		}
		hint := DidYouMean(name, names)
		if hint == "" {
			hint = "; there are " + strings.Join(names, ", ")
		}
		return Column{}, Usagef("--%s: no column %s%s", flag, QuoteName(name), hint)
	}
	p := &arranged{limit: a.Limit}
	if a.Limit < 0 {
		return nil, Usagef("--limit %d: must not be negative", a.Limit)
	}
	for _, text := range a.Where {
		name, op, value, err := splitCondition(text)
		if err != nil {
			return nil, err
		}
		column, err := find("where", name, columns)
		if err != nil {
			return nil, err
		}
		c, err := newCondition(column, op, value)
		if err != nil {
			return nil, Usagef("--where %s: %w", QuoteName(text), err)
		}
		p.where = append(p.where, c)
	}
	if len(a.Sum) > 0 && len(a.Group) == 0 {
		return nil, Usagef("--sum needs --group: the columns whose rows are summed up")
	}
	for flag, names := range map[string][]string{"group": a.Group, "sum": a.Sum} {
		for _, name := range names {
			c, err := find(flag, name, columns)
			if err != nil {
				return nil, err
			}
			if flag == "group" {
				p.group = append(p.group, Column{Name: c.Name, Type: c.Type, Cut: c.Cut, Width: c.Width, Key: KeyPart})
			} else {
				p.sum = append(p.sum, Column{Name: c.Name, Type: c.Type})
			}
		}
	}
	if len(p.group) > 0 {
		columns = slices.Concat(p.group, []Column{{Name: countColumn, Type: ColumnInt}}, p.sum)
		known = true
	}
	for _, text := range a.Sort {
		name, descending := strings.CutPrefix(text, "-")
		if _, err := find("sort", name, columns); err != nil {
			return nil, err
		}
		p.sort = append(p.sort, order{name, descending})
	}
	if len(p.group) > 0 && len(p.sort) == 0 {
		p.sort = []order{{countColumn, true}}
	}
	return p, nil
}

// Apply arranges a result, and says in its log how many rows a limit took away. Errors: ErrUsage.
func (a *Arrangement) Apply(r *Result) error {
	if a.None() {
		return nil
	}
	p, err := a.compile(allColumns(r.Columns, r.Rows), len(r.Columns)+len(r.Rows) > 0)
	if err != nil {
		return err
	}
	kept := make([]Row, 0, len(r.Rows))
	for _, row := range r.Rows {
		if p.fits(row) {
			kept = append(kept, row)
		}
	}
	if len(p.group) > 0 {
		kept = p.grouped(kept)
		r.Columns = slices.Concat(p.group, []Column{{Name: countColumn, Type: ColumnInt}}, p.sum)
	}
	if len(p.sort) > 0 {
		slices.SortStableFunc(kept, p.compare)
	}
	if p.limit > 0 && len(kept) > p.limit {
		r.Log = append(r.Log, fmt.Sprintf("the first %s of %s: --limit", Plural(int64(p.limit), "row"),
			Thousands(int64(len(kept)))))
		kept = kept[:p.limit]
	}
	if len(kept) == 0 && len(r.Rows) > 0 {
		r.Log = append(r.Log, fmt.Sprintf("none of %s is asked for: --where", Plural(int64(len(r.Rows)), "row")))
	}
	// Where printed lines stood among the rows can't be told any more: they come first.
	for i := range r.Printed {
		r.Printed[i].Row = 0
	}
	r.Rows = kept
	return nil
}

// fits tells whether all conditions hold.
func (p *arranged) fits(row Row) bool {
	for _, c := range p.where {
		v, _ := row.Get(c.column.Name)
		if !c.holds(v) {
			return false
		}
	}
	return true
}

// grouped makes a row of those that are the same.
func (p *arranged) grouped(list []Row) (out []Row) {
	at := map[string]int{}
	for _, row := range list {
		var key strings.Builder
		group := make(Row, 0, len(p.group)+1+len(p.sum))
		for _, c := range p.group {
			v, _ := row.Get(c.Name)
			fmt.Fprintf(&key, "%T %q\n", v, CellText(v))
			group = append(group, Cell{c.Name, v})
		}
		i, ok := at[key.String()]
		if !ok {
			i = len(out)
			at[key.String()] = i
			group = append(group, Cell{countColumn, int64(0)})
			for _, c := range p.sum {
				group = append(group, Cell{c.Name, nil})
			}
			out = append(out, group)
		}
		count := &out[i][len(p.group)].Value
		*count = (*count).(int64) + 1
		for k, c := range p.sum {
			v, _ := row.Get(c.Name)
			sum := &out[i][len(p.group)+1+k].Value
			*sum = added(*sum, v)
		}
	}
	return out
}

// added is a sum with one more value; what isn't known, or is no number, adds nothing.
func added(sum, v any) any {
	if _, ok := number(v); !ok {
		return sum
	}
	if sum == nil {
		return v
	}
	a, exact := whole(sum)
	b, too := whole(v)
	if exact && too && (a+b > a) == (b > 0) {
		_, of := sum.(time.Duration)
		if _, also := v.(time.Duration); of && also {
			return time.Duration(a + b)
		}
		return a + b
	}
	x, _ := number(sum)
	y, _ := number(v)
	return x + y
}

// whole is a value as an integer: of a duration its nanoseconds.
func whole(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case time.Duration:
		return int64(v), true
	}
	return 0, false
}

// compare orders two rows.
func (p *arranged) compare(a, b Row) int {
	for _, o := range p.sort {
		x, _ := a.Get(o.name)
		y, _ := b.Get(o.name)
		switch ux, uy := unknown(x), unknown(y); {
		case ux && uy:
			continue
		case ux:
			return 1
		case uy:
			return -1
		}
		c := compareValues(x, y)
		if o.descending {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func unknown(v any) bool {
	_, missing := v.(Missing)
	return v == nil || missing
}

// compareValues orders two values of a column: numbers and times as such, all else by its text.
func compareValues(a, b any) int {
	if x, ok := a.(int64); ok {
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	}
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			return cmp.Compare(x, y)
		}
	}
	return strings.Compare(plainText(a), plainText(b))
}

// number is a value as a number: durations are in nanoseconds, times in nanoseconds since 1970.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	case time.Duration:
		return float64(v), true
	case time.Time:
		return float64(v.UnixNano()), true
	}
	return 0, false
}

// plainText is a value as a condition compares it.
func plainText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	if b, ok := v.(Bytes); ok {
		return string(b)
	}
	return CellText(v)
}

// condition is one of Where.
type condition struct {
	column  Column
	op      string
	absent  bool           // the value is "-"
	text    string         // of the value
	number  float64        // if it is one
	numeric bool           // it is one
	pattern *regexp.Regexp // of =~ and !~
}

// conditionForm is a condition's text. The longest operators stand first.
var conditionForm = regexp.MustCompile(`(?s)^\s*([^\s=!<>~]+)\s*(=~|!~|==|!=|<=|>=|=|<|>)\s*(.*?)\s*$`)

func splitCondition(text string) (name, op, value string, err error) {
	m := conditionForm.FindStringSubmatch(text)
	if m == nil {
		return "", "", "", Usagef("--where %s: write COL OP VALUE, OP being = != < <= > >= =~ or !~", QuoteName(text))
	}
	if m[2] == "==" {
		m[2] = "="
	}
	return m[1], m[2], m[3], nil
}

// newCondition reads a condition's value as the column's type has it.
func newCondition(column Column, op, value string) (c condition, err error) {
	c = condition{column: column, op: op, text: value}
	quoted := false
	for _, q := range []string{`"`, "'"} {
		if len(value) >= 2 && strings.HasPrefix(value, q) && strings.HasSuffix(value, q) {
			c.text, quoted = value[1:len(value)-1], true
		}
	}
	switch {
	case op == "=~" || op == "!~":
		c.pattern, err = regexp.Compile(c.text)
		return c, err
	case !quoted && value == "-":
		if c.absent = true; op != "=" && op != "!=" {
			err = errors.New("what isn't known is neither more nor less than anything: = or !=")
		}
		return c, err
	case quoted:
		return c, nil
	}
	want := ""
	switch column.Type {
	case ColumnDuration:
		var d time.Duration
		d, err = time.ParseDuration(value)
		c.number, want = float64(d), "a duration such as 250ms or 2h"
	case ColumnTime:
		var t time.Time
		t, err = time.Parse(time.RFC3339, value)
		c.number, want = float64(t.UnixNano()), "a time such as 2026-01-02T15:04:05Z"
	case ColumnBytes:
		c.number, err = parseBytes(value)
		want = "a number of bytes such as 4096 or 10MiB"
	case ColumnInt, ColumnFloat:
		c.number, err = strconv.ParseFloat(strings.ReplaceAll(value, ",", ""), 64)
		want = "a number"
	case ColumnAny:
		if c.number, err = strconv.ParseFloat(value, 64); err != nil {
			return c, nil
		}
	default:
		return c, nil
	}
	if c.numeric = err == nil; err != nil {
		return c, fmt.Errorf("column %s wants %s", column.Name, want)
	}
	return c, nil
}

// parseBytes reads a number of bytes: 4096, 10KiB, 1.5 GiB, 10k.
func parseBytes(s string) (float64, error) {
	digits := strings.TrimRight(s, "BKMGTPEkmgtpeib ")
	unit := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(s[len(digits):])), "B"), "I")
	f, err := strconv.ParseFloat(digits, 64)
	power := strings.Index("KMGTPE", unit)
	if err != nil || len(unit) > 1 || power < 0 {
		return 0, errors.New("no number of bytes")
	}
	if unit != "" {
		for range power + 1 {
			f *= 1024
		}
	}
	return f, nil
}

// holds tells whether it holds of a value.
func (c *condition) holds(v any) bool {
	if c.absent {
		return unknown(v) == (c.op == "=")
	}
	if unknown(v) {
		return false
	}
	if list, ok := v.([]any); ok {
		if c.op == "!=" || c.op == "!~" {
			return !slices.ContainsFunc(list, func(e any) bool { return !c.holds(e) })
		}
		return slices.ContainsFunc(list, c.holds)
	}
	if c.pattern != nil {
		return c.pattern.MatchString(plainText(v)) == (c.op == "=~")
	}
	order := 0
	if n, ok := c.numberOf(v); ok && c.numeric {
		order = cmp.Compare(n, c.number)
	} else {
		order = strings.Compare(plainText(v), c.text)
	}
	switch c.op {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// numberOf is a value of the column as a number, in the units of the condition's.
func (c *condition) numberOf(v any) (float64, bool) {
	n, ok := number(v)
	if _, is := v.(time.Time); ok && !is && c.column.Type == ColumnTime { // seconds since 1970
		n *= float64(time.Second)
	}
	return n, ok
}
