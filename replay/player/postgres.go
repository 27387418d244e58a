//go:build linux && amd64

package player

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"ri/record/scrub"
)

// PostgreSQL's login (version 3 of its protocol; PostgreSQL 17's documentation, Message Formats, SASL Authentication;
// SCRAM-SHA-256: RFC 5802, RFC 7677). The recording has tokens in the place of passwords, and so has the program's
// configuration; what it computes from them is blanked on both sides, and the server's proof that it knows the password
// is computed here.
const (
	pgVersion = 3
	pgMost    = 10_000 // bytes of a first message
)

// pgStartup gives the size of a first message that b begins with; 0: it is none.
func pgStartup(b []byte) int {
	if len(b) < 8 || binary.BigEndian.Uint16(b[4:]) != pgVersion {
		return 0
	}
	if size := binary.BigEndian.Uint32(b); size >= 8 && size < pgMost {
		return int(size)
	}
	return 0
}

// login is how far a connection has got with it.
type login struct {
	passwords func() [][]byte // which may be meant
	client    string          // client-first-message-bare
	server    string          // server-first-message
	final     string          // client-final-message, with the proof
	in        bool
}

// normalise has what the program sent be what finds the output: parameters in order, and what was computed from a
// password blanked. False: more has to come.
func (x *login) normalise(b []byte) bool {
	for len(b) > 0 && !x.in {
		if b[0] != 0 && b[0] != 'p' {
			x.in = true
			break
		}
		if len(b) < 8 {
			return false
		}
		size := 0
		if b[0] == 0 {
			if size = pgStartup(b); size == 0 { // asks for TLS, or for an end
				x.in = binary.BigEndian.Uint32(b) != 8
				return true
			}
		} else if size = 1 + int(binary.BigEndian.Uint32(b[1:])); size < 5 || size > pgMost {
			x.in = true
			break
		}
		if len(b) < size {
			return false
		}
		if b[0] == 0 {
			sortParameters(b[8:size])
		} else {
			x.says(string(b[5:size]))
			scrub.BlankLogin(b[:size])
		}
		b = b[size:]
	}
	return true
}

// sortParameters sorts the parameters of a first message: programs have them in a map.
func sortParameters(b []byte) {
	parts := bytes.Split(b, []byte{0})
	if len(parts) < 4 || len(parts)%2 != 0 || len(parts[len(parts)-1])+len(parts[len(parts)-2]) > 0 {
		return
	}
	var pairs [][]byte
	for i := 0; i+2 < len(parts); i += 2 {
		pairs = append(pairs, slices.Concat(parts[i], []byte{0}, parts[i+1], []byte{0}))
	}
	slices.SortFunc(pairs, bytes.Compare)
	copy(b, append(slices.Concat(pairs...), 0))
}

// says notes what the client says of SCRAM.
func (x *login) says(body string) {
	if _, first, ok := strings.Cut(body, ",,n="); ok && strings.HasPrefix(body, "SCRAM-SHA-256") {
		x.client = "n=" + first
	} else if strings.HasPrefix(body, "c=") && strings.Contains(body, ",p=") {
		x.final = body
	}
}

// reply gives what the server says, with the proof that it has for this client.
func (x *login) reply(recorded []byte) []byte {
	recorded = bytes.Clone(recorded)
	for b := recorded; len(b) >= 9; {
		size := 1 + int(binary.BigEndian.Uint32(b[1:]))
		if b[0] != 'R' || size < 9 || size > len(b) {
			break
		}
		switch body := b[9:size]; binary.BigEndian.Uint32(b[5:]) {
		case 11: // AuthenticationSASLContinue
			x.server = string(body)
		case 12: // AuthenticationSASLFinal
			if proof := x.proof(); len(body) == 2+len(proof) {
				copy(body[2:], proof)
			}
		}
		b = b[size:]
	}
	return recorded
}

// proof is the server's signature, by the password that fits what the client proved; "" if it isn't known.
func (x *login) proof() string {
	var salt []byte
	rounds := 0
	for part := range strings.SplitSeq(x.server, ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "s":
			salt, _ = base64.StdEncoding.DecodeString(value)
		case "i":
			rounds, _ = strconv.Atoi(value)
		}
	}
	without, text, ok := strings.Cut(x.final, ",p=")
	proof, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(proof) != sha256.Size || len(salt) == 0 || rounds < 1 || rounds > 1<<20 {
		return ""
	}
	message := x.client + "," + x.server + "," + without
	for _, password := range x.passwords() {
		salted, err := pbkdf2.Key(sha256.New, string(password), salt, rounds, sha256.Size)
		if err != nil {
			continue
		}
		stored := sha256.Sum256(keyed(salted, "Client Key"))
		client := keyed(stored[:], message)
		for i := range client {
			client[i] ^= proof[i]
		}
		if sha256.Sum256(client) == stored {
			return base64.StdEncoding.EncodeToString(keyed(keyed(salted, "Server Key"), message))
		}
	}
	return ""
}

func keyed(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// mostPasswords bounds what is tried.
const mostPasswords = 512

// passwords are texts that the program may log in with: tokens of the recording, and then what stands in its arguments
// and environment.
func (p *plan) passwords() (all [][]byte) {
	process := &p.header.Process
	for _, t := range process.Tokens {
		all = append(all, t.Text)
	}
	for _, text := range slices.Concat(process.Args, process.Env) {
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" =:/@?&,;'\"", r) }) {
			all = append(all, []byte(word))
		}
	}
	return all[:min(len(all), mostPasswords)]
}
