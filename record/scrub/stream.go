package scrub

import (
	"bytes"
)

// Limits of what is held until it is decided, in bytes.
const (
	mostName  = 64
	mostValue = 64 << 10 // a longer one is replaced in parts
	mostRun   = 4096     // letters and digits without an end
)

// Stream is one direction of a connection. Bytes are replaced in place, in the pieces that were given to it, once it
// is decided what they are: what begins in one piece may end in another.
type Stream struct {
	s       *Scrubber
	client  bool // it is what the client sends
	pair    *Stream
	buf     []byte   // what isn't decided
	pieces  [][]byte // where it was given, without what was decided
	decided int64
	before  byte   // what was before buf; 0: nothing
	tail    []byte // and more of it, as much as a name may have
	floor   int    // up to here buf has tokens already
	named   string // a member "name" had a secret's name: the member "value" is one
	value   value  // that goes on at the beginning of buf
	begun   bool
	kind    protocol
	inner   bool // it is a part of what speaks a protocol, or a text
	frames  *frames
	skip    int   // bytes of a message that are none of ours
	lines   int   // lines to come that are secrets
	logged  int64 // of PostgreSQL: bytes that log in
	in      bool  // of PostgreSQL: something else has been said
	plain   int64 // up to here what SASL's PLAIN logs in with may begin
}

// value is one whose beginning was decided before its end was known.
type value struct {
	field  string
	until  stop
	quote  byte
	sep    byte // of notYet: what stood between name and value
	header bool
}

// stop says where a value ends.
type stop uint8

const (
	nowhere    stop = iota // there is none
	notYet                 // it hasn't come
	atQuote                // at a quote like the one it began with
	atLine                 // at the end of the line
	atSpace                // at what ends a word
	atEscaped              // at one, or at the %26 of a query
	atClosing              // at what closes a list or an object
	atKeyEnd               // at the end of a key in PEM
	atBoundary             // at that of parts in a form
)

// protocol is what a stream speaks, as far as it matters.
type protocol uint8

const (
	text protocol = iota // or anything else
	postgres
	mqtt
	ldap
)

// Stream begins a stream; client tells that it is what the client sends.
func (s *Scrubber) Stream(client bool) *Stream { return &Stream{s: s, client: client} }

// Pair tells two streams that they are the directions of one connection.
func Pair(a, b *Stream) { a.pair, b.pair = b, a }

// Write takes the next piece, which becomes the stream's: it is changed where it has secrets. It may be called of
// nothing, as all methods.
func (x *Stream) Write(piece []byte) {
	if x == nil || len(piece) == 0 {
		return
	}
	if x.frames != nil {
		x.frames.write(piece)
		return
	}
	x.buf = append(x.buf, piece...)
	x.pieces = append(x.pieces, piece)
	x.look(false)
}

// Decided is how many bytes, from the beginning on, won't change any more.
func (x *Stream) Decided() int64 {
	if x.frames != nil {
		return x.decided + x.frames.decided()
	}
	return x.decided
}

// Force has all be decided that was given: what may be the beginning of a secret is replaced as one.
func (x *Stream) Force() {
	switch {
	case x == nil:
	case x.frames != nil:
		x.frames.force()
	case len(x.buf) > 0:
		x.look(true)
	}
}

// End is the stream's end.
func (x *Stream) End() {
	x.Force()
	if x != nil {
		x.value, x.before, x.tail, x.named = value{}, 0, nil, ""
	}
}

// Gap tells that bytes are missing here.
func (x *Stream) Gap() {
	x.Force()
	if x == nil {
		return
	}
	if x.frames != nil {
		x.frames.lose()
	} else if x.kind != text {
		x.kind, x.skip = text, 0 // where the next message begins isn't known
	}
	x.named = ""
	if x.value.until == nowhere {
		x.before, x.tail = '?', nil // somewhere in a line
	}
}

// Bytes takes the secrets out of a text that is whole.
func (s *Scrubber) Bytes(b []byte) {
	x := Stream{s: s, client: true, inner: true}
	x.Write(b)
	x.End()
}

// Packet is Bytes of a packet.
func (s *Scrubber) Packet(b []byte) { s.Bytes(b) }

// look has what came be looked through, up to where HTTP/2 begins.
func (x *Stream) look(end bool) {
	at, hold := -1, len(x.buf)
	if x.kind == text && !x.inner {
		at, hold = x.switches(x.buf)
	}
	begins := at >= 0 || end && len(x.buf)-hold >= partOfBeginning
	if !begins && (end || hold == len(x.buf)) {
		x.scan(end)
		return
	}
	later := bytes.Clone(x.buf[hold:])
	if x.buf = x.buf[:hold]; hold > 0 {
		x.scan(begins)
	}
	if x.buf = append(x.buf, later...); begins {
		x.become2()
	}
}

// scan decides as much as can be.
func (x *Stream) scan(end bool) {
	if x.begin(); !x.begun && x.client && !end && mayLogIn(x.buf[0]) {
		return // it may be the first message of PostgreSQL, MQTT, LDAP
	}
	for len(x.buf) > 0 {
		if x.value.until != nowhere && !x.goOn(end) {
			return
		}
		b := x.buf
		limit, message := len(b), 0
		next := value{}
		x.floor = 0
		switch x.kind {
		case postgres:
			limit, message = x.messages(b, end)
		case mqtt, ldap:
			limit, message = x.logins(b, end)
		}
		if limit > 0 {
			limit, next = x.names(b, limit, end)
		}
		// What was replaced is decided: replaced again, it would be another token.
		if !end && limit == len(b) && next.until == nowhere {
			limit = max(wordsBegin(b), x.floor)
		}
		x.forms(b, limit)
		x.s.mu.Lock()
		limit = max(x.s.words.replace(b, limit, end || next.until != nowhere), x.floor)
		x.s.mu.Unlock()
		x.decide(limit)
		x.skip = max(0, message-limit)
		x.value = next
		if next.until == nowhere {
			return
		}
	}
}

// decide has the first n bytes be as they are now.
func (x *Stream) decide(n int) {
	if n == 0 {
		return
	}
	done := x.buf[:n]
	x.before = done[n-1]
	if x.tail = append(x.tail, done[max(0, n-mostName):]...); len(x.tail) > mostName {
		x.tail = append(x.tail[:0], x.tail[len(x.tail)-mostName:]...)
	}
	x.decided += int64(n)
	for len(done) > 0 {
		moved := copy(x.pieces[0], done)
		done = done[moved:]
		if x.pieces[0] = x.pieces[0][moved:]; len(x.pieces[0]) == 0 {
			x.pieces[0] = nil
			x.pieces = x.pieces[1:]
		}
	}
	if x.buf = x.buf[n:]; len(x.buf) == 0 {
		x.buf = nil
	}
}

// goOn replaces what goes on of a value of which a part was replaced already; false if its end isn't there.
func (x *Stream) goOn(end bool) bool {
	if v := x.value; v.until == notYet {
		start, v := valueAt(x.buf, 0, v.field, v.sep, v.header)
		if v.until == notYet {
			x.decide(start)
			return false
		}
		x.decide(start)
		if x.value = v; v.until == nowhere {
			return true
		}
	}
	n, ends := x.value.end(x.buf)
	x.replacePart(x.value.field, x.buf[:n])
	x.decide(n)
	if ends {
		x.value = value{}
	}
	return ends || end && len(x.buf) > 0
}

// replacePart replaces a part of a value, line by line of what has several.
func (x *Stream) replacePart(field string, b []byte) {
	if x.value.until == atKeyEnd {
		x.s.pem(field, b)
		return
	}
	if len(bytes.TrimSpace(b)) > 0 {
		copy(b, x.s.make(b))
	}
}

// end is where a value ends in b, and whether it does.
func (v value) end(b []byte) (int, bool) {
	switch v.until {
	case atQuote:
		for i := 0; i < len(b); i++ {
			switch {
			case b[i] == '\\':
				i++
			case b[i] == v.quote:
				return i, true
			}
		}
		return len(b), false
	case atLine:
		if i := bytes.IndexAny(b, "\r\n\x00"); i >= 0 {
			return i, true
		}
	case atSpace:
		for i, c := range b {
			if endsWord(c) {
				return i, true
			}
		}
	case atEscaped:
		for i, c := range b {
			if endsWord(c) || c == '%' && bytes.HasPrefix(b[i:], []byte("%26")) {
				return i, true
			}
		}
	case atKeyEnd:
		if i := bytes.Index(b, []byte("-----END")); i >= 0 {
			return i, true
		}
	case atBoundary:
		if i := bytes.Index(b, []byte("\r\n--")); i >= 0 {
			return i, true
		}
	case atClosing:
		depth, quoted := 0, false
		for i := 0; i < len(b); i++ {
			switch c := b[i]; {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				if depth--; depth <= 0 {
					return i + 1, true
				}
			}
		}
	}
	return len(b), false
}

// endsWord tells what ends a value that isn't quoted.
func endsWord(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', 0, ',', ';', '&', '"', '\'', '(', ')', '{', '}', '[', ']', '<', '>', '`', '\\':
		return true
	}
	return false
}

// wordChar tells what a word may have in it.
func wordChar(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}

// wordsBegin is where the last word of b begins, with what may stand between a name and its value: it may be that of
// a name, or of a form.
func wordsBegin(b []byte) int {
	i := len(b)
	for i > 0 && len(b)-i < mostRun {
		c := b[i-1]
		if wordChar(c) || c == '+' || c == '/' || c == '=' || c == ':' || c == '~' || c == '@' || c == '%' {
			i--
			continue
		}
		if (c == ' ' || c == '"' || c == '\'' || c == '\\' || c == '$') && len(b)-i < mostName {
			i--
			continue
		}
		break
	}
	if len(b)-i >= mostRun {
		return len(b)
	}
	return i
}

// Request tells whether bytes look like the beginning of a request of a protocol of requests and responses: HTTP/1,
// RESP.
func Request(b []byte) bool {
	if len(b) > 3 && b[0] == '*' && b[1] >= '1' && b[1] <= '9' && bytes.IndexByte(b[:min(len(b), 12)], '\r') > 0 {
		return true
	}
	method, rest, ok := bytes.Cut(b[:min(len(b), 64)], []byte(" "))
	if !ok || len(rest) == 0 {
		return false
	}
	switch string(method) {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
		return true
	}
	return false
}
