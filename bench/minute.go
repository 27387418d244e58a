//go:build linux

package main

import (
	"context"
	"fmt"
)

// minuteOfHits is what a program loses in a minute whose function is called a million times a second, under the budget
// that a trace has by itself. CPU is lost by those thousands of calls that cost more than the median one, of which
// there are some with nobody looking, too.
func minuteOfHits(ctx context.Context, b *bench) ([]row, error) {
	p, err := b.startTarget()
	if err != nil {
		return nil, err
	}
	defer p.kill()
	const length, quiet = 60, 20
	got, err := p.ask(fmt.Sprintf("paced %d", quiet))
	if err != nil {
		return nil, err
	}
	idle := float64(got[0]) / 1e9 * length / quiet
	var out []row
	for _, t := range []struct {
		name string
		when []string
	}{
		{"a minute of a million calls a second, --windows: CPU lost", nil},
		{"the same, with a condition that 1 of 10 meets", []string{"--when", "id == 3"}},
	} {
		r := row{name: t.name, must: 600 * millisecond}
		args := append([]string{"main.framed", "--windows", "--limit", "1000000000", "--for", "10m", "--ndjson"}, t.when...)
		o, err := b.traceWhile(ctx, p, func() (err error) {
			got, err = p.ask(fmt.Sprintf("paced %d", length))
			return err
		}, args...)
		if err != nil {
			return nil, err
		}
		r.ri.add(float64(got[0])/1e9 - idle)
		r.idle.add(idle)
		r.note = fmt.Sprintf("%d calls; %s.", got[1], lastLine(o.stderr))
		out = append(out, r)
	}
	return out, nil
}
