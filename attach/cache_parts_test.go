package attach

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// perforated is a memory of which some pages are absent, and some reads end.
type perforated struct {
	data   []byte
	absent map[uint64]bool
	ends   int // the read that fails; 0: none
}

func (h *perforated) ReadMemory(p []byte, addr uint64) (int, error) {
	if h.ends--; h.ends == 0 {
		return copy(p[:len(p)/2], h.data[addr:]), ErrDeadline
	}
	for n := 0; n < len(p); n++ {
		if at := addr + uint64(n); h.absent[at/PageSize] {
			return n, NotMapped(at)
		}
		p[n] = h.data[addr+uint64(n)]
	}
	return len(p), nil
}

// What an Exact cache gives is what is there, in whatever order and pieces it is asked for, and after a read that
// ended. It keeps little more than the pages that it read.
func TestParts(t *testing.T) {
	const size = 4 * chunkSize
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		m := &perforated{data: make([]byte, size), absent: map[uint64]bool{}, ends: random.IntN(20)}
		for i := range m.data {
			m.data[i] = byte(random.Uint32())
		}
		for range random.IntN(8) {
			m.absent[random.Uint64N(size/PageSize)] = true
		}
		c := NewCache(m)
		c.Exact = true
		for range 200 {
			n := 1 + random.IntN(3*PageSize)
			addr := random.Uint64N(size - uint64(n))
			whole := true
			for page := addr / PageSize; page <= (addr+uint64(n)-1)/PageSize; page++ {
				whole = whole && !m.absent[page]
			}
			got, err := c.Slice(addr, n)
			switch {
			case m.ends == 0: // it was this one
				m.ends = -1
			case (err == nil) != whole:
				t.Fatalf("seed %d: %d bytes at %#x: %v, there: %v", seed, n, addr, err, whole)
			case err == nil && !bytes.Equal(got, m.data[addr:][:n]):
				t.Fatalf("seed %d: %d bytes at %#x are wrong", seed, n, addr)
			}
		}
	}
	m := &perforated{data: make([]byte, size)}
	c := NewCache(m)
	c.Exact = true
	for chunk := range uint64(4) {
		if _, err := c.Slice(chunk*chunkSize+3*PageSize-8, 16); err != nil {
			t.Fatal(err)
		}
	}
	if most := int64(4 * (2*PageSize + emptyChunkCost)); c.held > most {
		t.Errorf("%d bytes are held for two pages each of four chunks, more than %d", c.held, most)
	}
}
