package attach

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// holes is a Memory of pages, some of which are not there. Its bytes are known without keeping them.
type holes struct {
	present func(page uint64) bool
	end     uint64 // nothing from here on, which may be within a page; 0: no end
	reads   int
}

func (h *holes) ReadMemory(p []byte, addr uint64) (int, error) {
	h.reads++
	for i := range p {
		a := addr + uint64(i)
		if a < addr || !h.present(a/PageSize) || h.end != 0 && a >= h.end {
			return i, NotMapped(a)
		}
		p[i] = holeByte(a)
	}
	return len(p), nil
}

func holeByte(a uint64) byte { return byte(a ^ a>>8 ^ a>>16*31) }

func TestCacheReadsLittle(t *testing.T) {
	m := &holes{present: func(uint64) bool { return true }}
	c := NewCache(m)
	for range 3 {
		for a := uint64(1 << 20); a < 2<<20; a += 8 {
			if _, err := c.Uint64(a); err != nil {
				t.Fatal(err)
			}
		}
	}
	if m.reads != 2*16 {
		t.Errorf("a dense walk of 1 MiB, three times, took %d reads, want two a chunk of 64 KiB", m.reads)
	}
	c.Reset(m)
	m.reads = 0
	before := c.Stats().BytesRead
	for a := uint64(1 << 20); a < 101<<20; a += 1 << 20 {
		c.Uint64(a)
	}
	if got := c.Stats().BytesRead - before; got != 100*PageSize {
		t.Errorf("100 words far from each other took %d bytes, want a page each", got)
	}
}

func TestCacheEdges(t *testing.T) {
	// Pages 3..20 are there, without page 7; the memory ends 100 bytes into page 20.
	m := &holes{present: func(p uint64) bool { return p >= 3 && p <= 20 && p != 7 }, end: 20*PageSize + 100}
	c := NewCache(m)
	for _, x := range []struct {
		addr uint64
		n    int
		ok   bool
	}{
		{3 * PageSize, 8, true},
		{3*PageSize - 1, 2, false},
		{3*PageSize - 8, 8, false},
		{7*PageSize - 8, 8, true},
		{7*PageSize - 4, 8, false},
		{7 * PageSize, 1, false},
		{8 * PageSize, 1, true},
		{8*PageSize - 1, 1, false},
		{15*PageSize + 100, 2 * PageSize, true}, // across a chunk's end
		{3 * PageSize, 5 * PageSize, false},
		{8 * PageSize, 12 * PageSize, true},
		{20 * PageSize, 100, true},
		{20*PageSize + 96, 8, false},
		{20*PageSize + 99, 1, true},
		{20*PageSize + 100, 1, false},
		{math.MaxUint64, 1, false},
		{math.MaxUint64 - 7, 8, false},
		{math.MaxUint64 - 3, 8, false},
		{math.MaxUint64, math.MaxInt, false},
		{8 * PageSize, math.MaxInt, false},
		{8 * PageSize, -1, false},
		{8 * PageSize, 1<<30 + 1, false},
		{0, 8, false},
	} {
		for range 2 {
			got, err := c.Slice(x.addr, x.n)
			if (err == nil) != x.ok {
				t.Errorf("Slice(%#x, %d): %v", x.addr, x.n, err)
			}
			if err == nil && len(got) != x.n {
				t.Errorf("Slice(%#x, %d): %d bytes", x.addr, x.n, len(got))
			}
			for i, b := range got {
				if b != holeByte(x.addr+uint64(i)) {
					t.Fatalf("Slice(%#x, %d): wrong byte %d", x.addr, x.n, i)
				}
			}
			if x.n == 8 {
				w, err := c.Uint64(x.addr)
				if (err == nil) != x.ok || x.ok && w != binary.LittleEndian.Uint64(got) {
					t.Errorf("Uint64(%#x): %#x, %v", x.addr, w, err)
				}
			}
		}
	}
}

func TestCacheRemembersAbsence(t *testing.T) {
	there := false
	m := &holes{present: func(uint64) bool { return there }}
	c := NewCache(m)
	c.Uint64(0x5000)
	reads := m.reads
	there = true
	if _, err := c.Uint64(0x5000); !errors.Is(err, ErrNotMapped) || m.reads != reads {
		t.Errorf("an absent page was asked for again: %v, %d reads", err, m.reads-reads)
	}
	c.Reset(m)
	if _, err := c.Uint64(0x5000); err != nil {
		t.Errorf("after Reset: %v", err)
	}
}

// TestCacheOtherErrors sees that a view that ended isn't remembered as absent memory.
func TestCacheOtherErrors(t *testing.T) {
	f := failing{ErrDeadline}
	c := NewCache(&f)
	if _, err := c.Uint64(0x5000); !errors.Is(err, ErrDeadline) {
		t.Error(err)
	}
	f.err = nil
	if _, err := c.Uint64(0x5000); err != nil {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f *failing) ReadMemory(p []byte, addr uint64) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return len(p), nil
}

func TestCacheIsBounded(t *testing.T) {
	for _, there := range []bool{true, false} {
		c := NewCache(&holes{present: func(uint64) bool { return there }})
		c.MaxBytes = 1 << 18
		kept, err := c.Slice(0, 8)
		if there != (err == nil) {
			t.Fatal(err)
		}
		for i := range uint64(5_000) {
			c.Uint64(i * chunkSize)
			if c.held > c.MaxBytes+2*chunkSize {
				t.Fatalf("%d bytes are held, the limit is %d", c.held, c.MaxBytes)
			}
		}
		if c.Stats().Evictions == 0 {
			t.Error("nothing was ever dropped")
		}
		for i, b := range kept { // valid until Reset, whatever was dropped
			if b != holeByte(uint64(i)) {
				t.Fatal("a slice changed when the cache was emptied")
			}
		}
	}
}

func FuzzCache(f *testing.F) {
	f.Add(uint64(1), []byte("some reads of some sizes here and there"))
	f.Fuzz(func(t *testing.T, seed uint64, ops []byte) {
		present := func(page uint64) bool { return page%32 != 5 && page*seed>>7%3 != 0 }
		m := &holes{present: present, end: 40*PageSize + seed%PageSize}
		model := &holes{present: present, end: m.end}
		c := NewCache(m)
		c.MaxBytes = 1 << 18
		rnd := rand.New(rand.NewPCG(seed, 1))
		for _, op := range ops {
			addr := rnd.Uint64N(50 * PageSize)
			if op%16 == 0 {
				addr = -rnd.Uint64N(3 * PageSize)
			}
			if op%4 == 1 { // near a page's edge
				addr = addr&^(PageSize-1) - uint64(op/4%16)
			}
			n := int(rnd.Uint64N(1 << (op % 18)))
			want := make([]byte, n)
			k, wantErr := model.ReadMemory(want, addr)
			got := make([]byte, n)
			g, gotErr := c.ReadMemory(got, addr)
			if g != k || (wantErr == nil) != (gotErr == nil) || !bytes.Equal(got[:g], want[:k]) {
				t.Fatalf("ReadMemory(%d bytes, %#x): %d, %v; want %d, %v", n, addr, g, gotErr, k, wantErr)
			}
			s, err := c.Slice(addr, n)
			if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(s, want) {
				t.Fatalf("Slice(%#x, %d): %v, want %v", addr, n, err, wantErr)
			}
			var w [8]byte
			_, wantErr = model.ReadMemory(w[:], addr)
			v, err := c.Uint64(addr)
			if (err == nil) != (wantErr == nil) || err == nil && v != binary.LittleEndian.Uint64(w[:]) {
				t.Fatalf("Uint64(%#x): %#x, %v; want %v", addr, v, err, wantErr)
			}
			v32, err := c.Uint32(addr)
			if _, e := model.ReadMemory(w[:4], addr); (err == nil) != (e == nil) || err == nil &&
				v32 != binary.LittleEndian.Uint32(w[:]) {
				t.Fatalf("Uint32(%#x): %#x, %v; want %v", addr, v32, err, e)
			}
			v8, err := c.Uint8(addr)
			if _, e := model.ReadMemory(w[:1], addr); (err == nil) != (e == nil) || err == nil && v8 != w[0] {
				t.Fatalf("Uint8(%#x): %#x, %v; want %v", addr, v8, err, e)
			}
			if op == 255 {
				c.Reset(m)
			}
		}
	})
}

var sink uint64

// BenchmarkUint64 is the cost of a hit: next to each other, at random in 32 MiB, and a chain of dependent reads.
// "copy" is the same from a plain slice of ri's own.
func BenchmarkUint64(b *testing.B) {
	const size = 32 << 20
	mem := &flat{data: make([]byte, size)}
	perm := rand.New(rand.NewPCG(1, 1)).Perm(size / 64)
	for i, p := range perm {
		binary.LittleEndian.PutUint64(mem.data[i*64:], uint64(p*64))
	}
	c := NewCache(mem)
	for a := uint64(0); a < size; a += PageSize {
		c.Uint64(a)
	}
	b.Run("sequential", func(b *testing.B) {
		for i := range b.N {
			v, _ := c.Uint64(uint64(i) * 8 % size)
			sink += v
		}
	})
	b.Run("sequential-copy", func(b *testing.B) {
		for i := range b.N {
			sink += binary.LittleEndian.Uint64(mem.data[uint64(i)*8%size:])
		}
	})
	b.Run("chain", func(b *testing.B) {
		a := uint64(0)
		for range b.N {
			a, _ = c.Uint64(a)
		}
		sink += a
	})
	b.Run("chain-copy", func(b *testing.B) {
		a := uint64(0)
		for range b.N {
			a = binary.LittleEndian.Uint64(mem.data[a:])
		}
		sink += a
	})
	b.Run("slice", func(b *testing.B) {
		for i := range b.N {
			s, _ := c.Slice(uint64(i)*16%size, 16)
			sink += uint64(s[0])
		}
	})
}

type flat struct{ data []byte }

func (f *flat) ReadMemory(p []byte, addr uint64) (int, error) {
	if addr >= uint64(len(f.data)) {
		return 0, NotMapped(addr)
	}
	n := copy(p, f.data[addr:])
	if n < len(p) {
		return n, NotMapped(addr + uint64(n))
	}
	return n, nil
}
