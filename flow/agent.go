package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	// looking is a look at the processes that goes on; only what reconciles uses it.
	looking chan looked

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

// mostStatuses is how many requests of a tenant, or that aren't believed, an agent has something to say of.
const mostStatuses = MostTraces

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
	changed := rows.Changed(ctx)
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

// wanted is what the database has, by ids.
type wanted struct{ enabled, devices, keys map[string]ovsdb.Row }

func (a *Agent) wanted(rows *client.Monitor) wanted {
	by := func(table string) map[string]ovsdb.Row {
		out := map[string]ovsdb.Row{}
		for _, r := range rows.Rows(table) {
			out[r["id"].Text()] = r
		}
		return out
	}
	return wanted{by(fleet.EnabledTable), by(fleet.DeviceTable), by(fleet.KeyTable)}
}

// reconcile makes what is armed what should be. What is to end ends first, whatever becomes of the look at processes.
func (a *Agent) reconcile(ctx context.Context, rows *client.Monitor) {
	w := a.wanted(rows)
	a.mu.Lock()
	silent := a.ending(w)
	a.mu.Unlock()
	if silent {
		return
	}
	var targets []fleet.Target
	if len(w.enabled) > 0 {
		var err error
		if targets, err = a.look(ctx); err != nil {
			a.mu.Lock()
			a.sayOnce("scan", "which processes are here can't be told, so nothing more is armed: "+err.Error())
			a.mu.Unlock()
			return
		}
		w = a.wanted(rows)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for trace, r := range w.enabled {
		a.follow(ctx, trace, r, w, targets)
	}
}

// ending ends what isn't meant any more, and tells whether the database is silent. a.mu is held.
func (a *Agent) ending(w wanted) (silent bool) {
	silent = time.Since(a.heard) > a.Lease
	for trace, s := range a.sessions {
		r, on := w.enabled[trace]
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
		default:
			a.doubt(s, r, w)
		}
	}
	for trace := range a.statuses {
		if _, on := w.enabled[trace]; !on && a.sessions[trace] == nil {
			delete(a.statuses, trace)
		}
	}
	for trace := range a.checked {
		if _, on := w.enabled[trace]; !on {
			delete(a.checked, trace)
		}
	}
	return silent
}

// doubt ends a session that isn't believed any more, of which something else is meant than what is armed, or that has
// ended with the connection: the latter are armed anew. a.mu is held.
func (a *Agent) doubt(s *session, r ovsdb.Row, w wanted) {
	_, d, why := a.check(r, w.devices)
	switch {
	case why != nil:
		s.withdraw(StateRefused, why.Error(), "")
	case s.raw != raw(r, d, w):
		s.withdraw(StateArming, "", "")
	case errors.Is(s.ctx.Err(), context.Canceled):
		s.withdraw(StateArming, "", "")
	default:
		return
	}
	delete(a.sessions, s.e.trace)
}

// raw are the signatures of the rows that a session goes by.
func raw(r ovsdb.Row, d *Device, w wanted) string {
	text := r["signature"].Text()
	if d != nil {
		text += " " + w.devices[d.Name]["signature"].Text()
	}
	return text
}

// looked is what a look at the processes found.
type looked struct {
	targets []fleet.Target
	err     error
}

// looking is for how long a look at the processes is waited for.
const looking = 5 * time.Second

// look gives the processes that are here. One that takes longer goes on beside, and what it finds is taken next time.
func (a *Agent) look(ctx context.Context) ([]fleet.Target, error) {
	if a.looking == nil {
		found := make(chan looked, 1)
		a.looking = found
		go func() {
			targets, err := a.Scan()
			found <- looked{targets, err}
		}()
	}
	limit := time.NewTimer(min(looking, a.Lease/4))
	defer limit.Stop()
	select {
	case l := <-a.looking:
		a.looking = nil
		return l.targets, l.err
	case <-limit.C:
		return nil, errors.New("looking at the processes takes too long; waiting for it")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
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

// room is of how many more of a tenant's requests there may be something to say. a.mu is held.
func (a *Agent) room(tenant string) int {
	n := mostStatuses
	for _, st := range a.statuses {
		if st.tenant == tenant {
			n--
		}
	}
	return n
}

// follow arms an enabling, or says why not. a.mu is held.
func (a *Agent) follow(ctx context.Context, trace string, r ovsdb.Row, w wanted, targets []fleet.Target) {
	if s := a.sessions[trace]; s != nil {
		a.doubt(s, r, w)
	}
	s := a.sessions[trace]
	e, d, why := a.check(r, w.devices)
	if e != nil && e.trial != nil {
		a.try(ctx, r, e, d, why, targets)
		return
	}
	in, out, err := a.here(d, e, targets)
	if why == nil {
		why = err
	}
	st := a.statuses[trace]
	fresh := st == nil || st.generation != r["generation"].Int()
	if fresh && why == nil && len(in)+len(out) == 0 {
		return // nothing of it is here
	}
	if why == nil && s == nil { // what isn't here needn't be written down
		why = a.seen.take(e, a.now())
	}
	tenant := ""
	if why == nil {
		tenant = e.request.TenantID
	}
	if fresh {
		delete(a.statuses, trace)
		if a.room(tenant) <= 0 {
			return
		}
		st = a.status(r)
		st.tenant = tenant
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
			k, err := openKey(a.Identity, w.keys[id]["sealed"].Text(), id, e.commitment)
			if w.keys[id] == nil {
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
		s = a.begin(ctx, e, d, raw(r, d, w), key, st)
		s.full = st.hits >= int64(e.request.MaxFlowsPerHost)
		a.sessions[trace] = s
		if key != nil && len(d.Egress) > 0 {
			a.all.Go(s.watch)
		}
	}
	s.match.expire(time.Now())
	s.arm(map[string][]fleet.Target{ingress: in, egress: out})
}
