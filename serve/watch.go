package serve

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/engine"
	"ri/ovsdb/wire"
)

// A monitor looks at a process again and again, where the agent allows it: all monitors of one caller at one process
// share the looks, which have an interval and a budget of stops.

// watch follows a process for the monitors of a caller.
type watch struct {
	process *process
	db      *engine.DB
	schema  *ovsdb.Schema
	lost    chan struct{}
	end     context.CancelFunc
	ctx     context.Context

	looking sync.Mutex // one look at a time
	seen    map[string]bool
	stopped time.Duration

	mu     sync.Mutex
	tables map[string]int // how many monitors are about each
	users  int
}

// monitors is whose the stops of monitors are.
const monitors = "monitors"

// Watch implements wire.Database.
func (p *process) Watch(ctx context.Context, requests any) (*wire.Watch, error) {
	a := p.agent
	if a.Monitor == 0 {
		return nil, ovsdb.Errorf("not supported", "monitors look at the process again and again, and are off at this agent "+
			"(ri serve --monitor 1s)")
	}
	text, err := p.Schema(ctx)
	if err != nil {
		return nil, err
	}
	schema, err := ovsdb.SchemaFromJSON(text)
	if err != nil {
		return nil, err
	}
	list, ok := requests.(map[string]any)
	if !ok {
		return nil, ovsdb.Syntaxf(requests, "", "monitor-requests must be object")
	}
	for name := range list {
		if schema.Tables[name] == nil {
			return nil, ovsdb.Errorf(ovsdb.SyntaxTag, "no table named %s", name)
		}
	}
	w := a.databases.watch(p, schema, slices.Collect(maps.Keys(list)))
	release := sync.OnceFunc(func() { a.databases.release(w, slices.Collect(maps.Keys(list))) })
	w.looking.Lock()
	defer w.looking.Unlock()
	for name := range list {
		if !w.seen[name] { // its first rows are to be there
			if err := w.look(ctx); err != nil {
				release()
				return nil, failure(err)
			}
			break
		}
	}
	return &wire.Watch{DB: w.db, Lost: w.lost, Release: release}, nil
}

// watch gives the watch of a process for a caller, with tables added.
func (d *databases) watch(p *process, schema *ovsdb.Schema, tables []string) *watch {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := p.id()
	w := d.watches[id]
	if w == nil {
		own := *p
		own.good = func() error { return nil } // connections are looked at by themselves, and end
		w = &watch{process: &own, schema: schema, db: engine.New(schema), lost: make(chan struct{}), seen: map[string]bool{},
			tables: map[string]int{}}
		w.ctx, w.end = context.WithCancel(context.Background())
		d.watches[id] = w
		p.agent.all.Go(func() { w.follow(id) })
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users++
	for _, t := range tables {
		w.tables[t]++
	}
	return w
}

// release ends a watch that nobody needs any more.
func (d *databases) release(w *watch, tables []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range tables {
		if w.tables[t]--; w.tables[t] == 0 {
			delete(w.tables, t)
		}
	}
	if w.users--; w.users > 0 {
		return
	}
	w.end()
	maps.DeleteFunc(d.watches, func(_ string, other *watch) bool { return other == w })
}

// look looks at the tables, once. w.looking is held.
func (w *watch) look(ctx context.Context) error {
	p, a := w.process, w.process.agent
	w.mu.Lock()
	names := slices.Sorted(maps.Keys(w.tables))
	w.mu.Unlock()
	if len(names) == 0 {
		return nil
	}
	asked := p.command()
	asked.Args = names
	text, stopped, err := p.ask(ctx, asked, charge{&a.monitoring, monitors}, true)
	w.stopped += stopped
	if err != nil {
		return err
	}
	rows, err := w.parse(text)
	if err != nil {
		return err
	}
	if err := w.db.Load(rows); err != nil {
		return err
	}
	for name := range rows {
		w.seen[name] = true
	}
	return nil
}

// parse reads what ri tables gives.
func (w *watch) parse(text []byte) (map[string]map[ovsdb.UUID]ovsdb.Row, error) {
	var j any
	if err := ovsdb.Decode(text, &j); err != nil {
		return nil, err
	}
	tables, _ := j.(map[string]any)
	out := map[string]map[ovsdb.UUID]ovsdb.Row{}
	for name, list := range tables {
		t := w.schema.Tables[name]
		rows, ok := list.(map[string]any)
		if t == nil || !ok {
			return nil, fmt.Errorf("table %s is not in the schema", name)
		}
		out[name] = map[ovsdb.UUID]ovsdb.Row{}
		for id, columns := range rows {
			uuid, err := ovsdb.ParseUUID(id)
			if err != nil {
				return nil, err
			}
			values, _ := columns.(map[string]any)
			row := ovsdb.Row{}
			for column, v := range values {
				c := t.Column(column)
				if c == nil {
					return nil, fmt.Errorf("table %s has no column %s", name, column)
				}
				d, err := c.Type.FromJSON(v, nil)
				if err != nil {
					return nil, err
				}
				row[column] = d
			}
			out[name][uuid] = row
		}
	}
	return out, nil
}

// follow looks again and again, until nobody needs it or the process is gone. A look that fails, or for which the
// monitors' budget has no room, is left out; the next tells what has changed meanwhile.
func (w *watch) follow(id string) {
	p, a := w.process, w.process.agent
	begun, said := time.Now(), ""
	defer func() {
		w.looking.Lock()
		defer w.looking.Unlock()
		a.note(Entry{Time: begun, Caller: p.caller.name, Role: p.caller.role.String(), From: p.from,
			Request: "monitor " + p.name, Took: time.Since(begun).Seconds(), Stopped: w.stopped.Seconds(), Why: said})
	}()
	tick := time.NewTicker(a.Monitor)
	defer tick.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-tick.C:
		}
		if p.id() != id {
			said = "the process has ended"
			a.databases.mu.Lock()
			maps.DeleteFunc(a.databases.watches, func(_ string, other *watch) bool { return other == w })
			a.databases.mu.Unlock()
			close(w.lost)
			return
		}
		w.looking.Lock()
		err := w.look(w.ctx)
		w.looking.Unlock()
		if err != nil && w.ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			a.Say(fmt.Sprintf("monitors of %s: %s", p.name, said))
		}
	}
}
