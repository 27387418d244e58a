package kit

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// What the library reads of what it is given has to be in clear in the recording. What isn't is gathered as the rules
// of a policy that would have kept it, and told with a difference: that may be why.

// riPlace is where a value stands, as rules see it: in a field of a structure, in a variable, or by itself.
type riPlace struct{ typ, field, variable string }

// rule is the rule that keeps what stands there.
func (p riPlace) rule() string {
	quote := func(s string) string { return strconv.Quote(strings.NewReplacer("[", `\[`, "]", `\]`).Replace(s)) }
	switch {
	case p.variable != "":
		return "- keep: {variable: " + quote(p.variable) + "}"
	case p.field != "":
		return "- keep: {type: " + quote(p.typ) + ", field: " + p.field + "}"
	}
	return "- keep: {type: " + quote(p.typ) + "}"
}

// within is the place of what a pointer, a list, a map or an interface leads to.
func (p riPlace) within(t reflect.Type) riPlace { return riPlace{typ: riRuleType(t)} }

// riRuleType is a type's name in rules.
func riRuleType(t reflect.Type) string {
	switch {
	case t.Name() != "" || t.Kind() == reflect.Struct:
		return riTypeName(t)
	case t.Kind() == reflect.Slice:
		return "[]" + riRuleType(t.Elem())
	case t.Kind() == reflect.Pointer:
		return "*" + riRuleType(t.Elem())
	}
	return t.String()
}

// decoder makes values of what an event has.
func (r *riReplay) decoder() *riDecoder {
	return &riDecoder{replay: r, paths: map[string]reflect.Value{}}
}

// variable has what comes next be a parameter, or a result, of an event's function.
func (d *riDecoder) variable(e *riEvent, i int) {
	d.at = riPlace{variable: d.replay.rec.variable(e, i)}
}

// hides notes that what stands here is not in clear.
func (d *riDecoder) hides() {
	if d.at != (riPlace{}) {
		d.hidden = append(d.hidden, d.at.rule())
	}
}

// variable is the name that rules have for the i-th value of an event.
func (rec *riRecording) variable(e *riEvent, i int) string {
	f := rec.funcs[e.Func]
	vars := f.Params
	switch {
	case e.Kind == "return":
		vars = f.Results
	case f.Receiver && len(vars) > 0:
		vars = vars[1:]
	}
	if i >= len(vars) {
		return ""
	}
	return f.Short + "." + vars[i].Name
}

// functions are those of the header.
func (rec *riRecording) functions() {
	rec.funcs = map[string]riFunc{}
	for _, f := range slices.Concat(rec.header.Boundary.In, rec.header.Boundary.Out) {
		rec.funcs[f.Func] = f
	}
}

// riUnclear are the rules that would have kept what the library was given and isn't in clear, what came last first.
func riUnclear(last map[string]int64) (out []string) {
	out = slices.SortedFunc(maps.Keys(last), func(a, b string) int {
		return cmp.Or(cmp.Compare(last[b], last[a]), cmp.Compare(a, b))
	})
	if n := len(out) - riMostRules; n > 0 {
		out = append(out[:riMostRules], fmt.Sprintf("# and %d more", n))
	}
	return out
}

// riMostRules is how many are told.
const riMostRules = 6
