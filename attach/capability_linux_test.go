//go:build amd64

package attach

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Each kind of view says of which moment it is, and what it lacks. What it says is what reading it shows.
func TestCoverage(t *testing.T) {
	p := start(t)
	process := open(t, p.PID)
	file, _ := ownCore(t, process, CoreOptions{})
	core, err := OpenCore(file, p.cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	page := p.Address / PageSize
	for name, c := range map[string]struct {
		target Target
		opt    ViewOptions
		of     Moment
		whole  bool
		missed int // after a page was read
	}{
		"live":     {process, ViewOptions{Kind: Live}, NoMoment, true, 0},
		"stopped":  {process, ViewOptions{Kind: Stopped, MaxStop: time.Minute}, OneMoment, true, 0},
		"nothing":  {process, ViewOptions{Kind: Snapshot, MaxStop: time.Minute}, Copied, false, 1},
		"the page": {process, ViewOptions{Kind: Snapshot, MaxStop: time.Minute, Pages: []uint64{page}}, Copied, false, 0},
		"all":      {process, ViewOptions{Kind: Snapshot, MaxStop: time.Minute, Bulk: true}, Copied, true, 0},
		"core":     {core, ViewOptions{Kind: Snapshot}, OneMoment, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := c.target.View(context.Background(), c.opt)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Discard()
			if said := v.Coverage(); said.Of != c.of || said.Whole != c.whole || len(said.Missed) > 0 || said.Check() != nil {
				t.Errorf("%+v, %v", said, said.Check())
			}
			if _, err := v.ReadMemory(make([]byte, 1), page*PageSize); err != nil {
				t.Fatal(err)
			}
			if said := v.Coverage(); len(said.Missed) != c.missed || said.Check() != nil {
				t.Errorf("after a read: %+v, %v", said, said.Check())
			}
		})
	}
}

func TestCoverageIsSaid(t *testing.T) {
	for _, c := range []Coverage{{}, {Whole: true}, {Of: OneMoment, Missed: []uint64{1}}} {
		if err := c.Check(); !errors.Is(err, ErrUnsaid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
