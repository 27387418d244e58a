package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"ri/attach"
	"ri/inert"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/values"
)

// TopOptions say how Top shows what it sees.
type TopOptions struct {
	Interval time.Duration
	Count    int // of refreshes; 0: until it is interrupted
	Depth    int
}

// topRow is a part of the value and how fast it changes.
type topRow struct {
	path, text string
	element    string // of a list or map, that it is a part of
	numeric    bool
	plain      any // as JSON has it
	rate       float64
	rated      bool
	changed    bool
}

// Top looks at an expression again and again. On a terminal the table is refreshed in place, what changes fastest
// first; elsewhere each refresh is a line, or as JSON a row.
func Top(ctx context.Context, out *rows.Output, expr string, opt TopOptions, how looks.Options,
	choice looks.TargetChoice) (err error) {
	if err := opt.check(out, choice); err != nil {
		return err
	}
	s, plan, err := looks.Explore("top", how, choice)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.CheckExpr(ctx, expr); err != nil {
		return err
	}
	t := &topScreen{screen: screen{out: out}, expr: expr}
	defer t.leave()
	ctx, end := t.quits(ctx)
	defer end()
	var total *rows.Result
	defer func() {
		if errors.Is(context.Cause(ctx), errQuit) && total != nil {
			err = t.conclude(total)
		}
	}()
	leafOptions := values.LeafOptions{Depth: opt.Depth, Elems: maxTopElements}
	var before []values.Leaf // nil: this is the first look
	var last time.Time
	next := time.Now()
	failed := 0
	for n := 0; opt.Count == 0 || n < opt.Count; n++ {
		if n > 0 {
			if next, err = waitUntil(ctx, next.Add(opt.Interval)); err != nil {
				return err
			}
		}
		leaves, truncated, res, err := leavesOf(ctx, s, plan, out, expr, leafOptions)
		if why := missed(err, res); why != "" && n > 0 && failed < maxMissed && context.Cause(ctx) == nil {
			failed++
			n-- // it doesn't count
			if !t.on && !out.Quiet {
				out.Log("a look was missed: " + why)
			}
			continue
		}
		failed = 0
		if err != nil {
			return err
		}
		if res.Err != nil || len(res.Partial) > 0 {
			t.leave()
			return out.Conclude(res)
		}
		now := time.Now()
		if total != nil {
			res.Stats.Add(total.Stats)
			res.ValuesRead += total.ValuesRead
		}
		total = res
		rows := topRows(before, leaves, now.Sub(last))
		before, last = leaves, now
		if err := t.show(rows, res, n == 0, truncated, now); err != nil {
			return err
		}
	}
	return t.conclude(total)
}

// conclude gives what all looks cost together, and as JSON their rows.
func (t *topScreen) conclude(total *rows.Result) error {
	t.leave()
	if t.out.Format == rows.JSON {
		total.Rows = t.rows
		return t.out.Conclude(total)
	}
	if !t.out.Quiet {
		t.out.Log(total.Cost())
	}
	return t.out.Commit()
}

// waitUntil waits for the time of a refresh, and gives it: now, if it is over already.
func waitUntil(ctx context.Context, next time.Time) (time.Time, error) {
	wait := time.Until(next)
	if wait <= 0 {
		return time.Now(), nil
	}
	return next, looks.Sleep(ctx, wait)
}

// check is what can be wrong without looking.
func (opt TopOptions) check(out *rows.Output, choice looks.TargetChoice) error {
	switch {
	case opt.Depth < 1:
		return rows.Usagef("--depth %d: must be 1 or more", opt.Depth)
	case opt.Interval < 10*time.Millisecond:
		return rows.Usagef("--interval %s: must be 10ms or more", opt.Interval)
	case opt.Count < 0:
		return rows.Usagef("-n %d: must not be negative", opt.Count)
	case choice.PID == "" && choice.Given():
		return rows.Usagef("%s doesn't change: ri print shows what is in it", choice.Still())
	case out.Format == rows.JSON && opt.Count == 0:
		return rows.Usagef("--json is one document, which needs an end: say how many refreshes (-n 10), or --ndjson")
	case out.Temp != nil && opt.Count == 0:
		return rows.Usagef("-o FILE appears when all is done: say how many refreshes (-n 10)")
	}
	return nil
}

// maxMissed is how many looks one after the other may fail before Top gives up.
const maxMissed = 5

// missed says why a look took too long for its stop, which the next one need not: a busy machine, a held lock. "" is
// for all else.
func missed(err error, res *rows.Result) string {
	switch {
	case err != nil && (errors.Is(err, attach.ErrDeadline) || errors.Is(err, attach.ErrTraced)):
		return err.Error()
	case err == nil && res.Err == nil && len(res.Partial) > 0:
		return res.Partial[0]
	}
	return ""
}

// topRows are numbers, first those that change, the fastest first; then what else changed; then the rest as it stands
// in the value.
func topRows(before, leaves []values.Leaf, took time.Duration) []topRow {
	var list []topRow
	for _, p := range rows.Compare(before, leaves, leafKey) {
		l, old := p.After, p.Before
		if l == nil { // there no more
			continue
		}
		r := topRow{path: l.Path, text: l.Text, plain: l.Text, element: l.Element, numeric: l.Numeric}
		if l.Numeric {
			r.plain = plainNumber(*l)
		}
		r.changed = before != nil && (old == nil || old.Text != l.Text)
		if old != nil && old.Numeric && l.Numeric {
			r.rate, r.rated = rateOf(*old, *l, took), true
		}
		list = append(list, r)
	}
	slices.SortStableFunc(list, func(a, b topRow) int {
		if c := cmp.Compare(math.Abs(b.rate), math.Abs(a.rate)); c != 0 {
			return c
		}
		if a.changed != b.changed {
			if a.changed {
				return -1
			}
			return 1
		}
		return 0
	})
	return list
}

// topScreen is where refreshes go.
type topScreen struct {
	screen
	expr string
	rows []rows.Row // of JSON

	moved []string // parts of elements that have changed, those first that did first
}

// show shows one refresh.
func (t *topScreen) show(list []topRow, res *rows.Result, first, truncated bool, now time.Time) error {
	if t.out.Format != rows.Table {
		var parts rows.Row
		for _, r := range list {
			cell := rows.Of("value", r.plain)
			if r.rated {
				cell = append(cell, rows.Cell{Name: "rate", Value: r.rate})
			}
			parts = append(parts, rows.Cell{Name: r.path, Value: cell})
		}
		row := rows.Of("time", now, "values", parts, "truncated", truncated)
		if t.out.Format == rows.JSON {
			t.rows = append(t.rows, row)
			return nil
		}
		return t.out.WriteRows(nil, []rows.Row{row})
	}
	style, height, ok := t.room()
	if !ok {
		return t.out.WriteText(topLine(list, first, now))
	}
	room := height - 4
	what, body := "", ""
	if elements := elementsOf(t.expr, list); elements != nil {
		what, body = t.elementTable(elements, room, style)
		if len(elements) == maxTopElements && truncated {
			what, truncated = strings.Replace(what, " of ", " of the first ", 1), false
		}
	} else {
		what, body = t.partTable(list, room, style)
	}
	if truncated {
		what += " (cut: give a part of it, or a smaller --depth)"
	}
	head := fmt.Sprintf("%s  %s  %s  %s", now.Format("15:04:05"), t.expr, what, res.Cost())
	return t.draw(head, body, style)
}

// partTable is a table with a row for each part of the value.
func (t *topScreen) partTable(list []topRow, room int, style rows.TableStyle) (what, body string) {
	shown := min(len(list), room)
	var table []rows.Row
	for _, r := range list[:shown] {
		var rate any
		if r.rated && r.rate != 0 {
			rate = r.rate
		}
		path, ok := strings.CutPrefix(r.path, t.expr)
		if !ok || path == "" {
			path = r.path
		}
		table = append(table, rows.Of("name", path, "value", cutLine(r.text, max(style.Width/2-10, 20)), "rate", rate))
	}
	var b strings.Builder
	_, _ = rows.WriteTable(&b, []rows.Column{{Name: "name", Cut: "left"}, {Name: "value", Align: "right"},
		{Name: "rate", Type: rows.ColumnFloat}}, table, style)
	return fmt.Sprintf("%s of %s", rows.Plural(int64(shown), "value"), rows.Thousands(int64(len(list)))),
		strings.ReplaceAll(b.String(), "RATE", "  /s")
}

// topLine is a refresh as a line: what changed since the one before; the first has all.
func topLine(rows []topRow, first bool, now time.Time) string {
	parts := []string{now.Format("15:04:05.000")}
	for _, r := range rows {
		if !first && !r.changed {
			continue
		}
		part := r.path + "=" + r.text
		if r.rated && r.rate != 0 {
			part += fmt.Sprintf(" (%s/s)", signed(r.rate))
		}
		parts = append(parts, inert.Cell(part))
	}
	if len(parts) == 1 {
		parts = append(parts, "no change")
	}
	return strings.Join(parts, "  ") + "\n"
}

func signed(f float64) string {
	if f > 0 {
		return "+" + rows.FloatText(f)
	}
	return rows.FloatText(f)
}

// cutLine cuts text to a terminal's width.
func cutLine(s string, width int) string {
	if r := []rune(s); len(r) > width && width > 1 {
		return string(r[:width-1]) + "…"
	}
	return s
}

// plainNumber is a leaf's number with all its digits, if JSON is to have it.
func plainNumber(l values.Leaf) any {
	if n, err := strconv.ParseInt(l.Text, 10, 64); err == nil {
		return n
	}
	if n, err := strconv.ParseUint(l.Text, 10, 64); err == nil {
		return n
	}
	return l.Number
}
