package engine

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"ri/ovsdb"
)

// BenchmarkInserts: transactions of 100 rows, from the text of a request to the file.
func BenchmarkInserts(b *testing.B) {
	db := openFile(b, filepath.Join(b.TempDir(), "shop.db"), schema)
	defer db.Close()
	for n := range b.N {
		var text strings.Builder
		text.WriteString(`["shop"`)
		for i := range 100 {
			fmt.Fprintf(&text, `,{"op": "insert", "table": "Item", "row": {"name": "item-%d", "left": %d,
				"tags": ["set", ["a%d", "b", "c"]]}}`, n*100+i, i, i)
		}
		text.WriteString("]")
		var j any
		if err := ovsdb.Decode([]byte(text.String()), &j); err != nil {
			b.Fatal(err)
		}
		if a := db.Transact(&Request{Params: j}); strings.Contains(ovsdb.Text(a.Results), `"error"`) {
			b.Fatal(ovsdb.Text(a.Results))
		}
	}
}
