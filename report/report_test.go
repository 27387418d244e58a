package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ri/attach"
	"ri/inert"
	"ri/instruments/lang"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
)

func attempt(name string, r *rows.Result) looks.Attempt {
	return looks.Attempt{Recipe: &recipes.Recipe{Name: name}, Header: &lang.Header{}, Result: r, Took: time.Millisecond}
}

// data is what the page's script reads.
func data(t *testing.T, html string) page {
	t.Helper()
	_, rest, ok := strings.Cut(html, "const report = ")
	if !ok {
		t.Fatal("the page has no data")
	}
	var p page
	if err := json.NewDecoder(strings.NewReader(rest)).Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

func render(t *testing.T, p *page) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFrom: each table says where its recipe comes from, and in whose place it stands.
func TestFrom(t *testing.T) {
	p := &page{}
	a := attempt("heap", &rows.Result{})
	a.Recipe.Origin = recipes.Position{File: "/home/jo/heap.yaml", Line: 3}
	a.Recipe.Overrides = []recipes.Position{{File: "built-in recipes.yaml", Line: 40}, {File: "/etc/ri/vendor.yaml",
		Line: 7}}
	p.add(a)
	failed := attempt("gone", nil)
	failed.Recipe.Origin = recipes.Position{File: "built-in recipes.yaml", Line: 9}
	p.add(failed)
	sections := data(t, render(t, p)).Sections
	want := []string{"/home/jo/heap.yaml:3, in place of built-in recipes.yaml:40 and /etc/ri/vendor.yaml:7",
		"built-in recipes.yaml:9"}
	for i := range want {
		if sections[i].From != want[i] {
			t.Errorf("%q, want %q", sections[i].From, want[i])
		}
	}
}

// What a target holds never becomes HTML or script.
func TestHostileText(t *testing.T) {
	const evil = `</script><img src=x onerror=alert(1)> ` + "\u2028" + `"'<!--`
	p := &page{Title: evil, About: [][2]string{{"target", evil}}}
	p.add(attempt("vars", &rows.Result{
		Rows:     []rows.Row{{{Name: evil, Value: evil}}},
		Findings: []rows.Finding{{What: evil, Where: evil, Evidence: []string{evil}, Next: evil}},
		Printed:  []rows.PrintedLine{{Text: evil}},
	}))
	html := render(t, p)
	if n := strings.Count(html, "<script"); n != 1 {
		t.Errorf("%d script elements, want 1", n)
	}
	if strings.Contains(html, "<img") {
		t.Error("text of the target became an element")
	}
	if got := data(t, html); got.Sections[0].Printed[0] != inert.Cell(evil) {
		t.Errorf("printed %q", got.Sections[0].Printed[0])
	}
	for _, external := range []string{"src=", "href=\"http", "@import", "url(http"} {
		if i := strings.Index(html, external); i >= 0 && !strings.HasPrefix(html[i:], "src=x") {
			t.Errorf("the page refers to something outside: %s", html[i:min(len(html), i+60)])
		}
	}
}

// A large table is cut in the page, and the page says how large it is.
func TestLargeTable(t *testing.T) {
	r := &rows.Result{}
	for i := range mostRows + 7 {
		r.Rows = append(r.Rows, rows.Row{{Name: "n", Value: int64(i)},
			{Name: "text", Value: strings.Repeat("x", 2*mostText)}})
	}
	p := &page{}
	p.add(attempt("a", r))
	p.add(attempt("b", r))
	p.add(attempt("c", r))
	p.add(attempt("d", r))
	html := render(t, p)
	got := data(t, html)
	if n := len(got.Sections[0].Rows); n != mostRows || got.Sections[0].Total != mostRows+7 {
		t.Errorf("%d of %d rows", n, got.Sections[0].Total)
	}
	if n := len(got.Sections[3].Rows); n != fewRows {
		t.Errorf("%d rows in a page that is large already", n)
	}
	if len(html) > 20<<20 {
		t.Errorf("the page has %d bytes", len(html))
	}
}

// Numbers sort as numbers; NaN, which JSON doesn't have, as text.
func TestSortKeys(t *testing.T) {
	nan := 0.0
	nan /= nan
	p := &page{}
	p.add(attempt("a", &rows.Result{
		Columns: []rows.Column{{Name: "wait", Type: rows.ColumnDuration}},
		Rows:    []rows.Row{{{Name: "wait", Value: 90 * time.Second}}, {{Name: "wait", Value: nan}}, {}},
	}))
	rows := data(t, render(t, p)).Sections[0].Rows
	if got := fmt.Sprint(rows); got != "[[[1m30s 9e+10]] [NaN] [-]]" {
		t.Error(got)
	}
}

func TestFindingsOrder(t *testing.T) {
	p := &page{}
	p.add(attempt("a", &rows.Result{Findings: []rows.Finding{{What: "first", Severity: rows.Info}, {What: "second"}}}))
	p.add(attempt("b", &rows.Result{Findings: []rows.Finding{{What: "third", Severity: rows.Critical}}}))
	if got := p.findingsText(); !strings.HasPrefix(got, "critical: third (b)\nwarning: second (a)\ninfo: first (a)\n") {
		t.Error(got)
	}
	if err := p.ended(); err != rows.ErrFound {
		t.Errorf("it ended with %v", err)
	}
}

// Where there is no finding the page says so only as far as it was looked for, and why where it wasn't.
func TestVerdict(t *testing.T) {
	check := &recipes.Recipe{Name: "check"}
	printed := func(lines ...string) (list []rows.PrintedLine) {
		for _, line := range lines {
			list = append(list, rows.PrintedLine{Text: line})
		}
		return list
	}
	for _, test := range []struct {
		name    string
		attempt looks.Attempt
		want    string
		calm    bool
	}{
		{"all", attempt("check", &rows.Result{Printed: printed("nothing found; checked: a")}), "Nothing was found.", true},
		{"some", attempt("check", &rows.Result{Printed: printed("nothing found; checked: a", "not checked: b (why)")}),
			"Not checked: b (why)", true},
		{"less", attempt("check", &rows.Result{LeftOut: []string{"b: why"}, Printed: printed("nothing found; checked: a")}),
			"Left out: b: why", false},
		{"refused", looks.Attempt{Recipe: check, Header: &lang.Header{}, Err: errors.New("a stop too long")},
			"could not look for faults: a stop too long", false},
		{"skipped", looks.Attempt{Recipe: check, Header: &lang.Header{}, Skipped: "the program lacks x"},
			"did not look for faults: the program lacks x", false},
		{"other", attempt("vars", &rows.Result{}), "was not among the recipes", false},
	} {
		p := &page{}
		p.add(test.attempt)
		html := render(t, p)
		if text, calm := p.Verdict(); !strings.Contains(text, test.want) || calm != test.calm ||
			!strings.Contains(html, test.want) {
			t.Errorf("%s: %q, %v", test.name, text, calm)
		}
	}
	p := &page{}
	p.add(attempt("check", &rows.Result{Rows: []rows.Row{rows.Of("subject", "requests",
		"what", []any{"3 in flight", "<b>"})}}))
	if html := render(t, p); !strings.Contains(html, "<dd>3 in flight</dd><dd>&lt;b&gt;</dd>") {
		t.Error("what it is doing isn't shown, or not escaped")
	}
}

func TestHowAReportEnds(t *testing.T) {
	died := &page{}
	died.add(looks.Attempt{Recipe: &recipes.Recipe{Name: "a"}, Header: &lang.Header{},
		Err: fmt.Errorf("pid 1: %w", attach.ErrExited)})
	if err := died.ended(); !errors.Is(err, attach.ErrExited) || died.failed() != 1 {
		t.Errorf("a target that died: it ended with %v, %d failed", err, died.failed())
	}
	partial := &page{}
	partial.add(attempt("a", &rows.Result{Partial: []string{"a limit"}, Findings: []rows.Finding{{What: "x"}}}))
	if err := partial.ended(); err != rows.ErrPartial {
		t.Errorf("partial: it ended with %v", err)
	}
	for _, c := range []struct {
		findings []rows.Finding
		want     error
	}{{nil, rows.ErrPartial}, {[]rows.Finding{{What: "x"}}, rows.ErrFound}} {
		less := &page{}
		less.add(attempt("a", &rows.Result{LeftOut: []string{"a check"}, Findings: c.findings}))
		if err := less.ended(); err != c.want {
			t.Errorf("with less, and %d findings: it ended with %v", len(c.findings), err)
		}
	}
}

func stacks(n int, depth func(i int) []any) []rows.Row {
	var list []rows.Row
	for i := range n {
		list = append(list, rows.Row{{Name: "count", Value: int64(i%5 + 1)}, {Name: "state", Value: "select"},
			{Name: "stack", Value: depth(i)}})
	}
	return list
}

// Goroutines add up from the outermost frame on, and however many stacks there are, the picture stays small and loses
// none.
func TestStackTree(t *testing.T) {
	tree := stackTree(stacks(3, func(int) []any { return []any{"inner a.go:1", "outer b.go:2"} }))
	if tree.Count != 6 || len(tree.Children) != 1 || tree.Children[0].Name != "outer b.go:2" ||
		tree.Children[0].Children[0].Name != "inner a.go:1" {
		t.Errorf("%+v", tree)
	}
	large := stackTree(stacks(20_000,
		func(i int) []any { return []any{fmt.Sprint("f", i), fmt.Sprint("g", i%100), "main"} }))
	if n := countFrames(large); n > mostFrames {
		t.Errorf("%d frames", n)
	}
	var leaves func(*frame) int64
	leaves = func(f *frame) int64 {
		if len(f.Children) == 0 {
			return f.Count
		}
		sum := int64(0)
		for _, c := range f.Children {
			sum += leaves(c)
		}
		return sum
	}
	if got := leaves(large); got != large.Count || got != 60_000 {
		t.Errorf("%d goroutines in the leaves, %d in all", got, large.Count)
	}
	if stackTree(nil) != nil {
		t.Error("a picture of nothing")
	}
}

// The picture of the heap has all bytes.
func TestHeapShares(t *testing.T) {
	var list []rows.Row
	sum := int64(0)
	for i := range 100 {
		list = append(list, rows.Row{{Name: "type", Value: fmt.Sprint("T", i)}, {Name: "count", Value: int64(1)},
			{Name: "bytes", Value: int64(i)}})
		sum += int64(i)
	}
	shares := heapShares(list)
	got := int64(0)
	for _, s := range shares {
		got += s.Bytes
	}
	if len(shares) != mostShares+1 || got != sum || shares[0].Name != "T99" {
		t.Errorf("%d bars, %d of %d bytes, first %s", len(shares), got, sum, shares[0].Name)
	}
}

// The picture of the locks has who waits and who holds; a goroutine that waits for one lock and holds another is always
// in it.
func TestLockGraph(t *testing.T) {
	var many []any
	for i := range 50 {
		many = append(many, int64(100+i))
	}
	g := lockGraph([]rows.Row{
		{{Name: "addr", Value: "0x10"}, {Name: "kind", Value: "Mutex"}, {Name: "name", Value: "main.a"},
			{Name: "goroutines", Value: append(many, int64(7))}, {Name: "holders", Value: []any{"8"}}},
		{{Name: "addr", Value: "0x20"}, {Name: "kind", Value: "RWMutex"}, {Name: "goroutines", Value: []any{int64(8)}},
			{Name: "holders", Value: []any{"7R", "9R"}}},
		{{Name: "addr", Value: "0x30"}, {Name: "kind", Value: "WaitGroup"},
			{Name: "goroutines", Value: []any{int64(1)}}},
		{{Name: "addr", Value: "0x40"}, {Name: "kind", Value: "Mutex"}},
	})
	if len(g.Locks) != 2 || g.Left != 0 {
		t.Fatalf("%+v", g)
	}
	a, b := g.Locks[0], g.Locks[1]
	if a.Name != "main.a 0x10" || a.Waiters[0] != "7" || len(a.Waiters) != mostWaiters || a.More != 51-mostWaiters ||
		fmt.Sprint(a.Holders) != "[8]" {
		t.Errorf("%+v", a)
	}
	if b.Name != "0x20" || fmt.Sprint(b.Waiters, b.Holders) != "[8] [7 9]" {
		t.Errorf("%+v", b)
	}
	if lockGraph(nil) != nil {
		t.Error("a picture of nothing")
	}
}
