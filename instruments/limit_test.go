package instruments

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ri/attach"
)

func TestAtLimit(t *testing.T) {
	run := func(source string, limits Limits) (string, error) {
		out := &sink{}
		h := New(Options{Sink: out, Limits: limits, Again: func(ctx context.Context, wait time.Duration, _ attach.ViewKind) error { time.Sleep(wait); return nil }})
		defer h.Close()
		script, err := CompileScript("test.lua", source)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err = h.Run(context.Background(), script, nil)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %v", source, took)
		}
		return strings.Join(out.printed, " "), err
	}
	short := Limits{Time: 200 * time.Millisecond}
	for _, test := range []struct{ source, want string }{
		{`ri.atlimit(function() print'so far' end) while true do end`, "so far"},
		{`ri.atlimit(function() print'first' end) ri.atlimit(function() print'second' end) pcall(function() while true do end end)`, "second"},
		{`ri.atlimit(function() print'once' while true do end end) while true do end`, "once"},
		{`ri.atlimit(function() print'said' error'no' end) coroutine.wrap(function() while true do end end)()`, "said"},
	} {
		if got, err := run(test.source, short); got != test.want || !errors.Is(err, ErrTime) || !strings.Contains(err.Error(), "--max-time 600ms") {
			t.Errorf("%s: %q, %v", test.source, got, err)
		}
	}
	for _, source := range []string{`ri.atlimit(function() print'so far' end)`, `ri.atlimit(function() print'so far' end) error'x'`} {
		if got, _ := run(source, short); got != "" {
			t.Errorf("%s: without a limit: %q", source, got)
		}
	}
	// Waiting isn't the script's own time.
	if got, err := run(`for i = 1, 3 do ri.again(0.15) end print'done'`, short); got != "done" || err != nil {
		t.Errorf("waiting: %q, %v", got, err)
	}
	if got, err := run(`ri.again(0.3) print'on' while true do end`, short); got != "on" || !errors.Is(err, ErrTime) {
		t.Errorf("after waiting: %q, %v", got, err)
	}
}
