//go:build linux && amd64

package player

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"ri/record/format"
	"ri/record/streams"
)

// TestHostile: whatever a recording says of addresses, paths and orders, a replay ends, says what it couldn't do, and
// the program gets what is left.
func TestHostile(t *testing.T) {
	var tape tape
	address, stop := tape.start(t, build(t))
	client := &http.Client{Transport: &http.Transport{DialContext: tape.dial}}
	for range 3 {
		ask(t, client, "http://"+address+"/hello?name=x", "")
	}
	client.CloseIdleConnections()
	stop()
	good := tape.events
	long := strings.Repeat("x", 300)
	const next = 1000 // a connection that the recording doesn't have
	dial := func(network, peer string) []streams.Event {
		return []streams.Event{{Kind: streams.Dial, Network: network, Peer: peer}, {Kind: streams.Out, Size: 1}}
	}
	read := streams.Event{Kind: streams.In, Size: 1, Data: []byte("x"), Peer: "x"}
	accept := streams.Event{Kind: streams.Accept, Network: "tcp", Local: address, Peer: "127.0.0.1:1"}
	two := func(kind streams.Kind, text string) streams.Event {
		return streams.Event{Kind: kind, Size: int64(len(text)), Data: []byte(text)}
	}
	const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	const begins = http2.ClientPreface + settings
	const fields = "\x00\x00\x01\x01\x05\x00\x00\x00\x01\x82" // :method: GET, and nothing else
	for name, more := range map[string][]streams.Event{
		"no HTTP/2":                   {accept, two(streams.In, http2.ClientPreface+"this is none")},
		"an endless frame":            {accept, two(streams.In, begins+"\xff\xff\xff\x01\x00\x00\x00\x00\x01")},
		"HTTP/2 cut short":            {accept, two(streams.In, begins+fields[:5])},
		"a request of nothing":        {accept, two(streams.In, begins+fields), two(streams.Out, settings)},
		"an answer to nothing":        {accept, two(streams.In, begins), two(streams.Out, settings+fields)},
		"peers that are no addresses": dial("tcp", "nowhere"),
		"no network":                  dial("", "127.0.0.1:1"),
		"port 0":                      dial("tcp", "127.0.0.1:0"),
		"everybody":                   dial("udp", "255.255.255.255:9"),
		"multicast":                   dial("udp", "[ff02::1]:5353"),
		"all":                         dial("udp", "0.0.0.0:0"),
		"a file for a socket":         dial("unix", "/etc/passwd"),
		"the kernel's":                dial("unix", "/proc/self/x"),
		"no folder":                   dial("unix", "../../../x"),
		"too long":                    dial("unixgram", "/run/"+long),
		"listens nowhere":             {{Kind: streams.Listen, Network: "unix", Local: "/etc/passwd"}},
		"packets to nobody":           {{Kind: streams.Listen, Network: "udp"}, read},
		"of nothing":                  {read, {Kind: streams.Out, Size: 7}, {Kind: streams.Close}},
		"an unknown kind":             {{Kind: 99, Size: 5}},
		"holes":                       {accept, {Kind: streams.Hole, Size: 5}},
		"an end before the beginning": {{Kind: streams.Close}, accept},
	} {
		t.Run(name, func(t *testing.T) {
			list := []streams.Event{good[0]}
			for _, e := range more {
				e.Conn, e.Mono = next, good[0].Mono
				list = append(list, e)
			}
			tape.events = append(list, good[1:]...)
			for i := range tape.events {
				tape.events[i].Seq = uint64(i + 1)
			}
			var said strings.Builder
			r, err := Replay(t.Context(), tape.file(t), Options{Patience: 50 * time.Millisecond}, nil, &said, &said)
			if err == nil && r.Equal < 3 {
				t.Errorf("%+v\n%s", *r, said.String())
			}
			if err != nil && strings.Contains(err.Error(), "without a word") {
				t.Errorf("%v\n%s", err, said.String())
			}
		})
	}
	tape.events = good
}

// TestCut: a recording that is cut off, anywhere, is played as far as it goes, or refused with a reason.
func TestCut(t *testing.T) {
	var tape tape
	address, stop := tape.start(t, build(t))
	client := &http.Client{Transport: &http.Transport{DialContext: tape.dial}}
	for i := range 20 {
		ask(t, client, fmt.Sprintf("http://%s/hello?name=%d", address, i), "")
	}
	client.CloseIdleConnections()
	stop()
	text, err := io.ReadAll(io.NewSectionReader(tape.file(t), 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []int{1, 30, 60, 90, 99} {
		f, err := os.CreateTemp(t.TempDir(), "cut")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(text[:len(text)*part/100]); err != nil {
			t.Fatal(err)
		}
		opt := Options{Binary: build(t), Patience: 50 * time.Millisecond}
		r, err := Replay(t.Context(), f, opt, nil, io.Discard, io.Discard)
		switch {
		case err != nil && strings.Contains(err.Error(), "without a word"):
			t.Errorf("%d %%: %v", part, err)
		case err == nil && (r.Differing > 0 || !strings.Contains(strings.Join(r.Notes, " "), "cut short")):
			t.Errorf("%d %%: %+v", part, *r)
		}
	}
}

// eventsOf makes events of any bytes: six for one, and those of its data.
func eventsOf(b []byte) (all []streams.Event) {
	addresses := []string{"", "127.0.0.1:53", "10.0.0.1:80", "127.0.0.1:4000", "/run/x", "x", "0.0.0.0:80", "@a"}
	networks := []string{"tcp", "udp", "unix", "unixgram", "", "tcp"}
	for n := 0; len(b) >= 6 && n < 200; n++ {
		e := streams.Event{Seq: uint64(n + 1), Kind: streams.Kind(b[0] % 15), Conn: uint32(b[1] % 5),
			Mono: int64(n) * int64(b[2]) * 1e5, Network: networks[int(b[3])%len(networks)], Local: addresses[b[4]%8],
			Peer: addresses[b[4]>>3%8], Goroutine: uint64(b[3] >> 6), TLS: b[5]&128 != 0, Inbound: b[5]&64 != 0,
			Errno: int32(b[2]>>7) * 104}
		size := int(b[5] % 32)
		if b = b[6:]; size <= len(b) && b != nil {
			e.Data, b = b[:size], b[size:]
		}
		e.Size = int64(size)
		all = append(all, e)
	}
	return all
}

// FuzzPlan: of any events a plan is made or refused, and whatever the program says is matched or not; nothing panics,
// and all outputs are decided.
func FuzzPlan(f *testing.F) {
	for _, network := range []string{"\x00", "\x01"} {
		f.Add([]byte("\x03\x01\x01"+network+"\x0a\x00\x06\x01\x01\x00\x00\x04PING\x05\x01\x01\x00\x00\x04PONG"),
			[]byte("PINGPONG"))
	}
	f.Fuzz(func(t *testing.T, recorded, said []byte) {
		var file bytes.Buffer
		header := streams.Header{Kind: streams.HeaderKind, Asked: streams.Asked{Payload: true, Sent: true}}
		w, err := format.NewStream(&file, &header)
		if err != nil {
			t.Fatal(err)
		}
		x := streams.NewWriter(w)
		for _, e := range eventsOf(recorded) {
			x.Write(&e)
		}
		x.Close(&header)
		r, err := format.Open(bytes.NewReader(file.Bytes()), int64(file.Len()), "fuzz")
		if err != nil {
			t.Fatal(err)
		}
		reader, err := streams.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := newPlan(reader, &Options{MayDiffer: []Rule{{Pattern: "[0-9]+"}}})
		if err != nil {
			return
		}
		plan.places()
		p := &player{plan: plan, lives: map[uint32]*live{}, ahead: map[int]bool{}, wake: make(chan struct{}, 1)}
		p.clock = newClock(plan)
		p.makePosts()
		for i := range plan.events {
			p.clock.at(i, i)
			p.clock.wall()
		}
		for _, conns := range plan.peers {
			l := &live{book: newBook(conns), writing: true}
			if u := l.book.greet(); u != nil {
				p.use(l, u)
			}
			for _, b := range said {
				l.buf = append(l.buf, b)
				p.match(l)
			}
		}
		for _, post := range p.posts {
			post.from[""] = &live{writing: true}
			p.packet(post, nil, said)
		}
		p.cursor = len(plan.events)
		p.tellStrays()
		p.answerEarly()
		for _, c := range plan.order {
			j := judge{of: c, outs: c.outs, due: len(c.outs)}
			for _, b := range said {
				j.add([]byte{b})
			}
			j.short()
			j.settle()
			j.close()
			if j.done != len(c.outs) {
				t.Errorf("%d of %d outputs are decided", j.done, len(c.outs))
			}
		}
	})
}
