package flow

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"time"

	"ri/fleet"
	"ri/ovsdb"
	"ri/ovsdb/client"
	"ri/serve/pki"
)

// published is a flow that is to be published.
type published struct {
	s   *session
	row ovsdb.Row
	at  time.Time
	// sent: it may be there.
	sent bool
}

// pending is a hop of which the database is to be told.
type pending struct {
	s *session
	h *hop
}

// gathering is how long what isn't urgent waits for more; a flow that entered is urgent.
const gathering = 250 * time.Millisecond

// telling tells the database of what happens here, until the context ends.
func (a *Agent) telling(ctx context.Context) {
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		}
		a.mu.Lock()
		urgent := len(a.flows) > 0
		a.mu.Unlock()
		if wait := time.Until(next); wait > 0 && !urgent {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		if err := a.tell(ctx); err != nil && ctx.Err() == nil {
			a.mu.Lock()
			a.sayOnce("telling", "the database can't be told: "+err.Error())
			a.mu.Unlock()
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
				a.poke()
			}
		}
		next = time.Now().Add(gathering)
	}
}

// words are what the database is told of one enabling.
type words struct {
	guard  client.Op
	pieces []*piece
}

// piece is of one transaction.
type piece struct {
	ops   []client.Op
	again []func() // if it wasn't told, and may be
	bytes int
}

// mostPiece is how many bytes a transaction has, about.
const mostPiece = 1 << 20

// room gives the piece that has room for so many bytes.
func (w *words) room(bytes int) *piece {
	if len(w.pieces) == 0 || w.last().bytes+bytes > mostPiece {
		w.pieces = append(w.pieces, &piece{})
	}
	w.last().bytes += bytes
	return w.last()
}

func (w *words) last() *piece { return w.pieces[len(w.pieces)-1] }

// tell tells the database all that is new.
func (a *Agent) tell(ctx context.Context) error {
	a.mu.Lock()
	by := map[string]*words{}
	of := func(trace string, generation int64) *words {
		id := keyID(trace, generation, "")
		w := by[id]
		if w == nil {
			w = &words{guard: client.Wait(fleet.EnabledTable, []any{[]any{"id", "==", trace},
				[]any{"generation", "==", generation}}, []string{"id"}, map[string]any{"id": trace})}
			by[id] = w
		}
		return w
	}
	var failed error
	put := func(w *words, table string, r ovsdb.Row, sent bool, again func()) {
		if err := fleet.Sign(a.Identity, table, r); err != nil {
			failed = err
			return
		}
		p := w.room(len(r["sealed"].Text()) + len(r["why"].Text()) + len(r["certificate"].Text()) + 1<<10)
		if sent {
			p.ops = append(p.ops, fleet.Remove(table, fleet.Is("id", r["id"].Text())))
		}
		p.ops = append(p.ops, fleet.Put(table, r))
		p.again = append(p.again, again)
	}
	for _, f := range a.flows {
		if time.Since(f.at) > window {
			continue
		}
		w := of(f.s.e.trace, f.s.e.generation)
		sent := f.sent
		f.sent = true
		put(w, fleet.FlowTable, f.row, sent, func() { a.flows = append(a.flows, f) })
	}
	a.flows = nil
	for _, cookie := range slices.Sorted(maps.Keys(a.hops)) {
		p := a.hops[cookie]
		w := of(p.s.e.trace, p.s.e.generation)
		r, err := p.row(a)
		if err != nil {
			failed = err
			continue
		}
		sent := p.h.sent
		p.h.sent = true
		put(w, fleet.HopTable, r, sent, func() {
			if _, newer := a.hops[cookie]; !newer {
				a.hops[cookie] = p
			}
		})
	}
	clear(a.hops)
	a.tellStates(of, put)
	a.mu.Unlock()
	for _, w := range by {
		failed = errors.Join(failed, a.send(ctx, w))
	}
	return failed
}

// send tells the database of one enabling.
func (a *Agent) send(ctx context.Context, w *words) (failed error) {
	for _, p := range w.pieces {
		_, err := a.client.Transact(ctx, append([]client.Op{w.guard}, p.ops...)...)
		if client.Guarded(err) { // the enabling is gone, and with it what was to be told
			break
		}
		if err == nil {
			continue
		}
		failed = errors.Join(failed, err)
		a.mu.Lock()
		for _, f := range p.again {
			f()
		}
		a.mu.Unlock()
	}
	return failed
}

// tellStates adds what there is to say of requests. a.mu is held.
func (a *Agent) tellStates(of func(string, int64) *words, put func(*words, string, ovsdb.Row, bool, func())) {
	all := maps.Clone(a.statuses)
	for _, s := range a.sessions {
		all[s.e.trace] = s.status
	}
	for trace, st := range all {
		if !st.changed || st.withdrawn || st.state == "" {
			continue
		}
		st.changed = false
		w := of(trace, st.generation)
		put(w, fleet.StateTable, fleet.Row("id", trace+"/"+a.ID, "trace", trace, "host", a.ID, "name", a.Name, "generation",
			st.generation, "state", st.state, "why", ovsdb.CleanString(st.why), "done", st.done, "targets", st.targets,
			"hits", st.hits, "matched", st.matched, "ambiguous", st.ambiguous, "updated", a.now().UnixMilli(),
			"certificate", "", "signature", ""), true, func() { st.changed = true })
	}
}

// row is the summary of a hop: what is logged of it is encrypted to who enabled the request.
func (p pending) row(a *Agent) (ovsdb.Row, error) {
	id := p.s.e.trace + "/" + p.h.cookie
	sealed := ""
	if len(p.h.kept) > 0 {
		data, err := pki.Seal(p.s.e.certificate, p.h.kept, hopContext(id, p.s.e.generation))
		if err != nil {
			return nil, err
		}
		sealed = base64.StdEncoding.EncodeToString(data)
	}
	return fleet.Row("id", id, "trace", p.s.e.trace, "generation", p.s.e.generation, "host", a.ID, "flow", p.h.flow,
		"side", p.h.side, "ambiguous", p.h.ambiguous, "time", p.h.began.UnixMicro(), "rows", p.h.rows, "sealed", sealed,
		"certificate", "", "signature", ""), nil
}
