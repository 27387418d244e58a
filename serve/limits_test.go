package serve

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ri/ovsdb/wire"
	"ri/serve/pki"
	"ri/serve/request"
)

// TestFilesInAdvance sends files for requests that never come, without anything in them: what an agent keeps of all
// connections is bounded, and let go with the connection.
func TestFilesInAdvance(t *testing.T) {
	defer func(most int64) { maxPut = most }(maxPut)
	maxPut = 1 << 20
	s := startAgent(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ann := s.identity(pki.Wish{Name: "ann", Kind: "author", Life: time.Hour})
	connect := func() *wire.Peer {
		p := s.speak(ann)
		if _, err := p.Call(ctx, request.Hello, greeting); err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, other := connect(), connect()
	put := func(p *wire.Peer, i int) error {
		_, err := p.Call(ctx, request.Put, i, fmt.Sprint("/", i, strings.Repeat("x", 10_000)), "")
		return err
	}
	refused := 0
	for i := range 200 {
		if err := put(one, i); failed(err) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused < 90 || refused > 110 {
		t.Errorf("of 200 paths of 10 kB %d were refused, where 1 MiB may be kept", refused)
	}
	if err := put(other, 1); !failed(err) {
		t.Errorf("another connection: %v", err)
	}
	one.Close()
	for put(other, 1) != nil { // once the agent knows
		if err := ctx.Err(); err != nil {
			t.Fatal(err)
		}
	}
}
