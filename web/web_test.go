package web

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"ri/fleet"
	"ri/instruments/rows"
)

// TestStream: what many say at once is whole lines; beyond the limits the rest is counted, of findings, too; nothing is
// written when the question is over.
func TestStream(t *testing.T) {
	w := httptest.NewRecorder()
	s := &stream{w: w, cancel: func(error) {}}
	o := &fleet.Outcome{Host: "a\u202eb", Target: "x"}
	big := rows.Of("severity", "info", "what", strings.Repeat("x", 1<<20), "where", "", "next", "")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 3_000 {
				s.some("say", "something")
				s.take(o, rows.Of("n", int64(1)))
			}
		})
		all.Go(func() {
			for range 30 {
				s.take(o, rows.Row{{Name: fleet.FindingCell, Value: big}})
			}
		})
	}
	all.Wait()
	s.end()
	before := w.Body.Len()
	s.line("say", "too late")
	if w.Body.Len() != before || before > 2*mostBytes {
		t.Errorf("%d bytes, then %d", before, w.Body.Len())
	}
	lines := 0
	for line := range strings.Lines(w.Body.String()) {
		lines++
		if !json.Valid([]byte(line)) {
			t.Fatalf("no line of JSON: %.200s", line)
		}
	}
	if lines > 2*mostRows || lines+s.leftOut() != 4*(3_000*2+30) {
		t.Errorf("%d lines, and %d left out", lines, s.leftOut())
	}
	if strings.Contains(w.Body.String(), "\u202e") {
		t.Error("a host's name turns the direction of writing")
	}
}

// TestSessions: a tenant that lets itself in again and again signs out nobody else.
func TestSessions(t *testing.T) {
	s := &sessions{}
	starter, other := s.begin(&session{}), s.begin(&session{token: "o", tenant: "other"})
	last := ""
	for range 3 * mostSessions {
		last = s.begin(&session{token: "t", tenant: "many"})
	}
	for name, secret := range map[string]string{"who started it": starter, "another tenant": other, "the last": last} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(sessionHeader, secret)
		if s.find(r) == nil {
			t.Errorf("%s is signed out", name)
		}
	}
	if len(s.all) > mostOwn+2 {
		t.Errorf("%d sessions", len(s.all))
	}
}
