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
	taken map[account]time.Duration // what those have that hold it now, or are about to
}

// charge says whose budget a request's stops are of.
type charge struct {
	*budget
	caller string // "": who asks
}

type account struct{ caller, target string }

type stop struct {
	at   time.Time
	took time.Duration
}

// share is one request's part of a budget: its worker asks before each stop, so that several at once don't pass the
// budget together.
type share struct {
	of    *budget
	who   account
	taken time.Duration // for a stop that hasn't been told of yet
	total time.Duration
}

// share is the part of a request. Where it has no target there is nothing to be held.
func (b *budget) share(caller, target string) *share {
	return &share{of: b, who: account{caller, target}}
}

// most is for how long the target may be held in a minute, 0: for as long as is asked for.
func (s *share) most() time.Duration {
	if s.who.target == "" {
		return 0
	}
	return s.of.most
}

// May implements worker.Accounts.
func (s *share) May(wish time.Duration) (granted, had time.Duration) {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(s.who, -s.taken)
	had = b.had(s.who) + b.taken[s.who]
	if granted = wish; s.most() > 0 {
		granted = max(min(wish, b.most-had), 0)
	}
	s.taken = granted
	b.take(s.who, granted)
	return granted, had
}

// Took implements worker.Accounts.
func (s *share) Took(took time.Duration) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.take(s.who, -s.taken)
	s.taken = 0
	s.total += took
	s.of.spend(s.who, took)
}

// end gives what the request held in all. Of one that was killed, a stop that it didn't tell of counts as long as it
// might have been.
func (s *share) end(killed bool) time.Duration {
	if killed && s.taken > 0 {
		s.Took(s.taken)
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.take(s.who, -s.taken)
	s.taken = 0
	return s.total
}

// take notes what is about to be spent. The lock is held.
func (b *budget) take(who account, d time.Duration) {
	if b.taken == nil {
		b.taken = map[account]time.Duration{}
	}
	if b.taken[who] += d; b.taken[who] == 0 {
		delete(b.taken, who)
	}
}

// spend notes a stop. The lock is held.
func (b *budget) spend(who account, took time.Duration) {
	if took == 0 || b.most == 0 {
		return
	}
	if b.spent == nil {
		b.spent = map[account][]stop{}
	}
	for who, stops := range b.spent { // nothing is kept of who doesn't ask any more
		if time.Since(stops[len(stops)-1].at) > time.Minute {
			delete(b.spent, who)
		}
	}
	b.spent[who] = append(b.spent[who], stop{time.Now(), took})
}

// had is for how long a caller has held a process in the last minute. The lock is held.
func (b *budget) had(who account) (total time.Duration) {
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
	b.mu.Lock()
	total := b.had(account{caller, target})
	b.mu.Unlock()
	if total < b.most {
		return nil
	}
	return fmt.Errorf("you have had process %s stopped for %v in the last minute, and %v is the most here (ri serve "+
		"--stop-budget): wait, or look with --view live: %w", target, total.Round(time.Microsecond), b.most,
		request.ErrNotAllowed)
}
