package tsdb

import (
	"github.com/prometheus/prometheus/cnt"
	"sync"
)

type dbMetrics struct{ compactionsFailed cnt.Counter }
type headMetrics struct{ walCorruptionsTotal cnt.Counter }
type Head struct{ metrics *headMetrics }
type DB struct {
	metrics *dbMetrics
	head    *Head
	mtx     sync.RWMutex
}

func New(n int) *DB {
	d := &DB{metrics: &dbMetrics{cnt.New()}, head: &Head{&headMetrics{cnt.New()}}}
	for range make([]int, n) {
		d.metrics.compactionsFailed.Inc()
		d.head.metrics.walCorruptionsTotal.Inc()
	}
	return d
}

//go:noinline
func (m *DB) Run(c chan int) { <-c; m.mtx.Lock() }
