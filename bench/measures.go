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
	{"trace: hits", hits},
	{"trace: 500 functions", manyProbes},
	{"recording of calls", callsRecorded},
	{"trace: a minute of hits", minuteOfHits},
	{"recording of a look", recordedLook},
	{"recording of a heap", recordedHeap},
	{"recording of 4 GB", recordedResident},
	{"streams: data calls", dataCalls},
	{"streams: replay", replayed},
	{"remote: a recipe", remoteRecipe},
	{"remote: an agent at rest", agentAtRest},
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
