package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"ri/fleet"
	"ri/inert"
	"ri/instruments/rows"
)

// Limits of what a browser is given.
const (
	mostRows  = 5_000   // of a question
	mostBytes = 8 << 20 // of their texts
	mostText  = 4 << 10 // of a cell
	mostList  = 20_000  // hosts, or targets
	longest   = 2 * time.Minute
	patience  = 20 * time.Second // for a browser to take what it asked for
)

func (s *Server) me(w http.ResponseWriter, r *http.Request) {
	p, err := s.who(r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	var offered []Recipe
	if p.Asks {
		offered = s.Recipes
	}
	answer(w, http.StatusOK, map[string]any{"person": p, "recipes": offered})
}

// listed answers with hosts or targets, as a table.
func (s *Server) listed(list func(*fleet.Asker, context.Context, []string) (*rows.Result, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := s.who(r)
		switch {
		case err != nil:
			s.refuse(w, err)
			return
		case !p.Fleet:
			fail(w, http.StatusForbidden, "a tenant sees its requests, and no hosts")
			return
		}
		got, err := list(s.Asker, r.Context(), r.URL.Query()["where"])
		switch {
		case errors.Is(err, rows.ErrUsage):
			fail(w, http.StatusUnprocessableEntity, inert.Text(err.Error()))
			return
		case err != nil:
			s.refuse(w, err)
			return
		}
		answer(w, http.StatusOK, tableOf(got))
	}
}

// table is one for the page: a cell is its text, or [text, number] where it sorts as a number.
type table struct {
	Columns []column `json:"columns"`
	Rows    [][]any  `json:"rows"`
	Total   int      `json:"total"`
	Log     []string `json:"log,omitempty"`
}

type column struct {
	Name  string `json:"name"`
	Help  string `json:"help,omitempty"`
	Right bool   `json:"right,omitempty"`
}

func tableOf(r *rows.Result) table {
	t := table{Rows: [][]any{}, Total: len(r.Rows)}
	for _, line := range r.Log {
		t.Log = append(t.Log, inert.Text(line))
	}
	for _, c := range r.Columns {
		t.Columns = append(t.Columns, columnOf(c))
	}
	for _, row := range r.Rows[:min(len(r.Rows), mostList)] {
		line := make([]any, len(r.Columns))
		for i, c := range r.Columns {
			v, _ := row.Get(c.Name)
			line[i] = cell(c, v)
		}
		t.Rows = append(t.Rows, line)
	}
	return t
}

func columnOf(c rows.Column) column {
	return column{c.Name, c.Help, slices.Contains([]rows.ColumnType{rows.ColumnInt, rows.ColumnDuration, rows.ColumnBytes,
		rows.ColumnFloat}, c.Type)}
}

// cell is a value as the page shows it: text that a browser obeys in nothing.
func cell(c rows.Column, v any) any {
	text := c.Text(v, true)
	if len(text) > mostText {
		text = strings.ToValidUTF8(text[:mostText], "") + "…"
	}
	text = inert.Text(text)
	if key, ok := rows.SortKey(v); ok {
		return []any{text, key}
	}
	return text
}

// question is what a browser asks.
type question struct {
	Recipe string   `json:"recipe"` // "": check
	Params []string `json:"params"` // NAME=VALUE
	Where  []string `json:"where"`
}

// read makes it a question of the fleet. Recipes are those that the page offers: none is a file.
func (s *Server) read(from *question) (*fleet.Question, []rows.Column, error) {
	q := &fleet.Question{Command: []string{"check"}, Where: from.Where, Expire: longest, Folder: "/"}
	if from.Recipe == "" {
		if len(from.Params) > 0 {
			return nil, nil, errors.New("check has no parameters")
		}
		return q, nil, nil
	}
	i := slices.IndexFunc(s.Recipes, func(r Recipe) bool { return r.Name == from.Recipe })
	if i < 0 {
		return nil, nil, fmt.Errorf("there is no recipe %s that only reads", rows.QuoteName(from.Recipe))
	}
	for _, p := range from.Params {
		name, _, found := strings.Cut(p, "=")
		if !found || !slices.ContainsFunc(s.Recipes[i].Params, func(has Param) bool { return has.Name == name }) {
			return nil, nil, fmt.Errorf("%s: write PARAMETER=VALUE, of a parameter that %s has", rows.QuoteName(p),
				from.Recipe)
		}
	}
	q.Command, q.Args = []string{"run"}, append([]string{from.Recipe}, from.Params...)
	return q, s.Recipes[i].Shape, nil
}

// ask asks agents, and gives what they answer as it comes, an object a line: columns, row, finding, target (it has
// ended), say, and end or error at last.
func (s *Server) ask(w http.ResponseWriter, r *http.Request) {
	p, err := s.who(r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	if !p.Asks {
		fail(w, http.StatusForbidden, "this page asks no agents for you")
		return
	}
	var from question
	if err := body(r, &from); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	q, columns, err := s.read(&from)
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, inert.Text(err.Error()))
		return
	}
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	default:
		fail(w, http.StatusTooManyRequests, fmt.Sprintf("%d questions are asked already; wait for one to end", mostQuestions))
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	out := &stream{w: w, columns: columns, cancel: cancel}
	w.Header().Set("Content-Type", "application/x-ndjson")
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // what is asked may take longer than a request
	var shape []column
	for _, c := range columns {
		shape = append(shape, columnOf(c))
	}
	out.line("columns", shape)
	asker := *s.Asker
	asker.Say = func(text string) { out.line("say", inert.Text(text)) }
	s.Say(fmt.Sprintf("the page: %s asked %s of targets where %s", p.Name, q.Text(),
		inert.Line(strings.Join(from.Where, " && "))))
	report, err := asker.Ask(ctx, q, out.take)
	switch {
	case report == nil:
		out.line("error", inert.Text(err.Error()))
	default:
		end := map[string]any{"run": report.Run, "text": report.Text(), "totals": report.Totals()}
		if out.left > 0 {
			end["left"] = out.left
		}
		if err != nil {
			end["error"] = inert.Text(err.Error())
		}
		out.line("end", end)
	}
}

// stream is what a browser is given of a question.
type stream struct {
	columns []rows.Column
	cancel  context.CancelCauseFunc

	mu    sync.Mutex
	w     http.ResponseWriter
	err   error
	rows  int
	bytes int
	left  int // rows that weren't given
}

// line writes one object. Who doesn't take it has the question end.
func (s *stream) line(what string, v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	control := http.NewResponseController(s.w)
	text, err := json.Marshal(map[string]any{what: v})
	if err == nil {
		_ = control.SetWriteDeadline(time.Now().Add(patience))
		_, err = s.w.Write(append(text, '\n'))
	}
	if err == nil {
		err = control.Flush()
	}
	if err != nil {
		s.err = err
		s.cancel(fmt.Errorf("the browser took no more: %w", err))
	}
	s.bytes += len(text)
}

// take is told of one row after the other.
func (s *stream) take(o *fleet.Outcome, row rows.Row) {
	if row == nil {
		s.line("target", map[string]any{"host": inert.Text(o.Host), "target": inert.Text(o.Target), "state": o.State,
			"why": inert.Text(o.Why), "rows": o.Rows, "findings": o.Findings, "partial": o.Partial(),
			"stopped": rows.ShortDuration(o.Stopped)})
		return
	}
	if f, ok := row[0].Value.(rows.Row); ok && row[0].Name == fleet.FindingCell {
		s.line("finding", finding(o, f))
		return
	}
	s.rows++
	if s.rows > mostRows || s.bytes > mostBytes {
		s.left++
		return
	}
	cells := named{{"host", inert.Text(o.Host)}, {"target", inert.Text(o.Target)}}
	for _, c := range row {
		if c.Name == "host" || c.Name == "target" {
			c.Name = "its_" + c.Name
		}
		of := rows.Column{Name: c.Name}
		if i := slices.IndexFunc(s.columns, func(has rows.Column) bool { return has.Name == c.Name }); i >= 0 {
			of = s.columns[i]
		}
		cells = append(cells, [2]any{inert.Text(c.Name), cell(of, c.Typed(s.columns).Value)})
	}
	s.line("row", cells)
}

// named are names and what they have, in order.
type named [][2]any

func finding(o *fleet.Outcome, f rows.Row) map[string]any {
	out := map[string]any{"host": inert.Text(o.Host), "target": inert.Text(o.Target)}
	for _, name := range []string{"severity", "what", "where", "next"} {
		v, _ := f.Get(name)
		text, _ := v.(string)
		out[name] = inert.Text(text)
	}
	evidence := []string{}
	if v, ok := f.Get("evidence"); ok {
		list, _ := v.([]any)
		for _, e := range list {
			evidence = append(evidence, inert.Text(rows.CellText(e)))
		}
	}
	out["evidence"] = evidence
	return out
}
