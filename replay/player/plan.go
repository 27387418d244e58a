//go:build linux && amd64

package player

import (
	"errors"
	"fmt"
	"time"

	"ri/record/format"
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
	header  *streams.Header
	events  []streams.Event
	conns   map[uint32]*conn
	order   []*conn            // by the first event
	peers   map[string][]*conn // what was dialled: network and address -> in order
	listens map[uint32]bool    // connections that are none
	listen  []string           // addresses at which the program listened, in order
	units   map[int]*unit      // outputs on dialled connections, by their event
	before  map[int]*unit      // what was read on a dialled connection: which output is before it
	random  map[int][]int      // random bytes: events by size
	notes   map[string]int     // what isn't played, and how often
	tokens  *tokens
	loose   *loose
	late    map[int]*conn // connections that are begun before an event only, as the program greets on them
	racing  racing
	walls   func(e *streams.Event) int64

	upgrades map[int]*conn // events with which TLS begins on connections on which something was said before
	carriers map[uint32]*carrier

	unchunked map[uint32]*chunks // connections on which chunks of HTTP/1 are undone
	carried   map[uint32]uint32  // by the number of a stream of HTTP/2: the connection's on which it went
}

// conn is a connection of the recording.
type conn struct {
	id             uint32
	network        string
	local, peer    string
	dialled, there bool // by the program; before the recording began
	packets        bool // it has packets, from and to anybody if the program didn't dial
	secure         bool // there is plaintext of TLS
	host           string
	failed         int32
	opened, closed int              // events; closed is -1 if the program didn't
	outs           []*output        // what is expected
	turns          int              // how often something was read
	units          []*unit          // of a dialled one: its outputs with what was read after each
	greeting       *unit            // of a dialled one: what was read before the first output
	last           map[string]*unit // of one with packets: the last output to each peer
	asked          int64            // bytes that who dialled sent
	notified       int              // of TLS: a read with no plaintext, after which there was none
	said           bool             // of TLS: there was plaintext
	records        records          // of TLS
	clear          bool             // something was said before TLS began
	shaken         bool             // then it began
	reset          bool             // the peer reset it, or went away while the program wrote
	gone           bool             // the program has seen that
	late           bool             // it is begun when it is greeted
	self           bool             // between the program and itself: it makes both ends again
	lost           bool             // not all that came in is known
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
	loose  *loose  // nil: likewise
	may    []span  // of data: what may differ, once it was looked
	looked bool
	fields bool // it is header fields of HTTP/2
	verdict
}

// unit is an output on a dialled connection with what was read after it, before the next output.
type unit struct {
	conn    *conn
	index   int                       // among the connection's units; -1 is the greeting
	out     *output                   // nil: the greeting, which needs none
	replies []int                     // events
	used    *live                     // which connection had it
	waited  bool                      // it is among the outputs that are waited for
	peer    string                    // of a packet: whom it is for
	asked   bool                      // it is a question to a name server, which is equal whatever its ID
	rewrite func(reply []byte) []byte // what is played isn't quite what was recorded; nil: it is
}

// newPlan reads a recording. Errors: ErrNotPlayable, format.ErrMalformed, errors of the file.
func newPlan(r *streams.Reader, opt *Options) (*plan, error) {
	p := &plan{header: &r.Header, conns: map[uint32]*conn{}, peers: map[string][]*conn{}, units: map[int]*unit{},
		before: map[int]*unit{}, random: map[int][]int{}, notes: map[string]int{},
		late: map[int]*conn{}, listens: map[uint32]bool{}, carried: map[uint32]uint32{},
		upgrades: map[int]*conn{}}
	p.tokens = &tokens{plan: p, made: map[int]bool{}}
	var err error
	if p.loose, err = newLoose(opt.MayDiffer); err != nil {
		return nil, err
	}
	p.racing = newRacing(opt.AsRead)
	payload := 0
	for e, err := range r.Events() {
		if err == nil && (e.Size < 0 || e.Size < int64(len(e.Data))) {
			err = fmt.Errorf("event %d has a size of %d and %d bytes: %w", e.Seq, e.Size, len(e.Data), format.ErrMalformed)
		}
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
	p.findSecure()
	if err := p.unpack(); err != nil {
		return nil, err
	}
	p.unchunk()
	for i := range p.events {
		if err := p.add(i); err != nil {
			return nil, err
		}
	}
	p.findSelf()
	p.hosts()
	for _, c := range p.order {
		// A program may number connections that it greets: they are begun in the order of the greetings.
		if !c.dialled && !c.packets && !c.self && len(c.outs) > 0 && c.outs[0].turn == 0 && !c.outs[0].end {
			p.late[c.outs[0].event], c.late = c, true
		}
		if c.dialled && c.failed == 0 && !c.packets && !c.self {
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

// findSecure finds the connections with TLS: there is plaintext of it, or nothing was said after the handshake, of
// which there are no bytes, and others at the same address have it.
func (p *plan) findSecure() {
	at, silent := map[string]bool{}, map[uint32]bool{}
	address := map[uint32]string{}
	for i := range p.events {
		switch e := &p.events[i]; {
		case e.Kind == streams.Accept:
			address[e.Conn] = "in " + e.Local
		case e.Kind == streams.Dial || e.Kind == streams.Existing:
			address[e.Conn] = "out " + e.Peer
		case e.TLS:
			p.of(i).secure = true
			at[address[e.Conn]] = true
		case e.Size > 0 && (e.Kind == streams.In || e.Kind == streams.Out) && len(e.Data)+len(e.Digest) == 0:
			silent[e.Conn] = true
		case len(e.Data)+len(e.Digest) > 0:
			delete(silent, e.Conn)
		}
	}
	for id := range silent {
		if c := p.conns[id]; c == nil && at[address[id]] {
			p.conns[id] = &conn{id: id, opened: -1, closed: -1, secure: true}
		}
	}
}

// findSelf finds the connections of the program to itself: it dialled what came in. Those to a Unix socket have no
// names of their own, and are told apart by how much went through.
func (p *plan) findSelf() {
	type ends struct {
		network, from, to string
		bytes             int64
	}
	dialled := map[ends][]*conn{}
	of := func(c *conn, from, to string) ends {
		e := ends{network: c.network, from: from, to: to}
		if c.network == "unix" {
			e.bytes = c.asked
		}
		return e
	}
	for _, c := range p.order {
		if c.dialled && c.failed == 0 {
			key := of(c, c.local, c.peer)
			dialled[key] = append(dialled[key], c)
		}
	}
	for _, c := range p.order {
		if key := of(c, c.peer, c.local); !c.dialled && len(dialled[key]) > 0 {
			c.self, dialled[key][0].self = true, true
			dialled[key] = dialled[key][1:]
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
		p.listens[e.Conn] = true
		if e.Local != "" {
			p.listen = append(p.listen, e.Network+" "+e.Local)
		}
		if packets(e.Network) && e.Conn != 0 {
			return p.open(p.of(i), i)
		}
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
	if p.listens[e.Conn] && c.opened < 0 {
		return nil // the end of one that listens
	}
	if c.opened < 0 {
		p.notes["events of connections whose beginning isn't there"]++
		return nil
	}
	if said := e.Kind == streams.In || e.Kind == streams.Out; said && e.Size == 0 && e.Why == "" && wentAway(e.Errno) &&
		!c.packets && !c.gone {
		e.Kind, e.Errno, e.TLS = streams.In, econnreset, c.secure // the program may have seen it by a write only
	}
	wire := c.secure && !e.TLS && (e.Kind == streams.In && e.Size > 0 || e.Kind == streams.Out)
	if wire && len(e.Data)+len(e.Digest) > 0 {
		c.clear = true
	} else if wire {
		if c.clear && !c.dialled && !c.shaken {
			c.shaken, p.upgrades[i] = true, c
		}
		if e.Kind == streams.In {
			most := int64(mostAlert)
			if !c.said {
				most += mostFinished
			}
			if c.notified = i; e.Size > most {
				c.notified = 0
			}
		}
		c.records.wire(e, i)
		return nil // the same bytes, encrypted
	}
	if e.TLS {
		c.notified, c.said = 0, true
		c.records.inside(e)
	}
	if e.Why == whyFrames || e.Why == whyGoAway {
		return nil
	}
	if c.dialled == (e.Kind == streams.Out) {
		c.asked += e.Size
	}
	switch e.Kind {
	case streams.In:
		p.in(c, i)
	case streams.Out:
		if e.Size > 0 {
			p.out(c, i, &output{size: e.Size, data: e.Data, digest: e.Digest, tokens: p.tokens, loose: p.loose})
		}
	case streams.Shutdown:
		if e.Size >= 1 && c.closed < 0 {
			p.out(c, i, &output{end: true})
		}
	case streams.Close:
		if c.closed < 0 {
			if c.notified == 0 {
				c.notified = c.records.notified()
			}
			if c.notified > 0 { // the peer said inside of TLS that it ends, which no event says
				last := &p.events[c.notified]
				last.Kind, last.Size, last.Data, last.TLS = streams.In, 0, nil, true
				p.in(c, c.notified)
			}
			c.closed = i
			p.out(c, i, &output{end: true})
		}
	case streams.Hole:
		p.notes["bytes that went by unseen: "+e.Why]++
		if e.Inbound {
			c.lost = true
		} else if !c.packets {
			p.out(c, i, &output{size: e.Size})
		}
	default:
		p.notes[fmt.Sprintf("events of kind %d, which this ri doesn't know", e.Kind)]++
	}
	return nil
}

// mostAlert bounds a record of TLS that only says that the peer ends: an alert, encrypted by TLS 1.2 or 1.3 (RFC 8446,
// 5.2 and 6.1).
const mostAlert = 64

// mostFinished bounds what may come before it in the same read where nothing else was said: the end of a handshake
// (RFC 8446, 4.4.4 and appendix D.4).
const mostFinished = 96

// records is what came last on a connection with TLS.
type records struct {
	read   int64 // bytes, encrypted
	plain  int64 // of these, inside
	most   int   // in so many records at most
	closed int   // the event with which the program said that it ends
}

// wire takes bytes as they went over the wire.
func (r *records) wire(e *streams.Event, i int) {
	switch {
	case e.Kind == streams.Out:
		r.closed = i
	case r.most > 0: // what it had in it has been seen
		*r = records{read: e.Size}
	default:
		r.read, r.closed = r.read+e.Size, 0
	}
}

// inside takes bytes inside.
func (r *records) inside(e *streams.Event) {
	if r.closed = 0; e.Kind == streams.In {
		r.plain, r.most = r.plain+e.Size, r.most+1
	}
}

// Sizes of what a record has beside its bytes, and of one that says that the peer ends: of TLS 1.3 (RFC 8446, 5.2), and
// of TLS 1.2 with AES-GCM (RFC 5288) and ChaCha20 (RFC 7905).
var recordSizes = [][2]int64{{22, 24}, {29, 31}, {21, 23}}

// notified gives the event with which the program answered that the peer ends, where that came in one read with what
// was before it: only sizes tell that. 0: it didn't come.
func (r *records) notified() int {
	for _, s := range recordSizes {
		rest := r.read - r.plain - s[1]
		if r.closed > 0 && rest > 0 && rest%s[0] == 0 && rest/s[0] <= int64(r.most) {
			return r.closed
		}
	}
	return 0
}

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
	c.there, c.packets = e.Kind == streams.Existing, packets(e.Network)
	if c.failed == einprogress {
		c.failed = 0
	}
	p.order = append(p.order, c)
	if c.packets {
		c.last = map[string]*unit{}
	}
	if c.dialled {
		c.greeting = &unit{conn: c, index: -1}
	}
	return nil
}

// einprogress is what connect says of a socket that doesn't block.
const einprogress = 115

func (p *plan) in(c *conn, i int) {
	e := &p.events[i]
	if c.packets {
		p.packetIn(c, i)
		return
	}
	if e.Errno == econnreset {
		c.reset, c.gone = true, true
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
		p.racing.read(c, i)
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
	o.fields = e.Why == whyFields || e.Why == whyEnd
	p.racing.wrote(p.events, c, i)
	c.outs = append(c.outs, o)
	if (c.dialled || c.packets) && !o.end {
		u := &unit{conn: c, index: len(c.units), out: o, peer: c.to(e)}
		if c.packets {
			c.last[u.peer] = u
		}
		c.units = append(c.units, u)
		p.units[i] = u
	}
}

// length is how long the recording took.
func (p *plan) length() time.Duration {
	if len(p.events) == 0 {
		return 0
	}
	return time.Duration(p.events[len(p.events)-1].Mono - p.events[0].Mono)
}
