package trace

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"ri/instruments/rows"
	"ri/probe"
	"ri/probe/compile"
)

// Request says what is traced.
type Request struct {
	Probes []Probe
	Stack  int // frames with each hit
	Limits compile.Limits

	Limit   uint64        // hits
	For     time.Duration // the most time
	Budget  float64       // cores
	Windows bool          // over the budget, take hits in windows of time
	// By: hits are only counted, by these Go expressions; "func" alone: by function. Histogram: also how long calls take.
	By        []string
	Histogram bool
	// PanicOnWarn probes though the kernel panics on a warning.
	PanicOnWarn bool
	// Steps has calls of Probes[0] open flows, and these functions shown that one passes: see flow.go. As Functions.
	Steps []string
	Ring  int // bytes for events that nobody has read yet; 0: what package kernel has

	flows bool // Probes were made for Steps
}

// Probe is functions, and what is wanted of them.
type Probe struct {
	Name      string   // of hits, for whoever tells them apart by it; may be empty
	Functions []string // as Go prints them, and what else package place finds
	When      []string // Go expressions that must hold; the kernel decides
	After     []string // as When, decided over what a hit took along
	Show      []Show   // nil: all arguments, and results
	Returns   bool     // a call is a hit when it returns, with results and duration
	// Shallow is how many of the first arguments are taken along without what they lead to.
	Shallow int
	// Last is how many of the first arguments find room for what they lead to when all else has.
	Last int
	// Histogram: its calls are no hits, and are counted in the kernel by how long they take; Returns is set, too. When the
	// trace is over there is a row for each function: see Plan.tables.
	Histogram bool
	// Receives, instead of Functions: what is received from channels.
	Receives *Receives
	Flow     probe.Flow // what its hits have to do with flows; Request.Steps says it
	// Optional: it is no error if the program has no such function, or it can't be probed.
	Optional bool
}

// Show is a Go expression, and what it is called in a row.
type Show struct{ Name, Expr string }

// What a Request has where nothing else is said.
const (
	DefaultLimit  = 100
	DefaultFor    = time.Minute
	DefaultBudget = 0.01
	DefaultStack  = 16 // frames
)

// maxProbes bounds the functions of one trace. Each is a program of its own in the kernel.
const maxProbes = 2000

func (r *Request) check() error {
	if r.Limit == 0 {
		r.Limit = DefaultLimit
	}
	if r.For == 0 {
		r.For = DefaultFor
	}
	if r.Budget == 0 {
		r.Budget = DefaultBudget
	}
	switch {
	case len(r.Probes) == 0 || len(r.Probes[0].Functions) == 0:
		return rows.Usagef("ri trace needs a function: ri trace -p PID 'main.(*Server).handle' (ri funcs -p PID lists them)")
	case r.Histogram && len(r.By) == 0:
		r.By = []string{byFunction}
		return r.check()
	case len(r.By) > 0 && len(r.Probes[0].After) > 0:
		return rows.Usagef("--when-after decides over what a hit took along, and counting takes nothing along")
	case r.For < 0:
		return rows.Usagef("--for %s: must be more than nothing", r.For)
	case r.Budget < 0 || r.Budget > 64:
		return rows.Usagef("--budget %g %%: a share of a core, such as 1%%", 100*r.Budget)
	}
	for _, w := range r.Probes {
		if err := w.names(); err != nil {
			return err
		}
	}
	return r.follows()
}

// names checks the names that were given to what is shown.
func (w *Probe) names() error {
	for i, s := range w.Show {
		taken := slices.ContainsFunc(w.Show[:i], func(x Show) bool { return x.Name == s.Name && x.Expr != s.Expr })
		if s.Name != s.Expr && slices.Contains(ownColumns, s.Name) || taken {
			return rows.Usagef("--show %s=%s: hits have a column of that name already; give it another", s.Name, s.Expr)
		}
	}
	return nil
}

// Bounded refuses a request that a person made without an end: a limit, and a time, can be raised and not left out.
func (r *Request) Bounded() error {
	if r.Limit == 0 || r.For <= 0 {
		return rows.Usagef("--limit and --for can be raised, and not left out: a trace has an end")
	}
	return nil
}

// named is NAME=EXPR. No Go expression looks like it.
var named = regexp.MustCompile(`(?s)^([\pL_][\pL\pN_]*)\s*=([^=].*)$`)

// ParseShow reads what ParseList does. NAME=EXPR calls one NAME.
func ParseShow(text string) (out []Show) {
	for _, expr := range ParseList(text) {
		if m := named.FindStringSubmatch(expr); m != nil {
			out = append(out, Show{Name: m[1], Expr: strings.TrimSpace(m[2])})
		} else {
			out = append(out, Show{Name: expr, Expr: expr})
		}
	}
	return out
}

// ParseList reads expressions with commas between them; those in brackets and quotes are the expressions' own.
func ParseList(text string) (out []string) {
	add := func(expr string) {
		if expr = strings.TrimSpace(expr); expr != "" {
			out = append(out, expr)
		}
	}
	from, depth := 0, 0
	var quote byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == '\\' && quote != '`' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '`' || c == '\'':
			quote = c
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		case c == ',' && depth == 0:
			add(text[from:i])
			from = i + 1
		}
	}
	add(text[from:])
	return out
}

// ParseBudget reads a share of a core: "1%", "0.5%", "2" (cores).
func ParseBudget(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	var f float64
	if _, err := fmt.Sscanf(number+"\n", "%g\n", &f); err != nil || f <= 0 {
		return 0, rows.Usagef("--budget %s: a share of a core, such as 1%%", rows.QuoteName(text))
	}
	if percent {
		f /= 100
	}
	return f, nil
}

// Counts tells whether hits are only counted.
func (r *Request) Counts() bool { return len(r.By) > 0 || r.Histogram }
