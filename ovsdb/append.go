package ovsdb

import "strconv"

// Append appends the datum's JSON, as JSON makes it.
func (d Datum) Append(b []byte, t ColumnType) []byte {
	if t.Value == nil && len(d.Keys) == 1 {
		return AppendAtom(b, d.Keys[0])
	}
	if t.Value == nil {
		b = append(b, `["set",[`...)
	} else {
		b = append(b, `["map",[`...)
	}
	for i, k := range d.Keys {
		if i > 0 {
			b = append(b, ',')
		}
		if t.Value == nil {
			b = AppendAtom(b, k)
			continue
		}
		b = AppendAtom(append(b, '['), k)
		b = AppendAtom(append(b, ','), d.Values[i])
		b = append(b, ']')
	}
	return append(b, "]]"...)
}

// AppendAtom appends an atom's JSON.
func AppendAtom(b []byte, a Atom) []byte {
	switch a := a.(type) {
	case string:
		return AppendText(b, a)
	case int64:
		return strconv.AppendInt(b, a, 10)
	case bool:
		return strconv.AppendBool(b, a)
	case float64:
		return append(b, Text(a)...)
	case UUID:
		b = append(b, `["uuid","`...)
		return append(append(b, a.String()...), `"]`...)
	}
	return append(b, "null"...)
}

// AppendText appends a text as a JSON string.
func AppendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(b, Text(s)...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
