package client

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"ri/ovsdb"
)

// TestChanged has the error that ends a monitor be heard of by who has not read yet that something changed.
func TestChanged(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	m := newMonitor("db", nil)
	m.pending[key{"T", ovsdb.NewUUID()}] = Change{}
	changed := m.Changed(ctx)
	for len(changed) == 0 {
		runtime.Gosched()
	}
	gone := errors.New("gone")
	m.fail(gone)
	for range 1000 { // it has looked again by now, or will
		runtime.Gosched()
	}
	if err := <-changed; err != nil {
		t.Error(err)
	}
	if err := <-changed; !errors.Is(err, gone) {
		t.Error(err)
	}
}
