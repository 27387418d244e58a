package scrub

import (
	"bytes"
	"encoding/binary"
)

// PostgreSQL's protocol, version 3: a message is a letter, a length of 4 bytes with itself, and its body; the first
// that a client sends has no letter (PostgreSQL 17's documentation, Message Formats).
const (
	pgVersion3   = 3 << 16
	pgSSLRequest = 80877103
	pgPassword   = 'p' // PasswordMessage, SASLInitialResponse, SASLResponse
	pgAuth       = 'R' // Authentication...
)

// startup tells whether a client's first message is PostgreSQL's.
func startup(b []byte) bool {
	size, code := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	return code == pgSSLRequest && size == 8 || code>>16 == pgVersion3>>16 && size >= 8 && size < 10000
}

// messages goes through PostgreSQL's messages in b, and replaces what those have that log in. It gives up to where all
// is decided, and where the next message begins.
func (x *Stream) messages(b []byte, end bool) (limit, next int) {
	at := x.skip
	for at < len(b) {
		rest := b[at:]
		if x.client && len(rest) >= 8 && startup(rest) {
			at += int(binary.BigEndian.Uint32(rest))
			continue
		}
		if !x.client && x.decided == 0 && at == 0 && (rest[0] == 'S' || rest[0] == 'N') && len(rest) < 5 {
			at++ // the answer to SSLRequest
			continue
		}
		if len(rest) < 5 {
			break
		}
		size := int(binary.BigEndian.Uint32(rest[1:])) + 1
		if size < 5 || size > 1<<30 {
			x.kind = text // it isn't PostgreSQL, or no more
			return len(b), 0
		}
		if ours := rest[0] == pgPassword && x.client || rest[0] == pgAuth && !x.client; ours && size <= mostValue {
			if len(rest) < size {
				break
			}
			x.login(rest[:size])
			x.floor = at + size
		}
		at += size
	}
	if at < len(b) && !end {
		return at, at
	}
	return len(b), at
}

// login replaces what a message has that a password could be found out by.
func (x *Stream) login(message []byte) {
	body := message[5:]
	switch {
	case message[0] == pgAuth:
		if len(body) > 4 && binary.BigEndian.Uint32(body) == 12 && bytes.HasPrefix(body[4:], []byte("v=")) {
			x.s.replace("SCRAM", body[6:])
		}
	case bytes.HasPrefix(body, []byte("md5")) && len(body) == 36:
		x.s.replace("md5", body[3:35])
	case bytes.Contains(body, []byte(",p=")):
		x.s.replace("SCRAM", body[bytes.Index(body, []byte(",p="))+3:])
	case bytes.HasPrefix(body, []byte("SCRAM-")):
	default:
		x.s.replace("PasswordMessage", bytes.TrimRight(body, "\x00"))
	}
}
