package attach

import "time"

// CPUOptions says how to sample.
type CPUOptions struct {
	Time     time.Duration
	Hz       int                                   // samples a second of CPU time, of each thread
	Progress func(done, total time.Duration)       // called now and then; nil: nobody wants to know
	FrameEnd func(pc uint64) (size int64, ok bool) // how far the return address is from SP at a PC of the program; nil: not known
}

// CPUProfile is where a process spent its CPU time.
type CPUProfile struct {
	Event   string // "cpu-cycles", or "cpu-clock" where the machine gives no hardware counters
	Kernel  bool   // time in the kernel is in it
	Hz      int
	Time    time.Duration // for which it was sampled
	Samples int64
	Lost    int64 // samples that the kernel had no room for
	Threads int
	Stacks  []CPUStack
}

// CPUStack is a stack that samples were taken in.
type CPUStack struct {
	Count  int64
	PCs    []uint64 // innermost first: where it was, then return addresses
	Kernel bool     // the innermost function had called into the kernel
}
