//go:build linux && amd64

package player

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ri/record/streams"
)

// Bounds of what is played.
const (
	maxEvents      = 20_000_000
	maxPayload     = 4 << 30 // bytes of payload, all of which is held in memory
	maxConnections = 1 << 20
	maxAddresses   = 4096
)

// ErrNotPlayable tells that a recording can't be replayed. The error's text says why.
var ErrNotPlayable = errors.New("can't be replayed")

// plan is a recording as it is to be played.
type plan struct {
	header *streams.Header
	events []streams.Event
	conns  map[uint32]*conn
	order  []*conn            // by the first event
	peers  map[string][]*conn // what was dialled: network and address -> in order
	listen []string           // addresses at which the program listened, in order
	units  map[int]*unit      // outputs on dialled connections, by their event
	before map[int]*unit      // what was read on a dialled connection: which output is before it
	random map[int][]int      // random bytes: events by size
	notes  map[string]int     // what isn't played, and how often
	tokens *tokens
	walls  func(e *streams.Event) int64
	names  []string // name servers: addresses with port 53 that were asked
}

// conn is a connection of the recording.
type conn struct {
	id             uint32
	network        string
	local, peer    string
	dialled, there bool // by the program; before the recording began
	secure         bool // there is plaintext of TLS
	failed         int32
	opened, closed int       // events; closed is -1 if the program didn't
	outs           []*output // what is expected
	turns          int       // how often something was read
	units          []*unit   // of a dialled one: its outputs with what was read after each
	greeting       *unit     // of a dialled one: what was read before the first output
	reset          bool      // the peer reset it, or went away while the program wrote
	self           bool      // between the program and itself: it makes both ends again
	lost           bool      // not all that came in is known
}

// output is bytes that the program wrote, or its close.
type output struct {
	event  int
	seq    uint64
	at     int64 // CLOCK_MONOTONIC
	size   int64
	data   []byte
	digest []byte
	end    bool    // the program closed the connection, or its direction of it
	turn   int     // counts what was read on this connection: outputs of one turn answer the same
	tokens *tokens // nil: all bytes have to be equal
	verdict
}

// unit is an output on a dialled connection with what was read after it, before the next output.
type unit struct {
	conn    *conn
	index   int     // among the connection's units; -1 is the greeting
	out     *output // nil: the greeting, which needs none
	replies []int   // events
	used    *live   // which connection had it
	waited  bool    // it is among the outputs that are waited for
}

// newPlan reads a recording. Errors: ErrNotPlayable, format.ErrMalformed, errors of the file.
func newPlan(r *streams.Reader) (*plan, error) {
	p := &plan{header: &r.Header, conns: map[uint32]*conn{}, peers: map[string][]*conn{}, units: map[int]*unit{},
		before: map[int]*unit{}, random: map[int][]int{}, notes: map[string]int{}}
	p.tokens = &tokens{plan: p, made: map[int]bool{}}
	payload := 0
	for e, err := range r.Events() {
		if err != nil {
			return nil, err
		}
		if payload += len(e.Data); payload > maxPayload || len(p.events) >= maxEvents {
			return nil, fmt.Errorf("it %w: more than %d events or %d bytes, which are held in memory", ErrNotPlayable,
				maxEvents, int64(maxPayload))
		}
		p.events = append(p.events, e)
	}
	p.setWalls()
	for i := range p.events {
		if p.events[i].TLS {
			p.of(i).secure = true
		}
	}
	for i := range p.events {
		if err := p.add(i); err != nil {
			return nil, err
		}
	}
	p.findSelf()
	for _, c := range p.order {
		if c.dialled && c.failed == 0 {
			key := c.network + " " + c.peer
			p.peers[key] = append(p.peers[key], c)
		}
	}
	if len(p.events) == 0 {
		return nil, fmt.Errorf("it %w: it has no events", ErrNotPlayable)
	}
	if p.header.Asked.Payload {
		return p, nil
	}
	return nil, fmt.Errorf("it %w: it was recorded without --payload, so it has sizes and no bytes", ErrNotPlayable)
}

// setWalls has events that say only CLOCK_MONOTONIC have a wall clock, by the first that says both.
func (p *plan) setWalls() {
	var wall, mono int64
	for i := range p.events {
		if e := &p.events[i]; e.Wall != 0 {
			wall, mono = e.Wall, e.Mono
			break
		}
	}
	p.walls = func(e *streams.Event) int64 {
		if e.Wall != 0 || wall == 0 {
			return e.Wall
		}
		return wall + e.Mono - mono
	}
}

// findSelf finds the connections of the program to itself: it dialled what came in.
func (p *plan) findSelf() {
	dialled := map[string]*conn{}
	for _, c := range p.order {
		if c.dialled {
			dialled[c.network+" "+c.local+" "+c.peer] = c
		}
	}
	for _, c := range p.order {
		if other := dialled[c.network+" "+c.peer+" "+c.local]; other != nil && !c.dialled {
			c.self, other.self = true, true
			p.notes["connections of the program to itself, which it makes again by itself"]++
		}
	}
}

// of is the connection of an event.
func (p *plan) of(i int) *conn {
	id := p.events[i].Conn
	c := p.conns[id]
	if c == nil {
		c = &conn{id: id, opened: -1, closed: -1}
		p.conns[id] = c
	}
	return c
}

func (p *plan) add(i int) error {
	e := &p.events[i]
	switch e.Kind {
	case streams.Listen:
		p.listen = append(p.listen, e.Network+" "+e.Local)
		return nil
	case streams.Random:
		if len(e.Data) > 0 {
			p.random[len(e.Data)] = append(p.random[len(e.Data)], i)
		}
		return nil
	case streams.Clock, streams.Start, streams.End:
		return nil
	}
	if e.Conn == 0 {
		p.notes["events of no connection"]++
		return nil
	}
	c := p.of(i)
	switch e.Kind {
	case streams.Accept, streams.Dial, streams.Existing:
		return p.open(c, i)
	}
	if c.opened < 0 {
		p.notes["events of connections whose beginning isn't there"]++
		return nil
	}
	if c.secure && !e.TLS && (e.Kind == streams.In && e.Size > 0 || e.Kind == streams.Out) {
		return nil // the same bytes, encrypted
	}
	switch e.Kind {
	case streams.In:
		p.in(c, i)
	case streams.Out:
		if e.Errno != 0 {
			c.reset = c.reset || e.Errno == epipe || e.Errno == econnreset
		}
		if e.Size > 0 {
			p.out(c, i, &output{size: e.Size, data: e.Data, digest: e.Digest, tokens: p.tokens})
		}
	case streams.Shutdown:
		if e.Size >= 1 && c.closed < 0 {
			p.out(c, i, &output{end: true})
		}
	case streams.Close:
		if c.closed < 0 {
			c.closed = i
			p.out(c, i, &output{end: true})
		}
	case streams.Hole:
		p.notes["bytes that went by unseen: "+e.Why]++
		if e.Inbound {
			c.lost = true
		} else {
			p.out(c, i, &output{size: e.Size})
		}
	default:
		p.notes[fmt.Sprintf("events of kind %d, which this ri doesn't know", e.Kind)]++
	}
	return nil
}

// Error numbers of the recording's system (asm-generic/errno.h).
const (
	epipe      = 32
	econnreset = 104
)

func (p *plan) open(c *conn, i int) error {
	e := &p.events[i]
	if c.opened >= 0 {
		return fmt.Errorf("it %w: connection %d begins twice (event %d)", ErrNotPlayable, c.id, e.Seq)
	}
	if len(p.order) >= maxConnections {
		return fmt.Errorf("it %w: more than %d connections", ErrNotPlayable, maxConnections)
	}
	c.opened, c.network, c.local, c.peer, c.failed = i, e.Network, e.Local, e.Peer, e.Errno
	c.dialled = e.Kind == streams.Dial || e.Kind == streams.Existing && e.Dialled
	c.there = e.Kind == streams.Existing
	if c.failed == einprogress {
		c.failed = 0
	}
	p.order = append(p.order, c)
	if c.dialled {
		c.greeting = &unit{conn: c, index: -1}
	}
	return nil
}

// einprogress is what connect says of a socket that doesn't block.
const einprogress = 115

func (p *plan) in(c *conn, i int) {
	e := &p.events[i]
	if e.Errno == econnreset {
		c.reset = true
	}
	if e.Size > int64(len(e.Data)) {
		c.lost = true
		p.notes["reads whose bytes aren't there"]++
	}
	if e.Errno != 0 && e.Errno != econnreset {
		return // a deadline, an interruption: nothing came
	}
	c.turns++
	if !c.dialled {
		return
	}
	u := c.greeting
	if n := len(c.units); n > 0 {
		u = c.units[n-1]
	}
	u.replies = append(u.replies, i)
	p.before[i] = u
}

func (p *plan) out(c *conn, i int, o *output) {
	e := &p.events[i]
	o.event, o.seq, o.at, o.turn = i, e.Seq, e.Mono, c.turns
	c.outs = append(c.outs, o)
	if c.dialled && !o.end {
		u := &unit{conn: c, index: len(c.units), out: o}
		c.units = append(c.units, u)
		p.units[i] = u
	}
}

// addresses are those that lo has to have: all that have to do with a connection.
func (p *plan) addresses() (all []netip.Addr, ports []uint16, err error) {
	seen := map[netip.Addr]bool{}
	reserved := map[uint16]bool{}
	note := func(network, text string) (netip.AddrPort, bool) {
		if !strings.HasPrefix(network, "tcp") && !strings.HasPrefix(network, "udp") {
			return netip.AddrPort{}, false
		}
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			return a, false
		}
		if ip := a.Addr().Unmap().WithZone(""); !seen[ip] {
			seen[ip] = true
			all = append(all, ip)
		}
		return a, true
	}
	for _, c := range p.order {
		note(c.network, c.local)
		a, ok := note(c.network, c.peer)
		if ok && !reserved[a.Port()] {
			reserved[a.Port()] = true
			ports = append(ports, a.Port())
		}
		if ok && a.Port() == 53 && c.dialled && !slices.Contains(p.names, a.Addr().String()) {
			p.names = append(p.names, a.Addr().Unmap().String())
		}
	}
	if len(all) > maxAddresses {
		return nil, nil, fmt.Errorf("it %w: it has %d addresses, at most %d are made", ErrNotPlayable, len(all),
			maxAddresses)
	}
	slices.Sort(ports)
	return all, ports, nil
}

// length is how long the recording took.
func (p *plan) length() time.Duration {
	if len(p.events) == 0 {
		return 0
	}
	return time.Duration(p.events[len(p.events)-1].Mono - p.events[0].Mono)
}
