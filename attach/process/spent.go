package process

import (
	"sync/atomic"
	"time"
)

// spent is for how long this process has held targets stopped, in nanoseconds.
var spent atomic.Int64

func noteStop(took time.Duration) { spent.Add(int64(took)) }

// Spent is for how long this process has held targets stopped, all together.
func Spent() time.Duration { return time.Duration(spent.Load()) }
