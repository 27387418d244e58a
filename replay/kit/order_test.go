package kit

import (
	"fmt"
	"slices"
	"testing"
)

// recordingOf makes a recording of events, which are numbered here.
func recordingOf(t *testing.T, lines ...string) *riRecording {
	t.Helper()
	rec := &riRecording{}
	for i, line := range lines {
		if err := rec.take(fmt.Appendf(nil, `{"seq":%d,%s`, i+1, line[1:])); err != nil {
			t.Fatal(err)
		}
	}
	rec.given(nil)
	return rec
}

// orderOf is what is done, by its events.
func orderOf(rec *riRecording) (out []int64) {
	for _, s := range rec.steps() {
		out = append(out, s.own().Seq)
	}
	return out
}

const (
	comes = `{"kind":"call","func":"kit.(*T).In","on":1,"goroutine":%d}`
	out   = `{"kind":"call","func":"x.Out","out":true,"goroutine":%d}`
	given = `{"kind":"call","func":"kit.(*T).In","on":1,"goroutine":%d,"values":[{"$chan":%d}]}`
	polls = `{"kind":"receive","chan":%d,"goroutine":%d,"parent":1,"polled":true}`
	tries = `{"kind":"send","chan":%d,"out":true,"goroutine":%d,"polled":true}`
	gives = `{"kind":"return","func":"kit.(*T).In","on":1,"goroutine":%d,"call":%d,"values":[{"$chan":%d}]}`
	puts  = `{"kind":"send","chan":%d,"out":true,"goroutine":%d}`
	back  = `{"kind":"return","func":"x.Out","out":true,"goroutine":%d,"call":%d}`
	sends = `{"kind":"send","chan":%d,"inside":true,"goroutine":%d}`
	takes = `{"kind":"receive","chan":%d,"inside":true,"goroutine":%d,"from":%d}`
	looks = `{"kind":"receive","chan":%d,"inside":true,"goroutine":%d,"from":%d,"polled":true}`
)

// TestOrder: what is done to the library comes just before the first thing that came of it, by what its goroutines
// took from each other; whatever a recording says, there is an order.
func TestOrder(t *testing.T) {
	f := fmt.Sprintf
	for name, c := range map[string]struct {
		lines []string
		want  []int64
	}{
		"the second is taken first": {[]string{f(comes, 1), f(comes, 2), f(sends, 7, 2), f(takes, 7, 9, 3), f(sends, 7, 1),
			f(takes, 7, 9, 5)}, []int64{2, 1}},
		"two channels, one order": {[]string{f(comes, 1), f(sends, 7, 1), f(comes, 2), f(sends, 7, 2), f(sends, 8, 2),
			f(takes, 8, 5, 5), f(takes, 7, 9, 2), f(takes, 7, 9, 4)}, []int64{1, 3}},
		"looked for before it goes on": {[]string{f(out, 9), f(comes, 1), f(sends, 7, 1), f(back, 9, 1), f(looks, 7, 9, 3)},
			[]int64{2, 4}},
		"looked for in another order than it came in": {[]string{f(out, 9), f(comes, 1), f(back, 9, 1), f(comes, 2),
			f(sends, 7, 2), f(sends, 7, 1), f(comes, 1), f(sends, 7, 1), f(looks, 7, 9, 5), f(looks, 7, 9, 6),
			f(looks, 7, 9, 8)}, []int64{4, 2, 7, 3}},
		"never taken": {[]string{f(out, 1), f(out, 2), f(back, 1, 1), f(sends, 7, 1), f(back, 2, 2), f(sends, 7, 2),
			f(takes, 7, 9, 6)}, []int64{5, 3}},
		"looked for by a call": {[]string{f(out, 9), f(comes, 1), f(back, 9, 1), f(sends, 7, 9),
			f(looks, 7, 1, 4)}, []int64{3, 2}},
		"sent before who made the channel has returned": {[]string{f(comes, 1), f(puts, 7, 5), f(gives, 1, 1, 7)},
			[]int64{1, 2}},
		"sent by a goroutine that somebody else may have had before": {[]string{f(takes, 8, 5, 0), f(comes, 1),
			f(puts, 7, 5), f(gives, 1, 2, 7)}, []int64{2, 3}},
		"called by a goroutine that a call started": {[]string{f(comes, 1), f(out, 5), f(gives, 1, 1, 0)}, []int64{1, 2}},
		"called by a goroutine that was there": {[]string{f(takes, 8, 5, 0), f(comes, 1), f(out, 5), f(gives, 1, 2, 0)},
			[]int64{3, 2}},
		"taken later, while a goroutine came to be": {[]string{f(comes, 1), f(out, 5), f(sends, 7, 1), f(takes, 7, 9, 3),
			f(gives, 1, 1, 0)}, []int64{2, 1}},
		"looked for in a channel that the call was given": {[]string{f(given, 1, 7), f(polls, 7, 1), f(gives, 1, 1, 8)},
			[]int64{2, 1}},
		"sent without waiting": {[]string{f(takes, 8, 5, 0), f(tries, 7, 5), f(comes, 1)}, []int64{2, 3}},
		"two channels, two orders": {[]string{f(comes, 1), f(comes, 2), f(sends, 7, 1), f(sends, 7, 2), f(sends, 8, 2),
			f(sends, 8, 1), f(takes, 7, 9, 3), f(takes, 7, 9, 4), f(takes, 8, 5, 5), f(takes, 8, 5, 6)}, nil},
		"each looks for the other": {[]string{f(comes, 1), f(sends, 7, 1), f(comes, 2), f(sends, 8, 2), f(looks, 8, 1, 4),
			f(looks, 7, 2, 2)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := orderOf(recordingOf(t, c.lines...))
			if c.want != nil && !slices.Equal(got, c.want) || c.want == nil && len(got) != 2 {
				t.Errorf("the order is %v, want %v", got, c.want)
			}
		})
	}
}

// TestNear: choices of other groups don't take the room of a group's own, however near they are.
func TestNear(t *testing.T) {
	step := func(seq int64) *riStep { return &riStep{e: &riEvent{Seq: seq, Goroutine: uint64(seq)}} }
	own := []*riStep{step(1), step(2), step(40)}
	rec := &riRecording{choices: []riChoice{{own[0], own[2], 1, 40}}}
	for seq := int64(3); seq < 30; seq += 2 {
		rec.choices = append(rec.choices, riChoice{step(seq), step(seq + 1), 1, seq})
	}
	if got := rec.near(own, 3); len(got) != 1 || got[0].first != own[0] {
		t.Errorf("%d choices: %v", len(got), got)
	}
}
