package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ServiceState is the state of a service.
type ServiceState int32

// A service takes reads and writes while it is online or degraded.
const (
	ServiceOffline ServiceState = iota
	ServiceStarting
	ServiceOnline
	ServiceDegraded
	ServiceStopping
	ServiceFailed
)

var serviceStateNames = [...]string{
	ServiceOffline:  "ServiceOffline",
	ServiceStarting: "ServiceStarting",
	ServiceOnline:   "ServiceOnline",
	ServiceDegraded: "ServiceDegraded",
	ServiceStopping: "ServiceStopping",
	ServiceFailed:   "ServiceFailed",
}

// serviceTransitions says which states may follow each state.
var serviceTransitions = map[ServiceState][]ServiceState{
	ServiceOffline:  {ServiceStarting},
	ServiceStarting: {ServiceOnline, ServiceFailed},
	ServiceOnline:   {ServiceDegraded, ServiceStopping, ServiceFailed},
	ServiceDegraded: {ServiceOnline, ServiceStopping, ServiceFailed},
	ServiceStopping: {ServiceOffline, ServiceFailed},
	ServiceFailed:   {ServiceOffline, ServiceStarting},
}

var errServiceDown = errors.New("service is not online")

func (s ServiceState) String() string {
	if s < 0 || int(s) >= len(serviceStateNames) {
		return fmt.Sprintf("ServiceState(%d)", int32(s))
	}
	return serviceStateNames[s]
}

func parseServiceState(name string) (ServiceState, error) {
	for i, n := range serviceStateNames {
		if n == name {
			return ServiceState(i), nil
		}
	}
	return 0, fmt.Errorf("unknown service state %q", name)
}

// canFollow says whether a service may go from one state to the other.
func canFollow(from, to ServiceState) bool {
	for _, s := range serviceTransitions[from] {
		if s == to {
			return true
		}
	}
	return false
}

// Counters count what was done, to be read at any time.
type Counters struct {
	reads  atomic.Int64
	writes atomic.Int64
	errors atomic.Int64
}

// Service serves component objects from its devices, which are in this
// process or, for a gateway, in a store that it talks to.
type Service struct {
	id      int
	name    string
	address string // of the store; empty if in this process
	devices []*Device
	volume  Volume // how the contents are reached

	mu          sync.Mutex
	state       ServiceState
	since       time.Time // of the last change of state made here
	transitions int

	Counters
}

func newService(id int, volume Volume) *Service {
	return &Service{
		id:     id,
		name:   fmt.Sprintf("ios-%d", id),
		volume: volume,
		state:  ServiceOffline,
		since:  time.Now(),
	}
}

// change moves the service to another state, if the state may follow.
func (s *Service) change(to ServiceState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !canFollow(s.state, to) {
		return fmt.Errorf("%s: %v can't follow %v", s.name, to, s.state)
	}
	s.state = to
	s.since = time.Now()
	s.transitions++
	return nil
}

// available returns nil if the service takes reads and writes.
func (s *Service) available() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != ServiceOnline && s.state != ServiceDegraded {
		return fmt.Errorf("%s is %v: %w", s.name, s.state, errServiceDown)
	}
	return nil
}

// advance ends the states that a service only passes through.
func (s *Service) advance() {
	s.mu.Lock()
	state := s.state
	s.mu.Unlock()
	switch state {
	case ServiceStarting:
		s.change(ServiceOnline)
	case ServiceStopping:
		s.change(ServiceOffline)
	}
}

// superviseServices advances the services until stop is closed.
func superviseServices(services []*Service, stop <-chan struct{}) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			for _, s := range services {
				s.advance()
			}
		}
	}
}
