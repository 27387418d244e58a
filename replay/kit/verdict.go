package kit

import (
	"strings"
	"testing"
	"time"
)

// riVerdict is what came of all groups.
type riVerdict struct {
	calls, fed, sent, done, skipped, beyond int
	groups, tries                           int
	absent                                  []string
	failed                                  string // the first difference
	unclear                                 []string
	failedAt                                int64
}

// add takes what came of a group.
func (v *riVerdict) add(r *riReplay) {
	v.calls, v.fed, v.sent = v.calls+r.calls, v.fed+r.fed, v.sent+r.sent
	v.done, v.skipped = v.done+len(r.made), v.skipped+r.skipped
	v.beyond, v.groups, v.tries = v.beyond+r.beyond, v.groups+1, v.tries+r.tries
	if len(v.absent) == 0 {
		v.absent = r.absent
	}
	if r.failed != "" && (v.failed == "" || r.failedAt < v.failedAt) {
		v.failed, v.failedAt, v.unclear = r.failed, r.failedAt, riUnclear(r.unclear)
	}
}

// say says how it went.
func (v *riVerdict) say(t testing.TB, rec *riRecording, took time.Duration) {
	if v.failed != "" {
		for _, what := range v.absent {
			t.Logf("not recorded: %s", what)
		}
		t.Errorf("event %d: %s", v.failedAt, v.failed)
		if len(v.absent) > 0 {
			t.Logf("not all that the library was given is there (above): where it reads that, this says nothing of the " +
				"library")
		}
		if len(v.unclear) > 0 {
			t.Logf("the library was given what isn't in clear. Where it reads that, record with --policy FILE and rules such "+
				"as these:\n%s", strings.Join(v.unclear, "\n"))
		}
		if rec.atWork > 0 {
			t.Logf("%d receivers were at work when the recording began: what they held is what could be read of it, and what "+
				"the library's goroutines did then isn't there. Where that is why, record from the start: "+
				"ri record calls -o FILE BOUNDARY -- COMMAND", rec.atWork)
		}
	}
	all, sent, own := 0, 0, 0
	for _, e := range rec.events {
		if e.goesOut() || e.note {
			all++
		} else if e.Kind == "send" && !e.Inside {
			sent++
		} else if e.own && e.Kind == "call" {
			own++
		}
	}
	if v.beyond > 0 {
		t.Logf("%d calls out were made where the recording ended: whether they were nobody knows", v.beyond)
	}
	if v.tries > v.groups {
		t.Logf("%d tries for %d receivers: what a select takes of several things is left to chance", v.tries, v.groups)
	}
	t.Logf("%d calls in, %d received, %d of %d calls out and %d of %d sends as recorded, %d of them with parts that "+
		"can't be compared; %d calls out on what the library has of its own aren't looked at; %s of what took %s", v.calls,
		v.fed, v.done, all, v.sent, sent, v.skipped, own, took.Round(time.Microsecond),
		rec.length.Round(time.Millisecond))
}
