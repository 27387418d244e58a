//go:build linux && amd64

package player

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/net/http2"

	"ri/record/frames"
	"ri/record/streams"
)

// HTTP/2 (RFC 9113) is unpacked: each of its streams is played and compared as a connection of its own, whose bytes are
// header fields as lines of text, and data. How frames are cut, in which order those of several streams come, what
// their header compression refers to, and all that the two ends say of windows, settings and pings, may be another each
// time, and is seen to by our end.

// unpacked is the network of connections that are streams of HTTP/2.
const unpacked = "http2"

// What Why says of events on such connections, and of those on which they went.
const (
	whyFields = "fields" // header fields, and not data
	whyEnd    = "end"    // the stream ends with them
	whyLast   = "last"   // data with which it ends
	whyFrames = "frames" // bytes of HTTP/2, which are unpacked
	whyGoAway = "goaway" // no more streams are taken; Errno is its code
)

// carrier is a connection on which HTTP/2 is spoken.
type carrier struct {
	id       uint32
	opened   streams.Event
	dialled  bool
	secure   bool            // it is inside of TLS
	begins   []byte          // what who dialled says first
	answers  []byte          // what the other says first
	settings []http2.Setting // of the other end
	streams  map[uint32]uint32
	in, out  *reader
}

// reader reads a direction.
type reader struct {
	*frames.Reader
	lost bool // nothing can be read any more
}

func newReader(client bool) *reader { return &reader{Reader: frames.NewReader(client)} }

// findCarriers finds the connections on which HTTP/2 is spoken from the beginning on.
func (p *plan) findCarriers() (map[uint32]*carrier, error) {
	all := map[uint32]*carrier{}
	for i := range p.events {
		e := &p.events[i]
		switch e.Kind {
		case streams.Accept, streams.Dial, streams.Existing:
			c := p.conns[e.Conn]
			all[e.Conn] = &carrier{id: e.Conn, opened: *e, secure: c != nil && c.secure, streams: map[uint32]uint32{},
				dialled: e.Kind == streams.Dial || e.Kind == streams.Existing && e.Dialled}
		case streams.In, streams.Out:
			c := all[e.Conn]
			if c == nil || e.TLS != c.secure {
				if c != nil && len(e.Data)+len(e.Digest) > 0 {
					delete(all, e.Conn) // TLS began later on it
				}
				continue
			}
			said := &c.answers
			if c.dialled == (e.Kind == streams.Out) {
				said = &c.begins
			}
			*said = append(*said, e.Data[:max(0, min(len(e.Data), len(http2.ClientPreface)-len(*said)))]...)
		}
	}
	for id, c := range all {
		// Who answers says settings first, it may be that nobody asked for anything; of what went out there may be digests
		// only.
		settings := len(c.begins) == 0 && frames.Settings(c.answers)
		is := string(c.begins) == http2.ClientPreface || settings
		if is && !p.header.Asked.Sent {
			return nil, fmt.Errorf("it %w: there is HTTP/2 in it (connection %d), which is compared by header field and "+
				"stream, and it was recorded without --sent", ErrNotPlayable, id)
		}
		if !is {
			delete(all, id)
			continue
		}
		c.in, c.out = newReader(!c.dialled), newReader(c.dialled)
	}
	return all, nil
}

// unpack puts events of HTTP/2's streams in the place of those of the connections on which they went.
func (p *plan) unpack() error {
	carriers, err := p.findCarriers()
	if err != nil || len(carriers) == 0 {
		return err
	}
	last := uint32(0)
	for i := range p.events {
		last = max(last, p.events[i].Conn)
	}
	events := make([]streams.Event, 0, len(p.events))
	for i := range p.events {
		e := p.events[i]
		c := carriers[e.Conn]
		if c == nil || e.Kind != streams.In && e.Kind != streams.Out || e.TLS != c.secure || e.Size == 0 {
			events = append(events, e)
			continue
		}
		if e.Kind == streams.In { // it counts as one in which something came
			events = append(events, streams.Event{Seq: e.Seq, Kind: e.Kind, Mono: e.Mono, Wall: e.Wall, Conn: e.Conn,
				TLS: e.TLS, Why: whyFrames, Size: e.Size})
		}
		if events, err = p.readFrames(events, c, &e, &last); err != nil {
			p.notes[fmt.Sprintf("connections with HTTP/2 of which something can't be read (%v)", err)]++
		}
		if len(events) > maxEvents {
			return fmt.Errorf("it %w: more than %d events", ErrNotPlayable, maxEvents)
		}
	}
	p.events, p.carriers = events, carriers
	return nil
}

// readFrames appends the events of an event's frames. With an error nothing comes of this direction any more.
func (p *plan) readFrames(events []streams.Event, c *carrier, e *streams.Event, last *uint32) ([]streams.Event, error) {
	u := c.in
	if e.Kind == streams.Out {
		u = c.out
	}
	if u.lost {
		return events, nil
	}
	u.Write(e.Data)
	if u.lost = len(e.Data) < int(e.Size); u.lost {
		return events, errors.New("there is a hole")
	}
	for {
		f, err := u.Next()
		if err != nil {
			var one http2.StreamError
			if u.lost = !errors.As(err, &one); !u.lost {
				p.notes[fmt.Sprintf("header blocks of HTTP/2 that can't be read (%v)", one.Cause)]++
				continue
			}
			return events, err
		}
		if f == nil {
			return events, nil
		}
		events = p.frame(events, c, e, f, last)
	}
}

// frame appends the events of a frame.
func (p *plan) frame(events []streams.Event, c *carrier, e *streams.Event, f http2.Frame,
	last *uint32) []streams.Event {
	one := streams.Event{Seq: e.Seq, Kind: e.Kind, Mono: e.Mono, Wall: e.Wall, Goroutine: e.Goroutine, Thread: e.Thread,
		Conn: c.streams[f.Header().StreamID]}
	ended := false
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() && e.Kind == streams.In && c.settings == nil {
			f.ForeachSetting(func(s http2.Setting) error { c.settings = append(c.settings, s); return nil })
		}
		return events
	case *http2.MetaHeadersFrame:
		if one.Conn == 0 && c.dialled == (e.Kind == streams.Out) {
			*last++
			one.Conn = *last
			c.streams[f.StreamID] = one.Conn
			begun := c.opened
			begun.Seq, begun.Mono, begun.Wall, begun.Conn, begun.Network = e.Seq, e.Mono, e.Wall, one.Conn, unpacked
			if begun.Kind == streams.Existing {
				begun.Kind = streams.Accept
				if c.dialled {
					begun.Kind = streams.Dial
				}
			}
			begun.Errno = 0
			events = append(events, begun)
			p.carried[one.Conn] = c.id
		}
		one.Data, one.Why, ended = frames.Lines(f.Fields, e.Kind == streams.Out), whyFields, f.StreamEnded()
		if ended {
			one.Why = whyEnd
		}
	case *http2.DataFrame:
		one.Data, ended = bytes.Clone(f.Data()), f.StreamEnded()
		if len(one.Data) == 0 && !ended {
			return events
		}
		if ended && len(one.Data) > 0 {
			one.Why = whyLast
		}
	case *http2.GoAwayFrame:
		if e.Kind == streams.In {
			one.Conn, one.TLS, one.Why, one.Errno = e.Conn, e.TLS, whyGoAway, int32(f.ErrCode)
			one.Data = bytes.Clone(f.DebugData())
			events = append(events, one)
		}
		return events
	case *http2.RSTStreamFrame:
		if one.Errno = econnreset; e.Kind == streams.Out {
			one.Kind, one.Errno = streams.Close, 0
		}
	default:
		return events
	}
	if one.Conn == 0 {
		p.notes["frames of HTTP/2 of streams that nobody asked for"]++
		return events
	}
	if one.Size = int64(len(one.Data)); one.Size > 0 || e.Kind == streams.In || one.Kind == streams.Close {
		events = append(events, one)
	}
	if ended && e.Kind == streams.Out {
		one.Kind, one.Size, one.Data, one.Why = streams.Shutdown, 1, nil, ""
		events = append(events, one)
	}
	return events
}
