package values

import (
	"encoding/binary"
	"fmt"
	"reflect"

	"ri/symbols"
)

// Channel is the state of a channel.
type Channel struct {
	Len, Cap int
	Closed   bool
	Addr     uint64 // of the runtime.hchan
	Elem     *symbols.Type

	buf   uint64
	first uint64 // index of the next to be received
}

// chanLayout is where runtime.hchan keeps what is needed, by field names (Go 1.20 to 1.26).
type chanLayout struct {
	size                                   int64
	qcount, dataqsiz, buf, closed, receive int64
}

func (s *Space) chanLayout(t *symbols.Type) (*chanLayout, error) {
	if l := s.chans[t]; l != nil {
		return l, nil
	}
	repr := t.Repr()
	if repr == nil || repr.Elem() == nil {
		return nil, fmt.Errorf("%s: the runtime's structure is not described: %w", t.Name, ErrKind)
	}
	l := &chanLayout{}
	for name, at := range map[string]*int64{"qcount": &l.qcount, "dataqsiz": &l.dataqsiz, "buf": &l.buf, "closed": &l.closed, "recvx": &l.receive} {
		p, err := repr.Elem().FieldByName(name)
		if err != nil {
			return nil, err
		}
		*at = p.Offset
	}
	l.size = repr.Elem().Size
	s.chans[t] = l
	return l, nil
}

// Chan reads the state of a channel; a nil channel is the zero Channel.
func (v Value) Chan() (Channel, error) {
	if !v.IsValid() || v.Type.Kind != reflect.Chan {
		return Channel{}, v.wrong("channel state")
	}
	word, err := v.s.Uint64(v.Addr)
	if err != nil || word == 0 {
		return Channel{Elem: v.Type.Elem()}, err
	}
	l, err := v.s.chanLayout(v.Type)
	if err != nil {
		return Channel{}, err
	}
	b, err := v.s.Slice(word, int(l.size))
	if err != nil {
		return Channel{}, err
	}
	at := func(off int64) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	c := Channel{Len: int(at(l.qcount)), Cap: int(at(l.dataqsiz)), Closed: binary.LittleEndian.Uint32(b[l.closed:]) != 0,
		Addr: word, Elem: v.Type.Elem(), buf: at(l.buf), first: at(l.receive)}
	if c.Len < 0 || c.Cap < 0 || c.Len > c.Cap || int64(c.Cap) > maxBytes || (c.Cap > 0 && c.first >= uint64(c.Cap)) {
		return c, fmt.Errorf("%s at %#x: %d elements queued of %d, next %d: %w", v.Type.Name, word, c.Len, c.Cap, c.first, ErrCorrupt)
	}
	return c, nil
}

// queued gives the i-th element in a channel's buffer, in the order in which they will be received.
func (v Value) queued(i int) (Value, error) {
	c, err := v.Chan()
	if err != nil {
		return Value{}, err
	}
	if i < 0 || i >= c.Len {
		return Value{}, fmt.Errorf("index %d with %d elements queued: %w", i, c.Len, ErrRange)
	}
	if c.Elem == nil {
		return Value{}, v.wrong("known element type")
	}
	if v.s.trace != nil {
		v.s.trace.Queue = true
	}
	slot := (c.first + uint64(i)) % uint64(c.Cap)
	return v.s.At(c.buf+slot*uint64(c.Elem.Size), c.Elem), nil
}
