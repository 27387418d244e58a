package instruments

import (
	"context"
	"io/fs"
	"os"
	"testing"
)

// benchmarkWalk runs Lua text over a million nodes, once an iteration, and reports elements a second.
func benchmarkWalk(b *testing.B, elements int, source string) {
	space := startKinds(b, "1000000")
	h := New(Options{Space: space, Sink: &sink{}, Folders: []fs.FS{os.DirFS("../scripts/lua")}})
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
	b.ResetTimer()
	for range b.N {
		run()
	}
	b.ReportMetric(float64(elements)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Melements/s")
}

func BenchmarkListLoop(b *testing.B) {
	benchmarkWalk(b, 1_000_000, `local c, n = 0, ri.var'main.first'; while n do c = c + 1; n = n.next end; assert(c == 1000000)`)
}

func BenchmarkListSum(b *testing.B) {
	benchmarkWalk(b, 1_000_000, `local s, n = 0, ri.var'main.first'; while n do s = s + n.value; n = n.next end; assert(s == 499999500000)`)
}

func BenchmarkListLinked(b *testing.B) {
	benchmarkWalk(b, 1_000_000, `local walk = require 'walk'; local c = 0; for i, n in walk.linked(ri.var'main.first', 'next') do c = c + 1 end`)
}

func BenchmarkMapPairs(b *testing.B) {
	benchmarkWalk(b, 1000, `local s = 0; for k, v in ri.pairs(ri.var'main.big') do s = s + v end`)
}

func BenchmarkMapLookup(b *testing.B) {
	benchmarkWalk(b, 1000, `local m = ri.var'main.big'; for i = 1, 1000 do local x = m.name500 end`)
}
