package flow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"ri/serve/client"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/serve/request"
)

// Arm is what a tracer is to do in one process: a flow is opened at each hit of Functions of which all of When holds,
// and what of Steps its goroutines pass is told until the function returns.
type Arm struct {
	Trace, Tenant string
	PID           int
	Start         uint64 // of the process, in ticks
	Functions     []string
	When          []string
	Show          []string
	Steps         []string
	Limit         int // flows
	For           time.Duration
	Budget        float64 // cores
	Trial         bool    // nothing is armed: an error says what doesn't fit
}

// Kinds of rows.
const (
	whatEnter = "enter"
	whatStep  = "step"
	whatGo    = "go"
	whatLeave = "leave"
	whatEnd   = "end" // a goroutine of it ended; Ended: and with it the flow, without a return
	// whatHit is enter and leave at once, of a tracer that follows nothing.
	whatHit = "hit"
	// whatAmbiguous is none of a tracer's: what was logged of the hop may be of another flow.
	whatAmbiguous = "ambiguous"
	// WhatArmed comes first: the probes are there.
	WhatArmed = "armed"
)

// Row is what a tracer tells.
type Row struct {
	Flow      int64 // in this process
	What      string
	Time      string
	Nanotime  int64
	Goroutine int64
	Started   int64 // the goroutine that was started
	Func      string
	Duration  int64 // nanoseconds
	Ended     bool
	// Undecided: nobody knows whether it was wanted.
	Undecided bool
	Values    map[string]any // with json.Number
}

// Tracer traces a process until the context or something else ends it, and gives what did; an error is why it could not
// be.
type Tracer func(ctx context.Context, a Arm, each func(Row) error) (why string, err error)

// What ended a tracer.
const (
	endBudget = "budget"
	endLimit  = "limit"
)

// ParseRow reads a row of ri trace --ndjson; of what it shows, the expressions that are asked for. Rows of which the
// tracer tells no kind are flows of their own.
func ParseRow(line []byte, show []string) (Row, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var cells map[string]any
	if err := d.Decode(&cells); err != nil {
		return Row{}, fmt.Errorf("a tracer's row: %w", err)
	}
	number := func(name string) int64 {
		n, _ := cells[name].(json.Number)
		i, _ := strconv.ParseInt(n.String(), 10, 64)
		return i
	}
	text := func(name string) string {
		s, _ := cells[name].(string)
		return s
	}
	r := Row{Flow: number("flow"), What: text("what"), Time: text("time"), Nanotime: number("nanotime"),
		Goroutine: number("goroutine"), Started: number("started"), Func: text("func"), Duration: number("duration"),
		Values: map[string]any{}}
	if _, told := cells["$summary"]; told {
		return Row{}, errNoRow
	}
	r.Undecided, r.Ended = cells["undecided"] != nil, cells["ended"] != nil
	switch r.What {
	case whatEnter, whatStep, whatGo, whatLeave, whatEnd, "":
	default:
		return Row{}, fmt.Errorf("a tracer's row: no kind %q", r.What)
	}
	if r.What == "" && r.Goroutine == 0 && r.Time == "" {
		return Row{}, errNoRow
	}
	for _, name := range show {
		if v := cells[name]; v != nil { // nil: there is none at this function
			r.Values[name] = v
		}
	}
	return r, nil
}

// errNoRow: a line that is no row of a flow, as the summary at the end.
var errNoRow = errors.New("no row")

// ByAgent traces by requests at an agent of ri: each is a process of its own, which dies with the agent, and is written
// down in requests.log.
func ByAgent(connect func(pki.Holder) (net.Conn, error), version string, say func(string)) Tracer {
	steps := request.Known("trace", "steps")
	return func(ctx context.Context, a Arm, each func(Row) error) (string, error) {
		conn, err := connect(pki.Holder{Name: "the flows of " + a.Tenant, Kind: request.Author.String()})
		if err != nil {
			return "", err
		}
		c, err := client.Over(ctx, conn, method.Inside, client.Options{Version: version, Say: say})
		if err != nil {
			return "", err
		}
		defer c.Close()
		ctx, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		local := int64(0)
		out := &lines{each: func(line []byte) error {
			r, err := ParseRow(line, a.Show)
			if errors.Is(err, errNoRow) {
				return nil
			}
			if err == nil && r.What == "" {
				local++
				r.Flow, r.What = local, whatHit
			}
			if err == nil {
				err = each(r)
			}
			if err != nil {
				stop(err)
			}
			return err
		}}
		said := &lastText{}
		heard := &lines{each: func(line []byte) error {
			_, _ = said.Write(append(line, '\n'))
			if bytes.HasPrefix(line, []byte("armed: ")) {
				return each(Row{What: WhatArmed})
			}
			return nil
		}}
		ending, err := c.DoAs(ctx, a.request(steps), out, heard)
		_, _ = said.Write(heard.rest)
		switch {
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case err != nil:
			return "", err
		}
		return ended(ending, said.text)
	}
}

// request is what an agent is asked to do.
func (a Arm) request(steps bool) *request.Request {
	r := &request.Request{Command: []string{"trace"}, Args: a.Functions, Folder: "/", Began: a.Start}
	flag := func(name, value string) { r.Flags = append(r.Flags, request.Flag{Name: name, Value: value}) }
	flag("pid", strconv.Itoa(a.PID))
	flag("ndjson", "true")
	for _, expr := range a.When {
		flag("when", expr)
	}
	for _, expr := range a.Show {
		flag("show", expr)
	}
	if steps {
		list := a.Steps
		if len(list) == 0 { // a flow is what enters and leaves
			list = a.Functions
		}
		flag("steps", strings.Join(list, ","))
	}
	if a.Trial {
		flag("places", "true")
		return r
	}
	flag("limit", strconv.Itoa(a.Limit))
	flag("for", max(a.For.Round(time.Millisecond), time.Millisecond).String())
	flag("budget", strconv.FormatFloat(100*a.Budget, 'f', -1, 64)+"%")
	return r
}

// ended says why a tracer ended, by what it exited with and its last words.
func ended(ending *request.Ending, said string) (string, error) {
	switch {
	case ending.Code == 0:
		return endLimit, nil
	case ending.Code == 5 && strings.Contains(said, "budget"):
		return endBudget, nil
	case strings.Contains(said, "budget"): // it would cost more than it may, and was not armed
		return "", errBudget
	case ending.Why != "":
		return "", errors.New(ending.Why)
	}
	line, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(said), "ri: "), "\n")
	if line == "" {
		line = fmt.Sprintf("the tracer ended with code %d", ending.Code)
	}
	if ending.Code == 2 { // it is no request of this program
		return "", &unfit{line}
	}
	return "", errors.New(line)
}

// errShare: what a request could be given is given to others.
var errShare = errors.New("other requests have the tenant's share of the budget, or all of it, until one of them ends")

// errBudget says no numbers: they would tell a tenant of others' flows.
var errBudget = errors.New("its hits would cost more than the tenant's share of the budget")

// lines gives what is written to it, a line at a time.
type lines struct {
	each   func([]byte) error
	rest   []byte
	failed error
}

// mostLine is the longest row of a tracer.
const mostLine = 1 << 20

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for l.failed == nil {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			break
		}
		if line := bytes.TrimSpace(l.rest[:i]); len(line) > 0 {
			l.failed = l.each(line)
		}
		l.rest = l.rest[i+1:]
	}
	if len(l.rest) > mostLine && l.failed == nil {
		l.failed = io.ErrShortBuffer
	}
	return len(p), l.failed
}

// lastText keeps the end of what was said.
type lastText struct{ text string }

// Write implements io.Writer.
func (l *lastText) Write(p []byte) (int, error) {
	l.text += string(p)
	if n := len(l.text) - 8<<10; n > 0 {
		l.text = l.text[n:]
	}
	return len(p), nil
}
