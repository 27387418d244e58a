package trace

import (
	"fmt"
	"strings"

	"ri/instruments/rows"
	"ri/probe/kernel"
)

// ArmedText says what a trace will cost.
func ArmedText(f kernel.Forecast) string {
	var perSecond float64
	for _, r := range f.Probes {
		perSecond += r.PerSecond
	}
	return fmt.Sprintf("armed: %s hits a second before, which will cost some %s %% of a core; Ctrl-C ends it",
		rows.Decimal(perSecond, 3), rows.Decimal(100*f.Cost, 2))
}

// MissedText is what isn't probed, briefly, before the kernel was asked; and where it isn't sure that hits are calls.
func (p *Plan) MissedText() []string {
	lines, unsure := MissedText(p.Missed), 0
	for _, one := range p.probes {
		for _, s := range one.Sites {
			if s.Unsure {
				unsure++
			}
		}
	}
	if unsure > 0 {
		lines = append(lines, fmt.Sprintf("unsure: %s of inlined calls, whose hits may be fewer or more than calls "+
			"(--places lists them)", rows.Plural(int64(unsure), "place")))
	}
	return append(lines, p.missedFlows()...)
}

// MissedText says what isn't probed, briefly.
func MissedText(all []Missed) (lines []string) {
	const most = 5
	for i, m := range all {
		if i == most {
			return append(lines, fmt.Sprintf("and %d more are not probed (--places lists them)", len(all)-most))
		}
		what := m.Func
		if m.Into != "" {
			what += " inlined in " + m.Into
		}
		lines = append(lines, fmt.Sprintf("not probed: %s: %s", what, m.Why))
	}
	return lines
}

// Text is what a trace was, for people.
func (s *Summary) Text() []string {
	c := &s.Counts
	parts := []string{rows.Plural(int64(c.Hits), "hit"), fmt.Sprintf("%s shown", rows.Thousands(int64(s.Rows)))}
	if s.Flows > 0 {
		parts = []string{rows.Plural(int64(s.Flows), "flow"), parts[0], rows.Plural(int64(s.Rows), "row")}
	}
	if s.Counted {
		parts = parts[:1]
	}
	for _, more := range []struct {
		n    uint64
		what string
	}{
		{c.False, "with a false condition"}, {s.Dropped, "left out by --when-after"}, {c.Undecided, "not decided"},
		{c.Nil, "with a nil on the condition's way"}, {c.Refused, "refused, over the budget"}, {c.Lost, "lost"},
		{c.Open, openText(s.Open)}, {s.Others, "of other functions"},
	} {
		if more.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", rows.Thousands(int64(more.n)), more.what))
		}
	}
	if s.Recorded {
		return s.recordedText(strings.Join(parts, ", "))
	}
	cost := fmt.Sprintf("it cost the process some %s of CPU in %s", rows.ShortDuration(s.Cost.CPU),
		rows.DurationText(s.Cost.Length))
	if s.Cost.Windows > 1 {
		cost += fmt.Sprintf(", armed for %s of them in %d windows", rows.ShortDuration(s.Cost.Armed), s.Cost.Windows)
	}
	lines := []string{strings.Join(parts, ", ") + "; " + cost}
	for _, pid := range s.Forked {
		lines = append(lines, fmt.Sprintf("not counted: pid %d, which was forked and runs the same code with its breakpoints",
			pid))
	}
	if s.Why != "" {
		lines = append([]string{"ended: " + s.Why}, lines...)
	}
	return lines
}

// recordedText is what there is to say of hits that were recorded.
func (s *Summary) recordedText(counted string) []string {
	lines := []string{counted + " (of the recording)"}
	if s.Why != "" {
		lines = append([]string{"ended: " + s.Why}, lines...)
	}
	if s.Failed > 0 {
		lines = append(lines, fmt.Sprintf("left out: %s: %s", rows.Plural(int64(s.Failed), "hit"), s.FailedWhy))
	}
	if t := s.Taken; t != nil {
		text := fmt.Sprintf("they were taken in %s, which cost the process some %s of CPU, until: %s",
			rows.DurationText(t.Length), rows.ShortDuration(t.CPU), t.Why)
		if missed := t.Refused + t.Lost; missed > 0 {
			text += fmt.Sprintf("; %s more were refused or lost", rows.Thousands(int64(missed)))
		}
		lines = append(lines, text)
	}
	return lines
}

// openText says what became of calls that have not returned.
func openText(shown uint64) string {
	if shown == 0 {
		return "not returned"
	}
	return fmt.Sprintf("not returned (%s shown)", rows.Thousands(int64(shown)))
}
