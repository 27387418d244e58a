package flow

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ri/fleet"
)

// TestTrial has requests made whose expressions fit the programs, don't, or of which nobody can say it: what doesn't
// fit is refused before anything is armed, and nothing of the trial is left.
func TestTrial(t *testing.T) {
	fits := func(a Arm) error {
		if slices.ContainsFunc(a.When, func(text string) bool { return strings.Contains(text, "r.path") }) {
			return &unfit{"main.(*Gateway).handle: r.path: no field has that name"}
		}
		return nil
	}
	broken := func(Arm) error { return errors.New("pid 4711 may not be traced") }
	for _, test := range []struct {
		what      string
		hosts     []func(Arm) error
		condition string
		refused   string
		unchecked string
	}{
		{"it fits", []func(Arm) error{fits}, "r.id > 1", "", ""},
		{"it doesn't", []func(Arm) error{fits}, `r.path == "/x"`, "no field has that name", ""},
		{"one of two builds has it", []func(Arm) error{fits, nil}, `r.path == "/x"`, "", ""},
		{"none of two has it", []func(Arm) error{fits, fits}, `r.path == "/x"`, "no field has that name", ""},
		{"nobody is there", nil, `r.path == "/x"`, "", "no process of the device"},
		{"nobody can say", []func(Arm) error{broken}, `r.path == "/x"`, "", "may not be traced"},
		{"one can't say, one refuses", []func(Arm) error{broken, fits}, `r.path == "/x"`, "no field has that name", ""},
	} {
		t.Run(test.what, func(t *testing.T) {
			s := newSite(t)
			s.define()
			var hosts []*host
			for i, tries := range test.hosts {
				hosts = append(hosts, s.host(fmt.Sprint("gw", i), fmt.Sprint("gateway", i), func(h *host) {
					h.fake.tries = tries
				}))
			}
			tr, err := s.rest.Create(t.Context(), &Request{TenantID: "acme", Device: "gateway", Condition: test.condition})
			switch {
			case test.refused != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.refused)):
				t.Errorf("refused with %v, and not for %q", err, test.refused)
			case test.refused == "" && err != nil:
				t.Error(err)
			case err == nil && (tr.Enabled || (tr.Unchecked == "") != (test.unchecked == "") ||
				!strings.Contains(tr.Unchecked, test.unchecked)):
				t.Errorf("made %+v, and not unchecked for %q", tr, test.unchecked)
			}
			if all, err := s.rest.List(t.Context(), "acme"); err != nil || (len(all) == 0) != (test.refused != "") {
				t.Errorf("there are %d requests: %v", len(all), err)
			}
			for _, h := range hosts {
				if len(h.fake.armed) > 0 {
					t.Errorf("%s armed %d tracers", h.Name, len(h.fake.armed))
				}
			}
			for _, table := range []string{fleet.EnabledTable, fleet.StateTable} {
				s.until("nothing of the trial is left", func() bool {
					left, err := s.rest.rows(t.Context(), table, nil)
					return err == nil && len(left) == 0
				})
			}
		})
	}
}
