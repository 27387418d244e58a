package process

import (
	"fmt"
	"sync"
	"time"

	"ri/attach"
)

// Accounts are where it is asked for how long targets may be held, and told for how long they were.
type Accounts interface {
	// May is for how long a target may be held now, wish at most. What it grants is taken until Took or the next May.
	// The error says why it may not be held at all.
	May(wish time.Duration) (time.Duration, error)
	Took(time.Duration)
}

var accounts struct {
	mu sync.Mutex
	of Accounts // nil: targets may be held for as long as who asks says
}

// AccountTo has this process ask before it holds a target, and tell it afterwards.
func AccountTo(a Accounts) {
	accounts.mu.Lock()
	defer accounts.mu.Unlock()
	accounts.of = a
}

func accountsNow() Accounts {
	accounts.mu.Lock()
	defer accounts.mu.Unlock()
	return accounts.of
}

func noteStop(took time.Duration) {
	if a := accountsNow(); a != nil {
		a.Took(took)
	}
}

// mayStop is for how long a target may be held now, wish at most.
func mayStop(wish time.Duration) (time.Duration, error) {
	a := accountsNow()
	if a == nil {
		return wish, nil
	}
	granted, err := a.May(wish)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", err, attach.ErrPermission)
	}
	return min(wish, granted), nil
}
