package commands

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/values"
	"ri/values/eval"
)

// leavesOf looks once and gives what an expression's value consists of. res is set where there is nothing to go on
// with.
func leavesOf(ctx context.Context, s *looks.Session, plan *looks.Plan, to rows.Listener, expr string,
	opt values.LeafOptions) (leaves []values.Leaf, truncated bool, res *rows.Result, err error) {
	res, err = s.Look(ctx, plan, s.Collector(plan, to, nil), func(_ context.Context, look *looks.Look, _ rows.Sink) error {
		defer looks.CountValues(look)()
		v, err := eval.Expression(look.Space, expr)
		if err != nil {
			return err
		}
		leaves, truncated = v.Leaves(expr, opt)
		return nil
	})
	return leaves, truncated, res, err
}

// maxLeaves bounds what Diff compares.
const maxLeaves = 200_000

// Diff looks at an expression twice and writes what changed.
func Diff(ctx context.Context, out *rows.Output, expr string, interval time.Duration, depth int, how looks.Options,
	choice looks.TargetChoice) error {
	switch {
	case depth < 1:
		return rows.Usagef("--depth %d: must be 1 or more", depth)
	case interval <= 0:
		return rows.Usagef("--interval %s: must be more than 0", interval)
	case choice.PID == "" && choice.Given():
		return rows.Usagef("%s doesn't change: ri diff compares two looks at a process (-p PID)", choice.Still())
	}
	s, plan, err := looks.Explore("diff", how, choice)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.CheckExpr(ctx, expr); err != nil {
		return err
	}
	opt := values.LeafOptions{Depth: depth, Elems: maxLeaves, Limit: maxLeaves}
	before, cut, res, err := leavesOf(ctx, s, plan, out, expr, opt)
	if err != nil {
		return err
	}
	if res.Err != nil || len(res.Partial) > 0 {
		return out.Conclude(res)
	}
	began := time.Now()
	if err := looks.Sleep(ctx, interval); err != nil {
		return err
	}
	after, cutToo, second, err := leavesOf(ctx, s, plan, out, expr, opt)
	if err != nil {
		return err
	}
	second.Stats.Add(res.Stats)
	second.ValuesRead += res.ValuesRead
	return concludeDiff(out, second, before, after, cut || cutToo, time.Since(began))
}

// concludeDiff writes what changed between two looks at an expression; second is what the second one cost.
func concludeDiff(out *rows.Output, second *rows.Result, before, after []values.Leaf, cut bool,
	took time.Duration) error {
	second.Columns = []rows.Column{{Name: "path", Key: rows.KeyPart}, {Name: "before"}, {Name: "after"},
		{Name: "rate", Type: rows.ColumnFloat, Help: "per second"}}
	second.Rows = changes(before, after, took)
	if cut {
		second.Partial = append(second.Partial, fmt.Sprintf("more than %s: compare a part of it, or give a smaller --depth",
			rows.Plural(maxLeaves, "value")))
	}
	if len(second.Rows) == 0 && second.Err == nil {
		sayEmpty(out, second, fmt.Sprintf("nothing of %s changed in %s", rows.Plural(int64(len(after)), "value"),
			rows.DurationText(took.Round(time.Millisecond))))
	}
	return out.Conclude(second)
}

// changes compares two looks: what changed, in the order of the second one, then what is there no more.
func changes(before, after []values.Leaf, took time.Duration) (list []rows.Row) {
	for _, p := range rows.Compare(before, after, leafKey) {
		switch {
		case p.Before == nil:
			list = append(list, rows.Of("path", p.After.Path, "before", nil, "after", p.After.Text, "rate", nil))
		case p.After == nil:
			list = append(list, rows.Of("path", p.Before.Path, "before", p.Before.Text, "after", nil, "rate", nil))
		case p.Before.Text != p.After.Text:
			var rate any
			if p.Before.Numeric && p.After.Numeric {
				rate = rateOf(*p.Before, *p.After, took)
			}
			list = append(list, rows.Of("path", p.After.Path, "before", p.Before.Text, "after", p.After.Text, "rate", rate))
		}
	}
	return list
}

// leafKey names a part of a value. The same path may occur twice: a pointer, and what it points to.
func leafKey(l values.Leaf) string { return l.Path }

// rateOf is how fast a number changed, a second, with as many digits as such a measure has.
func rateOf(before, after values.Leaf, took time.Duration) float64 {
	rate := (after.Number - before.Number) / took.Seconds()
	if rate == 0 || math.IsInf(rate, 0) || math.IsNaN(rate) {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(rate)))-2)
	if unit >= 1 {
		return math.Round(rate)
	}
	rate, _ = strconv.ParseFloat(strconv.FormatFloat(rate, 'g', 3, 64), 64)
	return rate
}
