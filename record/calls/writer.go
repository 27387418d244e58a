package calls

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"slices"
)

// Writer writes a recording, line by line.
type Writer struct {
	w   *bufio.Writer
	sum hash.Hash
	end End
	// gives are functions with results: of others the return isn't recorded, so nobody knows whether they returned.
	gives map[string]bool
}

// NewWriter writes the header.
func NewWriter(w io.Writer, h *Header) (*Writer, error) {
	h.Ri, h.Version = "calls", Version
	x := &Writer{w: bufio.NewWriterSize(w, 1<<20), sum: sha256.New(), end: End{End: true, Calls: map[string]int64{}},
		gives: map[string]bool{}}
	for _, f := range slices.Concat(h.Boundary.In, h.Boundary.Out) {
		x.gives[f.Name] = len(f.Results) > 0
	}
	return x, x.line(h)
}

func (x *Writer) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return x.raw(b)
}

func (x *Writer) raw(b []byte) error {
	b = append(b, '\n')
	x.sum.Write(b)
	_, err := x.w.Write(b)
	return err
}

// Event writes an event. Its Seq is that of the one before and 1.
func (x *Writer) Event(e *Event) error {
	x.end.Events++
	e.Seq = x.end.Events
	switch {
	case e.Inside:
		x.end.Inside++
	case e.Kind == Call:
		x.end.Calls[e.Func]++
		if x.gives[e.Func] {
			x.end.Open++
		}
	case e.Kind == Return:
		x.end.Open--
	case e.Kind == Received:
		x.end.Received++
	case e.Kind == Sent:
		x.end.Sent++
	}
	if e.Missing > 0 {
		x.end.Missing++
	}
	return x.line(e)
}

// Close writes the end mark. What the events tell is counted here; the rest is the caller's.
func (x *Writer) Close(end End) (*End, error) {
	end.End, end.Events, end.Calls, end.Received = true, x.end.Events, x.end.Calls, x.end.Received
	end.Open, end.Missing, end.Sent, end.Inside = x.end.Open, x.end.Missing, x.end.Sent, x.end.Inside
	end.SHA256 = hex.EncodeToString(x.sum.Sum(nil))
	if err := x.line(&end); err != nil {
		return nil, err
	}
	return &end, x.w.Flush()
}
