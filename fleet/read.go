package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"ri/instruments/rows"
)

// FindingCell is the only cell of a row that is a finding, as ri --ndjson has it.
const FindingCell = "$finding"

// deepest is how deep a value of a row may nest.
const deepest = 64

// readRow reads a row as ri --ndjson prints it, in its order. What is none is a row of its text.
func readRow(text []byte) rows.Row {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err == nil {
		_, err = d.Token()
	}
	if row, ok := v.(rows.Row); ok && err == io.EOF {
		return row
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if json.Valid(text) && err == io.EOF {
		return rows.Row{{Name: "value", Value: v}}
	}
	return rows.Row{{Name: "text", Value: string(bytes.ToValidUTF8(text, []byte("\ufffd")))}}
}

func readValue(d *json.Decoder, depth int) (any, error) {
	if depth > deepest {
		return nil, fmt.Errorf("it nests more than %d deep", deepest)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(token.String(), 10, 64); err == nil {
			return n, nil
		}
		if n, err := strconv.ParseUint(token.String(), 10, 64); err == nil {
			return n, nil
		}
		return token.Float64()
	case json.Delim:
		if token == '[' {
			out := []any{}
			for d.More() {
				v, err := readValue(d, depth+1)
				if err != nil {
					return nil, err
				}
				out = append(out, v)
			}
			_, err := d.Token()
			return out, err
		}
		row := rows.Row{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			text, _ := name.(string)
			row = append(row, rows.Cell{Name: text, Value: v})
		}
		_, err := d.Token()
		return row, err
	}
	return token, nil
}
