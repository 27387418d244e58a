package host

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ri/attach"
)

// slowSink takes a second for each remark, which is the script's own time.
type slowSink struct{ sink }

func (s *slowSink) Log(string) { time.Sleep(time.Second) }

// TestAtLimit has a clock of its own: time passes only where a script waits, so a limit comes when it is wanted,
// however busy the machine is.
func TestAtLimit(t *testing.T) {
	run := func(source string, limits Limits) (printed string, err error) {
		synctest.Test(t, func(t *testing.T) {
			out := &slowSink{}
			wait := func(ctx context.Context, d time.Duration, _ attach.ViewKind) (over, err error) {
				time.Sleep(d)
				return nil, nil
			}
			began := time.Now()
			h := New(Options{Sink: out, Limits: limits, Again: wait, cpuTime: func() time.Duration { return time.Since(began) }})
			defer h.Close()
			script, fault := CompileScript("test.lua", source)
			if fault != nil {
				t.Fatal(fault)
			}
			err = h.Run(context.Background(), script, nil)
			printed = strings.Join(out.printed, " ")
		})
		return printed, err
	}
	short := Limits{Time: 200 * time.Millisecond}
	for _, test := range []struct{ source, want string }{
		{`ri.atlimit(function() print'so far' end) ri.log'' while true do end`, "so far"},
		{`ri.atlimit(function() print'first' end) ri.atlimit(function() print'second' end)
			pcall(function() ri.log'' while true do end end)`, "second"},
		{`ri.atlimit(function() print'once' while true do ri.log'' end end) ri.log'' while true do end`, "once"},
		{`ri.atlimit(function() print'said' error'no' end) coroutine.wrap(function() ri.log'' while true do end end)()`,
			"said"},
	} {
		if got, err := run(test.source, short); got != test.want || !errors.Is(err, ErrTime) ||
			!strings.Contains(err.Error(), "--max-time 600ms") {
			t.Errorf("%s: %q, %v", test.source, got, err)
		}
	}
	for _, source := range []string{`ri.atlimit(function() print'so far' end)`,
		`ri.atlimit(function() print'so far' end) error'x'`} {
		if got, _ := run(source, short); got != "" {
			t.Errorf("%s: without a limit: %q", source, got)
		}
	}
	// Waiting isn't the script's own time.
	if got, err := run(`for i = 1, 3 do ri.again(0.15) end print'done'`, short); got != "done" || err != nil {
		t.Errorf("waiting: %q, %v", got, err)
	}
	if got, err := run(`ri.again(0.3) print'on' ri.log'' while true do end`, short); got != "on" ||
		!errors.Is(err, ErrTime) {
		t.Errorf("after waiting: %q, %v", got, err)
	}
}

// What a script gives is bounded, whatever it is and however it is given.
func TestOutputLimit(t *testing.T) {
	const limit = 1 << 20
	for _, source := range []string{
		`local s = ('x'):rep(100000) while true do print(s) end`,
		`while true do print'' end`,
		`while true do pcall(print, 'x') end`,
		`local s = ('x'):rep(100000) while true do ri.log(s) end`,
		`local s = ('x'):rep(100000) while true do ri.emit{a = s} end`,
		`while true do ri.emit{a = {1, 2, 3, {b = 'c'}}} end`,
		`local s = ('x'):rep(100000) while true do ri.finding{what = s} end`,
		`local s = ('x'):rep(1000) local e = {} for i = 1, 100 do e[i] = s end while true do
			ri.finding{what = 'w', evidence = e} end`,
		`local f = {{func = ('x'):rep(1000)}} while true do ri.sample(f, 1) end`,
		`return ('x'):rep(6000000)`,
		`coroutine.wrap(function() while true do print('x') end end)()`,
	} {
		out := &sink{}
		h := New(Options{Sink: out, Limits: Limits{Output: limit}, Profile: true})
		script, err := CompileScript("test.lua", source)
		if err != nil {
			t.Fatal(err)
		}
		err = h.Run(context.Background(), script, nil)
		h.Close()
		if !errors.Is(err, ErrOutput) {
			t.Errorf("%s: %v", source, err)
		}
		total := 0
		for _, p := range out.printed {
			total += len(p)
		}
		for _, f := range out.findings {
			total += len(f.What)
		}
		for _, r := range out.rows {
			total += int(rowSize(r))
		}
		if total > limit {
			t.Errorf("%s: gave %d bytes", source, total)
		}
	}
	// Findings and stacks are counted as rows are.
	for _, source := range []string{`while true do ri.emit{a = 1} end`, `while true do ri.finding{what = 'w'} end`,
		`while true do ri.sample({{func = 'f'}}, 1) end`} {
		h := New(Options{Sink: &sink{}, Limits: Limits{Rows: 1000}, Profile: true})
		script, err := CompileScript("test.lua", source)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Run(context.Background(), script, nil); !errors.Is(err, ErrRows) {
			t.Errorf("%s: %v", source, err)
		}
		h.Close()
	}
}

// The CPU is what counts, not the clock on the wall; but that doesn't go on for ever either.
func TestClock(t *testing.T) {
	for _, test := range []struct {
		share float64 // of the time that this process gets the CPU for
		want  time.Duration
	}{{1, 10 * time.Second}, {0.1, 100 * time.Second}, {2, 5 * time.Second}, {0, onWall * 10 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			ended := make(chan time.Duration, 1)
			c := startClock(10*time.Second,
				func() time.Duration { return time.Duration(test.share * float64(time.Since(began))) },
				func(_, _ time.Duration) { ended <- time.Since(began) })
			time.Sleep(time.Second)
			c.Pause()
			time.Sleep(time.Hour) // what is used meanwhile is somebody else's
			began = began.Add(time.Hour)
			c.Resume()
			took := <-ended
			if took < test.want || took > test.want+test.want/100+10*time.Millisecond {
				t.Errorf("with %.1f of a CPU it ends after %v, want %v", test.share, took, test.want)
			}
			stopped := startClock(time.Second, processTime, func(_, _ time.Duration) { t.Error("it was stopped") })
			stopped.Stop()
			time.Sleep(time.Minute)
		})
	}
	// A timer that is late makes no difference.
	var used, told time.Duration
	late := startClock(time.Hour, func() time.Duration { return used }, func(cpu, _ time.Duration) { told = cpu })
	used = 2 * time.Hour
	late.Stop()
	if told != used {
		t.Errorf("a clock that is stopped after its time says that %v were used, want %v", told, used)
	}
}
