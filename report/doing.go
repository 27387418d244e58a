package report

import (
	"fmt"
	"strings"

	"ri/instruments/rows"
)

// checkName is the recipe whose findings and last lines the page begins with.
const checkName = "check"

// subject is something that the process is doing, in a few lines, as ri check says it.
type subject struct {
	Name  string   `json:"name"`
	Lines []string `json:"lines"`
}

// doing takes what check says of what the process is doing.
func (p *page) doing(r *rows.Result) {
	for _, row := range r.Rows {
		name, _ := row.Get("subject")
		what, _ := row.Get("what")
		lines, _ := what.([]any)
		s := subject{Name: rows.CellText(name)}
		for _, line := range lines {
			s.Lines = append(s.Lines, rows.CellText(line))
		}
		p.Doing = append(p.Doing, s)
	}
}

// Verdict is what is said where there are no findings: that nothing is wrong only where check could look, and what it
// left out.
func (p *page) Verdict() (text string, calm bool) {
	for _, s := range p.Sections {
		if s.Name != checkName {
			continue
		}
		if s.failed != "" {
			return "ri check could not look for faults: " + s.failed, false
		}
		if len(s.leftOut) > 0 {
			return "Nothing was found by what was looked for. Left out: " + strings.Join(s.leftOut, "; "), false
		}
		for _, line := range append(s.Printed, s.Problems...) {
			if left, ok := strings.CutPrefix(line, "not checked: "); ok {
				return "Nothing was found by what was looked for. Not checked: " + left, len(s.Problems) == 0
			}
		}
		if len(s.Problems) > 0 {
			return "Nothing was found, but ri check could not look at all: " + strings.Join(s.Problems, "; "), false
		}
		return "Nothing was found.", true
	}
	for _, s := range p.Skipped {
		if s.Name == checkName {
			return fmt.Sprintf("ri check did not look for faults: %s", s.Why), false
		}
	}
	return "ri check was not among the recipes that ran, so faults were not looked for.", false
}

// VerdictText and Calm are Verdict, for the template.
func (p *page) VerdictText() string { text, _ := p.Verdict(); return text }

// Calm says that all could be looked for, and nothing is wrong.
func (p *page) Calm() bool { _, calm := p.Verdict(); return calm }
