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
			x.loginTo(at)
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
		if x.client && rest[0] == pgPassword {
			x.loginTo(at)
		} else {
			x.in = true
		}
	}
	if at < len(b) && !end {
		return at, at
	}
	return len(b), at
}

// loginTo notes that the client's bytes up to here log in.
func (x *Stream) loginTo(at int) {
	if !x.in {
		x.logged = max(x.logged, x.decided+int64(at))
	}
}

// Login is how many bytes, from the beginning on, are a client's that logs in to PostgreSQL: they have nothing in them
// that is a secret, and who plays the server has to know them.
func (x *Stream) Login() int64 {
	if x == nil {
		return 0
	}
	return x.logged
}

// login replaces what a message has that a password could be found out by.
func (x *Stream) login(message []byte) {
	if BlankLogin(message) || message[0] == pgAuth || bytes.HasPrefix(message[5:], []byte("SCRAM-")) {
		return
	}
	x.s.replace("PasswordMessage", bytes.TrimRight(message[5:], "\x00"))
}

// BlankLogin blanks in a whole message of PostgreSQL what was computed from a password: the hash of MD5, the proof and
// the signature of SCRAM, and what binds it to a certificate (RFC 5802, 7). It tells whether it had any of that. What a
// replay computes from a token isn't what was recorded, and is the same once it is blanked.
func BlankLogin(message []byte) bool {
	body := message[5:]
	switch {
	case message[0] == pgAuth:
		if len(body) > 6 && binary.BigEndian.Uint32(body) == 12 && bytes.HasPrefix(body[4:], []byte("v=")) {
			blank(body[6:])
			return true
		}
	case bytes.HasPrefix(body, []byte("md5")) && len(body) == 36:
		blank(body[3:35])
		return true
	case bytes.HasPrefix(body, []byte("c=")) && bytes.Contains(body, []byte(",p=")):
		if bound, _, _ := bytes.Cut(body[2:], []byte(",")); len(bound) > 8 {
			blank(bound)
		}
		blank(body[bytes.LastIndex(body, []byte(",p="))+3:])
		return true
	}
	return false
}

// blank has base64, or hexadecimal digits, be the same length of nothing.
func blank(b []byte) {
	for i, c := range b {
		if c != '=' {
			b[i] = 'A'
		}
	}
}
