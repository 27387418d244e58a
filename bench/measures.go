//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// measure takes one or several rows of the table.
type measure struct {
	name string
	take func(context.Context, *bench) ([]row, error)
}

// In the order of the table.
var measures = []measure{
	{"140 MB executable", largeExecutable},
	{"bare stop", bareStop},
	{"10 MB of structures", structures},
	{"1 GB heap", wholeHeap},
	{"15 M objects", manyObjects},
	{"list of 1 M nodes", list},
	{"map of 1 M keys", stringMap},
	{"100 k goroutines", manyGoroutines},
	{"watch", watched},
	{"check", largeCheck},
	{"report", largeReport},
	{"core", largeCore},
}

const (
	second      = 1.0
	millisecond = 1e-3
	megabyte    = 1e6
)

// side runs the peer and ri in turn, so that what else the machine does hits both.
func (b *bench) side(ctx context.Context, peer, ri func() error) error {
	for i := range max(b.runs, b.peerRuns) {
		if i < b.peerRuns && !b.noPeers && peer != nil {
			if err := peer(); err != nil {
				return err
			}
		}
		if i < b.runs {
			if err := ri(); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// idle measures the longest stop while nobody looks, for as long as a look takes.
func (b *bench) idle(p *process, r *row) error {
	for range b.runs {
		gap, err := p.felt(func() error { time.Sleep(300 * time.Millisecond); return nil })
		if err != nil {
			return err
		}
		r.idle.addTime(gap)
	}
	return nil
}

// lookStop runs ri and notes its stop, as felt and as said.
func (b *bench) lookStop(ctx context.Context, p *process, r *row, args ...string) (o *outcome, err error) {
	gap, err := p.felt(func() error {
		o, err = b.runRi(ctx, "", args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.ri.addTime(gap)
	r.own.addTime(o.stop)
	r.whole.addTime(o.took)
	return o, nil
}

// peerStop does the same with a peer.
func peerStop(p *process, to *samples, run func() (*outcome, error)) (o *outcome, err error) {
	gap, err := p.felt(func() error {
		o, err = run()
		return err
	})
	if err == nil {
		to.addTime(gap)
	}
	return o, err
}

const prometheusVersionVar = "github.com/prometheus/common/version.Version"

// listGoroutines is dlv's goroutines in Lua: each with its state and the first function that isn't the runtime's.
const listGoroutines = `
print(ri.var'` + prometheusVersionVar + `')
for g in ri.goroutines{system = true} do
  local where
  for _, f in ipairs((g:stack(16))) do
    where = f
    if not f.func:find('^runtime%.') then break end
  end
  ri.emit{id = g.id, state = g.status, where = where and ("%s %s:%d"):format(where.func, where.file, where.line)}
end
`

func largeExecutable(ctx context.Context, b *bench) ([]row, error) {
	p, err := b.startPrometheus(ctx)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	pid := strconv.Itoa(p.pid)
	stop := row{name: "stop: one variable + goroutine list, 140 MB executable", must: 5 * millisecond,
		aim: 1 * millisecond}
	cold := row{name: "first result, cold cache", aim: 1 * second}
	warm := row{name: "first result, warm cache", must: 0.5 * second, aim: 0.1 * second}
	memory := row{name: "memory, warm cache", unit: bytesOf, must: 150 * megabyte, aim: 60 * megabyte}
	coldMemory := row{name: "memory, cold cache", unit: bytesOf}

	script := b.script("goroutines.lua", listGoroutines)
	print := "print \"github.com/prometheus/common/version\".Version"
	peer := func() error {
		o, err := peerStop(p, &stop.dlv,
			func() (*outcome, error) { return b.runDlv(ctx, p.pid, "", print+"\ngoroutines") })
		if err != nil {
			return err
		}
		memory.dlv.add(float64(o.memory))
		coldMemory.dlv.add(float64(o.memory))
		if b.gdb != "" { // the variable alone
			if _, err := peerStop(p, &stop.gdb, func() (*outcome, error) {
				return b.runGDB(ctx, p.pid, "print '"+prometheusVersionVar+"'")
			}); err != nil {
				return err
			}
		}
		if o, err = b.runDlv(ctx, p.pid, `"`, print); err != nil {
			return err
		}
		cold.dlv.addTime(o.first)
		warm.dlv.addTime(o.first)
		return nil
	}
	n := 0
	ri := func() error {
		n++
		cache := filepath.Join(b.scripts, "cold", strconv.Itoa(n))
		o, err := b.runRiIn(ctx, cache, "", "print", prometheusVersionVar, "-p", pid)
		if err != nil {
			return err
		}
		cold.ri.addTime(o.took)
		cold.whole.addTime(o.took)
		coldMemory.ri.add(float64(o.memory))
		if o, err = b.runRiIn(ctx, cache, "", "print", prometheusVersionVar, "-p", pid); err != nil {
			return err
		}
		warm.ri.addTime(o.took)
		warm.whole.addTime(o.took)
		os.RemoveAll(cache)
		if n == 1 {
			if _, err := b.runRi(ctx, "", "exec", script, "-p", pid); err != nil { // fills the cache
				return err
			}
		}
		if o, err = b.lookStop(ctx, p, &stop, "exec", script, "-p", pid); err != nil {
			return err
		}
		memory.ri.add(float64(o.memory))
		return nil
	}
	if err := b.side(ctx, peer, ri); err != nil {
		return nil, err
	}
	if err := b.idle(p, &stop); err != nil {
		return nil, err
	}
	cold.must = cold.dlv.median()
	stop.note = fmt.Sprintf("%d threads. Seen from outside, every %v, both ends rounded outwards. gdb prints the "+
		"variable alone.", p.threads(), watchInterval)
	memory.note = "dlv and ri with the goroutine list; dlv keeps nothing between runs."
	cold.note = "of ri the whole command, of dlv the time to the printed value. The executable is in the page cache " +
		"for both."
	return []row{stop, cold, warm, memory, coldMemory}, nil
}

func bareStop(ctx context.Context, b *bench) ([]row, error) {
	var rows []row
	for _, threads := range []int{7, 500} {
		p, err := b.startTarget("-threads", strconv.Itoa(threads))
		if err != nil {
			return nil, err
		}
		r := row{}
		err = b.side(ctx, func() error {
			if b.gdb != "" {
				if _, err := peerStop(p, &r.gdb,
					func() (*outcome, error) { return b.runGDB(ctx, p.pid, "print 'main.answer'") }); err != nil {
					return err
				}
			}
			_, err := peerStop(p, &r.dlv, func() (*outcome, error) {
				return b.runDlv(ctx, p.pid, "", "print main.answer")
			})
			return err
		}, func() error {
			_, err := b.lookStop(ctx, p, &r, "print", "main.answer", "-p", strconv.Itoa(p.pid))
			return err
		})
		if err == nil {
			err = b.idle(p, &r)
		}
		r.name = fmt.Sprintf("stop: one variable, %d threads", p.threads())
		p.kill()
		if err != nil {
			return rows, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

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

func structures(ctx context.Context, b *bench) ([]row, error) {
	const size = 10 << 20
	p, err := b.startTarget("-records", strconv.Itoa(size))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	r := row{name: "stop: consistent read of 10 MB of structures", must: 8 * millisecond, aim: 3 * millisecond}
	script := b.script("records.lua", `
local n, count, sum = ri.var'main.records', 0, 0
while n do
  count, sum = count + 1, sum + n.id + n.state
  n = n.next
end
print(count, sum)
`)
	var read string
	few, many := 100, 1500
	err = b.side(ctx, func() error {
		rate, err := b.rate(ctx, few, many, func(n int) (*outcome, error) {
			return b.runStarlark(ctx, p.pid, loop("main.records", "next", n))
		})
		if err == nil {
			r.dlv.add(size / 128 / rate)
		}
		return err
	}, func() error {
		o, err := b.lookStop(ctx, p, &r, "exec", script, "-p", strconv.Itoa(p.pid), "--max-stop", "1s", "--max-time",
			"60s")
		if err != nil {
			return err
		}
		if !strings.HasPrefix(o.stdout, strconv.Itoa(size/128)) {
			return fmt.Errorf("ri found %q", o.stdout)
		}
		read = o.read
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.note = fmt.Sprintf("%d structures of 128 bytes in spans of 8 KiB that lie apart; ri copied and read %s in all "+
		"its passes. dlv's figure is extrapolated from %d structures, walked in Starlark.", size/128, read, many)
	return []row{r}, b.idle(p, &r)
}

func wholeHeap(ctx context.Context, b *bench) ([]row, error) {
	const size = 1_000_000_000
	p, err := b.startTarget("-heap", strconv.Itoa(size), "-change", strconv.Itoa(200e6))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	r := row{name: "stop: consistent copy of a 1 GB heap at 200 MB/s of change", must: 300 * millisecond}
	script := b.script("heap.lua", `
local bytes = 0
for _, block in ri.pairs(ri.var'main.heap') do bytes = bytes + #ri.memory(ri.addr(ri.ref(block, 0)), #block) end
print(bytes)
`)
	memory := row{name: "memory for it", unit: bytesOf}
	precopied := row{name: "the same, with --precopy", must: 15 * millisecond, aim: 5 * millisecond}
	precopiedMemory := row{name: "memory for it, with --precopy", unit: bytesOf,
		note: "the copy is held once, and read in place."}
	take := func(r, memory *row, flags ...string) error {
		o, err := b.lookStop(ctx, p, r,
			append([]string{"exec", script, "-p", strconv.Itoa(p.pid), "--max-stop", "5s", "--max-time", "60s"},
				flags...)...)
		if err != nil {
			return err
		}
		if strings.TrimSpace(o.stdout) != strconv.Itoa(size>>20<<20) {
			return fmt.Errorf("ri found %q", o.stdout)
		}
		memory.ri.add(float64(o.memory))
		r.note = fmt.Sprintf("a script asks for every byte; %d stops in all, copied and read %s.", o.stops, o.read)
		return nil
	}
	err = b.side(ctx, nil, func() error {
		if err := take(&r, &memory); err != nil {
			return err
		}
		return take(&precopied, &precopiedMemory, "--precopy")
	})
	if err == nil {
		err = b.idle(p, &r)
	}
	return []row{r, memory, precopied, precopiedMemory}, err
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

func manyGoroutines(ctx context.Context, b *bench) ([]row, error) {
	const n = 100_000
	p, err := b.startTarget("-goroutines", strconv.Itoa(n))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	took := row{name: "100 k goroutines grouped by stack: time", must: 1.5 * second, aim: 0.5 * second,
		note: "dlv: `goroutines -t`, which lists them with their stacks and doesn't group."}
	stop := row{name: "100 k goroutines grouped by stack: stop", must: 20 * millisecond, aim: 5 * millisecond}
	err = b.side(ctx, func() error {
		o, err := peerStop(p, &stop.dlv, func() (*outcome, error) { return b.runDlv(ctx, p.pid, "", "goroutines -t") })
		if err == nil {
			took.dlv.addTime(o.took)
		}
		return err
	}, func() error {
		o, err := b.lookStop(ctx, p, &stop, "run", "goroutines", "-p", strconv.Itoa(p.pid), "--max-stop", "5s",
			"--max-time", "60s")
		if err == nil {
			took.ri.addTime(o.took)
			stop.note = "ri read " + o.read + " in all its passes."
			if !strings.Contains(o.stdout, "100001 goroutines") && !strings.Contains(o.stdout, "100002 goroutines") {
				err = fmt.Errorf("ri found %q", lastLine(o.stdout))
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return []row{took, stop}, b.idle(p, &stop)
}
