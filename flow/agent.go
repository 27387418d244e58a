package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"ri/fleet"
	"ri/ovsdb"
	"ri/ovsdb/client"
	"ri/serve/pki"
)

// Agent is a host's part: it arms what was enabled, in the processes here that match. Its exported fields are set
// before Run.
type Agent struct {
	Database fleet.Database
	Client   *client.Client // of the database; nil: one of its own
	Folder   string         // the agent's
	ID, Name string         // of the host
	Labels   map[string]string
	Identity *pki.Identity
	Scan     func() ([]fleet.Target, error)
	Trace    Tracer
	Redact   func(key [keySize]byte) Redactor
	Log      Writer // nil: files in the folder
	Say      func(string)

	Every time.Duration    // between two looks at the processes; 0: 2 seconds
	Lease time.Duration    // for how long the database may be silent; 0: DefaultLease
	Now   func() time.Time // nil: the clock

	client *client.Client
	seen   *seen
	ledger *ledger
	all    sync.WaitGroup
	wake   chan struct{}

	mu       sync.Mutex
	sessions map[string]*session // by request
	statuses map[string]*status
	heard    time.Time // when the database answered last
	said     map[string]string
	flows    []published
	hops     map[string]pending
	checked  map[string]checked   // by request
	last     map[string]ovsdb.Row // own states that were in the database when it began
}

// DefaultLease is for how long the database may be silent before an agent ends what it traces.
const DefaultLease = 30 * time.Second

// mostStatuses is how many requests an agent has something to say of.
const mostStatuses = 1000

func (a *Agent) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// sayOnce says something of a kind if it isn't what was said last. a.mu may be held.
func (a *Agent) sayOnce(kind, text string) {
	if a.said[kind] != text {
		a.said[kind] = text
		a.Say("flows: " + text)
	}
}

func (a *Agent) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Run arms what is enabled until the context ends; then nothing is armed.
func (a *Agent) Run(ctx context.Context) error {
	if a.Every == 0 {
		a.Every = 2 * time.Second
	}
	if a.Lease == 0 {
		a.Lease = DefaultLease
	}
	if a.Log == nil {
		a.Log = LogsIn(a.Folder)
	}
	a.ledger, a.wake = newLedger(), make(chan struct{}, 1)
	a.sessions, a.statuses, a.said = map[string]*session{}, map[string]*status{}, map[string]string{}
	a.hops, a.checked = map[string]pending{}, map[string]checked{}
	var err error
	if a.seen, err = openSeen(a.Folder, a.now()); err != nil {
		return err
	}
	life, end := context.WithCancel(context.Background()) // it has something to say after ctx
	defer end()
	if a.client = a.Client; a.client == nil {
		if a.client, err = a.Database.Open(life, nil); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		err := a.keep(ctx)
		if ctx.Err() != nil {
			break
		}
		a.mu.Lock()
		a.sayOnce("database", err.Error()+"; trying again")
		a.mu.Unlock()
		wait := a.Every
		if errors.Is(err, errOlder) {
			wait = time.Minute
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	a.mu.Lock()
	for trace, s := range a.sessions {
		s.withdraw(StateWaiting, "the agent has ended", "")
		delete(a.sessions, trace)
	}
	a.mu.Unlock()
	a.all.Wait()
	last, stop := context.WithTimeout(life, 2*time.Second)
	defer stop()
	_ = a.tell(last)
	return a.Log.Close()
}

// errOlder: the database can do all else.
var errOlder = errors.New("the fleet's database can't have flows")

// keep follows the database until something fails.
func (a *Agent) keep(ctx context.Context) error {
	schema, err := a.client.Schema(ctx)
	if err != nil {
		return err
	}
	if err := fleet.CheckTables(schema, tables...); err != nil {
		return fmt.Errorf("%w: %w", errOlder, err)
	}
	rows, err := a.client.Monitor(ctx, map[string]client.Watch{fleet.EnabledTable: {}, fleet.DeviceTable: {},
		fleet.KeyTable: {Where: fleet.Is("host", a.ID)}, fleet.StateTable: {Where: fleet.Is("host", a.ID)}})
	if err != nil {
		return err
	}
	defer rows.Close()
	a.mu.Lock()
	a.heard = time.Now()
	a.last = map[string]ovsdb.Row{}
	for _, r := range rows.Rows(fleet.StateTable) {
		a.last[r["trace"].Text()] = r
	}
	a.mu.Unlock()
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	changed := make(chan error, 1)
	beside.Go(func() {
		for {
			_, err := rows.Next(ctx)
			select {
			case changed <- err:
			default:
			}
			if err != nil {
				return
			}
		}
	})
	beside.Go(func() { a.beat(ctx) })
	beside.Go(func() { a.telling(ctx) })
	tick := time.NewTicker(a.Every)
	defer tick.Stop()
	for {
		a.reconcile(ctx, rows)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-changed:
			if err != nil {
				return err
			}
		case <-tick.C:
		}
	}
}

// beat asks the database for an answer, to know that it is there.
func (a *Agent) beat(ctx context.Context) {
	tick := time.NewTicker(a.Lease / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asking, stop := context.WithTimeout(ctx, a.Lease/4)
		_, err := a.client.Transact(asking, client.Op{"op": "select", "table": fleet.StateTable,
			"where": fleet.Is("id", "none"), "columns": []string{"id"}})
		stop()
		a.mu.Lock()
		if err == nil {
			a.heard = time.Now()
		}
		for _, s := range a.sessions { // their rows say that it is alive
			s.status.changed = true
		}
		a.mu.Unlock()
		a.poke()
	}
}

// reconcile makes what is armed what should be.
func (a *Agent) reconcile(ctx context.Context, rows *client.Monitor) {
	enabled, devices, keys := map[string]ovsdb.Row{}, map[string]ovsdb.Row{}, map[string]ovsdb.Row{}
	for _, r := range rows.Rows(fleet.EnabledTable) {
		enabled[r["id"].Text()] = r
	}
	for _, r := range rows.Rows(fleet.DeviceTable) {
		devices[r["id"].Text()] = r
	}
	for _, r := range rows.Rows(fleet.KeyTable) {
		keys[r["id"].Text()] = r
	}
	var targets []fleet.Target
	if len(enabled) > 0 {
		var err error
		if targets, err = a.Scan(); err != nil {
			a.mu.Lock()
			a.sayOnce("scan", "which processes are here can't be told: "+err.Error())
			a.mu.Unlock()
			return
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	silent := time.Since(a.heard) > a.Lease
	for trace, s := range a.sessions {
		r, on := enabled[trace]
		switch {
		case silent:
			s.withdraw(StateDone, "the database was silent", doneLease)
			delete(a.sessions, trace)
		case !on || r["generation"].Int() != s.e.generation:
			s.status.withdrawn = true
			s.withdraw(StateDone, "", doneDisabled)
			a.over(s)
			delete(a.statuses, trace)
		case !a.now().Before(s.e.expires):
			if s.status.state != StateDone {
				s.status.done = ""
			}
			s.withdraw(StateDone, "", cmp.Or(s.status.done, doneExpiry))
			a.over(s)
		}
	}
	for trace := range a.statuses {
		if _, on := enabled[trace]; !on && a.sessions[trace] == nil {
			delete(a.statuses, trace)
		}
	}
	for trace := range a.checked {
		if _, on := enabled[trace]; !on {
			delete(a.checked, trace)
		}
	}
	if silent {
		return
	}
	for trace, r := range enabled {
		if len(a.statuses) < mostStatuses || a.statuses[trace] != nil {
			a.follow(ctx, r, devices, keys, targets)
		}
	}
}

// over writes down that a session has ended for good. a.mu is held.
func (a *Agent) over(s *session) {
	delete(a.sessions, s.e.trace)
	if err := a.seen.end(s.e.trace, s.e.generation, a.now()); err != nil {
		a.sayOnce("seen", "which requests have ended can't be written down: "+err.Error())
	}
	if log, ok := a.Log.(doner); ok {
		log.Done(s.e.trace)
	}
	a.all.Go(func() {
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		_, _ = a.client.Transact(ctx, fleet.Remove(fleet.FlowTable, []any{[]any{"trace", "==", s.e.trace},
			[]any{"host", "==", a.ID}}))
	})
}

// follow arms an enabling, or says why not. a.mu is held.
func (a *Agent) follow(ctx context.Context, r ovsdb.Row, devices, keys map[string]ovsdb.Row, targets []fleet.Target) {
	trace := r["id"].Text()
	s := a.sessions[trace]
	e, d, why := a.check(r, devices)
	if why == nil && s == nil {
		why = a.seen.take(e, a.now())
	}
	raw := r["signature"].Text()
	if d != nil {
		raw += " " + devices[d.Name]["signature"].Text()
	}
	if s != nil && (why != nil || s.raw != raw) { // something else is meant than what is armed, or nothing any more
		s.withdraw(StateRefused, "", "")
		delete(a.sessions, trace)
		s = nil
	}
	in, out, err := a.here(d, e, targets)
	if why == nil {
		why = err
	}
	st := a.statuses[trace]
	if st == nil || st.generation != r["generation"].Int() {
		if why == nil && len(in)+len(out) == 0 {
			return // nothing of it is here
		}
		st = a.status(r)
		a.statuses[trace] = st
	}
	if why != nil {
		if !errors.Is(why, errOver) {
			st.say(StateRefused, why.Error(), "")
		} else if st.state != StateDone {
			st.say(StateDone, "", doneExpiry)
		}
		a.poke()
		return
	}
	if s == nil {
		var key *hashKey
		if e.request.Key != nil {
			id := keyID(trace, e.generation, a.ID)
			k, err := openKey(a.Identity, keys[id]["sealed"].Text(), id, e.commitment)
			if keys[id] == nil {
				st.say(StateWaiting, "its hash key has not come: the host wasn't known when it was enabled", "")
				a.poke()
				return
			}
			if err != nil {
				st.say(StateRefused, "its hash key: "+err.Error(), "")
				a.poke()
				return
			}
			key = &k
		}
		s = a.begin(ctx, e, d, raw, key, st)
		s.full = st.hits >= int64(e.request.MaxFlowsPerHost)
		a.sessions[trace] = s
		if key != nil && len(d.Egress) > 0 {
			a.all.Go(s.watch)
		}
	}
	s.match.expire(time.Now())
	s.arm(map[string][]fleet.Target{ingress: in, egress: out})
}

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
