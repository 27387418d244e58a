package flow

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"ri/fleet"
	"ri/ovsdb"
)

// States of a request at a host.
const (
	StateArming  = "arming" // it is counted what it will cost
	StateArmed   = "armed"
	StateRefused = "refused"
	StateWaiting = "waiting" // for a process, or for the hash key
	StateDone    = "done"
	StateSilent  = "silent" // its agent isn't heard of
)

// What a request can be done by.
const (
	doneFlows    = "flows"
	doneExpiry   = "expiry"
	doneBudget   = "budget"
	doneDisabled = "disabled"
	doneLease    = "lease" // the database was silent
)

// Sides of a device.
const (
	ingress = "ingress"
	egress  = "egress"
)

// status is what an agent says of a request. Agent.mu is held for what is in it.
type status struct {
	trace, tenant            string // tenant: "" of one that isn't believed
	generation               int64
	state, why, done         string
	targets                  int
	hits, matched, ambiguous int64
	changed                  bool
	published                int  // hashes
	summaries, kept          int  // hops that the database was told of, and bytes of their logs
	withdrawn                bool // the enabling is gone: what isn't there isn't made
}

func (st *status) say(state, why, done string) {
	if st.state != state || st.why != why || st.done != done {
		st.state, st.why, st.done, st.changed = state, why, done, true
	}
}

// session is a request that an agent has armed.
type session struct {
	a       *Agent
	e       *enabling
	d       *Device
	raw     string // the signatures of the rows that it goes by
	key     *hashKey
	redact  Redactor
	ctx     context.Context
	end     context.CancelFunc
	status  *status
	armings map[string]*arming // by side and target
	match   *matcher
	told    recent // flows that entered elsewhere; only what watches uses it

	entryParts, exitParts []string // of the key
	shown                 map[string][]string
	goroutines            bool // those that a flow starts are of it
	full                  bool // the limit of flows was reached
}

// arming is a tracer in one process.
type arming struct {
	s       *session
	side    string
	target  fleet.Target
	stop    context.CancelFunc
	running bool
	armed   bool      // its probes are there
	why     string    // it ended by
	err     error     // it could not be
	again   time.Time // and is tried again then
	hops    map[int64]*hop
}

// trying is how long it takes until a process is tried again in which a request couldn't be armed.
const trying = time.Minute

// mostOpen is how many flows of one process may be open at once.
const mostOpen = 10_000

// mostLeaving is after how many hops a tracer where flows leave ends, and is started again.
const mostLeaving = 1_000_000

// begin makes a session of an enabling that was found good.
func (a *Agent) begin(ctx context.Context, e *enabling, d *Device, raw string, key *hashKey, st *status) *session {
	s := &session{a: a, e: e, d: d, raw: raw, key: key, status: st, armings: map[string]*arming{}, match: newMatcher(),
		shown: map[string][]string{}, goroutines: d.goroutines(e.request.TenantID)}
	s.ctx, s.end = context.WithDeadline(ctx, time.Now().Add(e.expires.Sub(a.now())))
	secret := newHashKey()
	if key != nil {
		secret = *key
	}
	s.redact = a.Redact(secret.derive("tokens"))
	r := e.request
	for _, text := range r.Show { // it was checked
		if path, err := checkShown(text, d.Paths); err == nil {
			s.shown[ingress] = append(s.shown[ingress], path)
		}
		if path, err := checkShown(text, d.egressPaths()); err == nil {
			s.shown[egress] = append(s.shown[egress], path)
		}
	}
	if r.Key != nil {
		s.entryParts, _ = keyParts(r.Key.Ingress, d.keyPaths(ingress))
		s.exitParts, _ = keyParts(r.Key.Egress, d.keyPaths(egress))
	}
	return s
}

// arm has tracers run in the processes that match now. a.mu is held.
func (s *session) arm(targets map[string][]fleet.Target) {
	there := map[string]bool{}
	both := s.both(targets)
	for side, list := range targets {
		for _, t := range list {
			id := side + " " + targetID(t)
			there[id] = true
			was := s.armings[id]
			if was != nil && was.err != nil && time.Now().After(was.again) {
				was = nil
			}
			if was == nil && !(s.full && side == ingress) && s.ctx.Err() == nil {
				if both[targetID(t)] {
					s.armings[id] = &arming{s: s, side: side, target: t, stop: func() {}, err: errBoth, again: time.Now().Add(trying)}
				} else {
					s.armings[id] = s.start(side, t)
				}
			}
		}
	}
	for id, one := range s.armings {
		if !there[id] { // the process has ended; another may come
			one.stop()
			delete(s.armings, id)
		}
	}
	s.settle()
}

func targetID(t fleet.Target) string {
	return strconv.Itoa(t.PID) + "/" + strconv.FormatUint(t.Start, 10)
}

// settle says how it stands with the request here. a.mu is held.
func (s *session) settle() {
	st := s.status
	running, armed, why, done := 0, 0, "", ""
	for _, id := range slices.Sorted(maps.Keys(s.armings)) {
		switch one := s.armings[id]; {
		case one.running && !(s.full && one.side == ingress): // what is open may still leave
			running++
			if one.armed {
				armed++
			}
		case one.err != nil:
			why = one.target.Name + ": " + one.err.Error()
		case one.why != "":
			done = one.why
		}
	}
	if s.full {
		done = doneFlows
	}
	if st.targets != armed {
		st.targets, st.changed = armed, true
	}
	switch {
	case running > 0 && armed == running:
		st.say(StateArmed, why, done)
	case running > 0:
		st.say(StateArming, why, done)
	case done != "":
		st.say(StateDone, "", done)
	case why != "":
		st.say(StateRefused, why, "")
	case st.state != "":
		st.say(StateWaiting, "no process here matches", "")
	}
	if st.changed {
		s.a.poke()
	}
}

// asks is what a tracer is to do at one side of a device, in a process. a.mu is held.
func (s *session) asks(side string, t fleet.Target) (Arm, error) {
	r, access := s.e.request, s.d.Tenants[s.e.request.TenantID]
	arm := Arm{Trace: s.e.trace, Tenant: r.TenantID, PID: t.PID, Start: t.Start, Functions: s.d.Ingress,
		Steps: s.d.Steps, For: s.e.expires.Sub(s.a.now())}
	show := slices.Concat(s.shown[side], s.entryParts)
	if side == ingress {
		if access.Predicate != "true" {
			arm.When = append(arm.When, access.Predicate)
		}
		if r.Condition != "" {
			condition, err := checkCondition(r.Condition, s.d.Paths)
			if err != nil {
				return arm, err
			}
			arm.When = append(arm.When, condition)
		}
		arm.Limit = max(r.MaxFlowsPerHost-int(s.status.hits), 1)
	} else {
		arm.Functions, arm.Limit = s.d.Egress, mostLeaving
		if access.EgressPredicate != "" && access.EgressPredicate != "true" {
			arm.When = append(arm.When, access.EgressPredicate)
		}
		show = slices.Concat(s.shown[side], s.exitParts)
		if s.at() != "" { // it may be sent on from here
			show = append(show, s.entryParts...)
		}
	}
	slices.Sort(show)
	if at := s.at(); at != "" && !slices.Contains(arm.Steps, at) {
		arm.Steps = append(slices.Clone(arm.Steps), at)
	}
	if arm.Show = slices.Compact(show); len(arm.Show) == 0 {
		arm.Show = []string{} // nothing, and not all arguments
	}
	return arm, nil
}

// start starts a tracer. a.mu is held.
func (s *session) start(side string, t fleet.Target) *arming {
	one := &arming{s: s, side: side, target: t, hops: map[int64]*hop{}, stop: func() {}}
	r := s.e.request
	arm, err := s.asks(side, t)
	if err != nil {
		one.err = err
		return one
	}
	budget, release, ok := s.a.ledger.allot(targetID(t), r.TenantID, s.d.share(r.TenantID))
	if !ok { // until another request ends
		one.err = errShare
		return one
	}
	arm.Budget = budget
	ctx, stop := context.WithCancel(s.ctx)
	one.stop, one.running = stop, true
	s.a.all.Go(func() {
		why, err := s.a.Trace(ctx, arm, func(row Row) error { return one.row(row) })
		release()
		s.a.mu.Lock()
		defer s.a.mu.Unlock()
		ended := ctx.Err() != nil
		stop()
		one.running = false
		for _, h := range one.hops {
			s.finish(h)
		}
		one.hops = nil
		switch {
		case ended:
		case err != nil:
			one.err, one.again = err, time.Now().Add(trying)
		case why == endBudget:
			one.why = doneBudget
		case side == ingress && s.status.hits >= int64(r.MaxFlowsPerHost):
			one.why = doneFlows
		case why == endLimit: // of flows that nobody was told of, perhaps: it is started again
			if id := side + " " + targetID(t); s.armings[id] == one {
				delete(s.armings, id)
			}
			return
		}
		if err != nil && !ended {
			s.a.Say(fmt.Sprintf("the request %s isn't armed in %s, pid %d: %v", s.e.trace, t.Name, t.PID, err))
		}
		if s.ctx.Err() == nil {
			s.settle()
		}
	})
	return one
}

// row takes what a tracer tells.
func (one *arming) row(r Row) error {
	s := one.s
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	if r.What == WhatArmed {
		one.armed = true
		s.settle()
		return nil
	}
	now := time.Now()
	h := one.hops[r.Flow]
	opens := r.What == whatEnter || r.What == whatHit
	if opens {
		if h != nil || r.Undecided { // what isn't surely the tenant's isn't told
			return nil
		}
		if len(one.hops) >= mostOpen {
			one.crowded()
		}
		if h = s.enter(one, r, now); h == nil {
			return nil
		}
		h.goroutine = r.Goroutine
		one.hops[r.Flow] = h
	}
	if h == nil {
		return nil // of a flow that isn't followed
	}
	own := s.goroutines || r.Goroutine == h.goroutine // which tenant others serve nobody tests
	if r.What == whatLeave || own && (s.goroutines || r.What != whatGo) {
		s.add(h, one, r)
	}
	if r.What == whatLeave || r.What == whatHit || r.Ended {
		delete(one.hops, r.Flow)
		s.finish(h)
	}
	if own {
		s.sendOn(h, s.sentOn(one.side, opens, r), now)
	}
	return nil
}

// crowded closes those hops that were silent for longest: their ends were lost, perhaps. a.mu is held.
func (one *arming) crowded() {
	open := slices.SortedFunc(maps.Keys(one.hops), func(x, y int64) int {
		return one.hops[x].last.Compare(one.hops[y].last)
	})
	for _, flow := range open[:len(open)/16+1] {
		one.s.finish(one.hops[flow])
		delete(one.hops, flow)
	}
}

// enter opens a hop, or not. a.mu is held.
func (s *session) enter(one *arming, r Row, now time.Time) *hop {
	h := &hop{cookie: randomText(8), side: one.side, target: one.target.Name + ":" + strconv.Itoa(one.target.PID),
		began: s.a.now()}
	if one.side == egress {
		text, ok := keyText(s.exitParts, r.Values)
		if !ok || s.key == nil {
			return nil
		}
		h.hash = s.key.hash(text)
		s.match.leave(h, now)
		s.learn([]*hop{h})
		return h
	}
	most := int64(s.e.request.MaxFlowsPerHost)
	if s.status.hits >= most {
		return nil
	}
	h.flow = ovsdb.NewUUID().String()
	s.status.hits++
	s.status.changed = true
	s.a.poke()
	if s.status.hits >= most {
		s.close()
	}
	return h
}

// close ends what enters once the limit of flows is reached: those that are open may leave within the window.
func (s *session) close() {
	s.full = true
	for _, one := range s.armings {
		if one.side == ingress {
			time.AfterFunc(window, one.stop)
		}
	}
	s.settle()
}

// add puts a row into a hop's log. a.mu is held.
func (s *session) add(h *hop, one *arming, r Row) {
	line := Line{Tenant: s.e.request.TenantID, Trace: s.e.trace, Flow: h.flow, Cookie: h.cookie, Host: s.a.Name,
		Target: h.target, Side: h.side, What: r.What, Goroutine: r.Goroutine, Started: r.Started, Func: r.Func,
		Duration: r.Duration, Time: r.Time, Nanotime: r.Nanotime}
	for name, v := range r.Values {
		if slices.Contains(s.shown[one.side], name) {
			if line.Values == nil {
				line.Values = map[string]any{}
			}
			line.Values[name] = shown(v, slices.Contains(s.d.Clear, name), s.redact)
		}
	}
	h.rows++
	h.last = time.Now()
	if h.ambiguous || h.flow == "" {
		s.match.wait(h, line)
		s.learn([]*hop{h})
		return
	}
	s.write(h, line)
}

// Limits of a hop: lines that wait until its flow is known, and bytes of its summary; and of all summaries of
// a request at a host: beyond it hops have none of what was logged.
const (
	mostWaiting = 256
	mostKept    = 8 << 10
	mostKeptAll = 4 << 20
)

// write logs a line of a hop. a.mu is held.
func (s *session) write(h *hop, line Line) {
	if err := s.a.Log.Write(line); err != nil {
		s.a.sayOnce("log", err.Error())
	}
	if text, err := line.text(); err == nil && len(h.kept)+len(text) < mostKept &&
		s.status.kept+len(text) <= mostKeptAll {
		h.kept = append(h.kept, text...)
		s.status.kept += len(text)
	}
	s.summarize(h)
}

// summarize has the database told of a hop, of so many and no more. a.mu is held.
func (s *session) summarize(h *hop) {
	if !h.summary {
		if s.status.summaries >= mostSummaries+10*s.e.request.MaxFlowsPerHost {
			return
		}
		h.summary = true
		s.status.summaries++
	}
	s.a.hops[h.cookie] = pending{s, h}
	s.a.poke()
}

// mostSummaries is how many hops of a request the database is told of by a host, beside ten for each flow.
const mostSummaries = 100

// learn logs what waited in hops of which it has become known whose they are. a.mu is held.
func (s *session) learn(hops []*hop) {
	for _, h := range hops {
		switch {
		case h.ambiguous && h.told != toldAmbiguous:
			if h.told == toldFlow { // what was logged was wrong, perhaps
				s.status.matched--
				s.write(h, Line{Tenant: s.e.request.TenantID, Trace: s.e.trace, Flow: h.flow, Cookie: h.cookie,
					Host: s.a.Name, Target: h.target, Side: h.side, What: whatAmbiguous})
				s.takeBack(h, time.Now())
			}
			h.told, h.flow, s.status.changed = toldAmbiguous, "", true
			s.status.ambiguous++
		case h.flow != "" && h.told == 0:
			h.told, s.status.changed = toldFlow, true
			s.status.matched++
			s.publish(h, time.Now())
		case h.told == 0:
			continue
		}
		for _, line := range s.match.release(h) {
			line.Flow = h.flow
			s.write(h, line)
		}
	}
}

// finish closes a hop. a.mu is held.
func (s *session) finish(h *hop) {
	if h.flow != "" || h.ambiguous {
		s.summarize(h)
	}
}

// withdraw ends a session, for a reason. a.mu is held.
func (s *session) withdraw(state, why, done string) {
	s.end()
	for _, one := range s.armings {
		one.stop()
	}
	s.status.targets = 0
	s.status.changed = true
	s.status.say(state, why, done)
	s.a.poke()
}

func randomText(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}
