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
			h := New(Options{Sink: out, Limits: limits, Again: wait})
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
		{`ri.atlimit(function() print'first' end) ri.atlimit(function() print'second' end) pcall(function() ri.log'' while true do end end)`, "second"},
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
