package kernel

import (
	"testing"

	"ri/probe"
	"ri/symbols/testprogram"
)

// TestFlows has every step of a call found in its flow, also those of goroutines that it starts, and none of others.
func TestFlows(t *testing.T) {
	for _, v := range []testprogram.Variant{{}, {Toolchain: "go1.20.14"}} {
		t.Run(v.Toolchain, func(t *testing.T) { testFlows(t, v) })
	}
}

func testFlows(t *testing.T, v testprogram.Variant) {
	c := start(t, v)
	with := func(p probe.Probe, f probe.Flow, at probe.Plan) probe.Probe {
		p.Flow, p.At = f, at
		return p
	}
	const n = 2000
	const after = 57 // opens no flow, on the goroutine whose call before, 49, panicked
	but := probe.Plan{When: compare(inReg(rax), probe.NotEqual, after)}
	opens := with(c.function("main.enter", true), probe.Opens, but)
	nested := with(c.function("main.nested", true), probe.Opens, probe.Plan{})
	steps := with(c.function("main.step", false), probe.Within, probe.Plan{})
	starts := with(c.function("runtime.newproc1", true), probe.Starts, probe.Plan{})
	ends := with(c.function("runtime.goexit1", false), probe.Ends, probe.Plan{})
	o := c.generous()
	o.SP = fieldOffset(c, "sched") // whose first field it is
	a := c.arm(o, opens, nested, steps, starts, ends)
	c.do("flows %d 8", n)
	type flow struct {
		id            int64
		steps, starts int
		left, entered bool
	}
	flows := map[uint64]*flow{}
	for _, e := range all(t, a) {
		f := flows[e.Flow]
		if e.What == probe.FlowEntered {
			if f != nil {
				t.Fatalf("flow %d is entered twice", e.Flow)
			}
			f = &flow{id: int64(e.Registers[rax]), entered: true}
			flows[e.Flow] = f
			continue
		}
		if f == nil {
			t.Fatalf("no flow %d: %+v", e.Flow, e)
		}
		switch e.What {
		case probe.FlowStep:
			f.steps++
			if got := int64(e.Registers[rax]); got != f.id {
				t.Fatalf("a step of %d in the flow of %d: %+v", got, f.id, e)
			}
		case probe.FlowStarted:
			if f.starts++; e.Other == 0 || e.Goroutine == 0 || e.Other == e.Goroutine {
				t.Fatalf("%+v", e)
			}
		case probe.FlowLeft:
			f.left = true
		case probe.FlowEnded:
		}
	}
	seen := map[int64]int{}
	for _, f := range flows {
		seen[f.id]++
		panics := f.id%7 == 0
		want := 5 // on its way, of two goroutines, deeper, at the end
		if f.id%2 == 0 {
			want++ // nested
		}
		if panics {
			want--
		}
		if f.steps != want || f.starts != 3 || f.left == panics {
			t.Errorf("%+v, of %d steps", f, want)
		}
	}
	for i := range int64(n) {
		if want := map[bool]int{true: 0, false: 1}[i == after]; seen[i] != want {
			t.Errorf("%d flows of %d", seen[i], i)
		}
	}
	if lost := a.Counts()[0].Lost; lost > 0 {
		t.Errorf("%d lost", lost)
	}
}
