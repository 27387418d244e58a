package frames

import (
	"fmt"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// TestFields: lines are the header fields that they were made of.
func TestFields(t *testing.T) {
	fields := []hpack.HeaderField{{Name: ":path", Value: "/x: y"}, {Name: "a", Value: ""}, {Name: "b", Value: " c: "}}
	if got := fmt.Sprint(Fields(Lines(fields, false))); got != fmt.Sprint(fields) {
		t.Error(got)
	}
	for _, text := range []string{"", "\r\n", ": ", ":", "x", "\r\n\r\n\r\n"} {
		Lines(Fields([]byte(text)), true)
	}
}

// FuzzReader: whatever comes, it is read to an end.
func FuzzReader(f *testing.F) {
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x01\x01\x05\x00\x00\x00\x01\x82"), true)
	f.Fuzz(func(t *testing.T, b []byte, client bool) {
		r := NewReader(client)
		for len(b) > 0 {
			n := min(7, len(b))
			r.Write(b[:n])
			b = b[n:]
			for range 100 {
				if f, err := r.Next(); f == nil && err == nil {
					break
				}
			}
		}
	})
}
