package host

import (
	"context"
	"io/fs"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchmarkWalk runs Lua text over a million nodes, once an iteration, and reports elements a second.
func benchmarkWalk(b *testing.B, elements int, source string) {
	space := startKinds(b, "1000000")
	h := New(Options{Space: space, Sink: &sink{}, Folders: []fs.FS{os.DirFS("../../scripts/lua")}})
	defer h.Close()
	script, err := CompileScript("bench.lua", source)
	if err != nil {
		b.Fatal(err)
	}
	run := func() {
		if err := h.Run(context.Background(), script, nil); err != nil {
			b.Fatal(err)
		}
	}
	run() // fill the page cache
	b.ReportAllocs()
	began := cpuTime()
	b.ResetTimer()
	for range b.N {
		run()
	}
	elapsed := b.Elapsed()
	b.ReportMetric(float64(elements)*float64(b.N)/elapsed.Seconds()/1e6, "Melements/s")
	// of all threads: on a busy machine
	b.ReportMetric(float64(elements)*float64(b.N)/(cpuTime()-began).Seconds()/1e6, "Melements/cpu-s")
}

func BenchmarkListLoop(b *testing.B) {
	benchmarkWalk(b, 1_000_000,
		`local c, n = 0, ri.var'main.first'; while n do c = c + 1; n = n.next end; assert(c == 1000000)`)
}

func BenchmarkListSum(b *testing.B) {
	benchmarkWalk(b, 1_000_000,
		`local s, n = 0, ri.var'main.first'; while n do s = s + n.value; n = n.next end; assert(s == 499999500000)`)
}

func BenchmarkListLinked(b *testing.B) {
	benchmarkWalk(b, 1_000_000,
		`local walk = require 'walk'; local c = 0; for i, n in walk.linked(ri.var'main.first', 'next') do c = c + 1 end`)
}

func BenchmarkListLinkedDirect(b *testing.B) {
	benchmarkWalk(b, 1_000_000, `local c = 0; for i, n in ri.linked(ri.var'main.first', 'next') do c = c + 1 end`)
}

func BenchmarkMapPairs(b *testing.B) {
	benchmarkWalk(b, 1000, `local s = 0; for k, v in ri.pairs(ri.var'main.big') do s = s + v end`)
}

func BenchmarkMapLookup(b *testing.B) {
	benchmarkWalk(b, 1000, `local m = ri.var'main.big'; for i = 1, 1000 do local x = m.name500 end`)
}

func BenchmarkListCount(b *testing.B) {
	benchmarkWalk(b, 1_000_000, `assert(ri.count(ri.linked(ri.var'main.first', 'next')) == 1000000)`)
}

func BenchmarkListCountWhere(b *testing.B) {
	benchmarkWalk(b, 1_000_000,
		`assert(ri.count(ri.linked(ri.var'main.first', 'next'), {'value', '>=', 500000}) == 500000)`)
}

func BenchmarkListSumGo(b *testing.B) {
	benchmarkWalk(b, 1_000_000, `assert(ri.sum(ri.linked(ri.var'main.first', 'next'), 'value') == 499999500000)`)
}

// Nodes that lie anywhere.
func BenchmarkShuffledCount(b *testing.B) {
	benchmarkWalk(b, 1_000_000, `assert(ri.count(ri.linked(ri.var'main.shuffled', 'next')) == 1000000)`)
}

func BenchmarkShuffledLoop(b *testing.B) {
	benchmarkWalk(b, 1_000_000,
		`local c, n = 0, ri.var'main.shuffled'; while n do c = c + 1; n = n.next end; assert(c == 1000000)`)
}

// A million string keys, each value followed.
func BenchmarkRecordsPairs(b *testing.B) {
	benchmarkWalk(b, 1_000_000,
		`local s = 0; for k, v in ri.pairs(ri.var'main.records') do s = s + v.size end; assert(s == 499999500000)`)
}

func BenchmarkRecordsSumGo(b *testing.B) {
	benchmarkWalk(b, 1_000_000, `assert(ri.sum(ri.var'main.records', 'value.size') == 499999500000)`)
}

func BenchmarkRecordsGroup(b *testing.B) {
	benchmarkWalk(b, 1_000_000, `assert(#ri.group(ri.var'main.records', 'key', nil, {'value.size', '<', 1000}) == 1000)`)
}

func BenchmarkRecordsTop(b *testing.B) {
	benchmarkWalk(b, 1_000_000, `assert(ri.top(ri.var'main.records', 10, 'value.size')[1].by == 999999)`)
}
