package values

import (
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
	Buffer   uint64 // address of its elements: a ring
	First    uint64 // index in it of the next to be received
}

// Chan reads the state of a channel; a nil channel is the zero Channel.
func (v Value) Chan() (Channel, error) {
	if !v.IsValid() || v.Type.Kind != reflect.Chan {
		return Channel{}, v.Lacks("channel state")
	}
	word, err := v.s.Uint64(v.Addr)
	if err != nil || word == 0 {
		return Channel{Elem: v.Type.Elem()}, err
	}
	c, err := v.s.ChannelAt(word)
	if err != nil {
		return Channel{}, err
	}
	c.Elem = v.Type.Elem()
	if c.Len < 0 || c.Cap < 0 || c.Len > c.Cap || int64(c.Cap) > MaxBytes || (c.Cap > 0 && c.First >= uint64(c.Cap)) {
		return c, fmt.Errorf("%s at %#x: %d elements queued of %d, next %d: %w", v.Type.Name, word, c.Len, c.Cap, c.First, ErrCorrupt)
	}
	return c, nil
}

// ChannelAt reads the channel whose runtime.hchan is at an address. It doesn't know the elements' type.
func (s *Space) ChannelAt(addr uint64) (Channel, error) {
	l := &s.Layouts().Channel
	if err := l.Err(); err != nil {
		return Channel{}, err
	}
	b, err := s.Slice(addr, int(l.Size))
	if err != nil {
		return Channel{}, err
	}
	return Channel{Addr: addr, Len: int(l.Count.Uint(b)), Cap: int(l.Capacity.Uint(b)), Closed: l.Closed.Uint(b) != 0, Buffer: l.Buffer.Uint(b), First: l.First.Uint(b)}, nil
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
		return Value{}, v.Lacks("known element type")
	}
	if v.s.trace != nil {
		v.s.trace.Queue = true
	}
	slot := (c.First + uint64(i)) % uint64(c.Cap)
	return v.s.At(c.Buffer+slot*uint64(c.Elem.Size), c.Elem), nil
}
