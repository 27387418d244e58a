package values

import "ri/symbols"

// RunLocation evaluates a location expression in a frame, for a fuzz test.
func RunLocation(g *Goroutine, f *Frame, program []byte, t *symbols.Type) (Value, error) {
	return g.run(f, program, "fuzzed", t)
}
