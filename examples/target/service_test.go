package main

import (
	"errors"
	"testing"
)

func TestServiceStates(t *testing.T) {
	allowed := map[[2]ServiceState]bool{
		{ServiceOffline, ServiceStarting}:  true,
		{ServiceStarting, ServiceOnline}:   true,
		{ServiceStarting, ServiceFailed}:   true,
		{ServiceOnline, ServiceDegraded}:   true,
		{ServiceOnline, ServiceStopping}:   true,
		{ServiceOnline, ServiceFailed}:     true,
		{ServiceDegraded, ServiceOnline}:   true,
		{ServiceDegraded, ServiceStopping}: true,
		{ServiceDegraded, ServiceFailed}:   true,
		{ServiceStopping, ServiceOffline}:  true,
		{ServiceStopping, ServiceFailed}:   true,
		{ServiceFailed, ServiceOffline}:    true,
		{ServiceFailed, ServiceStarting}:   true,
	}
	for from := ServiceOffline; from <= ServiceFailed; from++ {
		if back, err := parseServiceState(from.String()); err != nil || back != from {
			t.Errorf("%v: %v, %v", from, back, err)
		}
		for to := ServiceOffline; to <= ServiceFailed; to++ {
			s := newService(1, nil)
			s.state = from
			err := s.change(to)
			if want := allowed[[2]ServiceState{from, to}]; (err == nil) != want {
				t.Errorf("%v to %v: %v", from, to, err)
			}
			if want := to; err == nil && (s.state != want || s.transitions != 1) {
				t.Errorf("%v to %v: is %v", from, to, s.state)
			}
			if err != nil && s.state != from {
				t.Errorf("%v to %v: refused, but is %v", from, to, s.state)
			}
		}
	}
	if _, err := parseServiceState("ServiceNone"); err == nil {
		t.Error("ServiceNone is a state")
	}
	if got := ServiceState(77).String(); got != "ServiceState(77)" {
		t.Error(got)
	}
}

func TestServiceAdvance(t *testing.T) {
	for from, want := range map[ServiceState]ServiceState{
		ServiceOffline:  ServiceOffline,
		ServiceStarting: ServiceOnline,
		ServiceOnline:   ServiceOnline,
		ServiceDegraded: ServiceDegraded,
		ServiceStopping: ServiceOffline,
		ServiceFailed:   ServiceFailed,
	} {
		s := newService(1, nil)
		s.state = from
		s.advance()
		if s.state != want {
			t.Errorf("%v advances to %v, want %v", from, s.state, want)
		}
		up := want == ServiceOnline || want == ServiceDegraded
		if err := s.available(); (err == nil) != up || err != nil && !errors.Is(err, errServiceDown) {
			t.Errorf("%v: available: %v", s.state, err)
		}
	}
}
