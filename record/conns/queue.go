package conns

import (
	"crypto/sha256"
	"fmt"
	"time"

	"ri/record/scrub"
	"ri/record/streams"
)

// queue has events wait until their bytes are decided: where a secret ends may come with a later read only. Each is
// written once all before it are.
type queue struct {
	opt     Options
	counts  *streams.Counts
	events  []queued
	bytes   int
	conns   map[connKey]*content
	seq     uint64
	kept    int64
	refused int // connections whose bytes aren't kept
}

type queued struct {
	streams.Event
	of   *scrub.Stream // nil: nothing is waited for
	upto int64         // bytes of it that have to be decided
	came time.Time
}

// connKey names a connection's bytes: as they are, or inside of TLS.
type connKey struct {
	conn uint32
	tls  bool
}

// content is what is done with a connection's bytes.
type content struct {
	in, out     *scrub.Stream
	inAt, outAt int64
	gaps        bool // its beginning isn't known
	hushed      bool
	answered    bool // of one whose beginning isn't known: what answers has been seen
}

// Events wait for what is behind them at most so long, and so many bytes; then it is decided by what is known.
const (
	mostHeld      = 2 * time.Second
	mostHeldBytes = 64 << 20
)

func newQueue(opt Options, counts *streams.Counts) *queue {
	return &queue{opt: opt, counts: counts, conns: map[connKey]*content{}}
}

// add is a Sink.
func (q *queue) add(e *streams.Event, c Conn) error {
	one := queued{Event: *e, came: time.Now()}
	q.counts.Events++
	switch e.Kind {
	case streams.In:
		if !e.TLS {
			q.counts.In += uint64(e.Size)
		}
	case streams.Out:
		if !e.TLS {
			q.counts.Out += uint64(e.Size)
		}
	}
	if e.Conn != 0 {
		q.content(&one, c)
	} else if !q.opt.Payload {
		one.Data = nil
	}
	q.bytes += len(one.Data)
	q.events = append(q.events, one)
	return nil
}

// content has an event's bytes be looked through.
func (q *queue) content(e *queued, c Conn) {
	if !q.opt.Payload {
		e.Data = nil
		return
	}
	key := connKey{e.Conn, e.TLS}
	k := q.conns[key]
	if k == nil {
		k = &content{gaps: c.Existing}
		if !c.Packets {
			k.in, k.out = q.opt.Scrub.Stream(!c.Dialled), q.opt.Scrub.Stream(c.Dialled)
			scrub.Pair(k.in, k.out)
		}
		q.conns[key] = k
	}
	switch e.Kind {
	case streams.In, streams.Out:
		q.data(e, k, c)
	case streams.Hole:
		k.in.Gap()
		k.out.Gap()
	case streams.Close:
		for _, tls := range []bool{false, true} {
			key := connKey{e.Conn, tls}
			if k := q.conns[key]; k != nil {
				delete(q.conns, key)
				k.in.End()
				k.out.End()
			}
		}
	}
}

func (q *queue) data(e *queued, k *content, c Conn) {
	in := e.Kind == streams.In
	if len(e.Data) == 0 {
		if in && e.Size == 0 {
			k.in.End()
		}
		return
	}
	if k.gaps && !q.begins(e, k, in, c) {
		e.Data = nil
		return
	}
	of, at := k.in, &k.inAt
	if !in {
		of, at = k.out, &k.outAt
	}
	if of == nil { // packets: each is decided by itself
		q.opt.Scrub.Packet(e.Data)
		return
	}
	of.Write(e.Data)
	if *at += int64(len(e.Data)); int64(len(e.Data)) < e.Size {
		of.Gap()
	}
	e.of, e.upto = of, *at
}

// begins tells whether the bytes of a connection that began earlier are kept from now on: where a request begins, as
// an answer has just been given, and it looks like one.
func (q *queue) begins(e *queued, k *content, in bool, c Conn) bool {
	asks := in != c.Dialled
	switch {
	case k.hushed:
		return false
	case !asks:
		k.answered = true
		return false
	case !k.answered:
		return false
	}
	if !scrub.Request(e.Data) {
		k.hushed = true
		q.refused++
		return false
	}
	k.gaps = false
	return true
}

// flush writes what is decided.
func (q *queue) flush(now time.Time, end bool) error {
	n := 0
	for ; n < len(q.events); n++ {
		e := &q.events[n]
		if e.of != nil && e.of.Decided() < e.upto {
			if !end && now.Sub(e.came) < mostHeld && q.bytes < mostHeldBytes {
				break
			}
			e.of.Force()
		}
		q.bytes -= len(e.Data)
		if e.Kind == streams.Out && e.Data != nil && !q.opt.Sent && (e.of == nil || e.upto > e.of.Login()) {
			sum := sha256.Sum256(e.Data)
			e.Digest, e.Data = sum[:], nil
		}
		q.seq++
		e.Seq = q.seq
		q.kept += int64(len(e.Data)) + 32
		if err := q.opt.Writer.Write(&e.Event); err != nil {
			return err
		}
		*e = queued{}
	}
	if q.events = q.events[n:]; len(q.events) == 0 {
		q.events = nil
	}
	return nil
}

// incomplete says what isn't kept that was asked for.
func (q *queue) incomplete(lost uint64) (out []string) {
	if q.refused > 0 {
		out = append(out, fmt.Sprintf("the bytes of %d connections aren't kept: they began before the recording, and are "+
			"no requests and responses; record the program from its start", q.refused))
	}
	if n := q.opt.blanked(); n > 0 {
		out = append(out, fmt.Sprintf("%d header blocks of HTTP/2, or what followed on a connection, couldn't be read and "+
			"were blanked: such connections don't replay", n))
	}
	waiting := 0
	for _, k := range q.conns {
		if k.gaps && !k.hushed {
			waiting++
		}
	}
	if waiting > 0 {
		out = append(out, fmt.Sprintf("%d connections that began before the recording had no request after an answer: "+
			"their bytes aren't kept", waiting))
	}
	if lost > 0 {
		out = append(out, fmt.Sprintf("%d calls were lost: there was no room for them", lost))
	}
	return out
}
