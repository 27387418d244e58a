//go:build amd64

package attach

// Which kind can do what.
var (
	_ interface {
		Target
		Stoppable
		Injectable
		Identified
		Dumpable
		Watchable
		Sampled
		Connected
	} = (*Process)(nil)
	_ Target = (*Core)(nil)

	_ interface {
		View
		RangeReader
		Writer
		Injector
	} = (*stoppedView)(nil)
	_ interface {
		View
		Director
	} = (*snapshotView)(nil)
	_ interface {
		View
		RangeReader
	} = (*liveView)(nil)
	_ interface {
		View
		RangeReader
	} = dyingView{}
	_ interface {
		View
		Director
		Explainer
	} = (*coreView)(nil)
)
