package calls

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
)

// Limits of what is read. A line is one event with all that it took along.
const (
	maxLine   = 64 << 20 // bytes
	maxDepth  = 1000     // of a value
	maxEvents = 1 << 28
)

// Reader reads a recording that anybody may have made.
type Reader struct {
	Header Header
	End    *End // once Next has given io.EOF

	lines *bufio.Reader
	sum   hash.Hash
	seq   int64
	calls map[int64]string // that have not returned, by Seq
	n     int
}

// NewReader reads the header. Errors: ErrNotCalls, ErrVersion, ErrMalformed, ErrCutShort, errors of r.
func NewReader(r io.Reader) (*Reader, error) {
	x := &Reader{lines: bufio.NewReaderSize(r, 1<<16), sum: sha256.New(), calls: map[int64]string{}}
	head, err := x.lines.Peek(len(magic))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !bytes.Equal(head, []byte(magic)) {
		return nil, ErrNotCalls
	}
	line, err := x.line()
	if err != nil {
		return nil, err
	}
	x.sum.Write(append(line, '\n'))
	var version struct {
		Version int    `json:"version"`
		By      string `json:"by"`
	}
	if err := json.Unmarshal(line, &version); err != nil {
		return nil, malformed(1, err)
	}
	if version.Version != Version {
		return nil, fmt.Errorf("it has version %d (of ri %q), this ri reads %d: %w", version.Version, version.By, Version,
			ErrVersion)
	}
	if err := decode(line, &x.Header); err != nil {
		return nil, malformed(1, err)
	}
	return x, nil
}

// magic is how a recording begins.
const magic = `{"ri":"calls",`

// Is tells whether a file's first bytes are those of a recording of calls.
func Is(head []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }

func malformed(line int, err error) error {
	return fmt.Errorf("line %d: %v: %w", line, err, ErrMalformed)
}

// line gives the next line, without its end.
func (x *Reader) line() ([]byte, error) {
	x.n++
	var out []byte
	for {
		part, err := x.lines.ReadSlice('\n')
		out = append(out, part...)
		switch {
		case len(out) > maxLine:
			return nil, malformed(x.n, fmt.Errorf("it is longer than %d bytes", maxLine))
		case err == nil:
			return out[:len(out)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, ErrCutShort
		default:
			return nil, err
		}
	}
}

// decode decodes a line, of which nothing may be left over, nor be unknown.
func decode(line []byte, to any) error {
	if err := checkDepth(line); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is something behind it")
	}
	return nil
}

// checkDepth bounds what is nested in a line.
func checkDepth(line []byte) error {
	depth, text := 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("it is nested deeper than %d", maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// Next gives the next event; io.EOF after the last, with End. Errors: ErrMalformed, ErrCutShort, errors of the reader.
func (x *Reader) Next() (*Event, error) {
	if x.End != nil {
		return nil, io.EOF
	}
	line, err := x.line()
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(line, []byte(`{"end":true`)) {
		return nil, x.end(line)
	}
	x.sum.Write(append(line, '\n'))
	e := &Event{}
	if err := decode(line, e); err != nil {
		return nil, malformed(x.n, err)
	}
	if err := x.check(e); err != nil {
		return nil, malformed(x.n, err)
	}
	return e, nil
}

// check holds an event to what came before.
func (x *Reader) check(e *Event) error {
	if x.seq++; e.Seq != x.seq {
		return fmt.Errorf("its seq is %d, and should be %d", e.Seq, x.seq)
	}
	if x.seq > maxEvents {
		return fmt.Errorf("there are more than %d events", maxEvents)
	}
	if e.Parent < 0 || e.Parent >= e.Seq {
		return fmt.Errorf("its parent is event %d", e.Parent)
	}
	if e.From < 0 || e.From >= e.Seq || e.From > 0 && (e.Kind != Received || !e.Inside) {
		return fmt.Errorf("it was received from event %d", e.From)
	}
	if slices.ContainsFunc(e.Over, func(seq int64) bool { return seq <= 0 || seq >= e.Seq || e.Channel == 0 }) {
		return fmt.Errorf("it was taken over events %v", e.Over)
	}
	switch e.Kind {
	case Call:
		x.calls[e.Seq] = e.Func
	case Return:
		name, ok := x.calls[e.Call]
		if !ok || name != e.Func {
			return fmt.Errorf("it is the return of call %d, which is none of %q, or has returned", e.Call, e.Func)
		}
		delete(x.calls, e.Call)
	case Received, Sent:
		if e.Channel <= 0 {
			return fmt.Errorf("it was received from, or sent into, channel %d", e.Channel)
		}
	default:
		return fmt.Errorf("%q is no kind of event; they are call, return, receive, send", e.Kind)
	}
	return nil
}

func (x *Reader) end(line []byte) error {
	end := &End{}
	if err := decode(line, end); err != nil {
		return malformed(x.n, err)
	}
	if sum := hex.EncodeToString(x.sum.Sum(nil)); sum != end.SHA256 {
		return malformed(x.n, errors.New("the lines before it are not those that were written: the checksum differs"))
	}
	if end.Events != x.seq {
		return malformed(x.n, fmt.Errorf("it counts %d events, and there are %d", end.Events, x.seq))
	}
	if _, err := x.lines.Peek(1); err == nil {
		return malformed(x.n+1, errors.New("there is something behind the end mark"))
	}
	x.End = end
	return io.EOF
}
