package flow

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ri/fleet"
	"ri/ovsdb/client"
)

// Hop is where a flow was seen.
type Hop struct {
	Cookie    string            `json:"cookie"`
	Host      string            `json:"host"`
	Side      string            `json:"side"`
	Time      time.Time         `json:"time"`
	Rows      int64             `json:"rows"`
	Log       []json.RawMessage `json:"log,omitempty"` // the first rows, where they were encrypted to who asks
	Ambiguous bool              `json:"ambiguous,omitempty"`
	// ClockOffset is by how much the host's clock is ahead of this server's, in nanoseconds, if that is known: an
	// estimate, see [fleet.Clocks].
	ClockOffset *int64 `json:"clockOffset,omitempty"`
}

// Seen is a flow, and its hops.
type Seen struct {
	Flow      string `json:"flow"`
	Ambiguous bool   `json:"ambiguous,omitempty"`
	Hops      []Hop  `json:"hops"`
}

// mostHops is how many hops of a request are read at once.
const mostHops = 20_000

// Flows gives the flows of a request, by time. Hops that could be of several flows come as one of no flow, apart.
func (s *Store) Flows(ctx context.Context, tenant, id string) ([]Seen, error) {
	t, err := s.Get(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	select { // each hop has a signature, and is decrypted
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	count, err := fleet.Read(ctx, s.client, map[string]client.Watch{
		fleet.HopTable: {Where: fleet.Is("trace", t.ID), Columns: []string{"side"}}})
	if err != nil {
		return nil, err
	}
	if n := len(count[fleet.HopTable]); n > s.mostHops {
		return nil, invalid("it has %d hops, and %d at most are told of at once: the hosts' logs have them all; make it "+
			"anew with a lower maxFlowsPerHost", n, s.mostHops)
	}
	all, err := s.rows(ctx, fleet.HopTable, fleet.Is("trace", t.ID))
	if err != nil {
		return nil, err
	}
	by := map[string]*Seen{}
	for _, r := range all {
		who, _, err := signedBy(s.Identity, fleet.HopTable, r, agents)
		if err != nil {
			s.Say(fmt.Sprintf("a hop of the request %s isn't believed: %v", t.ID, err))
			continue
		}
		ambiguous := len(r["ambiguous"].Keys) == 1 && r["ambiguous"].Keys[0] == true
		flow := r["flow"].Text()
		if ambiguous {
			flow = ""
		}
		_, cookie, _ := strings.Cut(r["id"].Text(), "/")
		hop := Hop{Cookie: cookie, Host: who.Name, Side: r["side"].Text(), Time: time.UnixMicro(r["time"].Int()).UTC(),
			Rows: r["rows"].Int(), Ambiguous: ambiguous}
		if offset, known := s.clocks.Offset(r["host"].Text()); known {
			hop.ClockOffset = new(int64(offset))
		}
		if sealed, err := base64.StdEncoding.DecodeString(r["sealed"].Text()); err == nil && len(sealed) > 0 {
			if text, err := s.Identity.Unseal(sealed, hopContext(r["id"].Text(), r["generation"].Int())); err == nil {
				for line := range bytes.Lines(text) {
					if line = bytes.TrimSpace(line); json.Valid(line) {
						hop.Log = append(hop.Log, line)
					}
				}
			}
		}
		if by[flow] == nil {
			by[flow] = &Seen{Flow: flow, Ambiguous: ambiguous}
		}
		by[flow].Hops = append(by[flow].Hops, hop)
	}
	out := []Seen{}
	for _, f := range by {
		slices.SortFunc(f.Hops, func(a, b Hop) int { // clocks differ, and a flow enters before it leaves
			return cmp.Or(-strings.Compare(a.Side, b.Side), a.Time.Compare(b.Time))
		})
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b Seen) int { return a.Hops[0].Time.Compare(b.Hops[0].Time) })
	return out, nil
}

func hopContext(id string, generation int64) string {
	return "ri flow hop " + id + " " + strconv.FormatInt(generation, 10)
}
