package flow

import "sync"

// ledger is who was given how much of the budgets: of a tenant at a process, of a process, of the host.
type ledger struct {
	process, host float64 // the most, in cores

	mu      sync.Mutex
	spent   map[string]float64 // by process, by process and tenant, and by tenant
	ofWhole float64
}

// Budgets of all requests together, in cores.
const (
	processBudget = 0.02
	hostBudget    = 0.10
	// tenantPart is how much of the host's one tenant may have.
	tenantPart = 0.5
	// smallest is the least part of a tenant's share that is worth arming.
	smallest = 1.0 / 16
)

func newLedger() *ledger {
	return &ledger{process: processBudget, host: hostBudget, spent: map[string]float64{}}
}

// allot gives half of what is left of a tenant's share at a process, so that there is some left for the next; false:
// nothing is. What was given comes back by release.
func (l *ledger) allot(process, tenant string, share float64) (part float64, release func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own, theirs := process+" "+tenant, "tenant "+tenant
	share = min(share, l.process, l.host)
	left := min(share-l.spent[own], l.process-l.spent[process], l.host-l.ofWhole, l.host*tenantPart-l.spent[theirs])
	least := share * smallest
	part = max(left/2, least)
	if left < least*0.999 {
		return 0, nil, false
	}
	l.add(part, own, process, theirs)
	return part, sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.add(-part, own, process, theirs)
	}), true
}

func (l *ledger) add(part float64, keys ...string) {
	l.ofWhole += part
	for _, k := range keys {
		if l.spent[k] += part; l.spent[k] < 1e-12 {
			delete(l.spent, k)
		}
	}
}
