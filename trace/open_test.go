package trace

import (
	"testing"
	"time"

	"ri/probe"
)

// What is said of a call that goes on must be true whatever it gives, and however long it takes.
func TestHoldsAlready(t *testing.T) {
	since := func(op probe.Op, d time.Duration) probe.Since { return probe.Since{Op: op, Right: uint64(d)} }
	const s = time.Second
	result := probe.Compare{}
	for i, c := range []struct {
		when probe.Condition
		want verdict
	}{
		{nil, holds},
		{result, unknown},
		{since(probe.GreaterEqual, s), holds},
		{since(probe.Greater, s), unknown},
		{since(probe.Greater, s-1), holds},
		{since(probe.Less, s), fails},
		{since(probe.LessEqual, s), unknown},
		{since(probe.Equal, s), unknown},
		{probe.Not{Of: since(probe.Less, s)}, holds},
		{probe.And{since(probe.Greater, 1), result}, unknown},
		{probe.And{since(probe.Less, 1), result}, fails},
		{probe.Or{since(probe.Greater, 1), result}, holds},
		{probe.And{}, holds},
		{probe.Or{}, fails},
	} {
		if got := holdsAlready(c.when, s); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
}
