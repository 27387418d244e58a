package record

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"

	"ri/record/format"
	"ri/record/redact"
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
			s.all(s.single(), never, func(r rank) {
				for i := range r.n {
					if r.at(i) < last {
						t.Fatalf("seed %d: %#x comes behind %#x", seed, r.at(i), last)
					}
					last = r.at(i)
					out = append(out, fmt.Sprintf("%#x %p", last, r.typ))
				}
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
		w := &window{painter: p, glance: glance{sight: NewSight()}}
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
		out := &runs{name: "m", take: func(j job) { block = j.data }, buffer: func() []byte { return nil }}
		w.cut(out)
		out.flush()
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

// TestReturnIsNoValue: what was looked at as a value, and has a return address within, was something else; and the
// return address stays.
func TestReturnIsNoValue(t *testing.T) {
	const code, returns, other = 0x401000, 0x7010, 0x7040
	p := &painter{checks: map[*symbols.Type]*checks{}, mem: Memory{
		Mapped:   func(uint64, uint64) bool { return true },
		Constant: func(uint64, int) bool { return false },
		Code:     func(addr uint64) bool { return addr == code },
		Read: func(addr uint64, n int) ([]byte, bool) {
			if n != 8 {
				return nil, false
			}
			return binary.LittleEndian.AppendUint64(nil, code), true
		}}}
	numbers := &symbols.Type{Kind: reflect.Struct, Size: 32}
	s := NewSight()
	for _, addr := range []uint64{returns - 24, other} {
		s.Typed(addr, numbers)
		s.Read(addr, 32)
	}
	s.Return(returns)
	right, wrong := p.apart(s, s.single())
	if len(right) != 1 || right[0].addr != other || len(wrong) != 1 || wrong[0].addr != returns-24 {
		t.Errorf("%v can be of their type, %v can't", right, wrong)
	}
	w := &window{painter: p, glance: glance{sight: s}}
	w.open(returns &^ (windowSize - 1))
	w.deny(returns-24, 100)
	w.keepReturns()
	for addr, want := range map[uint64]color{returns - 1: denied, returns: meant, returns + 7: meant,
		returns + 8: denied} {
		if c := color(w.colors[addr-w.start]); c != want {
			t.Errorf("%#x is painted %#x, not %#x", addr, c, want)
		}
	}
}

// full is a disk on which nothing fits.
type full struct {
	err   error
	calls int
}

func (f *full) Encode(string, []byte, uint64, uint64) (e format.Encoded, err error) { return e, nil }

func (f *full) Put(format.Encoded) error {
	f.calls++
	return f.err
}

// TestOutputFails sees that what can't be written is said, and ends nothing else.
func TestOutputFails(t *testing.T) {
	disk := &full{err: errors.New("no space")}
	o := newOutput(disk)
	r := &runs{name: "m", take: o.block, buffer: o.buffer}
	for i := range uint64(100) {
		r.add(i<<20, 1<<20, format.Data, make([]byte, 1<<20))
	}
	r.flush()
	if err := o.wait(); !errors.Is(err, disk.err) || disk.calls != 1 {
		t.Errorf("%v, after %d calls", err, disk.calls)
	}
	if err := o.wait(); !errors.Is(err, disk.err) {
		t.Errorf("then %v", err)
	}
}

// TestLine sees that jobs come in order, and that a panic is told and ends nothing.
func TestLine(t *testing.T) {
	var list []int
	var told atomic.Int32
	l := newLine(func() func(*int) {
		return func(n *int) {
			if *n%100 == 7 {
				panic("a job")
			}
			*n *= 2
		}
	}, func(n *int) { list = append(list, *n) }, func(error) { told.Add(1) })
	for i := range 1000 {
		l.add(&i)
	}
	l.close()
	for i, n := range list {
		if n != 2*i && i%100 != 7 {
			t.Fatalf("job %d gave %d", i, n)
		}
	}
	if len(list) != 1000 || told.Load() != 10 {
		t.Errorf("%d jobs, %d panics", len(list), told.Load())
	}
}

// TestStandsFor compares headers, some of which come out of order or twice, with a map of them.
func TestStandsFor(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	p := &painter{contents: newContents(1 << 40), out: newOutput(&full{}), mem: Memory{
		Read: func(_ uint64, n int) ([]byte, bool) { return make([]byte, n), true }}}
	p.tokens = redact.NewTokens([redact.KeySize]byte{1})
	want := map[oddHeader]textSum{}
	at := uint64(1 << 32)
	for range 50_000 {
		switch random.IntN(20) {
		case 0:
			at -= 8 * random.Uint64N(40)
		case 1:
		case 2:
			at += random.Uint64N(1 << 34)
		default:
			at += 8 * (1 + random.Uint64N(5))
		}
		r := replacedText{at: at, addr: at, n: 8, mask: random.IntN(10) == 0, sum: textSum{random.Uint64N(1000), 1}}
		if r.mask {
			r.sum[1]++
		}
		key := oddHeader{r.at, r.mask}
		if _, ok := want[key]; ok {
			continue // a header leads to one text
		}
		want[key] = r.sum
		p.replace(&r)
	}
	places := []headerPlace{{}, {}}
	check := func(key oddHeader, from *headerPlace) {
		to, ok := p.standsFor(key.at, key.mask, from)
		sum, there := want[key]
		if ok != there || ok && to != p.contents.tokens[p.known[sum]] {
			t.Fatalf("%+v: %#x, %v", key, to, ok)
		}
	}
	keys := slices.SortedFunc(maps.Keys(want), func(a, b oddHeader) int { return cmp.Compare(a.at, b.at) })
	for _, key := range keys {
		check(key, &places[0])
		check(oddHeader{key.at, !key.mask}, &places[0])
		check(oddHeader{key.at + 4, key.mask}, &places[0])
		check(keys[random.IntN(len(keys))], &places[1])
	}
	if err := p.out.wait(); err != nil {
		t.Fatal(err)
	}
}
