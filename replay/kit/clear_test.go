package kit

import (
	"reflect"
	"slices"
	"testing"
)

// TestUnclear: of what isn't in clear the rules are named that would have kept it, by where it stands.
func TestUnclear(t *testing.T) {
	type given struct {
		Name  string
		Bytes []byte
		Tags  []string
		Sums  []uint64
		Next  *given
		Held  any
	}
	const of = `- keep: {type: "ri/replay/kit.given"`
	for raw, want := range map[string][]string{
		`{"Name":"a","Bytes":{"$bytes":"AA=="},"Tags":["b"],"Next":null}`: nil,
		`{"Name":{"$token":"a"}}`:                                     {of + ", field: Name}"},
		`{"Bytes":{"$token64":"AA=="},"Next":{"Name":{"$mask":"3"}}}`: {of + ", field: Bytes}", of + ", field: Name}"},
		`{"Tags":["b",{"$token":"c"}]}`:                               {`- keep: {type: "string"}`},
		`{"Sums":{"$missing":"numbers, left out by the policy"}}`:     {of + ", field: Sums}"},
		`{"Sums":{"$missing":"not captured"}}`:                        nil,
		`{"Held":{"$type":"string","value":{"$token":"c"}}}`:          {`- keep: {type: "string"}`},
		`{"Held":{"$type":"[]uint8","value":{"$token64":"AA=="}}}`:    {`- keep: {type: "\\[\\]uint8"}`},
	} {
		r := (&riRecording{}).replay(t, nil)
		r.types = &riTypes{}
		d := r.decoder()
		if err := d.into(reflect.ValueOf(new(given)).Elem(), []byte(raw), "values[0]"); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if slices.Sort(d.hidden); !slices.Equal(d.hidden, want) {
			t.Errorf("%s: %q, want %q", raw, d.hidden, want)
		}
	}
	if got := (riPlace{variable: "a.F.x\n- drop: {}"}).rule(); got != `- keep: {variable: "a.F.x\n- drop: {}"}` {
		t.Errorf("a name from a recording makes rules of its own: %s", got)
	}
	last := map[string]int64{"a": 1, "b": 9, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8}
	if got := riUnclear(last); len(got) != riMostRules+1 || got[0] != "b" || got[riMostRules] != "# and 2 more" {
		t.Errorf("%q", got)
	}
}
