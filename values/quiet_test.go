package values_test

import (
	"testing"

	"ri/symbols/testprogram"
)

// TestInStack: on whose stack an address lies, without a look at all goroutines where it lies on none.
func TestInStack(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		p := testprogram.Start(t, testprogram.Build(t, fixture, v))
		defer p.End()
		space, _ := copyProcess(t, p).space(nil)
		stacks := 0
		for g, err := range space.Goroutines() {
			if err != nil {
				t.Fatal(err)
			}
			stacks++
			lo, hi := g.StackLo, g.StackHi
			for _, addr := range []uint64{lo, (lo + hi) / 2, hi - 8} {
				if on, ok := space.InStack(addr); !ok || on.ID != g.ID {
					t.Errorf("%#x lies on the stack of goroutine %d: %v, %t", addr, g.ID, on, ok)
				}
			}
			before := space.Values()
			if on, ok := space.InStack(g.Addr); ok {
				t.Errorf("the runtime.g at %#x lies on the stack of goroutine %d", g.Addr, on.ID)
			}
			if read := space.Values() - before; read > 16 {
				t.Errorf("that an address lies on no stack was found out by %d values", read)
			}
		}
		allgs, err := space.Var("runtime.allgs")
		if err != nil || stacks == 0 {
			t.Fatalf("%d goroutines, %v", stacks, err)
		}
		if _, ok := space.InStack(allgs.Addr); ok {
			t.Error("a package variable lies on a stack")
		}
		if ok, why, err := space.Quiet(); !ok && why == "" || err != nil {
			t.Errorf("quiet: %t, %q, %v", ok, why, err)
		}
	})
}
