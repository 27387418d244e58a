package kernel

import (
	"testing"

	"ri/probe"
	"ri/symbols/testprogram"
)

// BenchmarkHit measures what a hit costs the target's thread, beside a program that only counts. `make bench` has the
// same, with other tools.
func BenchmarkHit(b *testing.B) {
	c := start(b, testprogram.Variant{})
	item := func(off int64) probe.Base { return probe.Base{Kind: probe.Item, N: 0, Off: off} }
	length := probe.Word{Path: probe.Path{Base: item(atName + 8)}, InPlace: true, Size: 8, Signed: true}
	plans := []struct {
		name    string
		at      probe.Plan
		count   bool
		returns bool
		sites   bool
		flow    probe.Flow
	}{
		{name: "none"},
		{name: "empty", count: true, at: probe.Plan{}},
		{name: "false/register", at: probe.Plan{When: compare(inReg(rbx), probe.Less, 0)}},
		{name: "false/two", at: probe.Plan{When: probe.And{compare(field(8, true, atID, atNext), probe.Equal, 7),
			compare(field(8, true, atID, atSub, 0), probe.Equal, 8)}}},
		{name: "false/text", at: probe.Plan{When: textField(probe.HasPrefix, "name-no")}},
		{name: "in no flow", flow: probe.Within},
		{name: "flow", flow: probe.Opens, returns: true},
		{name: "header"},
		{name: "three", at: probe.Plan{Reads: []probe.Read{{At: probe.Path{Base: reg(rax)}, Size: 80},
			{At: probe.Path{Base: item(atName)}, Size: 64, Count: &length, Each: 1},
			{At: probe.Path{Base: item(atNext)}, Size: 8}, {At: probe.Path{Base: item(atSub), Steps: []int64{0}}, Size: 8}}}},
		{name: "empty returns", count: true, sites: true},
		{name: "pair", returns: true},
		{name: "pair counted", returns: true, count: true},
	}
	for _, p := range plans {
		b.Run(p.name, func(b *testing.B) {
			if p.name != "none" {
				o := c.generous()
				o.Budget = 1000
				f := c.function("main.take", p.returns)
				f.At, f.Count, f.Flow = p.at, p.count, p.flow
				if p.sites {
					f.Sites = c.function("main.take", true).Returns
				}
				o.Ring = 256 << 20
				a := c.arm(o, f)
				defer a.Close()
				go func() {
					for {
						if _, err := a.Next(b.Context()); err != nil {
							return
						}
					}
				}()
				defer func() {
					if n := a.Counts()[0]; n.Lost+n.Refused > 0 || n.Hits < uint64(b.N) && p.flow != probe.Within {
						b.Errorf("%+v", n)
					}
					cost := a.Cost()
					b.ReportMetric(float64(cost.CPU)/float64(b.N), "said-ns/op")
				}()
			}
			_, cpu := c.do("bench %d 30", max(b.N, 1))
			b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(0, "ns/op")
		})
	}
}
