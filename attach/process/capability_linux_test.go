//go:build amd64

package process

import (
	"context"
	"errors"
	"testing"
	"time"

	"ri/attach"
	"ri/attach/core"
	"ri/attach/targettest"
)

// Each kind of view says of which moment it is, and what it lacks. What it says is what reading it shows.
func TestCoverage(t *testing.T) {
	p := targettest.Start(t)
	process := open(t, p.PID)
	file, _ := ownCore(t, process, attach.CoreOptions{})
	core, err := core.Open(file, p.Cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
	page := p.Address / attach.PageSize
	for name, c := range map[string]struct {
		target attach.Target
		opt    attach.ViewOptions
		of     attach.Moment
		whole  bool
		missed int // after a page was read
	}{
		"live": {process, attach.ViewOptions{Kind: attach.Live}, attach.NoMoment, true, 0},
		"stopped": {process, attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute}, attach.OneMoment, true,
			0},
		"nothing": {process, attach.ViewOptions{Kind: attach.Snapshot, MaxStop: time.Minute}, attach.Copied, false, 1},
		"the page": {process, attach.ViewOptions{Kind: attach.Snapshot, MaxStop: time.Minute, Pages: []uint64{page}},
			attach.Copied, false, 0},
		"all": {process, attach.ViewOptions{Kind: attach.Snapshot, MaxStop: time.Minute, Bulk: true},
			attach.Copied, true, 0},
		"core": {core, attach.ViewOptions{Kind: attach.Snapshot}, attach.OneMoment, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := c.target.View(context.Background(), c.opt)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Discard()
			if said := v.Coverage(); said.Of != c.of || said.Whole != c.whole || len(said.Missed) > 0 ||
				said.Check() != nil {
				t.Errorf("%+v, %v", said, said.Check())
			}
			if _, err := v.ReadMemory(make([]byte, 1), page*attach.PageSize); err != nil {
				t.Fatal(err)
			}
			missed := c.missed
			for _, thread := range v.Threads() { // where a thread's stack is the copy has two pages, whoever asks
				if sp := thread.Regs.SP() / attach.PageSize; missed > 0 && page >= sp && page < sp+stackPages {
					missed = 0
				}
			}
			if said := v.Coverage(); len(said.Missed) != missed || said.Check() != nil {
				t.Errorf("after a read: %+v, %v", said, said.Check())
			}
		})
	}
}

func TestCoverageIsSaid(t *testing.T) {
	for _, c := range []attach.Coverage{{}, {Whole: true}, {Of: attach.OneMoment, Missed: []uint64{1}}} {
		if err := c.Check(); !errors.Is(err, attach.ErrUnsaid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
