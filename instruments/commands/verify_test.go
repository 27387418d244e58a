package commands

import (
	"errors"
	"testing"

	"ri/instruments/rows"
	"ri/referee"
)

func TestVerdict(t *testing.T) {
	refused := errors.New("no copy")
	for _, test := range []struct {
		states []string
		err    error
		want   error // one of the kinds
	}{
		{[]string{referee.OK, referee.OK}, nil, nil},
		{[]string{referee.OK, referee.Differ}, nil, rows.ErrFound},
		{[]string{referee.Differ, referee.NotCompared}, refused, rows.ErrFound},
		{[]string{referee.OK, referee.NotCompared}, refused, refused},
		{[]string{referee.OK, referee.NotCompared}, nil, rows.ErrPartial},
		{nil, nil, rows.ErrPartial},
	} {
		var found []referee.Check
		for _, s := range test.states {
			found = append(found, referee.Check{State: s})
		}
		if got := verdict(found, test.err); !errors.Is(got, test.want) {
			t.Errorf("%v, %v: %v, want %v", test.states, test.err, got, test.want)
		}
	}
}
