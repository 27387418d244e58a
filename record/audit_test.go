package record

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// TestSearch finds what lies where one part of a block ends and the next begins, once, and says where.
func TestSearch(t *testing.T) {
	for _, at := range []int{0, 100, searchPart - 6, searchPart, searchPart + searchOverlap - 6, 2*searchPart - 1} {
		for _, text := range []string{"needle-in-it", hex.EncodeToString([]byte("needle-in-it"))} {
			data := bytes.Repeat([]byte{0}, 2*searchPart+100)
			copy(data[at:], text)
			audit := &Audit{}
			(&searcher{audit: audit, block: "x", words: []string{"needle-in-it"}}).search(data)
			audit.close()
			if len(audit.Found) != 1 || !strings.HasPrefix(audit.Found[0].Where, "x, at ") {
				t.Errorf("%s at %d: found %+v", text, at, audit.Found)
			}
		}
	}
}
