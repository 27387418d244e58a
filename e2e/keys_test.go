package e2e

import (
	"encoding/json"
	"testing"
)

// checkKeys says which rows of a result, as ri run --json gives it, can't be told apart by the columns that are said to
// name them.
func checkKeys(t *testing.T, recipe string, result []byte) {
	t.Helper()
	var doc struct {
		Key  [][]string
		Rows []map[string]json.RawMessage
	}
	if json.Unmarshal(result, &doc) != nil || doc.Key == nil {
		return
	}
	seen := map[string]json.RawMessage{}
	for _, row := range doc.Rows {
		name := ""
		for _, way := range doc.Key {
			whole := true
			name = ""
			for _, column := range way {
				name += string(row[column]) + " "
				whole = whole && row[column] != nil && string(row[column]) != "null"
			}
			if whole {
				break
			}
		}
		text, _ := json.Marshal(row)
		if other, twice := seen[name]; twice {
			t.Errorf("%s: two rows have the key %v %s:\n%s\n%s", recipe, doc.Key, name, other, text)
			return
		}
		seen[name] = text
	}
}
