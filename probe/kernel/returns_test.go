package kernel

import (
	"maps"
	"math/bits"
	"testing"
	"time"

	"ri/probe"
	"ri/symbols/testprogram"
)

func TestReturns(t *testing.T) {
	c := start(t, testprogram.Variant{})
	p := c.function("main.take", true)
	p.At = probe.Plan{When: compare(inReg(rbx), probe.Less, 900), Reads: []probe.Read{
		{At: probe.Path{Base: reg(rax)}, Size: 80}}}
	entryItem := probe.Base{Kind: probe.EntryItem, N: 0, Off: atID}
	odd := probe.Word{Path: probe.Path{Base: reg(rax)}, InPlace: true, Size: 8, Signed: true}
	p.Back = probe.Plan{
		When: probe.And{compare(odd, probe.GreaterEqual, 20), probe.Since{Op: probe.Less, Right: uint64(time.Hour)},
			compare(probe.Word{Path: probe.Path{Base: entryItem}, InPlace: true, Size: 8, Signed: true}, probe.NotEqual, 50)},
		Reads: []probe.Read{
			{At: probe.Path{Base: probe.Base{Kind: probe.EntryRegister, N: rax}}, Size: 8},
			{At: probe.Path{Base: probe.Base{Kind: probe.EntryItem, N: 0, Off: atNext}}, Size: 8}},
	}
	a := c.arm(c.generous(), p)
	said, _ := c.do("take 500 5")
	want := map[uint64]Call{}
	for _, s := range said {
		if s.N < 900 && s.Result >= 20 && s.ID != 50 {
			want[uint64(s.ID)] = s
		}
	}
	events := all(t, a)
	if len(events) != len(want) {
		t.Fatalf("%d events of %d: %+v", len(events), len(want), a.Counts())
	}
	for _, e := range events {
		id := le64(e.Pieces[0].Data)
		s, ok := want[id]
		delete(want, id)
		r := e.Return
		if !ok || r == nil || e.Ended || int(r.Registers[rax]) != s.Result || (r.Registers[rbx] != 0) != s.Failed ||
			le64(r.Pieces[0].Data) != id || r.Time < e.Time {
			t.Fatalf("call %+v: %+v", s, e)
		}
		if n := r.Pieces[1]; s.Next < 0 && n.State != probe.NilOnTheWay || s.Next >= 0 && le64(n.Data) != uint64(s.Next) {
			t.Fatalf("call %+v: %+v", s, n)
		}
	}
	if n := a.Counts()[0]; n.Open != 0 || n.Lost != 0 || n.Hits != 500 {
		t.Errorf("%+v", n)
	}
	if open := a.Open(); len(open) != 0 {
		t.Errorf("open: %+v", open)
	}
}

// Stacks that grow between a call and its return.
func TestReturnsDeep(t *testing.T) {
	c := start(t, testprogram.Variant{})
	o := c.generous()
	o.Calls = 1 << 16
	a := c.arm(o, c.function("main.deep", true))
	const goroutines, depth = 50, 100
	c.do("deep %d %d", goroutines, depth)
	events := all(t, a)
	want := 0
	for i := range goroutines {
		want += depth + i%3 + 1
	}
	if len(events) != want {
		t.Fatalf("%d events, not %d: %+v", len(events), want, a.Counts())
	}
	for _, e := range events {
		// deep(n) returns what it was given: each level adds one, and the pads are not all zero.
		if e.Return == nil || e.Ended || e.Return.Registers[rax] < e.Registers[rax] {
			t.Fatalf("%+v", e)
		}
	}
	if n := a.Counts()[0]; n.Open != 0 || n.Lost != 0 {
		t.Errorf("%+v", n)
	}
}

// Frames that end without a return are given as ended, when another call begins there or at the end.
func TestReturnsGone(t *testing.T) {
	for _, what := range []string{"panics", "exits"} {
		t.Run(what, func(t *testing.T) {
			c := start(t, testprogram.Variant{})
			o := c.generous()
			o.Calls = 1 << 16
			a := c.arm(o, c.function("main.deep", true))
			const goroutines, depth = 40, 30
			c.do("%s %d %d", what, goroutines, depth)
			events := all(t, a)
			// Every other goroutine's calls of deep are cut off; after a panic it calls deep(1) and returns.
			gone, returned := goroutines/2*(depth+1), goroutines/2*(depth+1)+goroutines*2
			if what == "exits" {
				returned -= goroutines / 2 * 2
			}
			got := map[bool]int{}
			for _, e := range events {
				got[e.Ended]++
				if e.Ended == (e.Return != nil) {
					t.Fatalf("%+v", e)
				}
			}
			open := a.Open()
			t.Logf("%d returned, %d ended, %d open", got[false], got[true], len(open))
			if got[false] != returned || got[true]+len(open) != gone {
				t.Errorf("want %d returned and %d ended: %+v", returned, gone, a.Counts())
			}
			if n := a.Counts()[0]; int(n.Open) != len(open) {
				t.Errorf("%+v", n)
			}
		})
	}
}

func TestCountBy(t *testing.T) {
	c := start(t, testprogram.Variant{})
	p := c.function("main.take", false)
	p.Count = true
	p.By = []probe.Key{{Word: inReg(r8)}, {Word: field(8, true, atID, atNext)}} // len(list), r.Next.ID
	back := c.function("main.take", true)
	back.Count = true
	back.By = []probe.Key{{Word: inReg(r8)}}
	back.Back.When = compare(probe.Word{Path: probe.Path{Base: reg(rbx)}, InPlace: true, Size: 8}, probe.NotEqual, 0)
	a := c.arm(c.generous(), p, back)
	said, _ := c.do("take 300 3")
	all(t, a)
	type key struct{ length, next int64 }
	want, failed := map[key]uint64{}, map[int64]uint64{}
	for _, s := range said {
		want[key{int64(len(s.List)), s.Next}]++
		if s.Failed {
			failed[int64(len(s.List))]++
		}
	}
	rows := a.Table(0)
	for _, r := range rows {
		k := key{int64(r.Key[0]), int64(r.Key[1])}
		if r.States[1] == probe.NilOnTheWay {
			k.next = -1
		}
		if want[k] != r.Count {
			t.Errorf("%+v: %d", r, want[k])
		}
	}
	if len(rows) != len(want) {
		t.Errorf("%d rows, not %d", len(rows), len(want))
	}
	rows = a.Table(1)
	for _, r := range rows {
		if failed[int64(r.Key[0])] != r.Count {
			t.Errorf("failed: %+v: %v", r, failed)
		}
	}
	if len(rows) != len(failed) {
		t.Errorf("%+v of %v; %+v", rows, failed, a.Counts())
	}
}

// Texts are counted by their length and first bytes, where a guard lets them be.
func TestCountByText(t *testing.T) {
	c := start(t, testprogram.Variant{})
	p := c.function("main.take", false)
	p.Count = true
	length := inReg(rdi)
	some := probe.Compare{Left: inReg(r8), Op: probe.Greater, Right: 0} // len(list)
	p.By = []probe.Key{{Word: inReg(rcx), Len: &length, Bytes: 16, When: []probe.Compare{some}}, {Word: inReg(r8)}}
	a := c.arm(c.generous(), p)
	said, _ := c.do("take 300 3")
	all(t, a)
	type key struct {
		text         string
		length, list int
		state        probe.State
	}
	want, got := map[key]uint64{}, map[key]uint64{}
	for _, s := range said {
		k := key{s.Name, len(s.Name), len(s.List), probe.Captured}
		if len(s.Name) > 16 {
			k.text, k.state = s.Name[:16], probe.Truncated
		}
		if len(s.List) == 0 {
			k = key{state: probe.Unwanted}
		}
		want[k]++
	}
	for _, r := range a.Table(0) {
		k := key{string(r.Texts[0]), int(r.Key[0]), int(r.Key[1]), r.States[0]}
		got[k] += r.Count
	}
	if !maps.Equal(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestHistogram(t *testing.T) {
	c := start(t, testprogram.Variant{})
	p := c.function("main.slow", true)
	p.Histogram = true
	a := c.arm(c.generous(), p)
	said, _ := c.do("slow 200 50")
	all(t, a)
	rows := a.Table(0)
	if len(rows) != 1 || rows[0].Count != 200 {
		t.Fatalf("%+v %+v", rows, a.Counts())
	}
	var sum time.Duration
	var buckets uint64
	for _, s := range said {
		sum += s.Elapsed
	}
	for i, n := range rows[0].Buckets {
		buckets += n
		if n > 0 && i < bits.Len(50_000)-1 {
			t.Errorf("%d calls of 50 us took 2^%d ns", n, i)
		}
	}
	if buckets != 200 || rows[0].Total < sum {
		t.Errorf("%d in buckets, %v of %v", buckets, rows[0].Total, sum)
	}
}

func TestStack(t *testing.T) {
	c := start(t, testprogram.Variant{})
	o := c.generous()
	o.Stack = 8
	a := c.arm(o, c.function("main.deep", false), c.function("main.deep", true))
	c.do("deep 1 20")
	n := map[bool]int{}
	for _, e := range all(t, a) {
		depth := 20 - int(e.Registers[rax])
		if len(e.Stack) != min(8, depth+4) && len(e.Stack) != 8 && depth > 8 {
			t.Fatalf("%d addresses at depth %d", len(e.Stack), depth)
		}
		n[e.Return != nil]++
		// deep calls itself from one place.
		for i := range min(depth, 8) {
			if e.Stack[i] != e.Stack[0] {
				t.Errorf("at depth %d: %x", depth, e.Stack)
			}
		}
		if depth < 7 && e.Stack[depth] == e.Stack[0] && depth > 0 {
			t.Errorf("at depth %d: one of deep too many: %x", depth, e.Stack)
		}
	}
	if n[true] != 21 || n[false] != 21 {
		t.Error(n)
	}
}
