package probe

// Flow is what a hit has to do with flows. A flow is what one call does on its way: it begins with the call, and the
// goroutine of the call is in it until the call returns; so are the goroutines that it starts meanwhile, and theirs.
type Flow uint8

const (
	NoFlow Flow = iota
	// Opens: a hit opens a flow, and is given at once. A return at one of Returns ends it, and is given as FlowLeft. A
	// hit in an open flow opens none: it is FlowStep of that one.
	Opens
	Within // hits of goroutines that are in a flow are given, and all others are none
	// Starts: the function is runtime.newproc1. A goroutine that is started by one in a flow is in it, too.
	Starts
	Ends // the function is runtime.goexit1: a goroutine is in no flow any more
)

// FlowEvent is what an event says of a flow.
type FlowEvent uint8

const (
	FlowEntered FlowEvent = iota + 1 // the call that opened it
	FlowStep                         // it passes a function
	FlowStarted                      // it started the goroutine Other
	FlowLeft                         // the call that opened it returned
	FlowEnded                        // a goroutine of it ended: the one that opened it has not returned then
)
