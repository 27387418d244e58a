package values

import "ri/symbols"

// RunLocation evaluates a location expression in a frame, for a fuzz test.
func RunLocation(g *Goroutine, f *Frame, program []byte, t *symbols.Type) (Value, error) {
	return g.run(f, program, "fuzzed", t)
}

// StackRange is where a goroutine's stack lies.
func (g *Goroutine) StackRange() (lo, hi uint64) { return g.stackLo, g.stackHi }
