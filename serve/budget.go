package serve

import (
	"fmt"
	"sync"
	"time"

	"ri/serve/request"
)

// budget is for how long each caller may hold each process stopped, in a minute.
type budget struct {
	most time.Duration // 0: for as long as the commands themselves allow

	mu    sync.Mutex
	spent map[account][]stop
}

type account struct{ caller, target string }

type stop struct {
	at   time.Time
	took time.Duration
}

// spend notes a stop.
func (b *budget) spend(caller, target string, took time.Duration) {
	if took == 0 || b.most == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent == nil {
		b.spent = map[account][]stop{}
	}
	for who, stops := range b.spent { // nothing is kept of who doesn't ask any more
		if time.Since(stops[len(stops)-1].at) > time.Minute {
			delete(b.spent, who)
		}
	}
	who := account{caller, target}
	b.spent[who] = append(b.spent[who], stop{time.Now(), took})
}

// had is for how long a caller has held a process in the last minute.
func (b *budget) had(caller, target string) (total time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	who := account{caller, target}
	stops := b.spent[who]
	for len(stops) > 0 && time.Since(stops[0].at) > time.Minute {
		stops = stops[1:]
	}
	if len(stops) == 0 {
		delete(b.spent, who)
		return 0
	}
	b.spent[who] = stops
	for _, s := range stops {
		total += s.took
	}
	return total
}

// check refuses a caller that has held a process for long enough in the last minute.
func (b *budget) check(caller, target string) error {
	if b.most == 0 {
		return nil
	}
	total := b.had(caller, target)
	if total < b.most {
		return nil
	}
	return fmt.Errorf("you have had process %s stopped for %v in the last minute, and %v is the most here (ri serve "+
		"--stop-budget): wait, or look with --view live: %w", target, total.Round(time.Microsecond), b.most,
		request.ErrNotAllowed)
}
