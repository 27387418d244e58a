package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ri/fleet"
	"ri/ovsdb"
	"ri/ovsdb/client"
)

// Whether a request's expressions fit is known only where the programs are. So it is tried before it is made: some
// agents of its device are asked, by an enabling that says so and is good for seconds, and nothing is armed.

// Limits of trials.
const (
	mostTrials   = 4 // at once, of a server of requests
	trialLife    = 30 * time.Second
	trialPatient = 8 * time.Second // for which agents are waited for
	mostTried    = 3               // hosts, and builds of a program at each
)

// What came of a trial, in the column done of a state.
const (
	doneFits = "fits"
	// doneUnfit: an expression of the request is none there.
	doneUnfit = "unfit"
)

// unfit: an expression that is none in this program, and why.
type unfit struct{ why string }

func (u *unfit) Error() string { return u.why }

// try has agents say whether the expressions of a request fit their programs. It gives why nobody said so, "" if
// somebody did; ErrInvalid where all that were asked say that they don't.
func (s *Store) try(ctx context.Context, r *Request, d *Device) (unknown string, err error) {
	select {
	case s.trials <- struct{}{}:
		defer func() { <-s.trials }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	all, err := s.agents(ctx)
	if err != nil {
		return "", err
	}
	hosts, err := whoTries(all, d)
	if err != nil {
		return "", err
	}
	if len(hosts) == 0 {
		return "no process of the device is known now", nil
	}
	t := &Trace{ID: ovsdb.NewUUID().String(), Request: *r}
	now := s.now()
	row, err := enabledRow(s.Identity, t, now.UnixMilli(), now.Add(trialLife), hashKey{}, hosts)
	if err != nil {
		return "", err
	}
	waiting, stop := context.WithTimeout(ctx, trialPatient)
	defer stop()
	states, err := s.client.Monitor(waiting, map[string]client.Watch{fleet.StateTable: {Where: fleet.Is("trace", t.ID)}})
	if err != nil {
		return "", err
	}
	defer states.Close()
	defer func() {
		ending, stop := context.WithTimeout(context.WithoutCancel(ctx), trialPatient)
		defer stop()
		_, _ = s.client.Repeat(ending, slices.Concat(withdraw(t.ID), found(t.ID))...) // else it expires, and is swept
	}()
	if _, _, err := s.client.Once(ctx, fleet.EnabledTable, "id", t.ID, fleet.Put(fleet.EnabledTable, row)); err != nil {
		return "", err
	}
	changed := states.Changed(waiting)
	for {
		unfit, other, said := "", "", 0
		for _, r := range states.Rows(fleet.StateTable) {
			if who, _, err := signedBy(s.Identity, fleet.StateTable, r, agents); err != nil || who.Name != r["name"].Text() {
				continue
			}
			switch done := r["done"].Text(); {
			case done == doneFits:
				return "", nil
			case done == doneUnfit:
				unfit = r["why"].Text()
				said++
			case r["state"].Text() != StateArming:
				other = r["name"].Text() + ": " + r["why"].Text()
				said++
			}
		}
		ended := waiting.Err() != nil
		switch {
		case unfit != "" && (said == len(hosts) || ended):
			return "", invalid("%s", unfit)
		case said == len(hosts):
			return other, nil
		case ended && ctx.Err() != nil:
			return "", context.Cause(ctx)
		case ended:
			return "no agent of the device has answered", nil
		}
		select {
		case err := <-changed:
			if err != nil && waiting.Err() == nil {
				return "", err
			}
		case <-waiting.Done():
		}
	}
}

// build is what processes have in common that run the same program.
type build struct{ name, module, version, goVersion string }

func buildOf(t fleet.Target) build { return build{t.Name, t.Module, t.Version, t.Go} }

// whoTries gives the ids of some hosts at which flows of a device enter or leave: such that many builds are tried.
func whoTries(all []fleet.Believed, d *Device) (ids []string, err error) {
	tried := map[build]bool{}
	for _, again := range []bool{false, true} { // first those that have a build which nobody before has
		for _, a := range all {
			in, err := fleet.Match(d.Where, a.Name, a.Labels, a.Targets)
			if err != nil {
				return nil, err
			}
			fresh := false
			for _, t := range in {
				fresh = fresh || !tried[buildOf(t)]
				tried[buildOf(t)] = true
			}
			if len(in) > 0 && (fresh || again) && len(ids) < mostTried && !slices.Contains(ids, a.ID) {
				ids = append(ids, a.ID)
			}
		}
	}
	return ids, nil
}

// try says whether the expressions of a request fit the programs here, and arms nothing. a.mu is held.
func (a *Agent) try(ctx context.Context, r ovsdb.Row, e *enabling, d *Device, why error, targets []fleet.Target) {
	if !slices.Contains(e.trial, a.ID) || a.statuses[e.trace] != nil || a.room(e.request.TenantID) <= 0 {
		return
	}
	st := a.status(r)
	st.tenant = e.request.TenantID
	a.statuses[e.trace] = st
	in, out, err := a.here(d, e, targets)
	if why == nil {
		why = err
	}
	if why == nil && len(in)+len(out) == 0 {
		why = errors.New("no process here matches")
	}
	if why != nil {
		st.say(StateRefused, why.Error(), "")
		a.poke()
		return
	}
	s := a.begin(ctx, e, d, "", nil, st)
	var asked []Arm
	for side, list := range map[string][]fleet.Target{ingress: in, egress: out} {
		tried := map[build]bool{}
		for _, t := range list {
			if arm, err := s.asks(side, t); err == nil && !tried[buildOf(t)] && len(tried) < mostTried {
				tried[buildOf(t)] = true
				arm.Trial, arm.Budget = true, 0
				asked = append(asked, arm)
			}
		}
	}
	a.all.Go(func() {
		defer s.end()
		var wrong *unfit
		var other error
		for _, arm := range asked {
			if _, err := a.Trace(s.ctx, arm, func(Row) error { return nil }); !errors.As(err, &wrong) && err != nil {
				other = err
			}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		switch {
		case wrong != nil:
			st.say(StateRefused, wrong.why, doneUnfit)
		case other != nil:
			st.say(StateRefused, fmt.Sprintf("it can't be tried: %v", other), "")
		default:
			st.say(StateDone, "", doneFits)
		}
		a.poke()
	})
}
