package conns

import (
	"testing"

	"ri/record/streams"
)

// TestExisting: what only listens is no connection that began before.
func TestExisting(t *testing.T) {
	for _, listens := range []bool{true, false} {
		var seen []Conn
		x := &tracker{byNumber: map[uint32]*socket{}, wanted: func(*socket) bool { return true },
			clock: func(mono int64) int64 { return mono }, notes: map[string]bool{},
			sink: func(_ *streams.Event, c Conn) error { seen = append(seen, c); return nil }}
		x.existing(open{network: "tcp", local: "127.0.0.1:1", listens: listens}, 7, 1, map[string]bool{})
		if len(seen) != 1 || seen[0].Existing == listens {
			t.Errorf("listens %v: %+v", listens, seen)
		}
	}
}
