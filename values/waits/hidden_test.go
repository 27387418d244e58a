package waits_test

import (
	"errors"
	"os"
	"testing"

	"ri/attach"
	"ri/symbols"
	"ri/symbols/testprogram"
	"ri/values"
	"ri/values/testlook"
	"ri/values/waits"
)

// count gives how many goroutines wait, how many of them to receive, and how many groups of stacks there are.
func count(s *values.Space) (waiting, receivers, groups int, err error) {
	for g, err := range s.Goroutines() {
		if err != nil {
			return 0, 0, 0, err
		}
		if g.Status == "waiting" {
			waiting++
		}
	}
	all, err := s.Stacks(values.StackOptions{}, &values.StackMemo{})
	if err != nil {
		return 0, 0, 0, err
	}
	w, err := waits.New(s).Waits(nil)
	if err != nil {
		return waiting, 0, len(all), err
	}
	for _, c := range w.Channels {
		receivers += len(c.Receivers)
	}
	return waiting, receivers, len(all), nil
}

// A program that lacks a field, each in turn: what needs it is an error that says so, and all else is as it was. Nobody
// is said not to wait because a queue can't be found.
func TestHiddenFields(t *testing.T) {
	l := testlook.Look(t, "../testdata/parked", testprogram.Variants[0], attach.Stopped)
	waiting, receivers, groups, err := count(l.Space)
	if err != nil || waiting < 2000 || receivers < 2000 || groups == 0 {
		t.Fatal(waiting, receivers, groups, err)
	}
	exe, err := os.Open(l.Target.ExecutablePath())
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	for typ, fields := range map[string][]string{
		"runtime.g": {"goid", "atomicstatus", "sched", "stack", "waiting", "waitsince", "parentGoid", "gopc", "labels",
			"trackingSeq", "m"},
		"runtime.hchan": {"closed", "recvq", "sendq", "qcount", "elemtype", "timer"},
		"runtime.sudog": {"g", "next", "waitlink", "elem", "c", "isSelect"},
		"sync.Mutex":    {"mu", "state"},
	} {
		for _, field := range fields {
			f, err := symbols.Open(exe, "parked")
			if err != nil {
				t.Fatal(err)
			}
			hidden, err := f.Type(typ)
			if err != nil {
				continue // the program doesn't use it
			}
			hidden.Without(field)
			s := values.New(f, attach.NewCache(l.View), l.Space.Bias())
			s.SetThreads(l.View.Threads())
			got, received, grouped, err := count(s)
			switch {
			case err != nil && !errors.Is(err, values.ErrNoField):
				t.Errorf("without %s.%s: %v", typ, field, err)
			case err == nil && (got != waiting || received != receivers || grouped != groups):
				t.Errorf("without %s.%s: %d waiting, %d receivers, %d groups; with it %d, %d, %d", typ, field, got, received,
					grouped, waiting, receivers, groups)
			}
			s.Mark(nil)
			s.OSThreads()
		}
	}
}
