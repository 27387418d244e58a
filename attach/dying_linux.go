//go:build amd64

package attach

import (
	"context"
	"fmt"
)

// A process that a watcher holds in its last moment has its memory still, and nothing runs any more: all views of it are the same, and need no
// stop. Its threads have ended, so there are no registers; a goroutine that ran is seen as it last went into the runtime, if it did.

// dyingView reads a process that is held in its exit.
type dyingView struct{ *liveView }

// Dying tells whether the process is held in its last moment by a watcher.
func (p *Process) Dying() bool { return p.dying }

// Ends says how a process that is dying ends, as Death.String does.
func (p *Process) Ends() string { return p.ends }

func (p *Process) dyingView(ctx context.Context) (View, error) {
	v, err := p.live(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w; it was dying, and its watcher has let it go (--max-hold)", err)
	}
	return dyingView{v.(*liveView)}, nil
}

func (v dyingView) Kind() ViewKind    { return Stopped }
func (v dyingView) Threads() []Thread { return []Thread{} } // stopped, and none left
