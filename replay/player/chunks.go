//go:build linux && amd64

package player

import (
	"bytes"
	"strconv"
	"strings"

	"ri/record/streams"
)

// chunks undoes the chunks of HTTP/1.1's answers (RFC 9112, 7.1), so that they are compared by what is in them: into
// which pieces a body is cut tells how it came to the program, or when. It takes a stream in pieces, however they are
// cut, and gives what is left of each. What isn't HTTP passes as it is.
type chunks struct {
	state chunksState
	line  []byte // of a head, a size or a trailer: what came of it
	left  int64  // of a body, or of a chunk
	coded bool   // the head said that chunks follow
	begun bool   // the head's first line is over
}

type chunksState uint8

const (
	inHead chunksState = iota
	inBody
	inSize
	inChunk
	behindChunk
	inTrailer
	notHTTP
)

// mostLine bounds a line of a head.
const mostLine = 64 << 10

// undo gives what is left of a piece.
func (x *chunks) undo(piece []byte) (rest []byte) {
	if x == nil {
		return piece
	}
	rest = piece[:0:0]
	for len(piece) > 0 {
		switch x.state {
		case notHTTP:
			return append(rest, piece...)
		case inBody, inChunk:
			n := min(int64(len(piece)), x.left)
			rest, piece = append(rest, piece[:n]...), piece[n:]
			if x.left -= n; x.left == 0 && x.state == inBody {
				x.state = inHead
			} else if x.left == 0 {
				x.state = behindChunk
			}
			continue
		}
		n := bytes.IndexByte(piece, '\n') + 1
		if n == 0 {
			n = len(piece)
		}
		x.line = append(x.line, piece[:n]...)
		if x.state == inHead || x.state == inTrailer {
			rest = append(rest, piece[:n]...)
		}
		piece = piece[n:]
		switch {
		case len(x.line) > mostLine || x.state == inHead && !x.begun && !mayBegin(x.line):
			x.give(&rest)
		case x.line[len(x.line)-1] == '\n':
			x.whole(strings.TrimRight(string(x.line), "\r\n"), &rest)
			x.line = x.line[:0]
		}
	}
	return rest
}

// mayBegin tells whether a head may begin so.
func mayBegin(line []byte) bool {
	const begins = "HTTP/1."
	n := min(len(line), len(begins))
	return string(line[:n]) == begins[:n]
}

// give has all pass as it is from here on.
func (x *chunks) give(rest *[]byte) {
	if x.state != inHead && x.state != inTrailer {
		*rest = append(*rest, x.line...)
	}
	x.state, x.line = notHTTP, nil
}

// whole takes a whole line.
func (x *chunks) whole(line string, rest *[]byte) {
	switch x.state {
	case inHead:
		x.head(line)
	case inSize:
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseInt(strings.TrimSpace(digits), 16, 64)
		switch {
		case err != nil || size < 0:
			x.give(rest)
		case size == 0:
			x.state = inTrailer
		default:
			x.state, x.left = inChunk, size
		}
	case behindChunk:
		if x.state = inSize; line != "" {
			x.give(rest)
		}
	case inTrailer: // the blank line behind it stands for the body's end
		if line == "" {
			x.state = inHead
		}
	}
}

// head takes a line of a head.
func (x *chunks) head(line string) {
	if !x.begun {
		x.begun, x.coded, x.left = true, false, 0
		if _, status, _ := strings.Cut(line, " "); strings.HasPrefix(status, "101") {
			x.state = notHTTP // what follows is another protocol's
		}
		return
	}
	name, value, _ := strings.Cut(line, ":")
	switch value = strings.TrimSpace(value); {
	case strings.EqualFold(name, "Transfer-Encoding"):
		x.coded = strings.EqualFold(value, "chunked")
	case strings.EqualFold(name, "Content-Length"):
		x.left, _ = strconv.ParseInt(value, 10, 64)
	case line == "":
		if x.begun = false; x.coded {
			x.state = inSize
		} else if x.left > 0 {
			x.state = inBody
		}
	}
}

// unchunk undoes the chunks of what the program answered to clients, on connections of which the recording has all
// bytes. An output of which nothing is left is none.
func (p *plan) unchunk() {
	all, secure := map[uint32]*chunks{}, map[uint32]bool{}
	for i := range p.events {
		e := &p.events[i]
		if secure[e.Conn] = secure[e.Conn] || e.TLS; e.Kind == streams.Accept &&
			(strings.HasPrefix(e.Network, "tcp") || e.Network == "unix") {
			all[e.Conn] = &chunks{}
		}
	}
	for i := range p.events {
		switch e := &p.events[i]; {
		case e.Kind == streams.Hole && !e.Inbound,
			e.Kind == streams.Out && e.TLS == secure[e.Conn] && e.Size > int64(len(e.Data)),
			e.Kind == streams.Out && !e.TLS && secure[e.Conn] && len(e.Data)+len(e.Digest) > 0:
			delete(all, e.Conn)
		}
	}
	for i := range p.events {
		e := &p.events[i]
		if x := all[e.Conn]; x != nil && e.Kind == streams.Out && e.TLS == secure[e.Conn] && len(e.Data) > 0 {
			e.Data = x.undo(e.Data)
			e.Size = int64(len(e.Data))
		}
	}
	p.unchunked = all
}
