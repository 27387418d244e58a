package looks

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ri/attach"
	"ri/instruments/rows"
)

// crowded is a process whose threads take a while to come to a stop.
type crowded struct {
	muteTarget
	attach.Stoppable
	stop time.Duration
}

func (c crowded) ChangeStop() time.Duration { return c.stop }

// A change is refused before anything stands still, if to bring all threads to a stand takes longer than all of it may.
// The refusal names a limit that is enough.
func TestChangeOfVeryManyThreads(t *testing.T) {
	for _, c := range []struct {
		takes, may time.Duration
		dry        bool
		enough     string // "": it isn't refused
	}{
		{takes: 105 * time.Millisecond, may: 100 * time.Millisecond, enough: "(--max-stop 210ms)"},
		{takes: 105 * time.Millisecond, may: 210 * time.Millisecond},
		{takes: 105 * time.Millisecond, may: time.Millisecond, dry: true},
		{takes: 0, may: time.Millisecond},
	} {
		s := &Session{Target: crowded{stop: c.takes}}
		err := s.mayTake(&Plan{MaxStop: c.may, Look: Options{Write: true, DryRun: c.dry}})
		switch {
		case c.enough == "" && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.enough != "" && (!errors.Is(err, rows.ErrRefused) || !strings.Contains(err.Error(), c.enough)):
			t.Errorf("%+v: %v", c, err)
		}
	}
}
