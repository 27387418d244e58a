package scrub

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
)

const planted = "Pl4ntedS3cret"

// streams are beginnings of connections with a planted secret, and what has to be left of them.
var examples = []struct {
	name, text string
	keeps      []string
}{
	{"header", "GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: Pl4ntedS3cret\r\nAccept: x\r\n\r\n", []string{"Host: a\r\n",
		"X-Api-Key: ", "\r\nAccept: x\r\n\r\n"}},
	{"bearer", "GET / HTTP/1.1\r\nAuthorization: Bearer Pl4ntedS3cret\r\n\r\n", []string{"Bearer "}},
	{"basic", "GET / HTTP/1.1\r\nAuthorization: Basic dTpQbDRudGVkUzNjcmV0\r\n\r\n", []string{"Basic dTp"}},
	{"cookie", "GET / HTTP/1.1\r\nCookie: a=Pl4ntedS3cret; b=Pl4ntedS3cret\r\n\r\n", []string{"Cookie: a=", "; b="}},
	{"query", "GET /x?id=3&token=Pl4ntedS3cret&y=1 HTTP/1.1\r\n\r\n", []string{"id=3&token=", "&y=1 HTTP"}},
	{"query in a query", "GET /x?url=http%3A%2F%2Fh%2F%3Ftoken%3DPl4ntedS3cret%26id%3D3&y=1 HTTP/1.1\r\n\r\n",
		[]string{"%3Ftoken%3D", "%26id%3D3&y=1"}},
	{"json", `{"user": "me", "password": "Pl4ntedS3cret", "n": 1}`, []string{`"user": "me"`, `"n": 1`}},
	{"nested", `{"credentials": {"a": "Pl4ntedS3cret", "b": ["Pl4ntedS3cret", 3]}, "n": 1}`,
		[]string{`"a": "`, `"n": 1`}},
	{"json in json", `{"body": "{\"password\":\"Pl4ntedS3cret\",\"n\":1}"}`, []string{`\"n\":1`}},
	{"name and value", `[{"name": "DB_PASSWORD", "value": "Pl4ntedS3cret"}]`, []string{`"value": "`}},
	{"form", "user=me&password=Pl4ntedS3cret&n=1", []string{"user=me", "&n=1"}},
	{"multipart", "--x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nPl4ntedS3cret\r\n--x--\r\n",
		[]string{"\r\n--x--"}},
	{"resp", "*2\r\n$4\r\nAUTH\r\n$13\r\nPl4ntedS3cret\r\n*1\r\n$4\r\nPING\r\n",
		[]string{"AUTH\r\n$13\r\n", "\r\n*1\r\n$4\r\nPING"}},
	{"resp with user", "*3\r\n$4\r\nauth\r\n$2\r\nme\r\n$13\r\nPl4ntedS3cret\r\n*1\r\n", []string{"$2\r\nme\r\n$13\r\n"}},
	{"resp by name", "*3\r\n$3\r\nSET\r\n$9\r\nmy:secret\r\n$13\r\nPl4ntedS3cret\r\n", []string{"my:secret\r\n$13\r\n"}},
	{"nats", "CONNECT {\"user\":\"me\",\"pass\":\"Pl4ntedS3cret\",\"lang\":\"go\"}\r\nPING\r\n",
		[]string{`"lang":"go"`, "PING"}},
	{"smtp", "EHLO x\r\nAUTH PLAIN Pl4ntedS3cret\r\nMAIL FROM:<a>\r\n", []string{"AUTH PLAIN ", "MAIL FROM"}},
	{"smtp login", "EHLO x\r\nAUTH LOGIN\r\nUser1234\r\nPl4ntedS3cret\r\nMAIL FROM:<a>\r\n", []string{"MAIL FROM"}},
	{"pop", "USER me\r\nPASS Pl4ntedS3cret\r\nSTAT\r\n", []string{"USER me\r\nPASS ", "STAT"}},
	{"imap", "a1 LOGIN me Pl4ntedS3cret\r\na2 SELECT x\r\n", []string{"a1 LOGIN me ", "a2 SELECT"}},
	{"sql", "ALTER USER me PASSWORD 'Pl4ntedS3cret';", []string{"ALTER USER me PASSWORD '"}},
	{"url", "dsn is postgres://me:Pl4ntedS3cret@host/db now", []string{"postgres://me:", "@host/db now"}},
	{"again", "password=Pl4ntedS3cret; x Pl4ntedS3cret and xPl4ntedS3crety.", []string{" and x"}},
	{"postgres", pgStartup("user\x00me\x00\x00") + pgMessage('p', "Pl4ntedS3cret\x00") + pgMessage('Q', "SELECT 1\x00"),
		[]string{"user\x00me", "SELECT 1"}},
	{"mqtt", "\x10\x21\x00\x04MQTT\x04\xc2\x00\x1e\x00\x02c0\x00\x02me\x00\x0d" +
		"Pl4ntedS3cret\x82\x0d\x00\x01\x00\x08room/0/#\x00",
		[]string{"\x00\x02c0\x00\x02me\x00\x0d", "room/0/#"}},
	{"mqtt 5", "\x10\x32\x00\x04MQTT\x05\xc6\x00\x1e\x05\x11\x00\x00\x00\x0a\x00\x02c0" +
		"\x00\x00\x04will\x00\x02go\x00\x02me\x00\x0dPl4ntedS3cret0",
		[]string{"\x00\x02me\x00\x0d"}},
	{"ldap", "0\x0c\x02\x01\x01B\x07nothing0\x84\x00\x00\x00\x1e\x02\x01\x02\x60\x19\x02\x01\x03\x04\x05cn=me" +
		"\x80\x0dPl4ntedS3cret0\x05\x02\x01\x03B\x00",
		[]string{"cn=me\x80\x0d", "0\x05\x02\x01\x03B\x00"}},
	{"amqp", "AMQP\x00\x00\x09\x01\x01\x00\x00\x00\x00\x00\x2d" +
		"\x00\x0a\x00\x0b\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x11\x00me\x00Pl4ntedS3cret\x05en_US\xce",
		[]string{"\x00me\x00", "\x05en_US\xce"}},
	{"kafka", "\x00\x00\x00\x15\x00\x11\x00\x01\x00\x00\x00\x01\x00\x04prog\x00\x05PLAIN" +
		"\x00\x00\x00\x23\x00\x24\x00\x01\x00\x00\x00\x02\x00\x04prog" +
		"\x00\x00\x00\x11\x00me\x00Pl4ntedS3cret\x00\x00\x00\x09",
		[]string{"\x00\x11\x00me\x00", "\x00\x00\x00\x09"}},
	{"mongodb", "\x10saslStart\x00\x01\x00\x00\x00\x02mechanism\x00" +
		"\x06\x00\x00\x00PLAIN\x00\x05payload\x00\x11\x00\x00\x00\x00\x00me\x00Pl4ntedS3cret\x02$db\x00",
		[]string{"\x00me\x00", "\x02$db\x00"}},
	{"scram", pgStartup("user\x00me\x00\x00") + pgMessage('p', "c=biws,r=abc,p=Pl4ntedS3cret=") +
		pgMessage('Q', "SELECT 1\x00"),
		[]string{"c=biws,r=abc,p=", "SELECT 1"}},
	{"pem", "x -----BEGIN RSA PRIVATE KEY-----\nPl4ntedS3cretPl4ntedS3cret\nPl4ntedS3cret\n" +
		"-----END RSA PRIVATE KEY-----\ny",
		[]string{"BEGIN RSA", "-----END", "\ny"}},
}

func pgStartup(params string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(params)))
	return string(binary.BigEndian.AppendUint32(b, pgVersion3)) + params
}

func pgMessage(kind byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))) + body
}

// through gives a text to a stream in pieces, and what became of it.
func through(s *Scrubber, text string, cuts func() int, force bool) string {
	x := s.Stream(true)
	var pieces [][]byte
	for len(text) > 0 {
		n := min(cuts(), len(text))
		piece := []byte(text[:n])
		text = text[n:]
		pieces = append(pieces, piece)
		x.Write(piece)
		if force && rand.IntN(3) == 0 {
			x.Force()
		}
	}
	x.End()
	return string(bytes.Join(pieces, nil))
}

// TestSecrets: a planted secret is replaced, wherever the stream is cut, by one token, and what is beside it stays.
func TestSecrets(t *testing.T) {
	for _, e := range examples {
		s := New([32]byte{1})
		whole := through(s, e.text, func() int { return 1 << 20 }, false)
		if strings.Contains(whole, planted) || strings.Contains(whole, "UGw0bnRlZFMzY3JldA") || len(whole) != len(e.text) {
			t.Errorf("%s: %q", e.name, whole)
		}
		for _, k := range e.keeps {
			if !strings.Contains(whole, k) {
				t.Errorf("%s: %q has no %q", e.name, whole, k)
			}
		}
		for n := 1; n < 40; n++ {
			cut := through(New([32]byte{1}), e.text, func() int { return n }, false)
			if cut != whole {
				t.Errorf("%s, in pieces of %d: %q, whole %q", e.name, n, cut, whole)
				break
			}
		}
	}
}

// TestForced: also where nobody can wait for more, no piece of eight bytes of the secret is left.
func TestForced(t *testing.T) {
	for _, e := range examples {
		switch e.name {
		case "basic", "url", "multipart", "name and value", "smtp login", "postgres", "scram", "mqtt", "mqtt 5", "ldap",
			"amqp", "kafka", "mongodb",
			"resp", "resp with user", "resp by name", "again", "smtp", "pop", "imap", "sql", "pem", "nested", "json in json",
			"query in a query":
			continue // protocols that have no name just before the value: see docs/streams.md
		}
		for range 300 {
			got := through(New([32]byte{1}), e.text, func() int { return 1 + rand.IntN(6) }, true)
			if strings.Contains(got, planted[:8]) || strings.Contains(got, planted[5:]) {
				t.Errorf("%s: %q", e.name, got)
				break
			}
		}
	}
}

// TestPlain: what has no secret stays as it is.
func TestPlain(t *testing.T) {
	for _, text := range []string{"GET /index.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: x/1.0\r\n\r\n",
		"PUB a.b 5\r\nhello\r\n", "+PONG\r\n:42\r\n$-1\r\n", "{\"id\": 7, \"name\": \"x\"}", "\x00\x01\x02\x03: \xff=\xfe",
		"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"} {
		if got := through(New([32]byte{1}), text, func() int { return 3 }, false); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// TestSame: a secret has one token in all streams and texts of a recording, and another in the next recording.
func TestSame(t *testing.T) {
	s := New([32]byte{1})
	a := through(s, `{"password":"Pl4ntedS3cret"}`, func() int { return 4 }, false)
	b := []byte("--db-password=Pl4ntedS3cret")
	s.Bytes(b)
	token := string(s.Token("", []byte(planted)))
	if !strings.Contains(a, token) || !strings.HasSuffix(string(b), token) {
		t.Errorf("%q, %q: the token is %q", a, b, token)
	}
	if string(New([32]byte{2}).Token("", []byte(planted))) == token {
		t.Error("another key has the same token")
	}
}

// FuzzStream: nothing grows, shrinks or panics, and where it is cut decides nothing.
func FuzzStream(f *testing.F) {
	for _, e := range examples {
		f.Add([]byte(e.text), uint8(3))
	}
	f.Add([]byte("AUTH LOGIN\n "), uint8(14))
	f.Fuzz(func(t *testing.T, text []byte, n uint8) {
		s := New([32]byte{1})
		x := s.Stream(true)
		total := 0
		for rest := bytes.Clone(text); len(rest) > 0; {
			k := min(int(n)+1, len(rest))
			x.Write(rest[:k:k])
			rest, total = rest[k:], total+k
		}
		if x.End(); int(x.Decided()) != total {
			t.Errorf("%d of %d bytes are decided", x.Decided(), total)
		}
	})
}

// TestNamed: what a policy says of a name counts before what holds for all, in streams, arguments and the environment.
func TestNamed(t *testing.T) {
	named := func() *Scrubber {
		s := New([32]byte{1})
		s.Named = func(name string) (secret, known bool) {
			return strings.EqualFold(name, "customer"), strings.EqualFold(name, "customer") || name == "session"
		}
		return s
	}
	for text, stays := range map[string]bool{`{"customer": "Pl4ntedName"}`: false, "Customer: Pl4ntedName\r\n": false,
		`{"session": "Pl4ntedName2"}`: true, `{"password": "Pl4ntedName3"}`: false} {
		if got := through(named(), text, func() int { return 5 }, false); strings.Contains(got, "Pl4ntedName") != stays {
			t.Errorf("%q became %q", text, got)
		}
	}
	s := named()
	args := strings.Join(s.Arguments([]string{"x", "-session", "kept", "-customer", "Pl4ntedArg"}), " ")
	env := strings.Join(s.Environment([]string{"CUSTOMER=Pl4ntedVariable", "session=kept"}), " ")
	if strings.Contains(args+env, "Pl4nted") || strings.Count(args+env, "kept") != 2 {
		t.Errorf("%q, %q", args, env)
	}
}

// TestSettings: what a program can't do without is no secret, whatever its flag is called; a number may be.
func TestSettings(t *testing.T) {
	s := New([32]byte{1})
	args := []string{"x", "-session-listen", "127.0.0.1:80", "-token-ttl=5m", "-auth-listen", ":8080"}
	if got := s.Arguments(args); strings.Join(got, " ") != strings.Join(args, " ") {
		t.Errorf("%q became %q", args, got)
	}
	for _, secret := range []string{"12345678", "user:12345678", "0", "hunter2:80x"} {
		if got := s.Arguments([]string{"x", "-password", secret}); got[2] == secret {
			t.Errorf("%q stays", secret)
		}
	}
}
