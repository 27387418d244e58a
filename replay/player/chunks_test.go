//go:build linux && amd64

package player

import (
	"strings"
	"testing"

	"ri/record/streams"
)

// TestChunks: answers are the same whatever chunks they come in, and wherever reads end; what is no such answer isn't
// changed.
func TestChunks(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	const plain = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n2\r\nab\n"
	for _, c := range []struct{ came, want string }{
		{head + "5\r\nhello\r\n0\r\n\r\n" + plain, head + "hello\r\n" + plain},
		{plain + head + "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n", plain + head + "helloA: b\r\n\r\n"},
		{head + "A\r\n0123456789\r\nzz\r\nrest", head + "0123456789zz\r\nrest"},
		{head + "1\r\nabc\n1\r\n", head + "abc\n1\r\n"},
		{"SSH-2.0-x\r\n5\r\nhello\r\n", "SSH-2.0-x\r\n5\r\nhello\r\n"},
		{"HTTP/1.1 101 Other\r\n\r\n" + head + "1\r\n", "HTTP/1.1 101 Other\r\n\r\n" + head + "1\r\n"},
		{"HTTP/1.1 100 Continue\r\n\r\n" + head + "0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n" + head + "\r\n"},
		{"HTTP/1.1 204 None\r\n\r\n" + plain, "HTTP/1.1 204 None\r\n\r\n" + plain},
	} {
		for size := 1; size <= len(c.came); size++ {
			var x chunks
			var got strings.Builder
			for at := 0; at < len(c.came); at += size {
				got.Write(x.undo([]byte(c.came[at:min(at+size, len(c.came))])))
			}
			if got.String() != c.want {
				t.Errorf("in pieces of %d:\n%q, want\n%q", size, got.String(), c.want)
			}
		}
	}
}

// TestUnchunk: it is done where all bytes are there, inside of TLS, too, and nowhere else.
func TestUnchunk(t *testing.T) {
	answer := []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
	left := []byte(strings.Replace(string(answer), "1\r\nx\r\n0\r\n\r\n", "x\r\n", 1))
	for name, c := range map[string]struct {
		wire, out streams.Event
		want      string
	}{
		"plain": {out: streams.Event{Data: answer, Size: int64(len(answer))}, want: string(left)},
		"TLS": {streams.Event{Size: 1000}, streams.Event{Data: answer, Size: int64(len(answer)), TLS: true},
			string(left)},
		"digest": {out: streams.Event{Data: answer, Size: 1000}, want: string(answer)},
		"STARTTLS": {streams.Event{Data: []byte("+"), Size: 1}, streams.Event{Data: answer, Size: int64(len(answer)),
			TLS: true}, string(answer)},
	} {
		c.wire.Kind, c.wire.Conn, c.out.Kind, c.out.Conn = streams.Out, 1, streams.Out, 1
		p := &plan{events: []streams.Event{{Kind: streams.Accept, Conn: 1, Network: "tcp"}, c.wire, c.out}}
		p.unchunk()
		if e := p.events[2]; string(e.Data) != c.want || (e.Size == int64(len(e.Data))) != (c.out.Size < 1000) {
			t.Errorf("%s: %d bytes, %q", name, e.Size, e.Data)
		}
	}
}
