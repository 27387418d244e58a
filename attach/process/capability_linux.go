//go:build amd64

package process

import (
	"ri/attach"
	"ri/attach/core"
)

// Which kind can do what.
var (
	_ interface {
		attach.Target
		attach.Stoppable
		attach.Injectable
		attach.Changeable
		attach.Dumpable
		attach.Watchable
		attach.Sampled
		attach.Connected
		attach.Accounted
		attach.Interruptible
	} = (*Process)(nil)
	_ attach.Target = (*core.Core)(nil)

	_ interface {
		attach.View
		attach.RangeReader
		attach.Writer
		attach.Injector
	} = (*stoppedView)(nil)
	_ interface {
		attach.View
		attach.Director
	} = (*snapshotView)(nil)
	_ interface {
		attach.View
		attach.RangeReader
	} = (*liveView)(nil)
	_ interface {
		attach.View
		attach.RangeReader
	} = dyingView{}
	_ interface {
		attach.View
		attach.Director
		attach.Explainer
	} = (*core.CoreView)(nil)
)
