package flow

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ri/fleet"
	"ri/ovsdb"
)

// at is the function along the way where a flow is sent on; "": where it enters.
func (s *session) at() string {
	if s.e.request.Key == nil {
		return ""
	}
	return s.e.request.Key.At
}

// mostOnward is how often a flow may be sent on from a hop.
const mostOnward = 64

// sentOn is the hash by which a flow is known again elsewhere, of a row where it is sent on.
func (s *session) sentOn(side string, opens bool, r Row) string {
	at := s.at()
	switch {
	case s.key == nil:
		return ""
	case at == "" && (!opens || side != ingress):
		return ""
	case at != "" && r.Func != at && !strings.HasSuffix(r.Func, "/"+at):
		return ""
	}
	text, ok := keyText(s.entryParts, r.Values)
	if !ok {
		return ""
	}
	return s.key.hash(text)
}

// errBoth: two tracers see each call there, and both would tell of what it sends on.
var errBoth = errors.New("flows enter and leave there alike, and what is sent on at a step would be of both: the " +
	"device's egressWhere has to name other processes than its where")

// both are the processes where flows enter as well as leave, if they are known again by what is sent on at a step.
func (s *session) both(targets map[string][]fleet.Target) map[string]bool {
	out := map[string]bool{}
	if s.at() == "" {
		return out
	}
	for _, x := range targets[ingress] {
		for _, y := range targets[egress] {
			if targetID(x) == targetID(y) {
				out[targetID(x)] = true
			}
		}
	}
	return out
}

// mostPublished is how many hashes of a request a host publishes, beside those of each flow that may enter.
const mostPublished = 10_000

// sendOn takes a hash with which a hop was sent on. a.mu is held.
func (s *session) sendOn(h *hop, hash string, now time.Time) {
	switch {
	case hash == "" || slices.Contains(h.onward, hash):
		return
	case len(h.onward) >= mostOnward, s.status.published >= mostPublished+s.e.request.MaxFlowsPerHost:
		s.a.sayOnce("onward", fmt.Sprintf("of the request %s, flows are sent on more often than is told: %d times each, "+
			"%d in all", s.e.trace, mostOnward, mostPublished+s.e.request.MaxFlowsPerHost))
		return
	}
	s.status.published++
	h.onward = append(h.onward, hash)
	s.publish(h, now)
}

// publish has the keyed hashes of what a hop sent on written where agents see them, once it is known of which flow it
// is. a.mu is held.
func (s *session) publish(h *hop, now time.Time) {
	if h.flow == "" || h.ambiguous {
		return
	}
	for h.sentOn < len(h.onward) {
		n := h.sentOn
		h.sentOn++ // what is learned by it may lead here again
		hash, id := h.onward[n], h.flow
		if h.side == egress || n > 0 {
			id += "/" + h.cookie + "/" + strconv.Itoa(n)
		}
		if s.match.has(hash, h.flow, now) { // who passes it on as it came
			continue
		}
		s.tellHash(id, h.flow, hash, now)
	}
}

// takeBack makes what a hop sent on ambiguous, as the hop itself is: there is another flow with each of its hashes,
// which is nobody's. a.mu is held.
func (s *session) takeBack(h *hop, now time.Time) {
	for _, hash := range h.onward[:h.sentOn] {
		nobody := ovsdb.NewUUID().String()
		s.tellHash(nobody, nobody, hash, now)
	}
	h.sentOn = len(h.onward)
}

// tellHash publishes a hash of a flow. a.mu is held.
func (s *session) tellHash(id, flow, hash string, now time.Time) {
	s.a.flows = append(s.a.flows, published{s, fleet.Row("id", id, "trace", s.e.trace, "generation", s.e.generation,
		"host", s.a.ID, "hash", hash, "time", s.a.now().UnixMilli(), "certificate", "", "signature", ""), now, false})
	s.a.poke()
	s.learn(s.match.enter(hash, flow, now))
}

// flowOf is the flow of a row's id: FLOW, or FLOW/COOKIE/N; "" of what is none.
func flowOf(id string) string {
	flow, rest, more := strings.Cut(id, "/")
	if _, err := ovsdb.ParseUUID(flow); err != nil || more && !onwardID.MatchString(rest) {
		return ""
	}
	return flow
}

var onwardID = regexp.MustCompile(`^[0-9a-f]{16}/[0-9]{1,3}$`)
