// Package frames reads HTTP/2 as it is in recordings: a direction of a connection comes in pieces, and what is in its
// frames is given as text, header fields as lines of a name and a value.
//
// What may not come in: events, connections.
package frames

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Begins tells whether bytes are what a direction of HTTP/2 begins with: the client's preface, or a frame of settings
// (RFC 9113, 3.4).
func Begins(b []byte) bool {
	return bytes.HasPrefix(b, []byte(http2.ClientPreface)) || Settings(b)
}

// Settings tells whether bytes begin with a frame of settings, as a server does.
func Settings(b []byte) bool {
	return len(b) >= 9 && b[0] == 0 && (int(b[1])<<8|int(b[2]))%6 == 0 && bytes.Equal(b[3:9], []byte{4, 0, 0, 0, 0, 0})
}

// Reader reads a direction of HTTP/2, piece by piece.
type Reader struct {
	buf    bytes.Buffer
	framer *http2.Framer
	begun  bool // the preface is read
}

// mostBlock bounds a header block with its frames.
const mostBlock = 4 << 20

// NewReader reads what a client says, which has the preface, or a server.
func NewReader(client bool) *Reader {
	r := &Reader{begun: !client}
	r.framer = NewFramer(io.Discard, &r.buf)
	return r
}

// Write takes more bytes.
func (r *Reader) Write(b []byte) (int, error) { return r.buf.Write(b) }

// NewFramer is a framer that reads header blocks whole, and takes what peers may have agreed on.
func NewFramer(w io.Writer, r io.Reader) *http2.Framer {
	f := http2.NewFramer(w, r)
	f.SetMaxReadFrameSize(1<<24 - 1)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.ReadMetaHeaders.SetAllowedMaxDynamicTableSize(1 << 20)
	return f
}

// Next gives the next frame that is whole; nil: there is none. A header block that is malformed is an
// http2.StreamError, and reading may go on.
func (r *Reader) Next() (http2.Frame, error) {
	if !r.begun {
		if r.buf.Len() < len(http2.ClientPreface) {
			return nil, nil
		}
		r.buf.Next(len(http2.ClientPreface))
		r.begun = true
	}
	switch n := whole(r.buf.Bytes()); {
	case n == 0 && r.buf.Len() > mostBlock+1<<24:
		return nil, errors.New("a header block has no end")
	case n == 0:
		return nil, nil
	}
	return r.framer.ReadFrame()
}

// whole is how long the frame is that b begins with, with those that a header block goes on with; 0: it isn't whole.
func whole(b []byte) (n int) {
	const head = 9
	for {
		rest := b[n:]
		if len(rest) < head {
			return 0
		}
		size := head + int(rest[0])<<16 + int(rest[1])<<8 + int(rest[2])
		if len(rest) < size {
			return 0
		}
		n += size
		switch http2.FrameType(rest[3]) {
		case http2.FrameHeaders, http2.FrameContinuation:
			if http2.Flags(rest[4])&http2.FlagHeadersEndHeaders != 0 {
				return n
			}
		default:
			return n
		}
	}
}

// deadline is a field that says what is left of a deadline, which is another time in each replay.
const deadline = "grpc-timeout"

// Lines are header fields as text. What a program wrote is sorted, as it may have them in a map, and has nothing in it
// that can't be the same again.
func Lines(fields []hpack.HeaderField, written bool) []byte {
	if written {
		fields = slices.Clone(fields)
		for i := range fields {
			if fields[i].Name == deadline {
				fields[i].Value = "what is left"
			}
		}
		slices.SortStableFunc(fields, func(a, b hpack.HeaderField) int {
			if a.IsPseudo() != b.IsPseudo() {
				return map[bool]int{true: -1, false: 1}[a.IsPseudo()]
			}
			return cmp.Compare(a.Name, b.Name)
		})
	}
	var b bytes.Buffer
	for _, f := range fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// Fields are the header fields of lines.
func Fields(text []byte) (fields []hpack.HeaderField) {
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\r\n\r\n"), "\r\n") {
		at := strings.Index(line[min(1, len(line)):], ": ")
		if at >= 0 {
			fields = append(fields, hpack.HeaderField{Name: line[:at+1], Value: line[at+3:]})
		}
	}
	return fields
}
