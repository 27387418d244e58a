package scrub

import (
	"bytes"
	"encoding/binary"
)

// Binary protocols whose clients log in with a password as it is. A message has its length in front; of one that logs
// in the password is replaced, all others are looked through as any text.
//
//   - MQTT: CONNECT (MQTT 3.1, 3.1.1 and 5.0, section 3.1), which comes first;
//   - LDAP: a simple bind (RFC 4511, 4.2), which may come again, and behind a StartTLS;
//   - what has SASL's PLAIN (RFC 4616) behind that name, with four bytes of length in front: AMQP, Kafka, MongoDB.

// mostLogin is how long a message is that logs in, at most.
const mostLogin = 64 << 10

// mqttConnect is the first byte of CONNECT. ASN.1's tag of a sequence begins each message of LDAP.
const (
	mqttConnect = 0x10
	berSequence = 0x30
)

// mayLogIn tells a byte by which a client's first message may be one of a binary protocol that is known.
func mayLogIn(first byte) bool { return first == 0 || first == mqttConnect || first == berSequence }

// loginProtocol tells what a client's first bytes are of: text if nothing is known.
func loginProtocol(b []byte) protocol {
	if size, at := mqttSize(b); size > 0 && at+6 <= len(b) &&
		(bytes.HasPrefix(b[at:], []byte("\x00\x04MQTT")) || bytes.HasPrefix(b[at:], []byte("\x00\x06MQIs"))) {
		return mqtt
	}
	if _, at := berSize(b); b[0] == berSequence && at > 0 {
		if op, _ := ldapOperation(b, at); op&0x40 != 0 && op&0x80 == 0 { // of class "application"
			return ldap
		}
	}
	return text
}

// logins goes through the messages in b: see messages.
func (x *Stream) logins(b []byte, end bool) (limit, next int) {
	at := x.skip
	for at < len(b) {
		rest := b[at:]
		size, body := mqttSize(rest)
		if x.kind == ldap {
			size, body = berSize(rest)
		}
		switch {
		case size < 0 || x.kind == ldap && rest[0] != berSequence:
			x.kind = text // it is something else, or no more
			return len(b), 0
		case size == 0:
			if end {
				return len(b), len(b)
			}
			return at, at
		}
		if size <= mostLogin && x.logsIn(rest, body) {
			if len(rest) < size {
				if end {
					return len(b), at + size
				}
				return at, at
			}
			if from, to := x.password(rest[:size], body); from < to {
				x.s.replace("password", rest[from:to])
			}
			x.floor = at + size
		}
		if at += size; x.kind == mqtt {
			x.kind = text // what follows has no password
			return len(b), 0
		}
	}
	return len(b), at
}

// logsIn tells whether a message logs in, or may.
func (x *Stream) logsIn(b []byte, body int) bool {
	if x.kind == mqtt {
		return true
	}
	op, _ := ldapOperation(b, body)
	return op == 0 || op == 0x60
}

// password is where it lies in a whole message.
func (x *Stream) password(b []byte, body int) (from, to int) {
	if x.kind == mqtt {
		return mqttPassword(b, body)
	}
	return ldapPassword(b, body)
}

// mqttSize is the size of a packet with its header, and where its body begins; 0: more has to come, -1: it is none.
func mqttSize(b []byte) (size, body int) {
	for i := 1; i < len(b) && i <= 4; i++ {
		size |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			return size + i + 1, i + 1
		}
	}
	if len(b) > 4 {
		return -1, 0
	}
	return 0, 0
}

// mqttPassword is where the password of a CONNECT lies.
func mqttPassword(b []byte, at int) (from, to int) {
	text := func() bool { // passes by a field of two bytes of length and so many
		if at+2 > len(b) {
			return false
		}
		from = at + 2
		at = from + int(binary.BigEndian.Uint16(b[at:]))
		return at <= len(b)
	}
	properties := func(version byte) bool {
		if version < 5 {
			return true
		}
		if at >= len(b) {
			return false
		}
		size, body := mqttSize(b[at-1:])
		if size <= 0 {
			return false
		}
		at += size - 1
		return body > 0 && at <= len(b)
	}
	if !text() || at+4 > len(b) {
		return 0, 0
	}
	version, flags := b[at], b[at+1]
	at += 4 // and how long it may be silent
	if !properties(version) || !text() {
		return 0, 0
	}
	if flags&0x04 != 0 && (!properties(version) || !text() || !text()) { // its will
		return 0, 0
	}
	if flags&0x80 != 0 && !text() { // its user
		return 0, 0
	}
	if flags&0x40 == 0 || !text() {
		return 0, 0
	}
	return from, at
}

// berSize is the size of an element of ASN.1 with its header, and where its contents begin (ITU-T X.690, 8.1); 0: more
// has to come, -1: it is none.
func berSize(b []byte) (size, body int) {
	if len(b) < 2 {
		return 0, 0
	}
	if b[1] < 0x80 {
		return 2 + int(b[1]), 2
	}
	n := int(b[1] & 0x7f)
	if n == 0 || n > 4 {
		return -1, 0
	}
	if len(b) < 2+n {
		return 0, 0
	}
	for _, c := range b[2 : 2+n] {
		size = size<<8 | int(c)
	}
	if size > 1<<30 {
		return -1, 0
	}
	return 2 + n + size, 2 + n
}

// ldapOperation is the tag of what a message asks for, and where that begins; 0 if it isn't there.
func ldapOperation(b []byte, body int) (tag byte, at int) {
	if body >= len(b) || b[body] != 0x02 { // the message's number
		return 0, 0
	}
	size, _ := berSize(b[body:])
	if at = body + size; size <= 0 || at >= len(b) {
		return 0, 0
	}
	return b[at], at
}

// ldapPassword is where that of a simple bind lies.
func ldapPassword(b []byte, body int) (from, to int) {
	op, at := ldapOperation(b, body)
	if op != 0x60 {
		return 0, 0
	}
	_, inside := berSize(b[at:])
	at += inside
	for range 2 { // its version, and who
		if at >= len(b) {
			return 0, 0
		}
		size, _ := berSize(b[at:])
		if size <= 0 {
			return 0, 0
		}
		at += size
	}
	if at >= len(b) || b[at] != 0x80 {
		return 0, 0
	}
	size, inside := berSize(b[at:])
	if size <= 0 || at+size > len(b) {
		return 0, 0
	}
	return at + inside, at + size
}

// plainReach is how far behind its name what PLAIN logs in with begins at most, and how long it is.
const plainReach = 1024

// sasl notes the name of SASL's PLAIN at i, or replaces the password of what stands behind it: a length, perhaps a byte
// that says what it is, who is to be acted as, a zero, who logs in, a zero, the password. False if it isn't whole.
func (x *Stream) sasl(b []byte, i int, end bool) bool {
	name := []byte("PLAIN")
	switch {
	case !x.client:
	case b[i] == 'P':
		if bytes.HasPrefix(b[i:], name) {
			x.plain = x.decided + int64(i+plainReach)
		} else if bytes.HasPrefix(name, b[i:]) && !end {
			return false
		}
	case x.decided+int64(i) < x.plain:
		// The zero in front of who logs in: nobody acts as somebody else.
		at := i + 1
		user := bytes.IndexByte(b[at:min(len(b), at+plainReach)], 0)
		if user < 0 {
			return end || len(b)-at >= plainReach
		}
		before := append(bytes.Clone(x.tail), b[:i]...)
		n := len(before)
		size := 0
		if n >= 4 {
			size = int(binary.BigEndian.Uint32(before[n-4:]))
		}
		if size == 0 && n >= 5 { // BSON's binary data of kind 0
			size = int(binary.LittleEndian.Uint32(before[n-5:]))
		}
		from, to := at+user+1, i+size
		if user == 0 || size > plainReach || from >= to {
			return true
		}
		if to > len(b) {
			if !end {
				return false
			}
			to = len(b)
		}
		if bytes.IndexByte(b[from:to], 0) < 0 {
			x.s.replace("PLAIN", b[from:to])
			x.floor, x.plain = to, 0
		}
	}
	return true
}
