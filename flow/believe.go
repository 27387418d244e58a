package flow

import (
	"fmt"
	"maps"
	"time"

	"ri/fleet"
	"ri/ovsdb"
)

// checked is what came of a look at the rows of an enabling and its device.
type checked struct {
	row, device ovsdb.Row
	at          time.Time
	e           *enabling
	d           *Device
	why         error
}

// checking is how long rows that don't change needn't be looked at again: signatures cost time, and certificates are
// revoked.
const checking = 10 * time.Second

// check believes an enabling, or not. a.mu is held.
func (a *Agent) check(r ovsdb.Row, devices map[string]ovsdb.Row) (*enabling, *Device, error) {
	trace := r["id"].Text()
	last, was := a.checked[trace]
	device := ovsdb.Row(nil)
	if was && last.e != nil {
		device = devices[last.e.request.Device]
	}
	if was && time.Since(last.at) < checking && same(last.row, r) && same(last.device, device) &&
		(last.why != nil || a.now().Before(last.e.expires)) {
		return last.e, last.d, last.why
	}
	c := checked{row: maps.Clone(r), at: time.Now()}
	c.e, c.d, c.why = a.believe(r, devices)
	if c.e != nil {
		c.device = maps.Clone(devices[c.e.request.Device])
	}
	a.checked[trace] = c
	return c.e, c.d, c.why
}

func same(a, b ovsdb.Row) bool {
	return maps.EqualFunc(a, b, func(x, y ovsdb.Datum) bool { return x.Compare(y) == 0 })
}

// believe holds an enabling, and its device, to who signed them and to one another.
func (a *Agent) believe(r ovsdb.Row, devices map[string]ovsdb.Row) (*enabling, *Device, error) {
	e, err := readEnabling(a.Identity, r, a.now())
	if err != nil {
		return nil, nil, err
	}
	row, there := devices[e.request.Device]
	if !there {
		return e, nil, fmt.Errorf("its device %q isn't there", e.request.Device)
	}
	d, err := readDevice(a.Identity, row)
	if err == nil {
		err = a.seen.device(d.Name, row["generation"].Int(), a.now())
	}
	if err != nil {
		return e, nil, fmt.Errorf("its device %q: %w", e.request.Device, err)
	}
	return e, d, e.request.check(d)
}

// here gives the processes of a device that are here, where flows enter and where they leave.
func (a *Agent) here(d *Device, e *enabling, targets []fleet.Target) (in, out []fleet.Target, err error) {
	if d == nil {
		return nil, nil, nil
	}
	if in, err = fleet.Match(d.Where, a.Name, a.Labels, targets); err != nil {
		return nil, nil, err
	}
	if len(d.Egress) > 0 && e.request.Key != nil {
		out, err = fleet.Match(d.egressWhere(), a.Name, a.Labels, targets)
	}
	return in, out, err
}

// status begins what there is to say of an enabling: where the agent was started anew, from what it said before. a.mu
// is held.
func (a *Agent) status(r ovsdb.Row) *status {
	st := &status{trace: r["id"].Text(), generation: r["generation"].Int()}
	last, was := a.last[st.trace]
	if !was || last["generation"].Int() != st.generation {
		return st
	}
	if who, _, err := signedBy(a.Identity, fleet.StateTable, last, agents); err != nil || who.Name != a.Name {
		return st
	}
	st.state, st.done = last["state"].Text(), last["done"].Text()
	st.hits, st.matched, st.ambiguous = last["hits"].Int(), last["matched"].Int(), last["ambiguous"].Int()
	return st
}
