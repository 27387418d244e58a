package host

import (
	"context"
	"slices"
	"testing"
)

// In a rehearsal there is no heap to tell of whom each of many channels is, so ri.later gives nobody instead of
// everybody for each of them.
func TestLaterRehearsed(t *testing.T) {
	space, out := startKinds(t), &sink{}
	h := New(Options{Space: space, Sink: out, Bulk: func() bool { return false }})
	defer h.Close()
	script, err := CompileExpression("ask", `
		local queue, may = {{addr = ri.addr(ri.var"main.all".queue), kind = "send"}}, {send = {[1] = {"int"}}}
		print(#ri.later(queue, nil, may)[1].may, #ri.later(queue, ri.heap(), may)[1].may)`)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Run(context.Background(), script, nil); err != nil {
		t.Fatal(err)
	}
	if want := []string{"1\t0"}; !slices.Equal(out.printed, want) {
		t.Errorf("printed %q, want %q", out.printed, want)
	}
}

// Who turns out later to hold a lock is told of as those are of whom it was known.
func TestHolderFoundLater(t *testing.T) {
	got := ask(t, startKinds(t), `
		local needs = require "needs"
		local n, need = {gives = {}}, {givers = {}, holders = {}}
		needs.gives(n, need, 7, {evidence = "its code says so"})
		print(needs.holder(need, 7).evidence, #need.givers, n.gives[7][1] == need)`)
	if want := "its code says so\t1\ttrue"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
