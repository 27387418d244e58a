//go:build linux && amd64

package player

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ri/record/streams"
)

// packets tells the networks that have packets without connections.
func packets(network string) bool { return strings.HasPrefix(network, "udp") || network == "unixgram" }

// to is whom a packet is for, or from.
func (c *conn) to(e *streams.Event) string {
	if e.Peer != "" {
		return e.Peer
	}
	return c.peer
}

// packetIn notes a packet that the program got. Of the outputs before it, it answers the last one to the same peer, if
// it answers one at all.
func (p *plan) packetIn(c *conn, i int) {
	e := &p.events[i]
	if e.Errno != 0 {
		return // nobody was there, or nothing came
	}
	if e.Size > int64(len(e.Data)) {
		p.notes["packets whose bytes aren't there, and which aren't played"]++
		return
	}
	c.turns++
	if u := c.last[c.to(e)]; u != nil {
		u.replies = append(u.replies, i)
		p.before[i] = u
	}
}

// post is a peer that packets go to: what comes to it is looked for among the outputs to it.
type post struct {
	network, address string
	c                net.PacketConn
	by               map[string][]*unit // by question, or content
	sizes            map[int64][]*unit  // of those whose bytes aren't there
	asked            map[string]*unit   // questions: what was answered last
	says             map[string][]int   // questions: answers to them in the recording
	from             map[string]*live   // sockets of the program
	strays           []stray
	mayDiffer        bool // there are rules of what may differ
}

// stray is a packet that isn't in the recording, as far as is known.
type stray struct {
	from *live
	data []byte
	told bool
}

// packetEnd is a socket of the program as its peer sees it.
type packetEnd struct {
	net.PacketConn
	to net.Addr
}

func (x packetEnd) Read([]byte) (int, error)    { return 0, net.ErrClosed }
func (x packetEnd) Write(b []byte) (int, error) { return x.WriteTo(b, x.to) }
func (x packetEnd) RemoteAddr() net.Addr        { return x.to }

// content is what finds a packet among others: its bytes, or of a question to a name server what is asked.
func content(b []byte) string {
	if q, ok := question(b); ok {
		return q
	}
	return string(b)
}

// posts are the peers of packets, by network and address. A peer that nobody was at isn't there.
func (p *player) makePosts() {
	p.posts = map[string]*post{}
	there := map[string]bool{}
	for i := range p.plan.events {
		e := &p.plan.events[i]
		c := p.plan.conns[e.Conn]
		if c == nil || c.opened < 0 || !c.packets || c.failed != 0 || e.Kind != streams.In && e.Kind != streams.Out {
			continue
		}
		key := c.network + " " + c.to(e)
		if p.ownPackets(key) {
			continue
		}
		x := p.posts[key]
		if x == nil {
			x = &post{network: c.network, address: c.to(e), by: map[string][]*unit{}, sizes: map[int64][]*unit{},
				asked: map[string]*unit{}, says: map[string][]int{}, mayDiffer: len(p.opt.MayDiffer) > 0, from: map[string]*live{}}
			p.posts[key] = x
		}
		u := p.plan.units[i]
		switch {
		case e.Kind == streams.In && e.Errno == 0:
			there[key] = true
			if asked, ok := answered(e.Data); ok {
				x.says[asked] = append(x.says[asked], i)
			}
		case e.Kind == streams.In || e.Errno != 0:
			if !there[key] && e.Errno == int32(unix.ECONNREFUSED) {
				there[key] = false
			}
		case u == nil:
		case int64(len(u.out.data)) < u.out.size && p.answeredBy(u) != "":
			at := p.answeredBy(u)
			x.by[at] = append(x.by[at], u)
		case int64(len(u.out.data)) < u.out.size:
			x.sizes[u.out.size] = append(x.sizes[u.out.size], u)
		default:
			at := content(u.out.data)
			x.by[at] = append(x.by[at], u)
		}
	}
	for key, answers := range there {
		if !answers {
			delete(p.posts, key)
		}
	}
}

// answeredBy gives the question that an output is of which the bytes aren't there, as its answer repeats it; "" if it
// is none.
func (p *player) answeredBy(u *unit) string {
	for _, i := range u.replies {
		if asked, ok := answered(p.plan.events[i].Data); ok {
			return asked
		}
	}
	return ""
}

// ownPackets tells whether an address is one at which the program gets packets itself.
func (p *player) ownPackets(key string) bool {
	for _, own := range p.plan.listen {
		if own == key {
			return true
		}
		if network, address, _ := strings.Cut(key, " "); strings.HasPrefix(network, "udp") && covers(own, key) {
			host, _, _ := net.SplitHostPort(address)
			for _, c := range p.plan.order {
				if local, _, err := net.SplitHostPort(c.local); err == nil && local == host && c.network == network {
					return true
				}
			}
			if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
				return true
			}
		}
	}
	return false
}

// openPosts has the peers be there.
func (p *player) openPosts(ctx context.Context) {
	p.makePosts()
	for key, x := range p.posts {
		at := p.plan.place(x.network, x.address)
		if isUnix(x.network) {
			if at == "" || !p.makeRoom(at) {
				continue
			}
		}
		bound := p.plan.atFreePort(key, at)
		listen := net.ListenConfig{Control: reuse}
		c, err := listen.ListenPacket(ctx, x.network, bound)
		if err != nil {
			p.count(fmt.Sprintf("peers that can't be played (%s: %v)", key, err), 1)
			continue
		}
		if x.c = c; bound != at {
			p.move(key, c.LocalAddr())
		}
		go p.collect(x)
	}
}

// collect takes what the program sends to a peer.
func (p *player) collect(x *post) {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := x.c.ReadFrom(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.moved++
		p.packet(x, from, append([]byte{}, buf[:n]...))
		p.mu.Unlock()
		p.wakeUp()
	}
}

// packet looks what a packet of the program is. The lock is held.
func (p *player) packet(x *post, from net.Addr, data []byte) {
	name := ""
	if from != nil {
		name = from.String()
	}
	l := x.from[name]
	if l == nil {
		l = &live{c: packetEnd{x.c, from}}
		x.from[name] = l
	}
	if u := x.find(l, data); u != nil {
		_, v, _ := u.out.take(u.conn, data, true)
		u.out.verdict = verdict{state: equal, by: v.by}
		u.out.loose.pass(u.out.verdict)
		p.reply(x, l, u, data)
		return
	}
	if u := x.asked[content(data)]; u != nil { // a name server is asked again, and says the same again
		p.count("questions to name servers that were asked more often than recorded, and answered as before", 1)
		p.reply(x, l, u, data)
		return
	}
	if list := x.says[content(data)]; len(list) > 0 { // glibc asks by sendmmsg, which isn't seen
		e := p.plan.events[list[0]]
		if e.Data = withID(0, data)(e.Data); len(list) > 1 {
			x.says[content(data)] = list[1:]
		}
		l.conn = p.plan.conns[e.Conn]
		p.answer(l, nil, &e)
		return
	}
	x.strays = append(x.strays, stray{from: l, data: data})
}

// find gives the output that a packet is: one of the socket that this one follows if there is one, or else the first.
func (x *post) find(l *live, data []byte) (found *unit) {
	for _, u := range x.by[content(data)] {
		if u.used == nil && (found == nil || l.conn == u.conn && found.conn != l.conn) {
			found = u
		}
	}
	for _, u := range x.sizes[int64(len(data))] {
		if found == nil && u.used == nil && u.out.compare(data).state == equal {
			found = u
		}
	}
	if found != nil || !x.mayDiffer {
		return found
	}
	for _, list := range x.by {
		for _, u := range list {
			if u.used != nil || found != nil && found.out.event < u.out.event {
				continue
			}
			if n, v, more := u.out.take(u.conn, data, true); !more && v.state == equal && n == int64(len(data)) {
				found = u
			}
		}
	}
	return found
}

// reply has a packet be answered as an output was. The lock is held.
func (p *player) reply(x *post, l *live, u *unit, data []byte) {
	if _, ok := question(data); ok {
		x.asked[content(data)] = u
		u.rewrite = withID(0, data)
	}
	p.use(l, u)
}

// playPacket plays a packet that the program got: to the socket that it answers, or to where it was sent.
func (p *player) playPacket(c *conn, i int) {
	e := &p.plan.events[i]
	if e.Errno != 0 || e.Size > int64(len(e.Data)) {
		return
	}
	p.until(e)
	p.outputs()
	p.clock.at(i, i)
	defer p.played(i)
	u := p.plan.before[i]
	p.mu.Lock()
	if u != nil && u.used != nil {
		p.answer(u.used, u, e)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	x := p.posts[c.network+" "+c.to(e)]
	if x == nil || x.c == nil {
		return
	}
	if _, ok := answered(e.Data); ok && u == nil {
		return // who asks is answered
	}
	if c.dialled || c.local == "" || u != nil {
		p.count("packets that came in and aren't played, as the program didn't send what was before them", 1)
		return
	}
	to, err := p.socket(c)
	if err == nil {
		_, err = x.c.WriteTo(e.Data, to)
	}
	if err != nil {
		p.count(fmt.Sprintf("packets that the program didn't take (%v)", err), 1)
	}
}

// socket is where the program gets packets on a connection that it didn't dial.
func (p *player) socket(c *conn) (net.Addr, error) {
	if isUnix(c.network) {
		at := p.plan.place(c.network, c.local)
		if !abstract(at) {
			p.await(func() bool { _, err := os.Lstat(at); return err == nil }, listenPatience)
		}
		return net.ResolveUnixAddr(c.network, at)
	}
	to, err := net.ResolveUDPAddr("udp", p.listens(c.network, c.local))
	if err == nil && to.IP.IsUnspecified() {
		if to.IP.To4() == nil {
			to.IP = net.IPv6loopback
		} else {
			to.IP = net.IPv4(127, 0, 0, 1)
		}
	}
	return to, err
}

// tellStrays tells of packets that aren't in the recording. Where the program answers somebody, and the recording has
// another answer there, that one differs. The lock is held.
func (p *player) tellStrays() {
	for _, x := range p.posts {
		for i := range x.strays {
			s := &x.strays[i]
			if s.told {
				continue
			}
			s.told = true
			u := p.meant(x, s)
			if u != nil && !u.conn.dialled {
				u.used, u.waited = s.from, false
				u.out.verdict = verdict{state: differs, offset: firstDifference(u.out.data, s.data), came: s.data}
				continue
			}
			m := Unmatched{Peer: x.address, Replayed: excerpt(s.data, 0), Question: questionText(s.data)}
			if u != nil {
				m.Event, m.Offset = u.out.seq, firstDifference(u.out.data, s.data)
				m.Recorded, m.Replayed = excerpt(u.out.data, m.Offset), excerpt(s.data, m.Offset)
			}
			p.unmatched(m)
		}
		x.strays = nil
	}
}

// meant is the output that was to be expected in place of a packet: the first one before what is played that didn't
// come.
func (p *player) meant(x *post, s *stray) *unit {
	var first *unit
	for _, list := range x.by {
		for _, u := range list {
			if u.used == nil && u.out.event <= p.cursor && (first == nil || u.out.event < first.out.event) {
				first = u
			}
		}
	}
	for _, list := range x.sizes {
		for _, u := range list {
			if u.used == nil && u.out.event <= p.cursor && (first == nil || u.out.event < first.out.event) {
				first = u
			}
		}
	}
	return first
}

// SetWriteDeadline says nothing: packets don't wait.
func (x packetEnd) SetWriteDeadline(time.Time) error { return nil }
