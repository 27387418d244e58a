//go:build linux && amd64

package player

import (
	"encoding/binary"
	"testing"
)

func pgMessage(kind byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
}

func pgAuth(code uint32, body string) []byte {
	return pgMessage('R', string(binary.BigEndian.AppendUint32(nil, code))+body)
}

// TestProof: a server's signature is that of the password which the client has proved to know. The example is RFC
// 7677's, section 3.
func TestProof(t *testing.T) {
	const server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	const final = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
		"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	x := login{passwords: func() [][]byte { return [][]byte{[]byte("other"), []byte("pencil")} }}
	first := pgMessage('p', "SCRAM-SHA-256\x00\x00\x00\x00\x20n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
	if !x.normalise(first) {
		t.Error("the first message isn't whole")
	}
	x.reply(pgAuth(11, server))
	last := pgMessage('p', final)
	if x.normalise(last[:40]) {
		t.Error("a part is taken for the whole")
	}
	x.normalise(last)
	if got := string(last[5:]); got[len(got)-5:] != "AAAA=" {
		t.Errorf("the proof isn't blanked: %q", got)
	}
	const blanked = "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	if got := string(x.reply(pgAuth(12, blanked))[9:]); got != "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Error(got)
	}
	x.passwords = func() [][]byte { return nil }
	if got := string(x.reply(pgAuth(12, blanked))[9:]); got != blanked {
		t.Errorf("without the password: %q", got)
	}
}

// TestParameters: parameters come in any order, as programs have them in maps.
func TestParameters(t *testing.T) {
	a, b := []byte("user\x00me\x00database\x00db\x00\x00"), []byte("database\x00db\x00user\x00me\x00\x00")
	sortParameters(a)
	sortParameters(b)
	if string(a) != string(b) {
		t.Errorf("%q, %q", a, b)
	}
}

// FuzzLogin: nothing of what programs and recordings say upsets it.
func FuzzLogin(f *testing.F) {
	f.Add(pgMessage('p', "SCRAM-SHA-256\x00\x00\x00\x00\x20n,,n=,r=x"), pgAuth(11, "r=xy,s=AAAA,i=1"))
	f.Add(pgMessage('p', "c=biws,r=xy,p=AAAA"), pgAuth(12, "v=AAAA"))
	f.Add([]byte("\x00\x00\x00\x10\x00\x03\x00\x00user\x00me\x00\x00"), []byte{})
	f.Fuzz(func(t *testing.T, said, answer []byte) {
		x := login{passwords: func() [][]byte { return [][]byte{[]byte("x")} }}
		x.normalise(said)
		if got := x.reply(answer); len(got) != len(answer) {
			t.Errorf("%d bytes became %d", len(answer), len(got))
		}
	})
}
