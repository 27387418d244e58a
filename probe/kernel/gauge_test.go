package kernel

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"ri/probe"
	"ri/symbols/testprogram"
)

const rounds = 7

func middle(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// What the hits cost is said as it is on a machine that becomes busy only after the probes were armed.
func TestCostUnderLoad(t *testing.T) {
	c := start(t, testprogram.Variant{})
	const calls = 20000
	cpu := func() time.Duration {
		_, took := c.do("bench %d 30", calls)
		return took
	}
	ways := []bool{true}
	if testprogram.All() { // it keeps all CPUs busy, with much else to be tested
		ways = []bool{false, true}
	}
	for _, returns := range ways {
		o := c.generous()
		o.Budget, o.Ring = 1000, 64<<20
		f := c.function("main.take", returns)
		f.Count = true
		a := c.arm(o, f)
		quiet := a.ledger.trap(0, false)
		for range 2 * runtime.NumCPU() {
			start(t, testprogram.Variant{}).spin(10*60*1000, 2) // until the test ends
		}
		for a.gauge.emulated.n < 2*len(a.gauge.emulated.last) { // all that was measured before is forgotten
			cpu()
		}
		var reals, saids, bare []time.Duration // of each the middle one: others may be disturbed
		for range rounds {
			before := a.Cost().CPU
			reals = append(reals, cpu())
			saids = append(saids, a.Cost().CPU-before)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		for range rounds {
			bare = append(bare, cpu())
		}
		real, said := middle(reals)-middle(bare), middle(saids)
		t.Logf("returns %v: a trap cost %v before; %d calls cost %v, said to be %v", returns, quiet, calls, real, said)
		// Too little would have the budget overrun. Too much comes of ri's own functions, whose code the busy programs
		// take out of the caches more than that of one that does nothing else.
		if ratio := float64(said) / float64(real); ratio < 0.6 || ratio > 3 {
			t.Errorf("returns %v: %d calls cost %v, said to be %v", returns, calls, real, said)
		}
	}
}

// A hit costs what one cost when it was counted.
func TestLedger(t *testing.T) {
	var l ledger
	l.open(&probe.Probe{Sites: make([]probe.Site, 1), Returns: []probe.Site{{Instruction: probe.Stepped}, {}}})
	l.price(traps{emulated: 2, stepped: 10})
	if got := l.count(0, 100, 10); got != 100*2+10*(2+10)/2 {
		t.Error(got)
	}
	l.price(traps{emulated: 4, stepped: 20})
	if got := l.count(0, 110, 10); got != 260+10*4 {
		t.Error(got)
	}
	if got := l.count(0, 105, 10); got != 300 { // as counters of two processors may look
		t.Error(got)
	}
	if got := l.count(0, 110, 11); got != 312 {
		t.Error(got)
	}
}

// Samples that were interrupted count, but not for all of the interruption.
func TestSeries(t *testing.T) {
	var s series
	if s.mean() != 0 {
		t.Error(s.mean())
	}
	for range 100 {
		s.add(5000)
	}
	for range 12 {
		s.add(10)
	}
	for range 4 {
		s.add(time.Second)
	}
	if got := s.mean(); got != (12*10+4*30)/16 {
		t.Error(got)
	}
}
