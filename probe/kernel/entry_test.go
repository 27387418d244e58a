package kernel

import (
	"encoding/binary"
	"testing"

	"ri/probe"
	"ri/symbols/testprogram"
)

func TestEmpty(t *testing.T) {
	c := start(t, testprogram.Variant{})
	a := c.arm(c.generous(), c.function("main.empty", false))
	c.do("empty 1000")
	events := all(t, a)
	if len(events) != 1000 {
		t.Fatalf("%d events: %+v", len(events), a.Counts())
	}
	for i, e := range events {
		if e.Registers[rax] != uint64(i) || e.Goroutine != 1 || e.Thread == 0 || e.Time == 0 {
			t.Fatalf("event %d: %+v", i, e)
		}
	}
	if n := a.Counts()[0]; n.Hits != 1000 || n.Taken != 1000 || n.Nanos == 0 {
		t.Fatalf("%+v", n)
	}
}

// Offsets of the fields of Request; see testdata/calls.
const (
	atID    = 0
	atName  = 8
	atNext  = 24
	atPrice = 32
	atRatio = 40
	atSmall = 44
	atBig   = 46
	atBlob  = 48
	atSub   = 72
)

func TestReads(t *testing.T) {
	c := start(t, testprogram.Variant{})
	p := c.function("main.take", false)
	item := func(n int, off int64) probe.Base { return probe.Base{Kind: probe.Item, N: n, Off: off} }
	length := func(n int, off int64) *probe.Word {
		return &probe.Word{Path: probe.Path{Base: item(n, off)}, InPlace: true, Size: 8, Signed: true}
	}
	list := inReg(r8)
	p.At.Reads = []probe.Read{
		{At: probe.Path{Base: reg(rax)}, Size: 80},                                             // *r
		{At: probe.Path{Base: item(0, atName)}, Size: 64, Count: length(0, atName+8), Each: 1}, // r.Name
		{At: probe.Path{Base: item(0, atNext)}, Size: 8},                                       // r.Next.ID
		{At: probe.Path{Base: item(0, atSub), Steps: []int64{0}}, Size: 24},                    // *r.Sub.Deep
		{At: probe.Path{Base: item(3, atName)}, Size: 16, Count: length(3, atName+8), Each: 1}, // r.Sub.Deep.Name
		{At: probe.Path{Base: reg(rsi)}, Size: 24, Count: &list, Each: 8},                      // list
		{At: probe.Path{Base: reg(rax), Last: atSmall}, Size: 2,
			When: []probe.Compare{{Left: inReg(rbx), Op: probe.Greater, Right: 60}}}, // r.Small, where n > 60
	}
	a := c.arm(c.generous(), p)
	said, _ := c.do("take 500 7")
	events := all(t, a)
	if len(events) != len(said) {
		t.Fatalf("%d events of %d calls: %+v", len(events), len(said), a.Counts())
	}
	seen := map[int64]bool{}
	for _, e := range events {
		id := int64(binary.LittleEndian.Uint64(e.Pieces[0].Data))
		if seen[id] {
			t.Fatalf("call %d twice", id)
		}
		seen[id] = true
		s := said[id]
		name := e.Pieces[1]
		want := probe.Captured
		if len(s.Name) > 64 {
			want = probe.Truncated
		}
		if name.State != want || string(name.Data) != s.Name[:min(64, len(s.Name))] ||
			want == probe.Truncated && name.Want != uint64(len(s.Name)) {
			t.Errorf("call %d: name %q: %+v", id, s.Name, name)
		}
		optional := func(i int, v int64) {
			p := e.Pieces[i]
			if v < 0 && p.State != probe.NilOnTheWay || v >= 0 &&
				(p.State != probe.Captured || int64(binary.LittleEndian.Uint64(p.Data)) != v) {
				t.Errorf("call %d: piece %d, want %d: %+v", id, i, v, p)
			}
		}
		optional(2, s.Next)
		optional(3, s.Deep)
		if d := e.Pieces[4]; s.Deep < 0 && d.State != probe.Unwanted || s.Deep >= 0 && string(d.Data) != "deep" {
			t.Errorf("call %d: the deep name: %+v", id, d)
		}
		l := e.Pieces[5]
		if len(l.Data) != 8*min(3, len(s.List)) || (l.State == probe.Truncated) != (len(s.List) > 3) ||
			l.State == probe.Truncated && l.Want != uint64(8*len(s.List)) {
			t.Errorf("call %d: list %v: %+v", id, s.List, l)
		}
		for i := range len(l.Data) / 8 {
			if int64(binary.LittleEndian.Uint64(l.Data[8*i:])) != s.List[i] {
				t.Errorf("call %d: list %v: %+v", id, s.List, l)
			}
		}
		if g := e.Pieces[6]; (g.State == probe.Captured) != (s.N > 60) ||
			s.N > 60 && int16(binary.LittleEndian.Uint16(g.Data)) != s.Small {
			t.Errorf("call %d: small %d: %+v", id, s.Small, g)
		}
		if e.Thread == 0 || e.Goroutine == 0 {
			t.Errorf("call %d: %+v", id, e)
		}
	}
}
