package streams

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"ri/record/format"
)

var some = []Event{
	{Seq: 1, Kind: Start, Mono: 5, Wall: 1_700_000_000_000_000_000},
	{Seq: 2, Kind: Accept, Conn: 1, Network: "tcp", Local: "127.0.0.1:80", Peer: "127.0.0.1:4000", Goroutine: 7,
		Thread: 9},
	{Seq: 3, Kind: In, Conn: 1, Size: 3, Data: []byte("GET"), TLS: true, Mono: -1},
	{Seq: 4, Kind: Out, Conn: 1, Size: 3, Digest: []byte("digest"), Errno: -104},
	{Seq: 9, Kind: Hole, Conn: 1, Size: 70000, Inbound: true, Why: "splice"},
	{Seq: 10, Kind: Existing, Conn: 2, Dialled: true},
}

// TestWritten: what is written is read, also if the end is missing.
func TestWritten(t *testing.T) {
	var b bytes.Buffer
	f, err := format.NewStream(&b, Header{Kind: HeaderKind})
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(f)
	for _, e := range some {
		if err := w.Write(&e); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), w.File(0, []byte("con")), w.File(0, []byte("tent"))); err != nil {
		t.Fatal(err)
	}
	cut := b.Len()
	if err := w.Close(&Header{Kind: HeaderKind}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{b.Len(), cut} {
		file, err := format.Open(bytes.NewReader(b.Bytes()[:size]), int64(size), "test")
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(file)
		if err != nil {
			t.Fatal(err)
		}
		var got []Event
		for e, err := range r.Events() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		if !reflect.DeepEqual(got, some) {
			t.Errorf("of %d bytes: got %+v", size, got)
		}
		var content bytes.Buffer
		if err := r.Content(0, &content); err != nil || content.String() != "content" {
			t.Errorf("content %q, error %v", content.String(), err)
		}
		if r.CutShort() != (size == cut) {
			t.Errorf("of %d bytes: CutShort is %v", size, r.CutShort())
		}
	}
}

// FuzzEvent: any bytes are an event or an error, and an event is encoded as itself.
func FuzzEvent(f *testing.F) {
	for _, e := range some {
		f.Add(appendEvent(nil, &e))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, _, err := cutEvent(b)
		if err != nil {
			return
		}
		again, rest, err := cutEvent(appendEvent(nil, &e))
		if err != nil || len(rest) != 0 {
			t.Fatalf("%+v is not read again: %v", e, err)
		}
		// No bytes and none at all are the same.
		e.Data, again.Data = append([]byte{}, e.Data...), append([]byte{}, again.Data...)
		e.Digest, again.Digest = append([]byte{}, e.Digest...), append([]byte{}, again.Digest...)
		if !reflect.DeepEqual(e, again) {
			t.Fatalf("%+v became %+v", e, again)
		}
	})
}
