//go:build linux

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// loop walks a list in Starlark.
func loop(variable, next string, n int) string {
	return fmt.Sprintf(`
def main():
    node = eval(None, "%s").Variable.Value
    for i in range(%d):
        node = node.%s
        if not node:
            break
`, variable, n, next)
}

// rate of dlv: elements a second in the longer of two scripts less the shorter. The shorter one's time is mostly that
// of the attach. The best of three is taken, which is the least that can be said against dlv.
func (b *bench) rate(ctx context.Context, few, many int, run func(n int) (*outcome, error)) (float64, error) {
	best := func(n int) (time.Duration, error) {
		least := most
		for range 3 {
			o, err := run(n)
			if err != nil {
				return 0, err
			}
			least = min(least, o.took)
		}
		return least, ctx.Err()
	}
	short, err := best(few)
	if err != nil {
		return 0, err
	}
	long, err := best(many)
	if err != nil {
		return 0, err
	}
	if long <= short {
		return 0, fmt.Errorf("%d elements took dlv %v, and %d took %v", few, short, many, long)
	}
	return float64(many-few) / (long - short).Seconds(), nil
}

func list(ctx context.Context, b *bench) ([]row, error) {
	const n = 1_000_000
	p, err := b.startTarget("-list", strconv.Itoa(n))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	plain := row{name: "list of 1 M nodes: plain Lua loop", unit: perSecond, must: 1.5e6, aim: 2e6,
		note: "dlv: Starlark, 1,500 nodes; the longer of two runs less the shorter."}
	iterator := row{name: "list of 1 M nodes: ri.linked", unit: perSecond, must: 4e6, aim: 8e6,
		note: "dlv: an expression with 10,000 times .next."}
	reduction := row{name: "list of 1 M nodes: ri.sum, in Go", unit: perSecond, must: 30e6, aim: 100e6}
	hard := row{name: "the same, shuffled: ri.linked", unit: perSecond,
		note: "nodes follow each other in random order over 32 MB, so that each one costs a miss of the processor's " +
			"cache."}
	hardest := row{name: "the same, shuffled: ri.sum", unit: perSecond}
	scripts := []struct {
		row    *row
		source string
	}{
		{&plain, `local n = ri.var'main.first'
while n do count = count + 1; n = n.next end`},
		{&iterator, `for _ in ri.linked(ri.var'main.first', 'next') do count = count + 1 end`},
		{&hard, `for _ in ri.linked(ri.var'main.shuffled', 'next') do count = count + 1 end`},
		{&hardest, `if not ri.sum then print 'not yet' return end
local sum, n = ri.sum(ri.linked(ri.var'main.shuffled', 'next'), 'value')
count = n`},
		{&reduction, `if not ri.sum then print 'not yet' return end
local sum, n = ri.sum(ri.linked(ri.var'main.first', 'next'), 'value')
count = n`},
	}
	chain := func(n int) string { return "main.short" + strings.Repeat(".next", n) + ".value" }
	err = b.side(ctx, func() error {
		rate, err := b.rate(ctx, 100, 1500, func(n int) (*outcome, error) {
			return b.runStarlark(ctx, p.pid, loop("main.short", "next", n))
		})
		if err != nil {
			return err
		}
		plain.dlv.add(rate)
		rate, err = b.rate(ctx, 1, 10000,
			func(n int) (*outcome, error) { return b.runDlv(ctx, p.pid, "", "print "+chain(n)) })
		if err != nil {
			return err
		}
		iterator.dlv.add(rate)
		reduction.dlv.add(rate)
		return nil
	}, func() error {
		for i, s := range scripts {
			if err := b.walkRate(ctx, p, s.row, n, fmt.Sprintf("list%d.lua", i), s.source); err != nil {
				return err
			}
		}
		return nil
	})
	return []row{plain, iterator, reduction, hard, hardest}, err
}

// walkRate runs a walk that counts what it meets in `count`, and notes how many a second. The script looks at the clock
// itself, in the run that gives the result. That is the one on the snapshot, and it touches everything for the first
// time.
func (b *bench) walkRate(ctx context.Context, p *process, r *row, n int, name, source string) error {
	script := b.script(name, "local began, count = os.clock(), 0\n"+source+"\nprint(count, (os.clock() - began) * "+
		"1e9)\n")
	o, err := b.runRi(ctx, "", "exec", script, "-p", strconv.Itoa(p.pid), "--max-stop", "5s", "--max-time", "120s")
	if err != nil {
		return err
	}
	if strings.HasPrefix(o.stdout, "not yet") {
		r.note = "this ri can't do it yet."
		return nil
	}
	var count int
	var ns float64
	if _, err := fmt.Sscan(o.stdout, &count, &ns); err != nil || count != n {
		return fmt.Errorf("ri found %q (%v), not %d elements", o.stdout, err, n)
	}
	r.ri.add(float64(n) / ns * 1e9)
	r.whole.addTime(o.took)
	return nil
}

func stringMap(ctx context.Context, b *bench) ([]row, error) {
	const n = 1_000_000
	p, err := b.startTarget("-map", strconv.Itoa(n))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	r := row{name: "map of 1 M string keys, values followed, from Lua", unit: perSecond, must: 1e6, aim: 2e6,
		note: "dlv: `print` of a map of 20,000 keys, values loaded; less a run that prints one number."}
	err = b.side(ctx, func() error {
		o, err := b.runDlv(ctx, p.pid, "", "print main.answer")
		if err != nil {
			return err
		}
		short := o.took
		if o, err = b.runDlv(ctx, p.pid, "", "config max-array-values 1000000\nprint main.shortmap"); err != nil {
			return err
		}
		if lines := strings.Count(o.stdout, "count:"); lines < 1000 {
			return fmt.Errorf("dlv printed %d entries", lines)
		}
		r.dlv.add(shortLength / (o.took - short).Seconds())
		return nil
	}, func() error {
		return b.walkRate(ctx, p, &r, n, "map.lua", `local sum = 0
for k, v in ri.pairs(ri.var'main.table') do count = count + 1; sum = sum + v.count end`)
	})
	return []row{r}, err
}

// shortLength is how long bench/target's main.short and main.shortmap are.
const shortLength = 20_000
