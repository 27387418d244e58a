//go:build linux && amd64

package player

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// The header of DNS messages (RFC 1035, 4.1.1) is an ID, flags, and how many questions, answers, authorities and
// additional records follow.
const (
	dnsHeader   = 12
	dnsResponse = 1 << 15
	dnsOpcode   = 0xf << 11
	dnsOPT      = 41 // the additional record of EDNS (RFC 6891)
)

// question gives what a message asks a name server for, whatever its ID is: a name, in small letters, a type and a
// class (RFC 1035, 4.1.2). ok is false if it isn't one question and nothing else.
func question(b []byte) (asked string, ok bool) {
	if len(b) < dnsHeader || len(b) > 1024 {
		return "", false
	}
	counts := binary.BigEndian.Uint64(b[4:])
	if flags := binary.BigEndian.Uint16(b[2:]); flags&(dnsResponse|dnsOpcode) != 0 ||
		counts>>16 != 1<<32 || counts&0xffff > 1 {
		return "", false
	}
	asked, rest, ok := firstQuestion(b)
	switch {
	case !ok, counts&0xffff == 0 && len(rest) != 0:
		return "", false
	case counts&0xffff == 1 && (len(rest) < 11 || rest[0] != 0 || binary.BigEndian.Uint16(rest[1:]) != dnsOPT ||
		len(rest) != 11+int(binary.BigEndian.Uint16(rest[9:]))):
		return "", false
	}
	return asked, true
}

// answered gives the question that a name server's answer repeats.
func answered(b []byte) (asked string, ok bool) {
	if len(b) < dnsHeader || binary.BigEndian.Uint16(b[2:])&(dnsResponse|dnsOpcode) != dnsResponse ||
		binary.BigEndian.Uint16(b[4:]) != 1 {
		return "", false
	}
	asked, _, ok = firstQuestion(b)
	return asked, ok
}

// firstQuestion reads the question behind a header, and gives what is behind that.
func firstQuestion(b []byte) (asked string, rest []byte, ok bool) {
	rest = b[dnsHeader:]
	for {
		if len(rest) == 0 || rest[0] > 63 || len(rest) < int(rest[0])+1 {
			return "", nil, false
		}
		n := int(rest[0])
		if rest = rest[n+1:]; n == 0 {
			break
		}
	}
	if len(rest) < 4 {
		return "", nil, false
	}
	rest = rest[4:]
	return "question " + strings.ToLower(string(b[dnsHeader:len(b)-len(rest)])), rest, true
}

// overTCP is a question over TCP, where its size goes before it (RFC 1035, 4.2.2). size is that of both; more tells
// that bytes may be the beginning of one.
func overTCP(b []byte) (asked string, size int, more bool) {
	if len(b) < 2+dnsHeader {
		return "", 0, len(b) < 2 || binary.BigEndian.Uint16(b) < 512
	}
	if size = 2 + int(binary.BigEndian.Uint16(b)); size > len(b) {
		return "", 0, size < 512
	}
	asked, ok := question(b[2:size])
	if !ok {
		return "", 0, false
	}
	return asked, size, false
}

// withID has a name server's answer be to the question with an ID, which is at an offset of all that it reads.
func withID(at int, id []byte) func(read []byte) []byte {
	id = bytes.Clone(id[:2])
	return func(read []byte) []byte {
		read = bytes.Clone(read)
		for i := range id {
			if n := at + i; n >= 0 && n < len(read) {
				read[n] = id[i]
			}
		}
		at -= len(read)
		return read
	}
}

// types are those of questions that are asked often (IANA's registry of DNS parameters).
var types = map[uint16]string{1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA",
	33: "SRV", 65: "HTTPS", 255: "ANY"}

// questionText is a question as it is told: "host.example. AAAA"; "" if it is none.
func questionText(b []byte) string {
	asked, ok := question(b)
	if !ok {
		return ""
	}
	rest := strings.TrimPrefix(asked, "question ")
	var name strings.Builder
	for n := int(rest[0]); n > 0; n = int(rest[0]) {
		name.WriteString(rest[1:n+1] + ".")
		rest = rest[n+1:]
	}
	kind := binary.BigEndian.Uint16([]byte(rest[1:]))
	text, known := types[kind]
	if !known {
		text = fmt.Sprintf("TYPE%d", kind)
	}
	return name.String() + " " + text
}
