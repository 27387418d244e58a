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
	mostRows    = 5_000    // of a question, and as many findings, remarks and targets that didn't answer
	mostBytes   = 8 << 20  // of their texts
	mostText    = 4 << 10  // of a cell
	mostList    = 20_000   // hosts, or targets
	mostListed  = 16 << 20 // bytes of those
	mostColumns = 64
	longest     = 2 * time.Minute
	patience    = 20 * time.Second // for a browser to take what it asked for
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
		got, err := s.lists.get(r.Context(), r.URL.Path+"?"+strings.Join(r.URL.Query()["where"], "\n"),
			func(ctx context.Context) (*rows.Result, error) { return list(s.Asker, ctx, r.URL.Query()["where"]) })
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
	columns := r.Columns[:min(len(r.Columns), mostColumns)]
	if n := len(r.Columns) - len(columns); n > 0 {
		t.Log = append(t.Log, fmt.Sprintf("%d more columns aren't shown", n))
	}
	for _, c := range columns {
		t.Columns = append(t.Columns, columnOf(c))
	}
	bytes := 0
	for _, row := range r.Rows[:min(len(r.Rows), mostList)] {
		line := make([]any, len(columns))
		for i, c := range columns {
			v, _ := row.Get(c.Name)
			line[i] = cell(c, v)
			bytes += len(fmt.Sprint(line[i]))
		}
		if bytes > mostListed { // the page says how many of all it has
			break
		}
		t.Rows = append(t.Rows, line)
	}
	return t
}

// lists are answers of a moment ago: many tabs ask for the same, again and again, and each time it is all hosts' rows
// that are read and believed.
type lists struct {
	mu  sync.Mutex
	all map[string]*listing
}

type listing struct {
	made chan struct{} // closed when it is there
	at   time.Time
	got  *rows.Result
	err  error
}

// fresh is for how long an answer is given again, mostLists of how many conditions.
const (
	fresh     = 2 * time.Second
	mostLists = 64
)

func (l *lists) get(ctx context.Context, key string, make_ func(context.Context) (*rows.Result, error)) (*rows.Result,
	error) {
	l.mu.Lock()
	one := l.all[key]
	if one == nil || !one.at.IsZero() && time.Since(one.at) > fresh {
		if l.all == nil || len(l.all) >= mostLists {
			l.all = map[string]*listing{}
		}
		one = &listing{made: make(chan struct{})}
		l.all[key] = one
		go func() { // for whoever waits, also if the first one left
			ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer stop()
			got, err := make_(ctx)
			l.mu.Lock()
			one.got, one.err, one.at = got, err, time.Now()
			l.mu.Unlock()
			close(one.made)
		}()
	}
	l.mu.Unlock()
	select {
	case <-one.made:
		return one.got, one.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func columnOf(c rows.Column) column {
	return column{c.Name, c.Help, slices.Contains([]rows.ColumnType{rows.ColumnInt, rows.ColumnDuration, rows.ColumnBytes,
		rows.ColumnFloat}, c.Type)}
}

// cell is a value as the page shows it: text that a browser obeys in nothing.
func cell(c rows.Column, v any) any {
	text := shown(c.Text(v, true))
	if key, ok := rows.SortKey(v); ok {
		return []any{text, key}
	}
	return text
}

// shown is a text as the page has it.
func shown(text string) string {
	if len(text) > mostText {
		text = strings.ToValidUTF8(text[:mostText], "") + "…"
	}
	return inert.Text(text)
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
	done, free := s.asking.begin(p)
	if !free {
		fail(w, http.StatusTooManyRequests, fmt.Sprintf("%d questions are asked already, or %d of yours; wait for one to end",
			mostQuestions, mostOfOne))
		return
	}
	defer done()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	out := &stream{w: w, columns: columns, cancel: cancel}
	w.Header().Set("Content-Type", "application/x-ndjson")
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // what is asked may take longer than a request
	var shape []column
	for _, c := range columns {
		shape = append(shape, columnOf(c))
	}
	defer out.end()
	out.line("columns", shape)
	asker := *s.Asker
	asker.Say = func(text string) { out.some("say", shown(text)) }
	where := "all targets"
	if len(from.Where) > 0 {
		where = "targets where " + strings.Join(from.Where, " && ")
	}
	s.Say(inert.Line(fmt.Sprintf("the page: %s asked %s of %s", p.Name, q.Text(), where)))
	report, err := asker.Ask(ctx, q, out.take)
	switch {
	case report == nil:
		out.line("error", inert.Text(err.Error()))
	default:
		end := map[string]any{"run": report.Run, "text": report.Text(), "totals": report.Totals()}
		if left := out.leftOut(); left > 0 {
			end["left"] = left
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
	lines int // findings, remarks and targets
	bytes int
	left  int // that weren't given
}

var errOver = errors.New("the question is over")

// end has nothing written any more: what the question left behind may have something to say.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errOver
}

func (s *stream) leftOut() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

// some writes one of many, if there is room.
func (s *stream) some(what string, v any) {
	s.mu.Lock()
	n := &s.lines
	if what == "row" {
		n = &s.rows
	}
	*n++
	full := *n > mostRows || s.bytes > mostBytes
	if full {
		s.left++
	}
	s.mu.Unlock()
	if !full {
		s.line(what, v)
	}
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
		s.line("target", map[string]any{"host": shown(o.Host), "target": shown(o.Target), "state": o.State,
			"why": shown(o.Why), "rows": o.Rows, "findings": o.Findings, "partial": o.Partial(),
			"stopped": rows.ShortDuration(o.Stopped)})
		return
	}
	if f, ok := row[0].Value.(rows.Row); ok && row[0].Name == fleet.FindingCell {
		s.some("finding", finding(o, f))
		return
	}
	var cells named
	for _, c := range o.Named(row) {
		of := rows.Column{Name: c.Name}
		if i := slices.IndexFunc(s.columns, func(has rows.Column) bool { return has.Name == c.Name }); i >= 0 {
			of = s.columns[i]
		}
		if len(cells) < mostColumns {
			cells = append(cells, [2]any{shown(c.Name), cell(of, c.Typed(s.columns).Value)})
		}
	}
	s.some("row", cells)
}

// named are names and what they have, in order.
type named [][2]any

// mostEvidence is how many texts of evidence a finding has.
const mostEvidence = 50

func finding(o *fleet.Outcome, f rows.Row) map[string]any {
	out := map[string]any{"host": shown(o.Host), "target": shown(o.Target)}
	for _, name := range []string{"severity", "what", "where", "next"} {
		v, _ := f.Get(name)
		text, _ := v.(string)
		out[name] = shown(text)
	}
	evidence := []string{}
	if v, ok := f.Get("evidence"); ok {
		list, _ := v.([]any)
		for _, e := range list[:min(len(list), mostEvidence)] {
			evidence = append(evidence, shown(rows.CellText(e)))
		}
		if n := len(list) - len(evidence); n > 0 {
			evidence = append(evidence, fmt.Sprintf("and %d more", n))
		}
	}
	out["evidence"] = evidence
	return out
}

// asking are the questions that go on.
type asking struct {
	mu  sync.Mutex
	all int
	of  map[string]int // by who asks
}

// begin has somebody ask, if there is room.
func (a *asking) begin(p *person) (done func(), free bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = map[string]int{}
	}
	if a.all >= mostQuestions || a.of[p.Name] >= mostOfOne {
		return nil, false
	}
	a.all++
	a.of[p.Name]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.all--
		if a.of[p.Name]--; a.of[p.Name] == 0 {
			delete(a.of, p.Name)
		}
	}, true
}
