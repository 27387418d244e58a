package wire

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"unicode/utf8"

	"ri/ovsdb"
)

// Limits of a message from a client.
const (
	MaxMessage = 64 << 20 // bytes
	maxNesting = 200
	// keptMessage is for how large a message a connection keeps the room.
	keptMessage = 64 << 10
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
type reader struct {
	in   *bufio.Reader
	buf  []byte
	most int // bytes of a message
}

// readAtOnce is small: a server has it for each of thousands of connections, which say little.
const readAtOnce = 4 << 10

func newReader(r io.Reader) *reader {
	return &reader{in: bufio.NewReaderSize(r, readAtOnce), most: MaxMessage}
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

// object reads the bytes of one JSON object. It counts brackets only: what is in between is the decoder's.
func (r *reader) object() ([]byte, error) {
	if r.buf = r.buf[:0]; cap(r.buf) > keptMessage {
		r.buf = nil
	}
	depth, inText, escaped := 0, false, false
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			if len(r.buf) > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if depth == 0 {
			switch c {
			case ' ', '\t', '\r', '\n':
				continue
			case '{':
			default:
				return nil, fmt.Errorf("%q where an object should begin: %w", c, ErrMessage)
			}
		}
		r.buf = append(r.buf, c)
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
			return r.buf, nil
		case depth > maxNesting:
			return nil, fmt.Errorf("nested more than %d deep: %w", maxNesting, ErrMessage)
		case len(r.buf) > r.most:
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
