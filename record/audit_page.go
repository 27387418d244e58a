package record

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"slices"

	"ri/inert"
	"ri/record/format"
)

//go:embed audit.html
var auditPage string

// pageTemplate escapes all that it is filled with.
var pageTemplate = template.Must(template.New("audit").Parse(auditPage))

type pageKept struct {
	Field    string
	Constant bool
	Count    int
	Bytes    int64
	Texts    []pageText // distinct, the most frequent first
	More     int
}

type pageText struct {
	Text  string
	Times int
}

// Page writes an audit as an HTML page that needs nothing else, for who reads it before the recording is sent: what was
// found, and every text among the samples with how often it is there. Texts are a program's, and made harmless.
//
// Errors: format.ErrMalformed of a header that is none, errors of w.
func (a *Audit) Page(w io.Writer, path string, file *format.Reader, nothing string) error {
	var h Header
	if err := json.Unmarshal(file.Header(), &h); err != nil {
		return fmt.Errorf("its header: %v: %w", err, format.ErrMalformed)
	}
	about := [][2]string{
		{"program", inert.Cell(fmt.Sprintf("%s, %s %s, %s, pid %d", h.Program.Executable, h.Program.Module,
			h.Program.Version, h.Program.Go, h.Program.PID))},
		{"made", inert.Cell(h.Made.Format("2006-01-02 15:04:05 MST") + " by ri " + h.RI)},
		{"memory", fmt.Sprintf("%d bytes kept; not kept: %d by the rules, %d of which no type is known", h.Counts.Kept,
			h.Counts.Denied, h.Counts.Unknown)},
		{"tokens", fmt.Sprintf("%d texts, %d bytes", h.Counts.Tokens, h.Counts.Replaced)},
		{"rules of its own", fmt.Sprint(h.Policy.Rules)},
		{"looked through", fmt.Sprintf("%d bytes, decompressed", a.Read)},
	}
	if file.CutShort() {
		about = append(about, [2]string{"cut short", "the rest of the file is not there, and was not looked through"})
	}
	found := slices.Clone(a.Found)
	for i := range found {
		f := &found[i]
		f.What, f.Where, f.Text = inert.Cell(f.What), inert.Cell(f.Where), inert.Cell(f.Text)
	}
	var kept []pageKept
	for _, k := range a.Kept {
		kept = append(kept, k.page())
	}
	return pageTemplate.Execute(w, map[string]any{"Name": inert.Cell(filepath.Base(path)), "About": about, "Found": found,
		"Nothing": nothing, "Kept": kept})
}

func (k *KeptTexts) page() pageKept {
	p := pageKept{Field: inert.Cell(k.Field), Constant: k.Constant, Count: k.Count, Bytes: k.Bytes,
		More: k.Count - len(k.Samples)}
	if k.Constant {
		p.Field = "constants of the program"
	}
	times := map[string]int{}
	for _, text := range k.Samples {
		times[text]++
	}
	for text, n := range times {
		p.Texts = append(p.Texts, pageText{inert.Cell(text), n})
	}
	slices.SortFunc(p.Texts, func(a, b pageText) int {
		return cmp.Or(cmp.Compare(b.Times, a.Times), cmp.Compare(a.Text, b.Text))
	})
	return p
}
