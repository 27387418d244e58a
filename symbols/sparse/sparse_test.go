package sparse

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// What was noted travels, and nothing else.
func TestTravel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 4096)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	for range 200 {
		whole := Whole(data)
		from := whole.Noting()
		read := make([]bool, len(data))
		for range rng.IntN(40) {
			p := make([]byte, rng.IntN(64))
			at := rng.Uint64N(uint64(len(data)))
			if ok := from.Copy(p, at); ok != (at+uint64(len(p)) <= uint64(len(data))) {
				t.Fatalf("Copy of %d bytes at %d: %v", len(p), at, ok)
			} else if ok {
				for i := range p {
					read[at+uint64(i)] = true
				}
			}
		}
		got, err := Decode(Encode(from.Noted(), from.Slice))
		if err != nil {
			t.Fatal(err)
		}
		for at, was := range read {
			var b [1]byte
			if ok := got.Copy(b[:], uint64(at)); ok != was || ok && b[0] != data[at] {
				t.Fatalf("byte %d: there %v, was read %v", at, ok, was)
			}
		}
	}
}

func TestWithout(t *testing.T) {
	for _, c := range []struct{ all, away, want []Range }{
		{[]Range{{0, 10}}, nil, []Range{{0, 10}}},
		{[]Range{{0, 10}}, []Range{{0, 10}}, nil},
		{[]Range{{0, 10}, {20, 30}}, []Range{{2, 3}, {5, 22}, {29, 40}}, []Range{{0, 2}, {3, 5}, {22, 29}}},
		{[]Range{{0, 4}, {6, 8}}, []Range{{4, 6}}, []Range{{0, 4}, {6, 8}}},
		{[]Range{{0, 4}, {6, 8}, {10, 12}}, []Range{{2, 11}}, []Range{{0, 2}, {11, 12}}},
	} {
		if got := Without(c.all, c.away); !slices.Equal(got, c.want) {
			t.Errorf("%v without %v: %v, want %v", c.all, c.away, got, c.want)
		}
	}
}

// FuzzDecode: what is read is what was written, or an error, and its pieces are bytes of the input.
func FuzzDecode(f *testing.F) {
	data := Whole([]byte("0123456789abcdef"))
	f.Add(Encode([]Range{{1, 3}, {5, 6}}, data.Slice))
	f.Add([]byte{2, 0, 1, 0, 1, 'a', 'b'})
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 127, 3, 'a', 'b', 'c'})
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := Decode(in)
		if err != nil {
			return
		}
		var all []Range
		total := 0
		for _, p := range b.pieces {
			all = append(all, Range{p.start, p.end()})
			total += len(p.data)
		}
		if total > len(in) || len(all) != len(Merge(slices.Clone(all))) {
			t.Fatalf("%d bytes in %v of %d bytes", total, all, len(in))
		}
		again, err := Decode(Encode(all, b.Slice))
		if err != nil || len(again.pieces) != len(b.pieces) {
			t.Fatal(err)
		}
		for i := range b.pieces {
			if !bytes.Equal(again.pieces[i].data, b.pieces[i].data) {
				t.Fatal("other bytes")
			}
		}
	})
}

// Two halves of what was noted make the whole again, however they overlap and touch.
func TestUnion(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	data := make([]byte, 512)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	some := func(have []bool) Bytes {
		b := Whole(data).Noting()
		for range rng.IntN(20) {
			at := rng.IntN(len(data) - 32)
			end := at + 1 + rng.IntN(32)
			b.Note(uint64(at), uint64(end))
			for i := at; i < end; i++ {
				have[i] = true
			}
		}
		out, err := Decode(Encode(b.Noted(), b.Slice))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for range 500 {
		have := make([]bool, len(data))
		a, b := some(have), some(have)
		both := Union(&a, &b)
		again, err := Decode(Encode(both.Ranges(), both.Slice))
		if err != nil {
			t.Fatal(err)
		}
		for at, was := range have {
			var b [1]byte
			if ok := again.Copy(b[:], uint64(at)); ok != was || ok && b[0] != data[at] {
				t.Fatalf("byte %d: there %v, want %v", at, ok, was)
			}
		}
	}
}
