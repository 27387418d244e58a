package looks

import (
	"context"
	"errors"
	"testing"

	"ri/attach"
)

// A kind of view that says nothing of its completeness is refused, whatever it is: a retry that waits for missed pages
// would believe it.
func TestUnsaidCoverageIsRefused(t *testing.T) {
	view := &mute{}
	l := &Look{Target: muteTarget{view: view}}
	if _, err := l.viewWhenFree(context.Background()); !errors.Is(err, attach.ErrUnsaid) {
		t.Errorf("%v", err)
	}
	if !view.discarded {
		t.Error("the view was kept")
	}
}

type mute struct {
	attach.View
	discarded bool
}

func (m *mute) Coverage() attach.Coverage { return attach.Coverage{Whole: true} }
func (m *mute) Discard()                  { m.discarded = true }

type muteTarget struct {
	attach.Target
	view attach.View
}

func (t muteTarget) Describe() string { return "a recording" }
func (t muteTarget) View(context.Context, attach.ViewOptions) (attach.View, error) {
	return t.view, nil
}
