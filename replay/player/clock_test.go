//go:build linux && amd64

package player

import (
	"fmt"
	"testing"
	"time"
)

// TestReading: the time that an output says it was is found, to the last digit, and no time that was before or after.
func TestReading(t *testing.T) {
	at := time.Date(2026, 11, 30, 16, 2, 19, 836_734_395, time.UTC)
	from, to := at.Add(-time.Second).UnixNano(), at.Add(time.Millisecond).UnixNano()
	ns, us, ms := at.UnixNano(), at.Truncate(time.Microsecond).UnixNano(), at.Truncate(time.Millisecond).UnixNano()
	for output, want := range map[string]int64{
		at.String(): ns,
		`{"created":"` + at.Format(time.RFC3339Nano) + `"}`:                             ns,
		at.In(time.FixedZone("", 7200)).Format(time.RFC3339Nano):                        ns,
		at.Format("2006-01-02T15:04:05.000Z07:00"):                                      ms,
		fmt.Sprint("x ", at.UnixNano(), " y"):                                           ns,
		fmt.Sprint(at.UnixMicro()):                                                      us,
		fmt.Sprint("[", at.UnixMilli(), "]"):                                            ms,
		at.Add(-time.Hour).String() + " " + at.String():                                 ns,
		at.Add(time.Hour).String():                                                      0,
		"1764000000000000000000000 12:00 2026-13-99T99:99:99.9Z 2026-01-01 00:00:00.0Z": 0,
		"": 0,
	} {
		if got := reading([]byte(output), from, to); got != want {
			t.Errorf("%q: %d, want %d", output, got, want)
		}
	}
}
