package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"unicode/utf8"

	"ri/ovsdb"
)

// Limits of a message from a client.
const (
	MaxMessage = 64 << 20 // bytes
	maxNesting = 200
)

// ErrMessage: what came is no JSON-RPC message, or too large a one.
var ErrMessage = errors.New("no message of JSON-RPC")

// message is a request, a reply or a notification of JSON-RPC 1.0, as RFC 7047 section 4 has them.
type message struct {
	Method string
	Params []any
	ID     any // nil: a notification
	Result any
	Error  any
	reply  bool
}

// reader cuts a stream into messages: JSON objects one after the other, with or without white space between them.
//
// A server has one for each of thousands of connections that say little: room is small between messages.
type reader struct {
	from       io.Reader
	room       []byte
	start, end int // of what was read and isn't taken
	small      [readAtOnce]byte
	most       int // bytes of a message
}

// How much room there is between messages, and for most that are longer than that; there is never much more than what
// has come of a message needs.
const (
	readAtOnce = 512
	roomy      = 4 << 10
)

// rooms are of those of which no reader has need.
var rooms = sync.Pool{New: func() any { return new([roomy]byte) }}

func newReader(r io.Reader) *reader {
	return &reader{from: r, most: MaxMessage}
}

// fill reads more, behind what is there.
func (r *reader) fill() error {
	switch {
	case r.start == r.end:
		r.start, r.end = 0, 0
		r.move(r.small[:])
	case r.end < len(r.room):
	case r.start > 0 && len(r.room) > len(r.small):
		r.end = copy(r.room, r.room[r.start:r.end])
		r.start = 0
	case len(r.room) < roomy:
		r.move(rooms.Get().(*[roomy]byte)[:])
	default:
		r.move(make([]byte, 4*len(r.room)))
	}
	for range 100 {
		n, err := r.from.Read(r.room[r.end:])
		if r.end += n; n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// move has what is there in another room.
func (r *reader) move(to []byte) {
	was := r.room
	r.start, r.end = 0, copy(to, was[r.start:r.end])
	if r.room = to; len(was) == roomy {
		rooms.Put((*[roomy]byte)(was))
	}
}

// next reads a message. io.EOF at the end of the stream; ErrMessage ends a connection.
func (r *reader) next() (*message, error) {
	text, err := r.object()
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("not UTF-8: %w", ErrMessage)
	}
	var j any
	if err := ovsdb.Decode(text, &j); err != nil {
		return nil, fmt.Errorf("%v: %w", err, ErrMessage)
	}
	m, _ := j.(map[string]any)
	method, isCall := m["method"]
	id, hasID := m["id"]
	if !isCall {
		if !hasID {
			return nil, fmt.Errorf("neither a method nor an id: %w", ErrMessage)
		}
		return &message{ID: id, Result: m["result"], Error: m["error"], reply: true}, nil
	}
	out := &message{ID: id}
	var ok bool
	if out.Method, ok = method.(string); !ok {
		return nil, fmt.Errorf("the method is no string: %w", ErrMessage)
	}
	if out.Params, ok = m["params"].([]any); !ok {
		return nil, fmt.Errorf("params are no array: %w", ErrMessage)
	}
	return out, nil
}

// object reads the bytes of one JSON object, which are good until the next one is read. It counts brackets only: what
// is in between is the decoder's.
func (r *reader) object() ([]byte, error) {
	depth, inText, escaped := 0, false, false
	for n := 0; ; n++ { // the bytes of the object so far
		if r.start+n == r.end {
			if err := r.fill(); err != nil {
				if n > 0 && errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return nil, err
			}
		}
		c := r.room[r.start+n]
		if depth == 0 {
			switch c {
			case ' ', '\t', '\r', '\n':
				r.start++
				n--
				continue
			case '{':
			default:
				return nil, fmt.Errorf("%q where an object should begin: %w", c, ErrMessage)
			}
		}
		switch {
		case escaped:
			escaped = false
		case inText:
			escaped, inText = c == '\\', c != '"'
		case c == '"':
			inText = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		switch {
		case depth == 0:
			r.start += n + 1
			return r.room[r.start-n-1 : r.start], nil
		case depth > maxNesting:
			return nil, fmt.Errorf("nested more than %d deep: %w", maxNesting, ErrMessage)
		case n >= r.most:
			return nil, fmt.Errorf("longer than %d KiB: %w", r.most>>10, ErrMessage)
		}
	}
}

// encode makes the text of a message. JSON-RPC 1.0 wants both result and error in a reply.
func (m *message) encode() ([]byte, error) {
	var j any = map[string]any{"id": m.ID, "method": m.Method, "params": m.Params}
	if m.reply {
		j = map[string]any{"id": m.ID, "result": m.Result, "error": m.Error}
	}
	return json.Marshal(j)
}

// pieces is encode for what may be large: text that is there already is not copied.
func (m *message) pieces() (net.Buffers, error) {
	value := any(m.Params)
	if m.reply {
		value = m.Result
	}
	list, isList := value.([]any)
	text, large := value.(json.RawMessage)
	if isList && len(list) > 0 {
		text, large = list[len(list)-1].(json.RawMessage)
	}
	if !large || m.Error != nil {
		whole, err := m.encode()
		return net.Buffers{whole}, err
	}
	id, err := json.Marshal(m.ID)
	if err != nil {
		return nil, err
	}
	head := []byte(`{"error":null,"id":` + string(id) + `,"result":`)
	if !m.reply {
		method, err := json.Marshal(m.Method)
		if err != nil {
			return nil, err
		}
		head = []byte(`{"id":` + string(id) + `,"method":` + string(method) + `,"params":`)
	}
	tail := []byte("}")
	if isList {
		head, tail = append(head, '['), []byte("]}")
		for _, v := range list[:len(list)-1] {
			one, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			head = append(append(head, one...), ',')
		}
	}
	return net.Buffers{head, text, tail}, nil
}
