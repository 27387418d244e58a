package calls

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// recording writes a recording of events.
func recording(t testing.TB, events ...Event) string {
	t.Helper()
	var out bytes.Buffer
	in := []Func{{Name: "p.F", Results: []Var{{Type: "int"}}}}
	w, err := NewWriter(&out, &Header{By: "test", Boundary: Boundary{In: in}})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := w.Event(&e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(End{Why: "test"}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func some(t testing.TB) string {
	return recording(t, Event{Kind: Call, Func: "p.F", Goroutine: 1}, Event{Kind: Sent, Channel: 3, Inside: true},
		Event{Kind: Received, Channel: 3, Inside: true, From: 2, Over: []int64{2}},
		Event{Kind: Return, Func: "p.F", Call: 1, Goroutine: 1})
}

func readAll(text string) (*Reader, error) {
	r, err := NewReader(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	for {
		if _, err := r.Next(); err != nil {
			return r, err
		}
	}
}

// TestReader: what was written is read; what was cut short, edited or put into another order isn't, and it says where.
func TestReader(t *testing.T) {
	whole := some(t)
	r, err := readAll(whole)
	if !errors.Is(err, io.EOF) || r.End.Events != 4 || r.End.Inside != 2 || r.End.Open != 0 || !r.End.Whole() {
		t.Fatalf("%v: %+v", err, r)
	}
	lines := strings.SplitAfter(whole, "\n")
	with := func(n int, from, to string) string {
		edited := append([]string(nil), lines...)
		edited[n] = strings.Replace(edited[n], from, to, 1)
		if edited[n] == lines[n] {
			t.Fatalf("%q isn't in line %d: %s", from, n+1, lines[n])
		}
		return strings.Join(edited, "")
	}
	for name, c := range map[string]struct {
		text string
		want error
		says string
	}{
		"nothing":         {"", ErrNotCalls, ""},
		"something else":  {"{}\n", ErrNotCalls, ""},
		"version":         {with(0, `"version":1`, `"version":9`), ErrVersion, "version 9"},
		"cut in a line":   {whole[:len(whole)/2], ErrCutShort, ""},
		"no end mark":     {strings.Join(lines[:4], ""), ErrCutShort, ""},
		"an edited value": {with(1, `"goroutine":1`, `"goroutine":2`), ErrMalformed, "checksum"},
		"another order": {lines[0] + lines[2] + lines[1] + strings.Join(lines[3:], ""), ErrMalformed,
			"line 2: its seq is 2"},
		"left out":          {lines[0] + lines[1] + strings.Join(lines[3:], ""), ErrMalformed, "line 3: its seq is 3"},
		"twice":             {lines[0] + lines[1] + strings.Join(lines[1:], ""), ErrMalformed, "line 3: its seq is 1"},
		"unknown field":     {with(1, `"seq"`, `"run":"rm","seq"`), ErrMalformed, "line 2"},
		"no such kind":      {with(1, `"kind":"call"`, `"kind":"exec"`), ErrMalformed, `"exec" is no kind`},
		"another's return":  {with(4, `"func":"p.F"`, `"func":"p.G"`), ErrMalformed, "the return of call 1"},
		"its own parent":    {with(1, `"goroutine":1`, `"goroutine":1,"parent":1`), ErrMalformed, "its parent is event 1"},
		"from what follows": {with(3, `"from":2`, `"from":4`), ErrMalformed, "received from event 4"},
		"over what follows": {with(3, `"over":[2]`, `"over":[9]`), ErrMalformed, "taken over"},
		"no channel":        {with(2, `"chan":3`, `"chan":-1`), ErrMalformed, "channel -1"},
		"behind the end":    {whole + "{}\n", ErrMalformed, "behind the end mark"},
		"counts":            {with(5, `"events":4`, `"events":5`), ErrMalformed, "it counts 5 events"},
		"nested": {with(1, `"goroutine":1`, `"goroutine":1,"values":[`+strings.Repeat("[", 2000)+
			strings.Repeat("]", 2000)+`]`), ErrMalformed, "nested deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readAll(c.text); !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("it says %v, want %v that says %q", err, c.want, c.says)
			}
		})
	}
}

// FuzzReader: whatever the file says, the reader ends, and what it gives keeps to the format.
func FuzzReader(f *testing.F) {
	whole := some(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(strings.Replace(whole, `"seq":2`, `"seq":-2`, 1))
	f.Add(strings.ReplaceAll(whole, "call", "\x00"))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := NewReader(strings.NewReader(text))
		if err != nil {
			return
		}
		for seq := int64(1); ; seq++ {
			e, err := r.Next()
			if err != nil {
				if errors.Is(err, io.EOF) && r.End == nil {
					t.Error("it ended without an end mark")
				}
				return
			}
			if e.Seq != seq || e.Parent >= seq || e.From >= seq {
				t.Errorf("event %d: %+v", seq, e)
			}
		}
	})
}
