package rows

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

func testResult() *Result {
	return &Result{
		Recipe: "r", View: "stopped",
		Stats:      Stats{Stops: 1, Stopped: 2100 * time.Microsecond, BytesRead: 412 << 10},
		ValuesRead: 8204,
		Columns: []Column{{Name: "name"}, {Name: "size", Type: ColumnInt}, {Name: "wait", Type: ColumnDuration},
			{Name: "stack"}},
		Rows: []Row{
			{{"name", "alpha"}, {"size", int64(9007199254740993)}, {"wait", 200 * time.Second},
				{"stack", []any{"main.f", "main.main"}}},
			{{"name", "evil\x1b[31m\nline\u202e"}, {"size", uint64(math.MaxUint64)}, {"extra", math.NaN()}},
			{{"name", Bytes("bad\xff")}, {"wait", nil}},
		},
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	cut, err := WriteText(&b, testResult(), TableStyle{})
	if err != nil || cut {
		t.Fatal(cut, err)
	}
	want := `NAME                                        SIZE   WAIT  STACK              EXTRA
alpha                           9007199254740993  3m20s  main.f, main.main  -
evil\x1b[31m\nline\u202e    18446744073709551615      -  -                  NaN
bad\xff                                        -      -  -                  -
`
	if got := b.String(); squeeze(got) != squeeze(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if strings.ContainsRune(b.String(), 0x1b) {
		t.Error("an escape character got through")
	}
	for line := range strings.Lines(b.String()) {
		if strings.TrimRight(line, " \n")+"\n" != line {
			t.Errorf("spaces at the end: %q", line)
		}
	}
}

// squeeze joins runs of spaces, so that a test doesn't depend on widths.
func squeeze(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.Join(strings.Fields(l), " ")
	}
	return strings.Join(lines, "\n")
}

// A list in the last column stands one element a line; a narrow terminal cuts text, never numbers.
func TestTableWidth(t *testing.T) {
	r := testResult()
	r.Rows = r.Rows[:1]
	var b bytes.Buffer
	cut, _ := WriteText(&b, r, TableStyle{})
	want := "NAME               SIZE   WAIT  STACK\nalpha  9007199254740993  3m20s  main.f\n                           " +
		"     main.main\n"
	if got := b.String(); got != want || cut {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r.Rows[0][0].Value = strings.Repeat("long", 30)
	b.Reset()
	cut, _ = WriteText(&b, r, TableStyle{Width: 60})
	for line := range strings.Lines(b.String()) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 60 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if !cut || !strings.Contains(b.String(), "…") || !strings.Contains(b.String(), "9007199254740993") {
		t.Errorf("cut %v:\n%s", cut, b.String())
	}
}

func TestPrintedAndFindings(t *testing.T) {
	r := testResult()
	r.Columns, r.Rows = r.Columns[:1], []Row{{{"name", "a"}}, {{"name", "b"}}}
	r.Printed = []PrintedLine{{0, "before"}, {2, "after\x07"}}
	r.Findings = []Finding{{Severity: Critical, What: "a cycle", Where: "main.list", Evidence: []string{"seen twice"},
		Next: "ri print main.list"}}
	var b bytes.Buffer
	if _, err := WriteText(&b, r, TableStyle{}); err != nil {
		t.Fatal(err)
	}
	want := "before\nNAME\na\nb\nafter\\a\n\ncritical: a cycle\n  where: main.list\n  evidence: seen twice\n  next: ri " +
		"print main.list\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestJSON(t *testing.T) {
	r := testResult()
	r.Partial = []string{"stop limit reached"}
	r.Rows[0][0].Value = "<&>"
	var b bytes.Buffer
	if err := writeDocument(&b, "run", r, nil); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b.Bytes()) {
		t.Fatalf("no JSON:\n%s", b.String())
	}
	var compact bytes.Buffer
	json.Compact(&compact, b.Bytes())
	for _, want := range []string{
		`"stopped_ns":2100000`, `"read_bytes":421888`, `"values":8204`, `"partial":true,"errors":["stop limit reached"]`,
		`{"name":"<&>","size":9007199254740993,"wait":200000000000,"stack":["main.f","main.main"]}`,
		`{"name":"evil\u001b[31m\nline\u202e","size":18446744073709551615,"wait":null,"stack":null,"extra":"NaN"}`,
		`{"name":{"$b64":"YmFk/w=="},"size":null,"wait":null,"stack":null}`,
	} {
		if !strings.Contains(compact.String(), want) {
			t.Errorf("no %s in\n%s", want, compact.String())
		}
	}
	b.Reset()
	if err := writeNDJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(b.String()), "\n"); len(lines) != 3 {
		t.Errorf("%d lines of NDJSON:\n%s", len(lines), b.String())
	}
}

func TestCost(t *testing.T) {
	r := testResult()
	if got := r.Cost(); got != "stopped 2.1 ms (1 stop), read 412 KiB, 8,204 values" {
		t.Error(got)
	}
	r.Stats = Stats{BytesRead: 100}
	r.ValuesRead = 1
	if got := r.Cost(); got != "no stop, read 100 B, 1 value" {
		t.Error(got)
	}
	r.Target.Kind = "core"
	if got := r.Cost(); got != "core, read 100 B, 1 value" {
		t.Error(got)
	}
}

// A file appears whole or not at all.
func TestOutputFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.json")
	for _, commit := range []bool{false, true} {
		out, err := OpenOutput(path, NDJSON, false, os.Stdout, os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		if err := out.WriteResult(testResult()); err != nil {
			t.Fatal(err)
		}
		if commit {
			if err := out.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		out.Close()
		if _, err := os.Stat(path); (err == nil) != commit {
			t.Errorf("commit %v: %v", commit, err)
		}
		if left, _ := filepath.Glob(filepath.Dir(path) + "/.*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	if _, err := OpenOutput(filepath.Join(t.TempDir(), "no", "such"), JSON, false, os.Stdout, os.Stderr); err == nil {
		t.Error("a folder that doesn't exist is fine?")
	}
}

func TestNamesAreCutOnTheLeft(t *testing.T) {
	columns := []Column{{Name: "n"}, {Name: "empty", Optional: true}, {Name: "labels", Hidden: true},
		{Name: "stack", Cut: "left"}}
	rows := []Row{{{"n", int64(1)}, {"labels", "a"}, {"stack", []any{
		"github.com/nats-io/nats-server/v2/server.(*Server).Start server.go:12",
		"example.com/a/b.(*Table[example.com/c/d.Key,example.com/e.Value]).Get table.go:1",
		"main.main main.go:3"}}}}
	var b strings.Builder
	if _, err := WriteRows(&b, columns, rows, TableStyle{Width: 38}); err != nil {
		t.Fatal(err)
	}
	const want = `N  STACK
1  server.(*Server).Start server.go:12
   …ble[d.Key,e.Value]).Get table.go:1
   main.main main.go:3
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestProfiles(t *testing.T) {
	r := &Result{Recipe: "x", Profile: []ProfileValue{{"goroutine", "count"}}, Samples: []Sample{
		{Frames: []SampleFrame{{"main.f", "f.go", 3, 0x10}, {"main.main", "f.go", 9, 0x20}}, Values: []int64{2},
			Labels: map[string]string{"job": "a"}},
		{Frames: []SampleFrame{{"main.f", "f.go", 4, 0x11}, {"main.main", "f.go", 9, 0x20}}, Values: []int64{3}},
	}}
	var folded, compressed bytes.Buffer
	if err := errors.Join(writeFolded(&folded, r), writePprof(&compressed, r)); err != nil {
		t.Fatal(err)
	}
	if got := folded.String(); got != "main.main;main.f 5\n" {
		t.Errorf("folded: %q", got)
	}
	p, err := profile.Parse(&compressed)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sample) != 2 || len(p.Location) != 3 || len(p.Function) != 2 || p.Sample[0].Label["job"][0] != "a" ||
		p.SampleType[0].Type != "goroutine" {
		t.Errorf("got %v", p)
	}
}

// Names keep what tells them apart: where a table doesn't fit, the paths of packages go first, and what is to be typed
// stays whole.
func TestTableWithoutPaths(t *testing.T) {
	columns := []Column{{Name: "name", Cut: CutPaths}, {Name: "type", Cut: CutPaths}, {Name: "addr", Whole: true}}
	rows := []Row{
		{{"name", "github.com/x/y/v2.Registry"}, {"type", "map[string]*github.com/x/y/v2/modules.Module"},
			{"addr", "0xc000112000"}},
		{{"name", "main.store"}, {"type", "func(net/http.ResponseWriter, *net/http.Request)"}, {"addr", "0xc000112008"}},
	}
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, "NAME                        TYPE                                              ADDR\n" +
			"github.com/x/y/v2.Registry  map[string]*github.com/x/y/v2/modules.Module      0xc000112000\n" +
			"main.store                  func(net/http.ResponseWriter, *net/http.Request)  0xc000112008\n"},
		{80, "NAME        TYPE                                       ADDR\n" +
			"y.Registry  map[string]*modules.Module                 0xc000112000\n" +
			"main.store  func(http.ResponseWriter, *http.Request)  0xc000112008\n"},
		{40, "NAME        TYPE            ADDR\n" +
			"y.Registry  …odules.Module  0xc000112000\n" +
			"main.store  …http.Request)  0xc000112008\n"},
	} {
		var b bytes.Buffer
		cut, err := WriteRows(&b, columns, rows, TableStyle{Width: c.width})
		squeezed := func(s string) string { return regexp.MustCompile(`  +`).ReplaceAllString(s, "  ") }
		if err != nil || cut != (c.width > 0) || squeezed(b.String()) != squeezed(c.want) {
			t.Errorf("%d columns, cut %v (%v):\n%s\nwant\n%s", c.width, cut, err, b.String(), c.want)
		}
		for line := range strings.Lines(b.String()) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); c.width > 0 && n > c.width {
				t.Errorf("%d columns: %q", n, line)
			}
		}
	}
}

// pieces counts what is written, and fails when it is full.
type pieces struct {
	longest, room int
	text          bytes.Buffer
}

func (p *pieces) Write(b []byte) (int, error) {
	p.longest = max(p.longest, len(b))
	if p.room -= len(b); p.room < 0 {
		return 0, io.ErrShortWrite
	}
	return p.text.Write(b)
}

// Many rows leave one after the other, whatever the format: they are never held as text, and nothing is made of those
// that nobody takes.
func TestRowsLeaveAsTheyCome(t *testing.T) {
	r := testResult()
	for range 2000 {
		r.Rows = append(r.Rows, testResult().Rows...)
	}
	for name, write := range map[string]func(io.Writer) error{
		"table":  func(w io.Writer) error { _, err := WriteText(w, r, TableStyle{}); return err },
		"narrow": func(w io.Writer) error { _, err := WriteText(w, r, TableStyle{Width: 40}); return err },
		"json":   func(w io.Writer) error { return writeDocument(w, "run", r, nil) },
		"ndjson": func(w io.Writer) error { return writeNDJSON(w, r) },
	} {
		all := &pieces{room: math.MaxInt}
		if err := write(all); err != nil || all.longest > 1000 {
			t.Errorf("%s: %v, %d bytes in one piece", name, err, all.longest)
		}
		if name == "json" {
			var compact, indented bytes.Buffer
			if err := json.Compact(&compact, all.text.Bytes()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if json.Indent(&indented, compact.Bytes(), "", "  "); indented.String()+"\n" != all.text.String() {
				t.Errorf("%s is not indented as a whole is", name)
			}
		}
		if err := write(&pieces{room: 5000}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s on what is full: %v", name, err)
		}
	}
}
