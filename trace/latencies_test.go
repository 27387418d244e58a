package trace

import (
	"testing"
	"time"

	"ri/instruments/rows"
)

// TestLatencies: mean and quantiles are of the calls that returned; those that didn't are counted, and nothing else.
func TestLatencies(t *testing.T) {
	counted := &takenCounts{lines: lines{histogram: true}}
	for range 6 {
		counted.count(rows.Of("tenant", "acme"), 600*time.Millisecond)
	}
	for range 14 { // a panic, or still running at the end
		counted.count(rows.Of("tenant", "acme"), -1)
		counted.count(rows.Of("tenant", "initech"), -1)
	}
	got := counted.rows(time.Second)
	if len(got) != 2 {
		t.Fatalf("%v", got)
	}
	for _, row := range got {
		tenant, _ := row.Get("tenant")
		count, _ := row.Get("count")
		mean, _ := row.Get("mean")
		p99, _ := row.Get("p99")
		most, _ := row.Get("max")
		switch {
		case tenant == "acme" && (count != int64(20) || mean != 600*time.Millisecond || p99 != bucketEnd(29) ||
			most != bucketEnd(29)):
			t.Errorf("acme: %v", row)
		case tenant == "initech" && (count != int64(14) || mean != nil || p99 != nil || most != nil):
			t.Errorf("initech, of which nothing returned: %v", row)
		}
	}
}
