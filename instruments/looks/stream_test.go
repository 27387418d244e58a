package looks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/symbols/testprogram"
)

// streamed is a Sink that notes what comes, in its order, and whether the target stood still then.
type streamed struct {
	pid   int
	heard []string
	stood bool
	no    error // of the first row
}

func (s *streamed) note(text string) {
	s.heard = append(s.heard, text)
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	s.stood = s.stood || strings.Contains(string(status), "State:\tt")
}

func (s *streamed) Emit(row rows.Row) error {
	s.note(fmt.Sprint("row ", row[0].Value))
	return s.no
}
func (s *streamed) Finding(f rows.Finding) error  { s.note("finding " + f.What); return nil }
func (s *streamed) Sample(rows.Sample) error      { s.note("sample"); return nil }
func (s *streamed) Sampled(time.Duration)         { s.note("sampled") }
func (s *streamed) Log(msg string)                { s.note("log " + msg) }
func (s *streamed) Progress(int64, int64, string) { s.note("progress") }
func (s *streamed) Print(text string)             { s.note("print " + text) }

// Whatever the view, a sink gets all once, in its order, while the target runs; what is looked at without a stop comes
// as it is given.
func TestStream(t *testing.T) {
	cmd := exec.Command(testprogram.Build(t, "../host/testdata/kinds", testprogram.Variant{Name: "local"}))
	testprogram.Ready(t, cmd)
	pid := cmd.Process.Pid
	s, err := OpenSession(TargetChoice{PID: fmt.Sprint(pid)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	look := func(view, source string, sink *streamed) *rows.Result {
		t.Helper()
		plan, err := PrepareLua(&recipes.Catalogue{}, "", source, nil, Options{View: view, MaxStop: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		sink.pid = pid
		res, err := s.Stream(context.Background(), plan, sink)
		if err != nil {
			t.Fatalf("%s: %v", view, err)
		}
		if sink.stood {
			t.Errorf("%s: something came while the target was held: %q", view, sink.heard)
		}
		if len(res.Rows)+len(res.Printed)+len(res.Log) > 0 {
			t.Errorf("%s: the result has what the sink was given", view)
		}
		return res
	}
	const source = `local m = main.mutex;
		ri.emit{n=1} print'between' ri.emit{n=2} ri.log'said' ri.finding{what='it'} print'last'`
	given := []string{"row 1", "print between", "row 2", "log said", "finding it", "print last"}
	for _, view := range []string{"live", "snapshot", "stopped"} {
		sink := &streamed{}
		res := look(view, source, sink)
		want := given
		if view != "live" { // once it is over
			want = []string{"log said", "row 1", "print between", "row 2", "print last", "finding it"}
		}
		if !slices.Equal(sink.heard, want) {
			t.Errorf("%s: %q", view, sink.heard)
		}
		if res.Err != nil || !errors.Is(res.Ended(), rows.ErrFound) {
			t.Errorf("%s: %v, %v", view, res.Err, res.Ended())
		}
		enough := errors.New("enough")
		sink = &streamed{no: enough}
		res = look(view, `local m = main.mutex; for i = 1, 3 do ri.emit{n=i} end`, sink)
		if len(sink.heard) != 1 || !errors.Is(res.Err, enough) {
			t.Errorf("%s: after a sink had enough: %q, %v", view, sink.heard, res.Err)
		}
	}
	// A stop that the script asks for on its way is over before anybody hears of what was found in it.
	sink := &streamed{}
	look("live", `ri.emit{n=1} ri.again(0, 'stopped') local m = main.mutex; ri.emit{n=2} ri.log'in it' ri.progress(1)
		ri.again(0, 'live') ri.emit{n=3}`, sink)
	if want := []string{"row 1", "row 2", "log in it", "row 3"}; !slices.Equal(sink.heard, want) {
		t.Errorf("a stop on the way: %q", sink.heard)
	}
}
