package kernel

import (
	"context"
	"testing"
	"time"

	"ri/probe"
	"ri/probe/place"
	"ri/symbols/testprogram"
)

// Hundreds of functions, each with a plan of its own, and those of the runtime among them.
func TestMany(t *testing.T) {
	c := start(t, testprogram.Variant{})
	const most = 500
	var probes []probe.Probe
	for _, e := range c.symbols.FuncEntries() {
		found, err := place.Find(c.symbols, e.Name)
		if err != nil || len(found.Functions) != 1 || len(found.Functions[0].Sites) == 0 ||
			found.Functions[0].Entry != e.Entry {
			continue
		}
		p := probe.Probe{Name: e.Name, Sites: found.Functions[0].Sites[:1]}
		p.At = probe.Plan{When: compare(inReg(rbx), probe.NotEqual, uint64(len(probes))), Reads: []probe.Read{
			{At: probe.Path{Base: reg(rax)}, Size: uint32(8 + len(probes)%64)}, {At: probe.Path{Base: reg(rcx)}, Size: 16}}}
		if probes = append(probes, p); len(probes) == most {
			break
		}
	}
	if len(probes) != most {
		t.Fatal(len(probes))
	}
	begin := time.Now()
	a, err := Arm(context.Background(), c.target, probes, c.generous())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	armed := time.Since(begin)
	said, _ := c.do("take 100 4")
	if len(said) != 100 {
		t.Error(len(said))
	}
	begin = time.Now()
	if err := a.Disarm(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d probes armed in %v, gone in %v; %d programs, %d places refused", most, armed, time.Since(begin),
		len(a.units), len(a.Missed()))
	if len(a.Missed()) > most/10 {
		t.Error(a.Missed())
	}
	for _, m := range a.Missed() {
		t.Log(probes[m.Probe].Name, m.Err)
	}
}
