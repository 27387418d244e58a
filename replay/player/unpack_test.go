//go:build linux && amd64

package player

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"ri/record/streams"
)

// said writes header blocks, from "name value" lines, and data of a stream.
func said(begins string, write func(f *http2.Framer, block func(lines ...string) []byte)) []byte {
	var out, encoded bytes.Buffer
	out.WriteString(begins)
	encoder := hpack.NewEncoder(&encoded)
	f := http2.NewFramer(&out, nil)
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
	write(f, func(lines ...string) []byte {
		encoded.Reset()
		for _, line := range lines {
			name, value, _ := strings.Cut(line, " ")
			encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
		return bytes.Clone(encoded.Bytes())
	})
	return out.Bytes()
}

// TestUnpack: streams of HTTP/2 are connections of their own, wherever reads and writes end; what a program wrote is in
// the order of names; the name that is asked for inside of TLS is that of the first request.
func TestUnpack(t *testing.T) {
	in := said(http2.ClientPreface, func(f *http2.Framer, block func(...string) []byte) {
		request := []string{":method POST", ":path /", ":authority a.test:443", "z 1", "a 2"}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(request...), EndHeaders: true})
		more := block(request...)
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: more[:2], EndStream: true})
		f.WriteContinuation(3, true, more[2:])
		f.WriteData(1, true, []byte("body"))
		f.WriteRSTStream(3, http2.ErrCodeCancel)
	})
	out := said("", func(f *http2.Framer, block func(...string) []byte) {
		f.WriteSettingsAck()
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(":status 200", "z 1", "a 2"),
			EndHeaders: true})
		f.WriteWindowUpdate(0, 9)
		f.WriteData(1, false, []byte("answer"))
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block("grpc-timeout 1S"), EndHeaders: true,
			EndStream: true})
	})
	want := `accept 1 ""
accept 2 ""
in 2 ":method: POST\r\n:path: /\r\n:authority: a.test:443\r\nz: 1\r\na: 2\r\n\r\n" fields
accept 3 ""
in 3 ":method: POST\r\n:path: /\r\n:authority: a.test:443\r\nz: 1\r\na: 2\r\n\r\n" end
in 2 "body" last
in 3 "" 104
out 2 ":status: 200\r\na: 2\r\nz: 1\r\n\r\n" fields
out 2 "answer"
out 2 "grpc-timeout: what is left\r\n\r\n" end
shutdown 2 ""
`
	for n := 1; n < 400; n = n*2 + 1 {
		p := &plan{header: &streams.Header{Asked: streams.Asked{Payload: true, Sent: true}}, conns: map[uint32]*conn{},
			carried: map[uint32]uint32{}, notes: map[string]int{}}
		p.events = []streams.Event{{Kind: streams.Accept, Conn: 1, Network: "tcp", Local: "127.0.0.1:1"}}
		p.conns[1] = &conn{id: 1, secure: true}
		for b := in; len(b) > 0; b = b[min(n, len(b)):] {
			data := b[:min(n, len(b))]
			p.events = append(p.events, streams.Event{Kind: streams.In, Conn: 1, TLS: true, Size: int64(len(data)), Data: data})
		}
		p.events = append(p.events, streams.Event{Kind: streams.Out, Conn: 1, TLS: true, Size: int64(len(out)), Data: out})
		p.header.Asked.Sent = false
		if err := p.unpack(); !errors.Is(err, ErrNotPlayable) {
			t.Errorf("without what was sent: %v", err)
		}
		p.header.Asked.Sent = true
		if err := p.unpack(); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range p.events {
			if e.Why == whyFrames {
				continue
			}
			got += fmt.Sprintf("%s %d %q", e.Kind, e.Conn, e.Data)
			if e.Why != "" {
				got += " " + e.Why
			}
			if e.Errno != 0 {
				got += fmt.Sprint(" ", e.Errno)
			}
			got += "\n"
		}
		if got != want || len(p.notes) > 0 {
			t.Fatalf("in pieces of %d:\n%s%v\nwant\n%s", n, got, p.notes, want)
		}
		if s := p.carriers[1].settings; len(s) != 1 || s[0].Val != 100 {
			t.Errorf("%v", s)
		}
		if p.hosts(); p.conns[1].host != "a.test" {
			t.Errorf("%q", p.conns[1].host)
		}
	}
}

// TestFieldsDiffer: header fields of another length differ by themselves, and what follows is compared.
func TestFieldsDiffer(t *testing.T) {
	j := &judge{of: &conn{}, outs: []*output{{size: 14, data: []byte("a: 1\r\nb: 2\r\n\r\n"), fields: true},
		{size: 4, data: []byte("body")}}}
	j.outs[0].size = int64(len(j.outs[0].data))
	j.add([]byte("a: 1\r\nb: 2"))
	j.add([]byte("345\r\n\r"))
	j.add([]byte("\nbo"))
	j.add([]byte("dy"))
	if j.outs[0].state != differs || j.outs[1].state != equal || j.extra > 0 {
		t.Errorf("%+v, %+v", j.outs[0].verdict, j.outs[1].verdict)
	}
}

// TestEndInside: that the peer ends is told by sizes, where it came in one read with what was before it.
func TestEndInside(t *testing.T) {
	in := func(tls bool, size int64) streams.Event { return streams.Event{Kind: streams.In, TLS: tls, Size: size} }
	out := streams.Event{Kind: streams.Out, Size: 24}
	for name, c := range map[string]struct {
		events []streams.Event
		ends   int
	}{
		"TLS 1.3":         {[]streams.Event{in(false, 105), in(true, 59), out}, 2},
		"in two reads":    {[]streams.Event{in(false, 90), in(false, 15), in(true, 59), out}, 3},
		"cut by the call": {[]streams.Event{in(false, 105), in(true, 9), in(true, 50), out}, 3},
		"two records":     {[]streams.Event{in(false, 127), in(true, 9), in(true, 50), out}, 3},
		"TLS 1.2":         {[]streams.Event{in(false, 100+29+31), in(true, 100), out}, 2},
		"earlier bytes":   {[]streams.Event{in(false, 122), in(true, 100), out, in(false, 105), in(true, 59), out}, 5},
		"no end":          {[]streams.Event{in(false, 81), in(true, 59), out}, 0},
		"not answered":    {[]streams.Event{in(false, 105), in(true, 59)}, 0},
		"answered before": {[]streams.Event{out, in(false, 105), in(true, 59)}, 0},
		"nothing":         {nil, 0},
	} {
		var r records
		for i, e := range c.events {
			if e.TLS {
				r.inside(&e)
			} else {
				r.wire(&e, i)
			}
		}
		if got := r.notified(); got != c.ends {
			t.Errorf("%s: %d, not %d", name, got, c.ends)
		}
	}
}
