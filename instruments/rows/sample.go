package rows

// ProfileValue is what one number of a sample means, as pprof names it: "goroutine" in "count", "inuse_space" in
// "bytes".
type ProfileValue struct {
	Type, Unit string
}

// SampleFrame is a function on a sample's stack, or whatever else the instrument lets stand for one.
type SampleFrame struct {
	Func, File string
	Line       int64
	PC         uint64 // 0: none
}

// Sample is a stack, innermost frame first, with a number for each of the declared values.
type Sample struct {
	Frames []SampleFrame
	Values []int64
	Labels map[string]string
}
