package notifier

import (
	"sync"
)

type Alert struct{ x int }
type Options struct{ QueueCapacity int }
type sendLoop struct {
	opts  *Options
	queue []*Alert
}
type alertmanagerSet struct{ sendLoops map[string]*sendLoop }
type Manager struct {
	opts          *Options
	mtx           sync.RWMutex
	alertmanagers map[string]*alertmanagerSet
}

func New(n int) *Manager {
	o := &Options{3}
	return &Manager{opts: o, alertmanagers: map[string]*alertmanagerSet{"c": {sendLoops: map[string]*sendLoop{"http://am:9093": {opts: o, queue: make([]*Alert, n)}}}}}
}

//go:noinline
func (m *Manager) Run(c chan int) { <-c; m.mtx.Lock() }
