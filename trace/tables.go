package trace

import (
	"ri/attach/recorded"
	"ri/instruments/rows"
	"ri/probe/kernel"
)

// tables reads what was counted of probes with Histogram, a table for each function.
func (p *Plan) tables(armed *kernel.Armed) (out []recorded.Table) {
	at := map[[2]any]int{}
	for i, o := range p.owners {
		if !o.wanted.Histogram {
			continue
		}
		key := [2]any{o.probe, o.function.Name}
		k, ok := at[key]
		if !ok {
			k = len(out)
			at[key], out = k, append(out, recorded.Table{Probe: o.probe, Func: o.function.Name})
		}
		t := &out[k]
		for _, r := range armed.Table(i) {
			t.Count += r.Count
			t.Total += r.Total
			for b, n := range r.Buckets {
				t.Buckets[b] += n
			}
		}
	}
	return out
}

// tableRow is a table: count, total, and two lists: below which times so many calls returned that no bucket before has.
func tableRow(w *Probe, t *recorded.Table) rows.Row {
	below, counts := []any{}, []any{}
	for i, n := range t.Buckets {
		if n > 0 {
			below, counts = append(below, int64(bucketEnd(i))), append(counts, int64(n))
		}
	}
	return rows.Of("probe", textOrNil(w.Name), "func", t.Func, "count", int64(t.Count), "total", t.Total, "below", below,
		"counts", counts)
}
