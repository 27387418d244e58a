package serve

import (
	"sync"
	"testing"
	"time"
)

// TestBudgetTogether has many requests of one caller hold a process at once: what they are granted, and don't give
// back, is never more than the budget.
func TestBudgetTogether(t *testing.T) {
	b := &budget{most: time.Second}
	var all sync.WaitGroup
	var mu sync.Mutex
	total := time.Duration(0)
	for range 16 {
		all.Go(func() {
			s := b.share("me", "1")
			defer s.end(false)
			for range 100 {
				granted, _ := s.May(100 * time.Millisecond)
				if granted == 0 {
					continue
				}
				mu.Lock()
				total += granted
				mu.Unlock()
				s.Took(granted)
			}
		})
	}
	all.Wait()
	if total != b.most {
		t.Errorf("%v were granted, and %v is the most", total, b.most)
	}
	if granted, _ := b.share("other", "1").May(time.Millisecond); granted != time.Millisecond {
		t.Error("another caller was granted nothing")
	}
	if granted, _ := b.share("me", "2").May(time.Millisecond); granted != time.Millisecond {
		t.Error("of another process nothing was granted")
	}
}

// TestBudgetGivenBack has what was granted and not used be granted again, and what a killed worker held count as all
// that it might have.
func TestBudgetGivenBack(t *testing.T) {
	b := &budget{most: time.Second}
	s := b.share("me", "1")
	s.May(time.Second)
	if granted, _ := b.share("me", "1").May(time.Second); granted != 0 {
		t.Errorf("%v were granted beside all that there is", granted)
	}
	if total := s.end(false); total != 0 {
		t.Errorf("nothing was held, and that took %v", total)
	}
	s = b.share("me", "1")
	if granted, _ := s.May(600 * time.Millisecond); granted != 600*time.Millisecond {
		t.Errorf("%v were granted of what was given back", granted)
	}
	if total := s.end(true); total != 600*time.Millisecond {
		t.Errorf("it was killed in a stop of 600ms at most, and that counts as %v", total)
	}
	granted, had := b.share("me", "1").May(time.Second)
	if granted != 400*time.Millisecond || had != 600*time.Millisecond {
		t.Errorf("%v were granted after %v", granted, had)
	}
	if len(b.taken) != 1 {
		t.Errorf("what is under way: %v", b.taken)
	}
}
