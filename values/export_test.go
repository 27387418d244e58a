package values

import (
	"time"

	"ri/symbols"
)

// RunLocation evaluates a location expression in a frame, for a fuzz test.
func RunLocation(g *Goroutine, f *Frame, program []byte, t *symbols.Type) (Value, error) {
	return g.run(f, program, "fuzzed", t)
}

// AgeMemo has what a memo remembers be older than it is.
func AgeMemo(m *StackMemo, by time.Duration) { m.seen = m.seen.Add(-by) }
