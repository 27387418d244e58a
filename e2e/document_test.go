package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// documentMembers are what every document of --json has, in this order.
var documentMembers = []string{"command", "recipe", "params", "target", "view", "stops", "stopped_ns", "interrupted",
	"read_bytes", "values", "locks", "columns", "key", "rows", "findings", "checked", "not_checked", "printed", "left_out",
	"transaction", "partial", "errors"}

// neverNull are members that are known of every command.
var neverNull = []string{"command", "locks", "columns", "key", "rows", "findings", "printed", "left_out", "partial",
	"errors"}

// isDocument fails where a text isn't the one document that docs/output.md promises.
func isDocument(t *testing.T, what, text string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		t.Errorf("%s: %v: %.300s", what, err, text)
		return
	}
	if err := d.Decode(new(any)); err != io.EOF {
		t.Errorf("%s: more stands behind the document: %.300s", what, text)
	}
	names := memberNames(t, text)
	if len(names) < len(documentMembers) || !slices.Equal(names[:len(documentMembers)], documentMembers) {
		t.Errorf("%s: its members are %q", what, names)
	}
	for _, name := range neverNull {
		if doc[name] == nil {
			t.Errorf("%s: %s is null", what, name)
		}
	}
	list, _ := doc["rows"].([]any)
	columns := map[string]bool{}
	each, _ := doc["columns"].([]any)
	for _, c := range each {
		c, _ := c.(map[string]any)
		columns[fmt.Sprint(c["name"])] = true
	}
	for _, row := range list {
		cells, ok := row.(map[string]any)
		if !ok {
			t.Errorf("%s: a row is no object: %v", what, row)
			break
		}
		for name := range cells {
			if !columns[name] {
				t.Errorf("%s: rows have %q, and columns has not", what, name)
				return
			}
		}
	}
	for _, unknown := range []string{"target", "recipe", "view"} {
		if doc[unknown] == "" || doc[unknown] != nil && fmt.Sprint(doc[unknown]) == "map[]" {
			t.Errorf("%s: %s is empty, not null", what, unknown)
		}
	}
	if doc["view"] == nil && doc["stops"] != nil {
		t.Errorf("%s: it didn't look, and says %v stops", what, doc["stops"])
	}
}

// memberNames are those of an object, in their order.
func memberNames(t *testing.T, text string) (names []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprint(name))
		if err := d.Decode(new(any)); err != nil {
			t.Fatal(err)
		}
	}
	return names
}
