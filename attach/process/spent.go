package process

import (
	"fmt"
	"sync"
	"time"

	"ri/attach"
)

// stops are those that this process has made of targets.
var stops struct {
	mu     sync.Mutex
	total  time.Duration
	recent []stop        // of the last minute
	before stop          // of others, that counts
	most   time.Duration // in a minute; 0: as long as each stop may be
}

type stop struct {
	at   time.Time
	took time.Duration
}

func noteStop(took time.Duration) {
	stops.mu.Lock()
	defer stops.mu.Unlock()
	stops.total += took
	lately()
	stops.recent = append(stops.recent, stop{time.Now(), took})
}

// lately is for how long targets were held in the last minute. The lock is held.
func lately() (total time.Duration) {
	for len(stops.recent) > 0 && time.Since(stops.recent[0].at) > time.Minute {
		stops.recent = stops.recent[1:]
	}
	for _, s := range stops.recent {
		total += s.took
	}
	return total
}

// Spent is for how long this process has held targets stopped, all together and in the last minute.
func Spent() (total, last time.Duration) {
	stops.mu.Lock()
	defer stops.mu.Unlock()
	return stops.total, lately()
}

// LimitStops bounds for how long this process may hold targets in any minute; before are stops that somebody else made,
// just now, and that count.
func LimitStops(most, before time.Duration) {
	stops.mu.Lock()
	defer stops.mu.Unlock()
	stops.most, stops.before = most, stop{time.Now(), before}
}

// mayStop is for how long a target may be held now, wish at most.
func mayStop(wish time.Duration) (time.Duration, error) {
	stops.mu.Lock()
	defer stops.mu.Unlock()
	if stops.most == 0 {
		return wish, nil
	}
	total := lately()
	if time.Since(stops.before.at) <= time.Minute {
		total += stops.before.took
	}
	if total >= stops.most {
		return 0, fmt.Errorf("processes were held for %v in the last minute, and %v is the most here (ri serve "+
			"--stop-budget): wait, or look with --view live: %w", total.Round(time.Microsecond), stops.most,
			attach.ErrPermission)
	}
	return min(wish, stops.most-total), nil
}
