package instruments

import (
	"errors"
	"testing"

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
		{[]string{referee.OK, referee.Differ}, nil, ErrFound},
		{[]string{referee.Differ, referee.NotCompared}, refused, ErrFound},
		{[]string{referee.OK, referee.NotCompared}, refused, refused},
		{[]string{referee.OK, referee.NotCompared}, nil, ErrPartial},
		{nil, nil, ErrPartial},
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
