package record

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"ri/record/format"
	"ri/symbols"
)

// TestSightMerges hears of the same things one by one, and as a walk tells them: what is listed is the same.
func TestSightMerges(t *testing.T) {
	kinds := []*symbols.Type{{Kind: reflect.Struct, Size: 48}, {Kind: reflect.Struct, Size: 16},
		{Kind: reflect.Int64, Size: 8}, {Kind: reflect.Pointer, Size: 8}}
	never := func(typedAt) bool { return false }
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		one, walked := NewSight(), NewSight()
		for addr := uint64(0x1000); addr < 0x3000; addr += 48 * (1 + random.Uint64N(3)) {
			typ := kinds[random.IntN(len(kinds))]
			n := 1 + random.Uint64N(48/uint64(typ.Size))
			for k := range n {
				one.Typed(addr+k*uint64(typ.Size), typ)
			}
			walked.Objects(addr, typ, n)
			if random.IntN(3) == 0 { // a part, or something around it
				part, at := kinds[random.IntN(len(kinds))], addr-8*random.Uint64N(3)
				one.Typed(at, part)
				walked.Typed(at, part)
			}
			if random.IntN(40) == 0 { // another walk
				walked.Objects(0x1000, kinds[3], 1)
				one.Typed(0x1000, kinds[3])
			}
		}
		list := func(s *Sight) (out []string) {
			last := uint64(0)
			s.all(s.single(), never, func(x typedAt) {
				if x.addr < last {
					t.Fatalf("seed %d: %#x comes behind %#x", seed, x.addr, last)
				}
				last = x.addr
				out = append(out, fmt.Sprintf("%#x %p", x.addr, x.typ))
			})
			slices.Sort(out) // two of one address and size come in any order
			return slices.Compact(out)
		}
		if a, b := list(one), list(walked); !slices.Equal(a, b) {
			t.Fatalf("seed %d: one by one\n%v\nas a walk\n%v", seed, a, b)
		}
	}
}

// TestWindow paints at random, byte by byte and as it is done.
func TestWindow(t *testing.T) {
	const start = 7 << windowShift
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 2))
		p := &painter{mem: Memory{Mapped: func(uint64, uint64) bool { return false }}}
		w := &window{painter: p, sight: NewSight()}
		w.open(start)
		var colors [windowSize]color
		var data [windowSize]byte
		for range 3000 {
			b := make([]byte, random.IntN(40))
			for i := range b {
				b[i] = byte(random.IntN(256))
				if seed%2 == 0 {
					b[i] = byte('a' + random.IntN(26))
				}
			}
			addr := start - 20 + random.Uint64N(windowSize+20)
			c := []color{padding, unknown, plain, meant, token, denied}[random.IntN(6)]
			if c == denied {
				w.deny(addr, uint64(len(b)))
			} else {
				w.set(addr, b, c)
			}
			for i, x := range b {
				off := addr + uint64(i) - start
				if off < windowSize && colors[off] <= c {
					if colors[off] = c; c != denied {
						data[off] = x
					}
				}
			}
		}
		w.denyTexts()
		for i, n := 0, 0; i <= windowSize; i++ {
			if i < windowSize && colors[i] == plain && data[i] >= ' ' && data[i] <= '~' {
				n++
				continue
			}
			for k := i - n; k < i && n >= readsAsText; k++ {
				colors[k] = denied
			}
			n = 0
		}
		var block []byte
		out := &runs{name: "m", out: newOutput(func(_ string, data []byte, _, _ uint64) error {
			block = slices.Clone(data)
			return nil
		})}
		w.cut(out)
		out.flush()
		if err := out.out.wait(); err != nil {
			t.Fatal(err)
		}
		list, err := format.ReadMemory(block)
		if err != nil {
			t.Fatal(err)
		}
		want := map[color]format.MemoryKind{padding: format.Data, plain: format.Data, meant: format.Data,
			token: format.Tokens, unknown: format.Denied, denied: format.Denied}
		painted := 0
		for _, r := range list {
			for k := range r.Size {
				off := r.Addr + uint64(k) - start
				painted++
				if kind, ok := want[colors[off]]; !ok || kind != r.Kind || r.Data != nil && r.Data[k] != data[off] {
					t.Fatalf("seed %d: byte %d, of color %#x, is of kind %d", seed, off, colors[off], r.Kind)
				}
			}
		}
		for _, c := range colors {
			if c != none {
				painted--
			}
		}
		if painted != 0 {
			t.Fatalf("seed %d: %d bytes too many were written", seed, painted)
		}
	}
}

// TestOutputFails sees that what can't be written is said, and ends nothing else.
func TestOutputFails(t *testing.T) {
	no, calls := errors.New("no space"), 0
	o := newOutput(func(string, []byte, uint64, uint64) error { calls++; return no })
	r := &runs{name: "m", out: o}
	for i := range uint64(100) {
		r.add(i<<20, 1<<20, format.Data, make([]byte, 1<<20))
	}
	r.flush()
	if err := o.wait(); !errors.Is(err, no) || calls != 1 {
		t.Errorf("%v, after %d calls", err, calls)
	}
	if err := o.wait(); !errors.Is(err, no) {
		t.Errorf("then %v", err)
	}
}
