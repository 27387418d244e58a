package kit

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// riEvent is a line of a recording (docs/calls.md).
type riEvent struct {
	Seq       int64             `json:"seq"`
	At        time.Duration     `json:"at"`
	Goroutine uint64            `json:"goroutine"`
	Kind      string            `json:"kind"`
	Func      string            `json:"func"`
	Out       bool              `json:"out"`
	On        int               `json:"on"`
	Parent    int64             `json:"parent"`
	Call      int64             `json:"call"`
	Values    []json.RawMessage `json:"values"`
	Ended     string            `json:"ended"`
	Chan      int               `json:"chan"`
	Closed    bool              `json:"closed"`
	Polled    bool              `json:"polled"`
	Inside    bool              `json:"inside"`
	From      int64             `json:"from"`
	Over      []int64           `json:"over"`

	step   *riStep    // that it is
	back   *riEvent   // of a call: its return
	parent *riEvent   // the call around it, in its goroutine
	inner  []*riEvent // of a call that goes out: calls that came in before it returned
	own    bool       // of a call that goes out: on what the library has of its own, and was never given
	note   bool       // of a call that goes out: of a log
	taken  *riEvent   // of what the library sent to itself: where it received that
	sent   *riEvent   // of what it received so: where it sent that
	bound  riPos      // of what was received: by when it has to be there; of what was sent: by when it is
	behind riPos      // of what was sent and never taken: behind what was
	by     *riEvent   // of what was sent: what its goroutine went on by
}

func (e *riEvent) comesIn() bool { return e.Kind == "call" && !e.Out }

func (e *riEvent) goesOut() bool { return e.Kind == "call" && e.Out && !e.own && !e.note }

// looked tells whether it was received without waiting for it: then it has to be there before.
func (e *riEvent) looked() bool { return e.Polled && e.Kind == "receive" }

// riChannel is a channel that crosses the boundary.
type riChannel struct {
	Chan  int    `json:"chan"`
	Where string `json:"where"`
}

// riFunc is a function at the boundary.
type riFunc struct {
	Func      string  `json:"func"`
	Short     string  `json:"short"`
	Interface string  `json:"interface"`
	Receiver  bool    `json:"receiver"`
	Callback  bool    `json:"callback"`
	Params    []riVar `json:"params"`
	Results   []riVar `json:"results"`
}

// riVar is a parameter or result.
type riVar struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// riRecording is a recording's text, read.
type riRecording struct {
	header struct {
		Made     time.Time `json:"made"`
		From     bool      `json:"from_start"`
		Boundary struct {
			In       []riFunc    `json:"in"`
			Out      []riFunc    `json:"out"`
			Receives []riChannel `json:"receives"`
			Sends    []riChannel `json:"sends"`
		} `json:"boundary"`
		State []struct {
			On      int             `json:"on"`
			Type    string          `json:"type"`
			Value   json.RawMessage `json:"value"`
			Missing int             `json:"missing"`
		} `json:"state"`
	}
	events  []*riEvent        // event n is at n-1
	atWork  int               // receivers that were there before
	funcs   map[string]riFunc // at the boundary
	length  time.Duration
	choices []riChoice
	of      func(e *riEvent) int  // group
	logs    map[string][]*riEvent // calls of logs, by method and receiver
	through map[string]bool       // types and interfaces through which they were called
}

// riRead reads a recording, which must be whole.
func riRead(path string) (*riRecording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return riParse(f)
}

func riParse(r io.Reader) (*riRecording, error) {
	rec := &riRecording{}
	lines := bufio.NewReaderSize(r, 1<<16)
	sum := sha256.New()
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the recording is cut short: it has no end mark")
		}
		if err != nil {
			return nil, err
		}
		switch {
		case n == 1:
			if err = json.Unmarshal(line, &rec.header); err == nil {
				rec.functions()
			}
		case strings.HasPrefix(string(line), `{"end":true`):
			var end struct {
				Length time.Duration `json:"length"`
				SHA256 string        `json:"sha256"`
			}
			if err := json.Unmarshal(line, &end); err != nil {
				return nil, err
			}
			if hex.EncodeToString(sum.Sum(nil)) != end.SHA256 {
				return nil, errors.New("the recording was changed: its checksum differs")
			}
			rec.length = end.Length
			return rec, nil
		default:
			err = rec.take(line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		sum.Write(line)
	}
}

// at is an event by its number, nil if there is none.
func (rec *riRecording) at(seq int64) *riEvent {
	if seq < 1 || seq > int64(len(rec.events)) {
		return nil
	}
	return rec.events[seq-1]
}

// take takes an event.
func (rec *riRecording) take(line []byte) error {
	e := &riEvent{}
	if err := json.Unmarshal(line, e); err != nil {
		return err
	}
	if e.Seq != int64(len(rec.events))+1 {
		return fmt.Errorf("event %d stands where %d should", e.Seq, len(rec.events)+1)
	}
	if e.parent = rec.at(e.Parent); e.parent != nil && e.parent.Kind != "call" {
		return fmt.Errorf("event %d stands in event %d, which is no call", e.Seq, e.Parent)
	}
	rec.events = append(rec.events, e)
	if e.Kind == "return" {
		c := rec.at(e.Call)
		if c == nil || c.Kind != "call" || c.back != nil || c.Func != e.Func {
			return fmt.Errorf("event %d is the return of %d, which is no such call, or has returned", e.Seq, e.Call)
		}
		c.back = e
	}
	if s := rec.at(e.From); s != nil && e.Inside && s.Inside && s.Kind == "send" && s.taken == nil {
		s.taken, e.sent = e, s
	}
	if e.comesIn() && e.parent != nil && e.parent.Out {
		e.parent.inner = append(e.parent.inner, e)
	}
	return nil
}

// given notes which receivers the library may have been given: what stands in for others is never asked.
func (rec *riRecording) given(types *riTypes) {
	given, gave, used := map[int]bool{0: true}, map[int]bool{}, map[int]bool{}
	held := map[string]bool{} // types of values that are no pointers
	note := func(raw json.RawMessage) {
		riMentions(raw, riOn, func(n int) { given[n] = true })
		for rest := string(raw); ; {
			_, after, ok := strings.Cut(rest, `"$type":"`)
			if !ok {
				return
			}
			name, after, _ := strings.Cut(after, `"`)
			held[name], rest = true, after
		}
	}
	for _, e := range rec.events {
		switch {
		case e.comesIn() && e.On != 0 && !gave[e.On]:
			used[e.On] = true
		case e.Kind == "return" && !e.Out:
			for _, v := range e.Values {
				riMentions(v, riOn, func(n int) { gave[n] = true })
			}
		}
	}
	if !rec.header.From {
		rec.atWork = len(used)
	}
	for _, s := range rec.header.State {
		if used[s.On] { // else the library makes it
			note(s.Value)
		}
	}
	for _, e := range rec.events {
		for _, v := range e.Values {
			if e.Out == (e.Kind == "return") || e.Kind == "receive" {
				note(v)
			}
		}
	}
	// What was called as such, and a value of the library's own types: nothing stands in for these.
	direct, calledBack := map[string]bool{}, map[string]bool{}
	rec.through = map[string]bool{}
	for _, f := range rec.header.Boundary.Out {
		of := f.Func[:max(strings.LastIndexByte(f.Func, '.'), 0)]
		if pkg, name, ok := strings.Cut(of, ".(*"); ok {
			of = "*" + pkg + "." + strings.TrimSuffix(name, ")")
		}
		rec.through[of+" "+f.Interface] = true
		its := !held[of] || types != nil && types.types[of] != nil
		if f.Callback {
			calledBack[f.Func] = true
			continue
		}
		direct[f.Func] = f.Interface == "" || its && !strings.HasPrefix(of, "*")
	}
	notes := rec.notes()
	for _, e := range rec.events {
		// What answers may be of the library's own code, and do more: what stands in for it does nothing.
		if p := e.parent; p != nil && p.goesOut() && e.Kind != "return" && !e.comesIn() {
			e.own = true
			continue
		}
		if calledBack[e.Func] && e.Out {
			e.On = riFunction
			continue
		}
		e.own = e.Out && e.Kind != "send" && (!given[e.On] || direct[e.Func])
		e.note = notes[e.Func] && e.Kind == "call" && !e.own
	}
}

// notes are the methods of logs: interfaces whose methods all give nothing, and take whatever they are given last.
func (rec *riRecording) notes() map[string]bool {
	others := map[string]bool{} // interfaces that are no logs
	for _, f := range rec.header.Boundary.Out {
		n := len(f.Params)
		if len(f.Results) > 0 || n == 0 || f.Params[n-1].Type != "[]interface {}" {
			others[f.Interface] = true
		}
	}
	out := map[string]bool{}
	for _, f := range rec.header.Boundary.Out {
		out[f.Func] = !others[f.Interface]
	}
	return out
}

// riMentions notes the numbers of receivers that a value has, or of channels, by the key that they stand under.
func riMentions(raw json.RawMessage, key string, into func(n int)) {
	for rest := string(raw); ; {
		_, after, ok := strings.Cut(rest, key)
		if !ok {
			return
		}
		n := 0
		for i := 0; i < len(after) && after[i] >= '0' && after[i] <= '9' && n < 1<<40; i++ {
			n = 10*n + int(after[i]-'0')
		}
		into(n)
		rest = after
	}
}

const riOn, riChan = `"$on":`, `"$chan":`

// lists are the events of each goroutine.
func (rec *riRecording) lists() map[uint64][]*riEvent {
	out := map[uint64][]*riEvent{}
	for _, e := range rec.events {
		out[e.Goroutine] = append(out[e.Goroutine], e)
	}
	return out
}
