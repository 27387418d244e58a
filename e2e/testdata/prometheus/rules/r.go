package rules

import (
	"github.com/prometheus/prometheus/cnt"
	"sync"
)

type Rule interface{ Name() string }
type AlertingRule struct {
	name      string
	health    *cnt.String
	lastError *cnt.Error
}

func (a *AlertingRule) Name() string { return a.name }

type Group struct {
	name, file string
	rules      []Rule
	mtx        sync.Mutex
}
type Manager struct {
	groups map[string]*Group
	mtx    sync.RWMutex
}

func New(health string, err error) *Manager {
	r := []Rule{&AlertingRule{"HighLoad", cnt.NewString(health), cnt.NewError(err)}, &AlertingRule{"Fine", cnt.NewString("ok"), cnt.NewError(nil)}}
	return &Manager{groups: map[string]*Group{"g": {name: "g", file: "rules.yml", rules: r}}}
}

//go:noinline
func (m *Manager) Run(c chan int) { <-c; m.mtx.Lock() }
