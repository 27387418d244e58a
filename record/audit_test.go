package record

import (
	"bytes"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"ri/attach/recorded"
	"ri/record/seal"
)

// TestSearch finds what lies where one part of a block ends and the next begins, once, and says where.
func TestSearch(t *testing.T) {
	for _, at := range []int{0, 100, searchPart - 6, searchPart, searchPart + searchOverlap - 6, 2*searchPart - 1} {
		for _, text := range []string{"needle-in-it", hex.EncodeToString([]byte("needle-in-it")), "needle%2Din%2dit"} {
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

// TestAuditPage has what a hostile program keeps on the page, each text with how often it is there, and harmless.
func TestAuditPage(t *testing.T) {
	r, err := recorded.Open(filepath.Join("testdata", "version1.rec"), seal.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const hostile = "<script>alert(1)</script>\x1b[31m\u202e"
	a := &Audit{Kept: []KeptTexts{{Field: "main.t.<b>", Count: 5, Samples: []string{hostile, "twice", "twice"}},
		{Constant: true, Count: 1, Samples: []string{"a constant"}}},
		Found: []Found{{What: hostile, Form: "as it is", Where: hostile, Text: hostile}}}
	var b strings.Builder
	if err := a.Page(&b, "/a/<i>.rec", r.File(), "nothing"); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, bad := range []string{"<script", "\x1b", "\u202e", "<b>:", "<i>", "src=", "href="} {
		if strings.Contains(strings.ReplaceAll(page, "<summary><b>", ""), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, want := range []string{"alert(1)", `<td class="n">2</td><td><code>twice</code>`, "and 2 that are not shown",
		"constants of the program", "default-src &#39;none&#39;", "Found (1)"} {
		if !strings.Contains(strings.ReplaceAll(page, "'", "&#39;"), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	a.Shorten()
	if len(a.Kept[0].Samples) != maxSamples {
		t.Errorf("%d samples", len(a.Kept[0].Samples))
	}
}
