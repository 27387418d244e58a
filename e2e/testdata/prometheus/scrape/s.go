package scrape

import (
	"github.com/prometheus/prometheus/model/labels"
	"sync"
)

type Target struct {
	labels    labels.Labels
	mtx       sync.RWMutex
	lastError error
	health    string
}
type scrapePool struct {
	mtx           sync.Mutex
	activeTargets map[uint64]*Target
}
type Manager struct {
	mtxScrape   sync.Mutex
	scrapePools map[string]*scrapePool
}

func New(health string, err error) *Manager {
	t := &Target{labels: labels.Labels{{"__address__", "127.0.0.1:9100"}, {"job", "node"}}, health: health, lastError: err}
	u := &Target{labels: labels.Labels{{"__address__", "127.0.0.1:9101"}}, health: "up"}
	return &Manager{scrapePools: map[string]*scrapePool{"node": {activeTargets: map[uint64]*Target{1: t, 2: u}}}}
}

//go:noinline
func (m *Manager) Run(c chan int) { <-c; m.mtxScrape.Lock() }
