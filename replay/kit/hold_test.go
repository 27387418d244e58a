package kit

import (
	"encoding/json"
	"reflect"
	"testing"
	"testing/synctest"
)

// TestHold: a goroutine that has to find three things waits from the first to the last; others go on meanwhile.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := (&riRecording{}).replay(t, nil)
		r.wait = synctest.Wait
		passed := map[uint64]chan bool{5: make(chan bool, 1), 6: make(chan bool, 1), 7: make(chan bool, 1)}
		r.hold(5)
		r.hold(6)
		for n, c := range passed {
			go func() {
				r.is(n)
				r.passes()
				c <- true
			}()
		}
		has := func(want map[uint64]int) {
			t.Helper()
			for n, c := range passed {
				if len(c) != want[n] {
					t.Errorf("goroutine %d: passed %d times, want %d", n, len(c), want[n])
				}
			}
		}
		r.settle()
		has(map[uint64]int{7: 1})
		r.hold(5)
		r.goOn(5)
		has(map[uint64]int{6: 1, 7: 1})
		r.goOn(0)
		has(map[uint64]int{5: 1, 6: 1, 7: 1})
	})
}

// TestAwait: what the library sends only if somebody waits for it is waited for.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := (&riRecording{}).replay(t, nil)
		r.wait = synctest.Wait
		c := make(chan int)
		r.bind("7", reflect.ValueOf(c))
		send := func(polled bool) *riStep {
			return &riStep{e: &riEvent{Seq: 1, Kind: "send", Chan: 7, Polled: polled, Values: []json.RawMessage{[]byte("5")}}}
		}
		tried := send(true)
		r.await([]*riStep{tried, {e: &riEvent{Kind: "call"}}, send(true)})
		r.settle()
		select {
		case c <- 5:
		default:
			t.Fatal("nobody waits")
		}
		select {
		case c <- 6:
			t.Error("somebody waits for what comes later")
		default:
		}
		if r.fetch(tried.e); r.failed != "" || r.sent != 1 {
			t.Errorf("%q, %d sent", r.failed, r.sent)
		}
	})
}
