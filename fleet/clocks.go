package fleet

import (
	"context"
	"sync"
	"time"

	"ri/ovsdb/client"
)

// DefaultLease is for how long an agent is believed after it was heard of.
const DefaultLease = 60 * time.Second

// Clocks estimates how far the hosts' clocks are from the one here. An agent that renews its lease writes what time it
// is there; how late that arrives is not known, so the least late of the last few counts. Lateness makes a clock seem
// to be behind, by a few milliseconds where the database isn't busy. No agent signs its lease, so whoever writes to the
// database says what a clock shows: it is for people to see, and decides nothing.
type Clocks struct {
	Lease time.Duration    // of the agents; 0: DefaultLease
	Now   func() time.Time // nil: the clock

	mu    sync.Mutex
	hosts map[string][]time.Duration // by id, the last few differences
}

// samples are how many leases count; step is what no lateness is taken for.
const (
	samples = 8
	step    = 5 * time.Second
)

// Watch follows the leases until the context ends, or something fails.
func (c *Clocks) Watch(ctx context.Context, db *client.Client) error {
	lease, now := c.Lease, c.Now
	if lease == 0 {
		lease = DefaultLease
	}
	if now == nil {
		now = time.Now
	}
	m, err := db.Monitor(ctx, map[string]client.Watch{hostTable: {Columns: []string{"id", "lease"}}})
	if err != nil {
		return err
	}
	defer m.Close()
	for {
		changes, err := m.Next(ctx)
		if err != nil {
			return err
		}
		at := now()
		c.mu.Lock()
		if c.hosts == nil {
			c.hosts = map[string][]time.Duration{}
		}
		for _, one := range changes {
			switch {
			case one.New == nil:
				delete(c.hosts, one.Old["id"].Text())
			case one.Old != nil && one.Old["lease"].Int() != one.New["lease"].Int(): // what was there before says nothing
				id := one.New["id"].Text()
				off := time.UnixMilli(one.New["lease"].Int()).Add(-lease).Sub(at)
				list := c.hosts[id]
				if off > skew || off < -skew { // nobody signs a lease, and by such a clock nothing is found again
					delete(c.hosts, id)
					continue
				}
				if n := len(list); n > 0 && off < list[n-1]-step { // the clock was set back
					list = nil
				}
				list = append(list, off)
				c.hosts[id] = list[max(0, len(list)-samples):]
			}
		}
		c.mu.Unlock()
	}
}

// Offset is by how much the clock of a host, by its id, is ahead of the one here; negative: behind. It is not known
// until the agent renewed its lease.
func (c *Clocks) Offset(id string) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.hosts[id]
	if len(list) == 0 {
		return 0, false
	}
	best := list[0]
	for _, d := range list {
		best = max(best, d)
	}
	return best, true
}
