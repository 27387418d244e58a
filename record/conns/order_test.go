package conns

import (
	"testing"
	"time"

	"ri/probe/kernel"
)

// TestOrder: what comes early waits for what took an earlier place: long, if nothing is known to be lost, and else not.
func TestOrder(t *testing.T) {
	begun := time.Now()
	for _, c := range []struct {
		dropped uint64
		after   time.Duration
		come    bool
	}{{0, 3 * time.Second, false}, {0, 2 * time.Minute, true}, {1, time.Second, false}, {1, 3 * time.Second, true}} {
		o := newOrder()
		o.dropped = c.dropped
		o.add(kernel.SocketCall{Seq: 1, Last: true})
		if o.take(begun, false) != nil {
			t.Fatal("the second place is given before the first")
		}
		if got := o.take(begun.Add(c.after), false); (got != nil) != c.come {
			t.Errorf("%d dropped, after %v: %v", c.dropped, c.after, got)
		}
		o.add(kernel.SocketCall{Last: true})
		if got := o.take(begun.Add(c.after), false); !c.come && (got == nil || got.Seq != 0) {
			t.Errorf("what came late isn't given: %v", got)
		}
	}
}
