package flow

import (
	"strconv"
	"strings"
	"time"

	"ri/fleet"
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
		s.a.flows = append(s.a.flows, published{s, fleet.Row("id", id, "trace", s.e.trace, "generation", s.e.generation,
			"host", s.a.ID, "hash", hash, "time", s.a.now().UnixMilli(), "certificate", "", "signature", ""), now, false})
		s.a.poke()
		s.learn(s.match.enter(hash, h.flow, now))
	}
}
