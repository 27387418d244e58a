package report

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"ri/attach"
	"ri/inert"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/report/style"
)

// What a page holds at most; more is in the folder, and the page says so.
const (
	mostRows  = 2_000    // of a table
	fewRows   = 100      // of a table, once the page is large
	largePage = 10 << 20 // bytes of tables
	mostText  = 2_000    // bytes of a cell
)

// page is what the HTML page shows. Its exported fields are the template's and, as JSON, the script's.
type page struct {
	Title    string        `json:"title"`
	About    [][2]string   `json:"about"`
	Findings []finding     `json:"findings"`
	Doing    []subject     `json:"doing"`
	Sections []section     `json:"sections"`
	Skipped  []skipped     `json:"skipped"`
	Drawings drawings      `json:"drawings"`
	Took     time.Duration `json:"-"`

	bytes   int
	masked  int // secrets
	stats   rows.Stats
	partial bool
	leftOut bool // a recipe did without something
	died    error
}

type finding struct {
	Severity string   `json:"severity"`
	What     string   `json:"what"`
	Where    string   `json:"where"`
	Evidence []string `json:"evidence"`
	Next     string   `json:"next"`
	Recipe   string   `json:"recipe"`
}

// section is one recipe's table.
type section struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Category    string   `json:"category"`
	Columns     []column `json:"columns"`
	Rows        [][]any  `json:"rows"` // a cell is its text, or [text, number] where it sorts as a number
	Total       int      `json:"total"`
	Printed     []string `json:"printed"`
	Problems    []string `json:"problems"` // why something is missing
	Error       string   `json:"error"`    // why there is nothing
	Cost        string   `json:"cost"`
	From        string   `json:"from"` // where the recipe comes from, and in whose place it stands

	failed  string   // why it ended early, or gave nothing
	leftOut []string // what it did without
}

type column struct {
	Name  string `json:"name"`
	Help  string `json:"help"`
	Right bool   `json:"right"`
}

type skipped struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

func newPage(s *looks.Session) *page {
	info := s.Info
	host, _ := os.Hostname()
	p := &page{Title: s.Target.Describe()}
	about := func(name, value string) {
		if value != "" {
			p.About = append(p.About, [2]string{name, value})
		}
	}
	about("target", s.Target.Describe())
	about("executable", info.Executable)
	about("module", strings.TrimSpace(info.Module+" "+info.Version))
	about("Go", info.GoVersion)
	about("host", host)
	about("written", time.Now().Format("2006-01-02 15:04:05 MST"))
	about("by", "ri "+version())
	return p
}

// add takes an attempt into the page.
func (p *page) add(a looks.Attempt) {
	if a.Skipped != "" {
		p.Skipped = append(p.Skipped, skipped{a.Recipe.Name, a.Skipped})
		return
	}
	s := section{
		Name: a.Recipe.Name, Title: a.Recipe.TitleOr(a.Header), Description: a.Header.Description,
		Category: a.Header.Category,
		Problems: problems(a), From: a.Recipe.Source(),
	}
	if errors.Is(a.Err, attach.ErrExited) || errors.Is(a.Err, attach.ErrNoProcess) {
		p.died = a.Err
	}
	if a.Result == nil {
		s.Error = fmt.Sprint(a.Err)
		s.Problems, s.failed = nil, s.Error
		p.Sections = append(p.Sections, s)
		return
	}
	r := a.Result
	if r.Err != nil {
		s.failed = r.Err.Error()
	}
	p.stats.Add(r.Stats)
	p.partial = p.partial || len(r.Partial) > 0
	p.leftOut = p.leftOut || len(r.LeftOut) > 0
	s.Cost = fmt.Sprintf("%s, %s in all", r.Cost(), a.Took.Round(time.Millisecond))
	s.leftOut = r.LeftOut
	for _, line := range r.Printed {
		s.Printed = append(s.Printed, line.Text)
	}
	for _, f := range r.Findings {
		p.Findings = append(p.Findings, newFinding(a.Recipe.Name, f))
	}
	if a.Recipe.Name == checkName {
		p.doing(r)
	}
	p.table(&s, r)
	p.Drawings.add(a.Recipe.Name, r)
	p.Sections = append(p.Sections, s)
}

// table makes a result's rows the section's, as far as there is room.
func (p *page) table(s *section, r *rows.Result) {
	columns, cells := r.Table()
	for i, c := range columns {
		right := false
		for _, row := range r.Rows[:min(len(r.Rows), 20)] {
			v, _ := row.Get(c.Name)
			_, right = rows.SortKey(v)
			if right {
				break
			}
		}
		s.Columns = append(s.Columns, column{Name: c.Name, Help: c.Help, Right: right && i < len(columns)})
	}
	most := mostRows
	if p.bytes > largePage {
		most = fewRows
	}
	s.Total = len(cells)
	for i, line := range cells[:min(most, len(cells))] {
		row := make([]any, len(line))
		for k, text := range line {
			if len(text) > mostText {
				text = strings.ToValidUTF8(text[:mostText], "") + "…"
			}
			p.bytes += len(text) + 8
			row[k] = text
			if v, _ := r.Rows[i].Get(columns[k].Name); v != nil {
				if key, ok := rows.SortKey(v); ok {
					row[k] = []any{text, key}
				}
			}
		}
		s.Rows = append(s.Rows, row)
	}
}

func newFinding(recipe string, f rows.Finding) finding {
	severity := f.Severity
	if severity == "" {
		severity = rows.Warning
	}
	out := finding{Severity: string(severity), What: f.What, Where: f.Where, Next: f.Next, Recipe: recipe}
	out.Evidence = append(out.Evidence, f.Evidence...)
	return out
}

// problems is why something of an attempt is missing.
func problems(a looks.Attempt) []string {
	var list []string
	if a.Err != nil {
		list = append(list, a.Err.Error())
	}
	if r := a.Result; r != nil {
		list = append(list, r.Partial...)
		list = append(list, r.Log...)
		if r.Err != nil {
			list = append(list, r.Err.Error())
		}
	}
	return list
}

// failed counts the recipes that gave nothing or ended early.
func (p *page) failed() int {
	n := 0
	for _, s := range p.Sections {
		if s.failed != "" {
			n++
		}
	}
	return n
}

// Cost is what the whole report cost the target.
func (p *page) Cost() string {
	r := rows.Result{Stats: p.stats}
	return fmt.Sprintf("%s; took %s", r.Cost(), p.Took.Round(10*time.Millisecond))
}

// ended is how the report as a whole ended.
func (p *page) ended() error {
	switch {
	case p.died != nil:
		return p.died
	case p.partial:
		return rows.ErrPartial
	case len(p.Findings) > 0:
		return rows.ErrFound
	case p.leftOut:
		return rows.ErrPartial
	}
	return nil
}

// order puts the worst findings first.
func (p *page) order() {
	rank := map[string]int{string(rows.Critical): 0, string(rows.Warning): 1, string(rows.Info): 2}
	slices.SortStableFunc(p.Findings, func(a, b finding) int { return rank[a.Severity] - rank[b.Severity] })
}

func (p *page) findingsText() string {
	p.order()
	var b strings.Builder
	if len(p.Findings) == 0 {
		fmt.Fprintln(&b, p.VerdictText())
	}
	for _, f := range p.Findings {
		fmt.Fprintf(&b, "%s: %s (%s)\n", f.Severity, f.What, f.Recipe)
		for _, line := range append(append([]string{f.Where}, f.Evidence...), f.Next) {
			if line != "" {
				fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(line, "\n", "\n  "))
			}
		}
	}
	if len(p.Doing) > 0 {
		b.WriteString("\nwhat it is doing:\n")
	}
	for _, s := range p.Doing {
		fmt.Fprintf(&b, "%-10s  %s\n", s.Name, strings.Join(s.Lines, "\n            "))
	}
	return inert.Text(b.String())
}

//go:embed page.html page.js
var files embed.FS

// write fills the template. Style and script come from this package and are trusted; the data is not.
func (p *page) write(w io.Writer) error {
	p.order()
	p.About = append(p.About, [2]string{"cost", p.Cost()})
	if p.masked > 0 {
		p.About = append(p.About, [2]string{"masked",
			fmt.Sprintf("what looks like a secret, by its name or form: %d times", p.masked)})
	}
	makeInert(reflect.ValueOf(p))
	script, err := files.ReadFile("page.js")
	if err != nil {
		return err
	}
	t, err := template.ParseFS(files, "page.html")
	if err != nil {
		return err
	}
	data, err := json.Marshal(p) // escapes <, > and &, so that no text of the target ends the script element
	if err != nil {
		return err
	}
	return t.Execute(w, map[string]any{
		"Page": p, "Style": template.CSS(style.Sheet), "Script": template.JS(style.Tables + string(script)),
		"Data": template.JS(data),
	})
}

// makeInert makes all exported texts of a value what [inert.Text] makes of them: a browser obeys characters that turn
// the direction of writing, too.
func makeInert(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(inert.Text(v.String()))
		}
	case reflect.Pointer:
		makeInert(v.Elem()) // of nil: an invalid value, which is none of these
	case reflect.Interface:
		if text, ok := v.Interface().(string); ok {
			v.Set(reflect.ValueOf(inert.Text(text)))
		} else {
			makeInert(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			makeInert(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				makeInert(v.Field(i))
			}
		}
	}
}

// version is ri's own.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
