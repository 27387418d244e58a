package commands

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"ri/instruments/host"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/symbols"
	"ri/values"
	"ri/values/eval"
	"ri/values/heap"
)

// heapOf walks the heap of a look, or gives nil where the look has not all memory yet: then what it found is thrown
// away, and it is asked again.
func heapOf(ctx context.Context, look *looks.Look, sink rows.Sink) (*heap.Heap, error) {
	if !look.WantBulk() {
		return nil, nil
	}
	h, err := heap.Build(ctx, look.Space, sink.Progress)
	if err != nil {
		return nil, err
	}
	for _, p := range h.Problems() {
		sink.Log(p)
	}
	return h, nil
}

// findInHeap emits live objects of a type, with the ways that lead to them.
func findInHeap(ctx context.Context, look *looks.Look, sink rows.Sink, t *symbols.Type, most int) error {
	h, err := heapOf(ctx, look, sink)
	if h == nil {
		return err
	}
	if most == 0 {
		most = 1000
	}
	found := h.Instances(t.Name, most+1)
	for _, addr := range found[:min(len(found), most)] {
		where, goroutine := "", any(nil)
		if p, err := h.Path(addr); err == nil {
			where = p.Root // and the steps; the whole text may go on to the field at that address
			for _, step := range p.Steps {
				where += step.Text
			}
			if p.Goroutine != 0 {
				goroutine = p.Goroutine
			}
		}
		expr := fmt.Sprintf("(*%s)(%#x)", t.ShortName(), addr)
		text := look.Space.At(addr, t).Dump(values.DumpOptions{OneLine: true, Depth: 1, Elems: 8, Bytes: 64})
		if err := sink.Emit(rows.Of("expr", expr, "where", orNil(where), "goroutine", goroutine, "value", text)); err != nil {
			return err
		}
	}
	if len(found) > most {
		return host.NewLimitError(host.ErrRows, "there are more than %s: give it more (--max)",
			rows.Plural(int64(most), "object"))
	}
	return nil
}

// HeapPath writes how a root of the program leads to an object: what keeps it alive. The object is the one at an
// address, the one that a pointer points to, or the one that a variable or field lies in.
func HeapPath(ctx context.Context, out *rows.Output, what string, how looks.Options, choice looks.TargetChoice) error {
	s, plan, err := looks.Explore("path", how, choice)
	if err != nil {
		return err
	}
	defer s.Close()
	addr, numberErr := strconv.ParseUint(strings.TrimPrefix(what, "0x"),
		map[bool]int{true: 16, false: 10}[strings.HasPrefix(what, "0x")], 64)
	if numberErr != nil {
		if err := s.CheckExpr(ctx, what); err != nil {
			return err
		}
	}
	res, err := s.Look(ctx, plan, s.Collector(plan, out, nil), func(ctx context.Context, look *looks.Look,
		sink rows.Sink) error {
		defer looks.CountValues(look)()
		at := addr
		if numberErr != nil {
			v, err := eval.Expression(look.Space, what)
			if err != nil {
				return err
			}
			at = v.Addr
			if inner, err := v.Elem(); err == nil {
				at = inner.Addr
			}
		}
		h, err := heapOf(ctx, look, sink)
		if h == nil {
			return err
		}
		p, err := h.Path(at)
		if err != nil {
			return err
		}
		if err := sink.Emit(rows.Of("step", p.Root, "type", nil, "size", nil, "addr", nil)); err != nil {
			return err
		}
		for _, step := range p.Steps {
			var size any
			if o, ok := h.Object(step.Addr); ok {
				size = int64(o.Size)
			}
			if err := sink.Emit(rows.Of("step", step.Text, "type", step.Type, "size", size,
				"addr", rows.AddressCell(step.Addr))); err != nil {
				return err
			}
		}
		sink.Print(p.Text)
		return nil
	})
	if err != nil {
		return err
	}
	res.Columns = []rows.Column{{Name: "step"}, {Name: "type", Cut: rows.CutPaths},
		{Name: "size", Type: rows.ColumnBytes}, {Name: "addr", Whole: true}}
	return out.Conclude(res)
}
