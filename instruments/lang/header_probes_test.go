package lang

import (
	"slices"
	"testing"
	"time"
)

// TestProbesWith puts parameters into probes: whatever somebody gives stays one literal of a condition.
func TestProbesWith(t *testing.T) {
	h := &Header{Probes: []Probe{{Funcs: []string{"${func}"}, When: []string{"x == ${v}", "true"}}}}
	for _, one := range []struct {
		value any
		want  string
	}{
		{"plain", `x == "plain"`},
		{"", `x == ""`},
		{"\"\\\n`${v}", "x == \"\\\"\\\\\\n`${v}\""},
		{`a" || y == "b`, `x == "a\" || y == \"b"`},
		{50 * time.Millisecond, "x == 50000000"},
		{int64(-3), "x == -3"},
		{1e-7, "x == 0.0000001"},
		{true, "x == true"},
		{uint64(0xc000012340), "x == 824633795392"},
	} {
		got := h.ProbesWith(Params{"func": "main.(*T).f", "v": one.value})[0]
		if !slices.Equal(got.When, []string{one.want, "true"}) || !slices.Equal(got.Funcs, []string{"main.(*T).f"}) {
			t.Errorf("%#v: %q of %q, want %q", one.value, got.When, got.Funcs, one.want)
		}
	}
	if got := h.ProbesWith(Params{"func": "f"})[0].When; !slices.Equal(got, []string{"true"}) {
		t.Errorf("without a value: %q", got)
	}
	for text, want := range map[string]bool{`f(x, "${v}")`: true, "`${v}`": true, `hasPrefix(x, "a${v}")`: true,
		"x > ${v}": false, `f(x, ${v}, "y")`: false} {
		if got := quoted.MatchString(text); got != want {
			t.Errorf("%s in quotes: %v", text, got)
		}
	}
}

// TestHitParameters: an expression over hits is part of a condition, and of what is shown; without it the probe shows
// all, and the condition isn't there.
func TestHitParameters(t *testing.T) {
	h := &Header{Params: []Param{{Name: "when", Type: ParamHit}, {Name: "show", Type: ParamHit}},
		Probes: []Probe{{Funcs: []string{"f"}, When: []string{"err != nil", "${when}"},
			Show: []Shown{{"err", "err"}, {"shown", "${show}"}}}}}
	with := h.ProbesWith(Params{"when": `r.A == 1 || r.B == "x"`, "show": "r.Tenant.Name"})[0]
	if !slices.Equal(with.When, []string{"err != nil", `(r.A == 1 || r.B == "x")`}) ||
		!slices.Equal(with.Show, []Shown{{"err", "err"}, {"shown", "r.Tenant.Name"}}) {
		t.Errorf("with both: %+v", with)
	}
	without := h.ProbesWith(Params{})[0]
	if !slices.Equal(without.When, []string{"err != nil"}) || without.Show != nil {
		t.Errorf("without: %+v", without)
	}
}
