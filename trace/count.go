package trace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"sync"
	"time"

	"ri/instruments/rows"
	"ri/probe"
	"ri/probe/compile"
	"ri/probe/kernel"
	"ri/values"
)

// byFunction is what Request.By says of hits that are counted by function alone.
const byFunction = "func"

// CountColumns are those of the rows of counts.
func (p *Plan) CountColumns() []rows.Column { return countColumns(&p.request) }

func countColumns(r *Request) []rows.Column {
	all := []rows.Column{{Name: "count", Type: rows.ColumnInt}, {Name: "per_second", Type: rows.ColumnFloat}}
	if r.Histogram {
		for _, name := range []string{"mean", "p50", "p90", "p99", "max"} {
			all = append(all, rows.Column{Name: name, Type: rows.ColumnDuration})
		}
		all = append(all, rows.Column{Name: "buckets", Hidden: true})
	}
	for _, by := range r.By {
		if by != byFunction {
			all = append(all, rows.Column{Name: by, AsIs: true, Key: rows.KeyPart})
		}
	}
	return append(all, rows.Column{Name: "func", Cut: rows.CutPaths, Key: rows.KeyPart})
}

// Counting hears of a trace that only counts. Calls don't overlap.
type Counting interface {
	Armed(kernel.Forecast)
	Counted([]rows.Row) error // what was counted so far, every second and at the end
}

// Count arms the probes and has the kernel count, until the trace ends by its time, its budget, with ctx, or with the
// process.
func (p *Plan) Count(ctx context.Context, to Counting) (*Summary, error) {
	armed, out, err := p.arm(ctx)
	if err != nil {
		return nil, err
	}
	defer armed.Close()
	to.Armed(armed.Forecast())
	began := time.Now()
	ended := make(chan error, 1)
	var length time.Duration // of all of it, once it is over
	taken := &takenCounts{plan: p, lines: lines{histogram: p.request.Histogram}}
	go func() {
		for {
			ev, err := armed.Next(context.Background()) // Disarm ends it, once all that was taken is given
			if err != nil {
				ended <- err
				return
			}
			taken.add(&ev)
		}
	}()
	counts := func() []rows.Row {
		if p.byHits {
			return taken.rows(cmp.Or(length, time.Since(began)))
		}
		return p.counts(armed, cmp.Or(length, time.Since(began)))
	}
	timer := time.NewTimer(p.request.For)
	defer timer.Stop()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	over := false
	for out.Why == "" {
		select {
		case <-ticker.C:
			err = to.Counted(counts())
			if err != nil {
				out.Why = err.Error()
			}
		case <-timer.C:
			out.Why = fmt.Sprintf("%s are over (--for)", rows.DurationText(p.request.For))
		case <-ctx.Done():
			out.Why = "it was interrupted"
		case why := <-ended:
			over = true
			out.Why, err = countEnd(why)
		}
	}
	length = time.Since(began)
	if disarm := armed.Disarm(); err == nil {
		err = disarm
	}
	if !over { // all that was taken is counted, and nobody reads the ring any more when it is closed
		<-ended
	}
	last := counts()
	if counted := to.Counted(last); err == nil {
		err = counted
	}
	out.Counted = true
	out.close(p, armed)
	return out, err
}

// countEnd is why the kernel's side ended.
func countEnd(why error) (text string, err error) {
	var budget *kernel.ErrBudget
	switch {
	case errors.As(why, &budget):
		return why.Error(), rows.Partial(why)
	case errors.Is(why, kernel.ErrGone):
		return "the process has ended", nil
	case errors.Is(why, io.EOF), errors.Is(why, context.Canceled):
		return "it was interrupted", nil
	}
	return why.Error(), why
}

// counts are the rows of all tables, the most frequent first. Places of one function are added up.
func (p *Plan) counts(armed *kernel.Armed, length time.Duration) []rows.Row {
	lines := lines{histogram: p.request.Histogram}
	totals := armed.Counts()
	for i, o := range p.owners {
		table := armed.Table(i)
		if len(o.keys) == 0 && !p.request.Histogram {
			table = []kernel.Row{{Count: totals[i].Taken}}
		}
		for _, r := range table {
			var keys rows.Row
			for k, key := range o.keys {
				keys = append(keys, rows.Cell{Name: p.keyNames()[k], Value: keyCell(p.space, &key, r.Key[k], r.Texts[k],
					r.States[k])})
			}
			keys = append(keys, rows.Cell{Name: "func", Value: o.function.Name})
			l := lines.of(keys)
			l.Count += r.Count
			l.Total += r.Total
			for b, n := range r.Buckets {
				l.Buckets[b] += n
			}
		}
	}
	return lines.rows(length)
}

// keyCell is what a line was counted by; to programs a number or a whole text as such.
func keyCell(in *values.Space, key *compile.Key, word uint64, bytes []byte, state probe.State) any {
	text, err := key.Value(in, word, bytes, state)
	if err != nil {
		return rows.Missing(err.Error())
	}
	if key.Len != nil && state == probe.Captured {
		return rows.GoText{Text: text, Plain: string(bytes)}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return rows.GoText{Text: text, Plain: n}
	}
	return text
}

// line is what was counted under some keys.
type line struct {
	keys rows.Row
	kernel.Row
}

// lines are those of a table.
type lines struct {
	histogram bool
	all       []*line
	byKey     map[string]*line
}

// of is the line of keys.
func (t *lines) of(keys rows.Row) *line {
	name := fmt.Sprint(keys)
	l := t.byKey[name]
	if l == nil {
		if l = (&line{keys: keys}); t.byKey == nil {
			t.byKey = map[string]*line{}
		}
		t.byKey[name], t.all = l, append(t.all, l)
	}
	return l
}

// rows are the lines, the most frequent first.
func (t *lines) rows(length time.Duration) []rows.Row {
	slices.SortStableFunc(t.all, func(a, b *line) int { return cmp.Compare(b.Count, a.Count) })
	var out []rows.Row
	for _, l := range t.all {
		if l.Count == 0 {
			continue
		}
		row := rows.Of("count", int64(l.Count), "per_second", rounded(float64(l.Count)/max(length.Seconds(), 1e-3)))
		if t.histogram {
			row = append(row, latencies(&l.Row)...)
		}
		out = append(out, append(row, l.keys...))
	}
	return out
}

// rounded has three digits of a rate: it is of a time that ended somewhere.
func rounded(f float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 3, 64), 64)
	if err != nil {
		return f
	}
	return r
}

// takenCounts counts hits that were taken along.
type takenCounts struct {
	plan *Plan
	mu   sync.Mutex
	lines
}

// maxCounted bounds the lines of a table that is made of hits; what comes beyond is counted as one.
const maxCounted = 10_000

func (t *takenCounts) add(ev *probe.Event) {
	if ev.Probe < 0 || ev.Probe >= len(t.plan.owners) {
		return
	}
	o := t.plan.owners[ev.Probe]
	var keys rows.Row
	for _, v := range append(o.program.Entry(ev), o.program.Return(ev)...) {
		keys = append(keys, rows.Cell{Name: v.Name, Value: (&Hit{dump: o.program.Dump()}).Look(v)})
	}
	took := time.Duration(-1)
	if ev.Return != nil {
		took = ev.Return.Time - ev.Time
	}
	t.count(append(keys, rows.Cell{Name: "func", Value: o.function.Name}), took)
}

// count counts a hit under keys; took is -1 if it isn't known.
func (t *takenCounts) count(keys rows.Row, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) >= maxCounted && t.byKey[fmt.Sprint(keys)] == nil {
		keys = rows.Of("func", rows.Missing("others"))
	}
	l := t.of(keys)
	l.Count++
	if took >= 0 {
		took = max(took, 1)
		l.Total += took
		l.Buckets[bits.Len64(uint64(took))-1]++
	}
}

func (t *takenCounts) rows(length time.Duration) []rows.Row {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lines.rows(length)
}

// CountedHere tells whether hits are taken along and counted by ri, since the kernel can't count by what was asked for.
func (p *Plan) CountedHere() bool { return p.byHits }

// keyNames are what is counted by, without the function.
func (p *Plan) keyNames() []string { return keyNames(p.request.By) }

func keyNames(by []string) []string {
	return slices.DeleteFunc(slices.Clone(by), func(by string) bool { return by == byFunction })
}

// latencies are a histogram's mean and quantiles; a quantile is the end of the bucket that it lies in. They are of the
// calls that returned; nil where none has.
func latencies(r *kernel.Row) rows.Row {
	returned := uint64(0)
	for _, n := range r.Buckets {
		returned += n
	}
	if returned == 0 {
		return rows.Of("mean", nil, "p50", nil, "p90", nil, "p99", nil, "max", nil, "buckets", rows.Row{})
	}
	quantile := func(share float64) time.Duration {
		var sum uint64
		for i, n := range r.Buckets {
			if sum += n; n > 0 && float64(sum) >= share*float64(returned) {
				return bucketEnd(i)
			}
		}
		return 0
	}
	buckets := rows.Row{}
	for i, n := range r.Buckets {
		if n > 0 {
			buckets = append(buckets, rows.Cell{Name: "<" + bucketEnd(i).String(), Value: int64(n)})
		}
	}
	return rows.Of("mean", r.Total/time.Duration(returned), "p50", quantile(0.5), "p90", quantile(0.9),
		"p99", quantile(0.99), "max", quantile(1), "buckets", buckets)
}

func bucketEnd(i int) time.Duration { return 1 << min(i+1, 62) }

// counting makes a probe one that only counts.
func (p *Plan) counting(one *probe.Probe) {
	one.Count, one.Histogram = true, p.request.Histogram
	one.At.Reads, one.Back.Reads = nil, nil
}
