//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
)

// A heap as a monitoring server has it: series with labels, chunks and an index, some 18 objects each.
type label struct{ name, value string }

type chunk struct {
	from, to int64
	data     []byte
	previous *chunk
}

type sample interface{ at() int64 }

type floatSample struct {
	time  int64
	value float64
}

func (s *floatSample) at() int64 { return s.time }

type timeSeries struct {
	sync.Mutex
	ref    uint64
	labels []label
	head   *chunk
	last   sample
	meta   map[string]string
	drop   func()
}

type index struct {
	series  map[uint64]*timeSeries
	byLabel map[string]map[string][]*timeSeries
	pending chan *timeSeries
}

var series = &index{series: map[uint64]*timeSeries{}, byLabel: map[string]map[string][]*timeSeries{},
	pending: make(chan *timeSeries, 1000)}

// fillSeries makes n of them.
func fillSeries(n int) {
	random := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		s := &timeSeries{ref: uint64(i), last: &floatSample{time: int64(i), value: float64(i)}}
		for k, name := range []string{"job", "instance", "method", "path", "code"} {
			s.labels = append(s.labels, label{name, fmt.Sprintf("%s-%d", name, random.IntN(1<<(4*k+2)))})
		}
		for k := range int64(5) {
			s.head = &chunk{from: k, to: k + 1, data: make([]byte, 0, 250), previous: s.head}
		}
		if i%16 == 0 {
			s.meta = map[string]string{"help": fmt.Sprint("help of ", i)}
			s.drop = func() { delete(series.series, s.ref) }
		}
		series.series[s.ref] = s
		for _, l := range s.labels[:3] {
			m := series.byLabel[l.name]
			if m == nil {
				m = map[string][]*timeSeries{}
				series.byLabel[l.name] = m
			}
			m[l.value] = append(m[l.value], s)
		}
	}
}
