package rows

import "strconv"

// Rows have names, so that two looks can be compared, and a row can be spoken of elsewhere: the values of the columns
// that the instrument declares as its key.

// Keys are the ways to name a row, each the names of some columns: the first of which a row has all names it, or else
// the last. A table of one row has none, nor has one whose rows are only told apart by their order.
func Keys(columns []Column) (ways [][]string) {
	var together []string
	for _, c := range columns {
		switch c.Key {
		case KeyAlone:
			ways = append(ways, []string{c.Name})
		case KeyPart:
			together = append(together, c.Name)
		}
	}
	if together != nil {
		ways = append(ways, together)
	}
	return ways
}

// Key names a row among those of its instrument: the values of its key columns as a JSON array, [7] or
// ["10.0.0.1:80","tcp"]. Of a value that lies in memory its address counts, and not what is there. What isn't there is
// null.
func (r Row) Key(columns []Column) string {
	var key []any
	for _, way := range Keys(columns) {
		key = key[:0]
		whole := true
		for _, name := range way {
			v, _ := r.Get(name)
			if a, ok := v.(Address); ok && a.Addr != 0 {
				v = "0x" + strconv.FormatUint(a.Addr, 16)
			}
			key = append(key, v)
			whole = whole && v != nil
		}
		if whole {
			break
		}
	}
	return string(AppendJSON(nil, key))
}

// Pair is what two looks have of one thing; nil: that look doesn't have it.
type Pair[T any] struct{ Before, After *T }

// Compare pairs what two looks gave by its key: what the later look has in its order, then what is there no more in the
// order of the earlier one. What has the same key in one look is told apart by its order.
func Compare[T any](before, after []T, key func(T) string) []Pair[T] {
	earlier := make(map[string][]int, len(before))
	for i := range before {
		k := key(before[i])
		earlier[k] = append(earlier[k], i)
	}
	pairs := make([]Pair[T], 0, max(len(before), len(after)))
	met := make([]bool, len(before))
	for i := range after {
		p := Pair[T]{After: &after[i]}
		k := key(after[i])
		if same := earlier[k]; len(same) > 0 {
			p.Before, met[same[0]], earlier[k] = &before[same[0]], true, same[1:]
		}
		pairs = append(pairs, p)
	}
	for i := range before {
		if !met[i] {
			pairs = append(pairs, Pair[T]{Before: &before[i]})
		}
	}
	return pairs
}
