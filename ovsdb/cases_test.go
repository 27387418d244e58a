package ovsdb

import (
	_ "embed"
	"encoding/json"
	"strings"
	"testing"
)

//go:embed testdata/cases.txt
var cases string

// TestCases: schemas and values are read and written as Open vSwitch reads and writes them, and refused in its words.
func TestCases(t *testing.T) {
	for line := range strings.Lines(cases) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		input, want, found := strings.Cut(line, " => ")
		what, text, _ := strings.Cut(input, " ")
		if !found {
			t.Fatalf("%s: no =>", line)
		}
		var args []any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		for d.More() {
			var j any
			if err := d.Decode(&j); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			args = append(args, j)
		}
		got, err := readCase(what, args)
		switch {
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%s\nthe error is %v\nwant         %s", input, err, want)
		case err == nil && got != want:
			t.Errorf("%s\ngot  %s\nwant %s", input, got, want)
		}
	}
}

// readCase reads JSON as what it is, and gives what is written of it.
func readCase(what string, args []any) (string, error) {
	switch what {
	case "atomic-type":
		a, err := AtomTypeFromJSON(args[0])
		return Text(a), err
	case "base-type":
		b, err := BaseTypeFromJSON(args[0])
		return Text(b.JSON()), err
	case "column":
		c, err := ColumnFromJSON("c", args[0])
		if err != nil {
			return "", err
		}
		return Text(c.JSON()), nil
	case "table":
		t, err := TableFromJSON("t", args[0])
		if err != nil {
			return "", err
		}
		return Text(t.JSON(false)), nil
	case "schema":
		s, err := SchemaFromJSON(args[0])
		if err != nil {
			return "", err
		}
		return Text(s.JSON()), nil
	}
	c, err := TypeFromJSON(args[0])
	if err != nil || what == "type" {
		return Text(c.JSON()), err
	}
	d, err := c.FromJSON(args[1], nil)
	if err != nil || what == "value" {
		return string(d.Append(nil, c)), err
	}
	other, err := c.Lenient(args[2])
	if err != nil {
		return "", err
	}
	diff := d.Diff(c, other)
	again, err := d.ApplyDiff(c, diff)
	if err == nil && again.Compare(other) != 0 {
		return "", Errorf("ovsdb error", "the difference %s makes %s", diff.Append(nil, c), again.Append(nil, c))
	}
	return string(diff.Append(nil, c)), err
}
