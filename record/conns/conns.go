package conns

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"ri/probe/kernel"
	"ri/record/streams"
)

// socket is what is known of one.
type socket struct {
	number      uint32 // in the recording; 0: it isn't in there yet
	kernel      uint32 // the kernel's number
	family, typ int64
	network     string
	local, peer string
	refs        int  // descriptors that lead to it
	listens     bool // or is bound, of those without connections
	dialled     bool
	existing    bool
	pending     *streams.Event // how it came to be, until its address is known
	left        bool           // out of the recording, as nobody asked for it
	losses      uint32
	tls         bool // its bytes are seen as plaintext, not as they are
}

// Sink takes the events in their order. Of an event with bytes Data is the sink's.
type Sink func(e *streams.Event, c Conn) error

// Conn is what a sink may want to know of the connection of an event.
type Conn struct {
	Existing bool // it was there when the recording began
	Dialled  bool
	Packets  bool // it has packets, not a stream
	Gone     bool // nothing comes of it any more
}

// tracker knows all sockets of the process, and makes events of calls.
type tracker struct {
	byNumber map[uint32]*socket
	last     uint32 // number of a connection in the recording
	wanted   func(s *socket) bool
	sink     Sink
	clock    func(mono int64) int64 // wall clock
	notes    map[string]bool        // what isn't seen
	plain    bool                   // plaintext of TLS is seen
	err      error
	holes    uint64
}

func (t *tracker) note(format string, args ...any) { t.notes[fmt.Sprintf(format, args...)] = true }

// emit gives an event of a socket to the sink, and before it how the socket came to be.
func (t *tracker) emit(s *socket, c *kernel.SocketCall, e streams.Event) {
	if s != nil {
		if s.left {
			return
		}
		t.flush(s, c)
		if s.number == 0 || s.left {
			return
		}
		e.Conn = s.number
	}
	t.give(s, c, e)
}

// announce has a socket be in the recording.
func (t *tracker) announce(s *socket, c *kernel.SocketCall, e *streams.Event) {
	if s.number == 0 {
		t.last++
		s.number = t.last
	}
	e.Conn, e.Network = s.number, s.network
	t.give(s, c, *e)
}

func (t *tracker) give(s *socket, c *kernel.SocketCall, e streams.Event) {
	if t.err != nil {
		return
	}
	if e.Mono == 0 {
		e.Mono = c.Time
	}
	e.Wall = t.clock(e.Mono)
	if e.Goroutine == 0 && e.Thread == 0 {
		e.Goroutine, e.Thread = c.Goroutine, c.Thread
	}
	var conn Conn
	if s != nil {
		began := s.existing && (!s.listens || packets(s.network))
		conn = Conn{Existing: began, Dialled: s.dialled, Packets: packets(s.network), Gone: s.refs <= 0}
	}
	t.err = t.sink(&e, conn)
}

func packets(network string) bool {
	return network == "udp" || network == "unixgram" || network == "unixpacket"
}

// existing has a socket be in the recording that was open before.
func (t *tracker) existing(o open, number uint32, now int64, listening map[string]bool) {
	s := &socket{kernel: number, network: o.network, local: o.local, peer: o.peer, refs: 1, existing: true,
		listens: o.listens}
	t.byNumber[number] = s
	if packets(s.network) {
		s.typ = sockDgram
	}
	c := &kernel.SocketCall{Time: now}
	e := streams.Event{Local: o.local, Peer: o.peer}
	switch {
	case o.listens || packets(s.network) && o.peer == "":
		s.listens = true
		e.Kind = streams.Listen
	default:
		s.dialled = !listening[port(o.local)] && !(s.network == "unix" && listening[o.local])
		e.Kind, e.Dialled = streams.Existing, s.dialled
	}
	if s.left = !t.wanted(s); !s.left {
		t.announce(s, c, &e)
	}
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// call makes the events of a call.
func (t *tracker) call(c *kernel.SocketCall) {
	s := t.byNumber[c.Conn]
	if s != nil && c.Losses > s.losses {
		t.emit(s, c, streams.Event{Kind: streams.Hole, Why: fmt.Sprintf("there was no room for %d calls",
			c.Losses-s.losses)})
		s.losses = c.Losses
		t.holes++
	}
	if c.Void {
		return
	}
	kind := c.Kind()
	switch kind {
	case kernel.SocketOpen:
		t.byNumber[c.Conn] = &socket{kernel: c.Conn, family: c.Arg, typ: c.Arg2 & sockTypeMask, refs: 1,
			network: networkOf(c.Arg, c.Arg2)}
		return
	case kernel.SocketAccept:
		t.accept(c)
		return
	case kernel.SocketDup:
		t.dup(c, s)
		return
	case kernel.SocketRandom:
		t.give(nil, c, streams.Event{Kind: streams.Random, Size: c.Result, Data: c.Data})
		return
	case kernel.SocketUring:
		t.note("the program uses io_uring: what goes through it isn't seen")
		t.give(nil, c, streams.Event{Kind: streams.Hole, Why: "io_uring"})
		return
	case kernel.SocketPair:
		return
	case kernel.SocketPlainRead, kernel.SocketPlainWrite:
		if s == nil && c.Result <= 0 {
			return // it was closed, and nothing came
		}
		if s == nil {
			t.note("there is TLS on connections that aren't known: its plaintext isn't kept")
			return
		}
	}
	if s == nil {
		return
	}
	switch kind {
	case kernel.SocketRead, kernel.SocketWrite, kernel.SocketPlainRead, kernel.SocketPlainWrite:
		t.transfer(c, s, kind)
	case kernel.SocketClose:
		t.release(c, s)
	case kernel.SocketShutdown:
		t.emit(s, c, streams.Event{Kind: streams.Shutdown, Size: c.Arg, Errno: errno(c)})
	case kernel.SocketSendfile, kernel.SocketSpliceIn, kernel.SocketSpliceOut, kernel.SocketManyRead,
		kernel.SocketManyWritten:
		t.hole(c, s, kind)
	default:
		t.name(c, s, kind)
	}
}

func errno(c *kernel.SocketCall) int32 {
	if c.Result < 0 {
		return int32(-c.Result)
	}
	return 0
}

func (t *tracker) accept(c *kernel.SocketCall) {
	by := t.byNumber[uint32(c.Arg)]
	s := &socket{kernel: c.Conn, refs: 1, peer: address(c.Address)}
	t.byNumber[c.Conn] = s
	s.pending = &streams.Event{Kind: streams.Accept, Peer: s.peer, Mono: c.Time, Goroutine: c.Goroutine,
		Thread: c.Thread}
	if by == nil {
		s.network = networkOf(int64(familyOf(c.Address)), sockStream)
		return
	}
	s.network = by.network
	if specific(by.local) {
		s.local = by.local
	}
	// Names of Unix sockets don't come later: the one who listens has them.
	if by.network == "unix" {
		t.flush(s, c)
	}
}

func familyOf(b []byte) uint16 {
	if len(b) < 2 {
		return afUnix
	}
	return binary.LittleEndian.Uint16(b)
}

// dup is another descriptor of a socket, and maybe the end of what it led to.
func (t *tracker) dup(c *kernel.SocketCall, s *socket) {
	was := t.byNumber[uint32(c.Arg)]
	if s != nil {
		s.refs++
	}
	if was != nil {
		t.release(c, was)
	}
}

// release is the end of a descriptor; that of the last one ends the socket.
func (t *tracker) release(c *kernel.SocketCall, s *socket) {
	if s.refs--; s.refs > 0 {
		return
	}
	if p := s.pending; p != nil && p.Kind == streams.Dial && p.Errno == 0 {
		p.Errno = int32(unix.EINPROGRESS) // nobody answered by then
	}
	if s.number != 0 || s.pending != nil {
		t.emit(s, c, streams.Event{Kind: streams.Close})
	}
	delete(t.byNumber, s.kernel)
}

func (t *tracker) transfer(c *kernel.SocketCall, s *socket, kind kernel.SocketKind) {
	if kind == kernel.SocketPlainWrite && c.Result <= 0 {
		return // it failed, and the system call's error is there
	}
	e := streams.Event{Kind: streams.In, Errno: errno(c), Size: max(c.Result, 0), Data: c.Data}
	if kind == kernel.SocketWrite || kind == kernel.SocketPlainWrite {
		e.Kind = streams.Out
	}
	plain := kind == kernel.SocketPlainRead || kind == kernel.SocketPlainWrite
	if e.TLS = plain; plain || t.plain && ciphertext(c.Data) {
		s.tls = true
	}
	if s.tls && !plain {
		e.Data = nil
	}
	if c.Address != nil && packets(s.network) {
		e.Peer = address(c.Address)
	}
	if packets(s.network) && s.number == 0 && s.pending == nil {
		// A socket that was never bound, and sends: it has an address by now that nobody asked for.
		s.pending = &streams.Event{Kind: streams.Listen, Local: s.local}
	}
	// An event has a limit, so what one call moved may be several.
	for len(e.Data) > streams.MaxData {
		part := e
		part.Data, part.Size = e.Data[:streams.MaxData:streams.MaxData], streams.MaxData
		t.emit(s, c, part)
		e.Data, e.Size = e.Data[streams.MaxData:], e.Size-streams.MaxData
	}
	t.emit(s, c, e)
	if missing := e.Size - int64(len(e.Data)); e.Data != nil && missing > 0 && !s.left {
		t.holes += uint64(missing)
	}
}

func (t *tracker) hole(c *kernel.SocketCall, s *socket, kind kernel.SocketKind) {
	if c.Result <= 0 {
		return
	}
	e := streams.Event{Kind: streams.Hole, Size: c.Result}
	switch kind {
	case kernel.SocketSendfile:
		e.Why = "sendfile"
	case kernel.SocketSpliceIn:
		e.Why, e.Inbound = "splice", true
	case kernel.SocketSpliceOut:
		e.Why = "splice"
	case kernel.SocketManyRead:
		e.Why, e.Inbound, e.Size = fmt.Sprintf("recvmmsg, %d packets", c.Result), true, 0
	case kernel.SocketManyWritten:
		e.Why, e.Size = fmt.Sprintf("sendmmsg, %d packets", c.Result), 0
	}
	if !s.left {
		t.holes += uint64(e.Size)
		t.note("what goes through %s is known by its size only", strings.Fields(strings.TrimSuffix(e.Why, ","))[0])
	}
	t.emit(s, c, e)
}

// name is a call that tells what a socket is.
func (t *tracker) name(c *kernel.SocketCall, s *socket, kind kernel.SocketKind) {
	switch kind {
	case kernel.SocketBind:
		if c.Result == 0 {
			s.local = address(c.Address)
			if packets(s.network) {
				s.listens = true
				s.pending = &streams.Event{Kind: streams.Listen}
			}
		}
	case kernel.SocketListen:
		if s.listens = c.Result == 0; s.listens {
			s.pending = &streams.Event{Kind: streams.Listen}
		}
	case kernel.SocketConnect:
		s.dialled, s.peer = true, address(c.Address)
		if s.peer == "" {
			return
		}
		s.pending = &streams.Event{Kind: streams.Dial, Peer: s.peer, Mono: c.Time, Goroutine: c.Goroutine, Thread: c.Thread}
		if e := errno(c); e != 0 && e != int32(unix.EINPROGRESS) {
			s.pending.Errno = e
			t.flush(s, c)
		}
	case kernel.SocketError:
		if s.pending != nil && s.pending.Kind == streams.Dial && c.Arg != 0 {
			s.pending.Errno = int32(c.Arg)
			t.flush(s, c)
		}
	case kernel.SocketName:
		if c.Result == 0 {
			if addr := address(c.Address); addr != "" {
				s.local = addr
				if s.pending != nil {
					s.pending.Local = addr
				}
			}
			t.flush(s, c)
		}
	}
}

// flush gives how a socket came to be, now that it is known.
func (t *tracker) flush(s *socket, c *kernel.SocketCall) {
	if s.pending != nil {
		p := s.pending
		s.pending = nil
		if p.Local == "" {
			p.Local = s.local
		}
		if s.left = !t.wanted(s); !s.left {
			t.announce(s, c, p)
		}
	}
}
