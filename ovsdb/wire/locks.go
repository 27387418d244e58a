package wire

import (
	"slices"

	"ri/ovsdb"
)

// lockName reads the parameter of lock, steal and unlock.
func lockName(m *message) (string, error) {
	name, ok := param(m, 0).(string)
	if !ok || len(m.Params) != 1 || !ovsdb.ID(name) {
		return "", ovsdb.Syntaxf(m.Params, "", "%s request params must be <id>", m.Method)
	}
	return name, nil
}

// lock answers "lock" and "steal" (RFC 7047, section 4.1.8).
func (s *Server) lock(who *session, m *message) *message {
	name, err := lockName(m)
	if err != nil {
		return failure(m, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.locks[name]
	if slices.Contains(queue, who) {
		return failure(m, ovsdb.Syntaxf(m.Params, "", "must issue \"unlock\" before new \"%s\"", m.Method))
	}
	if m.Method == "steal" {
		if len(queue) > 0 {
			queue[0].notify("stolen", name) // and it waits now, as the first
		}
		s.locks[name] = append([]*session{who}, queue...)
		return result(m, map[string]any{"locked": true})
	}
	s.locks[name] = append(queue, who)
	return result(m, map[string]any{"locked": len(queue) == 0})
}

func (s *Server) unlock(who *session, m *message) *message {
	name, err := lockName(m)
	if err != nil {
		return failure(m, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.locks[name], who) {
		return failure(m, ovsdb.Syntaxf(m.Params, "", "%s: \"unlock\" without \"lock\" or \"steal\"", m.Method))
	}
	s.leave(who, name)
	return result(m, map[string]any{})
}

// leave takes a session out of a lock's queue, and tells who has the lock then. s.mu is held.
func (s *Server) leave(who *session, name string) {
	queue := s.locks[name]
	held := len(queue) > 0 && queue[0] == who
	queue = slices.DeleteFunc(queue, func(one *session) bool { return one == who })
	if len(queue) == 0 {
		delete(s.locks, name)
		return
	}
	s.locks[name] = queue
	if held {
		queue[0].notify("locked", name)
	}
}

func (s *Server) unlockAll(who *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, queue := range s.locks {
		if slices.Contains(queue, who) {
			s.leave(who, name)
		}
	}
}

func (s *Server) owns(who *session, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.locks[name]
	return len(queue) > 0 && queue[0] == who
}

// notify tells of a lock beside what goes on: the caller holds the server's lock.
func (s *session) notify(method, lock string) {
	s.all.Go(func() {
		if s.send(&message{Method: method, Params: []any{lock}}) != nil {
			s.cancel()
		}
	})
}
