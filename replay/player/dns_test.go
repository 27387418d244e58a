//go:build linux && amd64

package player

import (
	"bytes"
	"strings"
	"testing"
)

// asking is a question for an address, with an ID.
func asking(id, name string) []byte {
	b := []byte(id + "\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, "\x00\x00\x1c\x00\x01"...)
}

// TestQuestion: a question is known by its name and type, whatever its ID and its letters are.
func TestQuestion(t *testing.T) {
	one, ok := question(asking("ab", "host.Example"))
	two, ok2 := question(asking("xy", "HOST.example"))
	if !ok || !ok2 || one != two {
		t.Errorf("%q %v, %q %v", one, ok, two, ok2)
	}
	if text := questionText(asking("ab", "host.example")); text != "host.example. AAAA" {
		t.Error(text)
	}
	answer := append(asking("ab", "host.example"), "more"...)
	answer[2] |= 0x80
	if three, ok := answered(answer); !ok || three != one {
		t.Errorf("%q %v", three, ok)
	}
	for _, other := range [][]byte{answer, asking("ab", "x")[:12], []byte("GET / HTTP/1.1\r\nHost: host\r\n\r\n")} {
		if asked, ok := question(other); ok {
			t.Errorf("%q is taken for a question: %q", other, asked)
		}
	}
	said := withID(2, []byte("id"))
	if got := string(said([]byte("012"))) + string(said([]byte("345"))); got != "01id45" {
		t.Error(got)
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add(asking("ab", "host.example"))
	f.Add(append([]byte{0, 29}, asking("ab", "host.example")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		questionText(b)
		answered(b)
		overTCP(b)
		if asked, ok := question(b); ok {
			if again, ok := question(append(bytes.Clone(b[:0]), append([]byte("xy"), b[2:]...)...)); !ok || again != asked {
				t.Errorf("%q with another ID is %q", asked, again)
			}
		}
	})
}
