package lang

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Probe is what an instrument has traced: ri.hits gives its hits.
type Probe struct {
	Name     string   // of its hits, as their field probe
	Funcs    []string // as ri trace takes them
	When     []string // Go expressions that must hold
	Show     []Shown  // none: all arguments, and results
	Returns  bool     // a call is a hit when it returns
	Optional bool     // it doesn't matter if the program has no such function
	// Histogram: its calls are counted by how long they take, and are no hits; at the end there is one for each function.
	Histogram bool
	Line      int
}

// Shown is a Go expression, and the field of a hit that has it.
type Shown struct{ Name, Expr string }

// placeholder is where a parameter's value stands in a probe: ${name}.
var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

func (d *headerDecoder) probe(key string, t *lua.LTable) Probe {
	d.keys(t, key, "name", "func", "when", "show", "returns", "optional", "histogram")
	p := Probe{Name: d.text(t, key, "name"), Funcs: d.oneOrMore(t, key, "func"), When: d.oneOrMore(t, key, "when"),
		Returns: d.truth(t, key, "returns"), Optional: d.truth(t, key, "optional"),
		Histogram: d.truth(t, key, "histogram"), Line: d.line(key)}
	if len(p.Funcs) == 0 {
		d.fail(key, "%s needs a function: {func = 'net/http.serverHandler.ServeHTTP'}", key)
	}
	if p.Histogram && t.RawGetString("show") != lua.LNil {
		d.fail(key+".show", "%s: of calls that are only counted (histogram) nothing is shown", key)
	}
	p.Returns = p.Returns || p.Histogram
	if show, ok := t.RawGetString("show").(*lua.LTable); ok {
		var named []Shown
		for k, v := show.Next(lua.LNil); k != lua.LNil; k, v = show.Next(k) {
			expr, ok := v.(lua.LString)
			if !ok {
				d.fail(key+".show", "%s.show must have Go expressions, has a %s", key, v.Type())
				continue
			}
			if name, ok := k.(lua.LString); ok {
				named = append(named, Shown{string(name), string(expr)})
			} else {
				p.Show = append(p.Show, Shown{string(expr), string(expr)})
			}
		}
		slices.SortFunc(named, func(a, b Shown) int { return strings.Compare(a.Name, b.Name) })
		p.Show = append(p.Show, named...)
	} else if v := t.RawGetString("show"); v != lua.LNil {
		d.fail(key+".show", "%s.show must be a table of Go expressions, is %s", key, v.Type())
	}
	return p
}

// oneOrMore reads a text, or a list of them.
func (d *headerDecoder) oneOrMore(t *lua.LTable, key, field string) []string {
	if text, ok := t.RawGetString(field).(lua.LString); ok {
		return []string{string(text)}
	}
	return d.texts(t, key, field)
}

// quoted is a placeholder that somebody has put into quotes.
var quoted = regexp.MustCompile("[\"`']\\$\\{[^}]*\\}|\\$\\{[^}]*\\}[\"`']")

// checkProbes has placeholders name parameters.
func (d *headerDecoder) checkProbes(h *Header) {
	for i, p := range h.Probes {
		key := fmt.Sprintf("probes[%d]", i+1)
		for _, text := range slices.Concat(p.Funcs, p.When) {
			for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
				if !slices.ContainsFunc(h.Params, func(p Param) bool { return p.Name == m[1] }) {
					d.fail(key, "probes: ${%s} is no parameter", m[1])
				}
			}
		}
		for _, shown := range p.Show {
			for _, m := range placeholder.FindAllStringSubmatch(shown.Expr, -1) {
				if !h.takesHit(m[1]) {
					d.fail(key, "probes: show: ${%s} is no parameter of type hit", m[1])
				}
			}
		}
		for _, when := range p.When {
			if m := quoted.FindString(when); m != "" {
				d.fail(key, "probes: %s: a parameter is a Go literal in a condition, and has its quotes", m)
			}
		}
	}
}

// takesHit tells whether a parameter is an expression over hits.
func (h *Header) takesHit(name string) bool {
	return slices.ContainsFunc(h.Params, func(p Param) bool { return p.Name == name && p.Type == ParamHit })
}

// ProbesWith are the probes with parameters' values: as text in functions, as Go literals in conditions; parameters
// that are expressions over hits are parts of conditions and of what is shown. A condition that names a parameter that
// has no value is left out, and so is all that a probe shows if part of it does: then it shows all arguments and
// results.
func (h *Header) ProbesWith(params Params) []Probe {
	out := slices.Clone(h.Probes)
	text := func(_ string, v any) string { return fmt.Sprint(v) }
	expr := func(name string, v any) string {
		if h.takesHit(name) {
			return fmt.Sprintf("(%v)", v)
		}
		return literal(v)
	}
	for i := range out {
		out[i].Funcs = filled(out[i].Funcs, params, text)
		out[i].When = filled(out[i].When, params, expr)
		var shown []Shown
		for _, one := range out[i].Show {
			with := filled([]string{one.Expr}, params, text)
			if len(with) == 0 {
				shown = nil
				break
			}
			shown = append(shown, Shown{one.Name, with[0]})
		}
		out[i].Show = shown
	}
	return out
}

func filled(texts []string, params Params, as func(name string, v any) string) (out []string) {
	for _, text := range texts {
		whole := true
		text = placeholder.ReplaceAllStringFunc(text, func(m string) string {
			name := m[2 : len(m)-1]
			v, ok := params[name]
			whole = whole && ok
			return as(name, v)
		})
		if whole && strings.TrimSpace(text) != "" {
			out = append(out, text)
		}
	}
	return out
}

// literal is a parameter's value in Go.
func literal(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case time.Duration:
		return strconv.FormatInt(int64(v), 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
