package commands

import (
	"context"
	"strings"

	"ri/attach"
	"ri/instruments/host"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/values"
	"ri/values/eval"
)

// Print looks at the target and writes what a Go expression stands for.
func Print(ctx context.Context, out *rows.Output, expr string, depth int, how looks.Options,
	choice looks.TargetChoice) error {
	if depth < 1 {
		return rows.Usagef("--depth %d: must be 1 or more", depth)
	}
	s, plan, err := looks.Explore("print", how, choice)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.CheckExpr(ctx, expr); err != nil {
		return err
	}
	res, err := s.Look(ctx, plan, s.Collector(plan, out, nil), func(_ context.Context, look *looks.Look,
		sink rows.Sink) error {
		defer looks.CountValues(look)()
		v, err := eval.Expression(look.Space, expr)
		if err != nil {
			return err
		}
		// What lies beyond it may be broken, and is then said so in its place; the value itself has to be there.
		if _, err := look.Space.Slice(v.Addr, int(min(v.Type.Size, attach.PageSize))); err != nil {
			return host.AtPath(expr, err)
		}
		text := v.Dump(values.DumpOptions{Depth: depth})
		if out.Format == rows.Table {
			sink.Print(strings.ReplaceAll(text, "\t", "    "))
			return nil
		}
		return sink.Emit(rows.Of("expr", expr, "type", v.Type.Name, "addr", rows.AddressCell(v.Addr),
			"value", jsonOf(v, depth), "text", text))
	})
	if err != nil {
		return err
	}
	res.Columns = []rows.Column{{Name: "expr"}, {Name: "type"}, {Name: "addr"}, {Name: "value"}, {Name: "text"}}
	return out.Conclude(res)
}
