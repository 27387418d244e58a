//go:build amd64

package attach

import (
	"context"
	"fmt"
	"time"
)

// A process that a watcher holds in its last moment has its memory still, and nothing runs any more: all views of it are the same, and need no
// stop. Its threads have ended, so there are no registers; a goroutine that ran is seen as it last went into the runtime, if it did.

// dyingView reads a process that is held in its exit.
type dyingView struct{ *liveView }

// Kind implements Target.
func (p *Process) Kind() TargetKind {
	if p.dying {
		return Dying
	}
	return Living
}

// Ends implements Target: how a process that is dying ends.
func (p *Process) Ends() string { return p.ends }

// Written implements Target. The clock of a process goes on, also of one that is held in its exit.
func (p *Process) Written() time.Time { return time.Time{} }

func (p *Process) dyingView(ctx context.Context) (View, error) {
	v, err := p.live(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w; it was dying, and its watcher has let it go (--max-hold)", err)
	}
	return dyingView{v.(*liveView)}, nil
}

// Coverage implements View: nothing changes the memory any more.
func (v dyingView) Coverage() Coverage { return Coverage{Of: OneMoment, Whole: true} }

func (v dyingView) Kind() ViewKind    { return Stopped }
func (v dyingView) Threads() []Thread { return []Thread{} } // stopped, and none left
