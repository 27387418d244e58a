package fleet

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"ri/files"
)

// seenFile in the agent's folder has which orders it has seen: a line each, when it can be forgotten and its id.
const seenFile = "orders-seen"

// seen are orders that were seen, for longer than they are good.
type seen struct {
	mu   sync.Mutex
	path string
	ids  map[string]int64
	now  map[string]bool // those that this process has seen first
}

func openSeen(path string, now time.Time) (*seen, error) {
	s := &seen{path: path, ids: map[string]int64{}, now: map[string]bool{}}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		until, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(until, 10, 64); err == nil && n > now.UnixMilli() {
			s.ids[id] = n
		}
	}
	return s, s.write()
}

func (s *seen) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.ids[id]
	return there
}

// since tells whether this process was the first to see an order.
func (s *seen) since(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now[id]
}

// add writes down that an order was seen, before anything of it is done.
func (s *seen) add(id string, until, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.ids[id]; there {
		return errReplay
	}
	if strings.ContainsAny(id, "\n\r") || len(id) > 200 {
		return errors.New("its id isn't one")
	}
	for old, n := range s.ids {
		if n < now.UnixMilli() {
			delete(s.ids, old)
			delete(s.now, old)
		}
	}
	s.ids[id], s.now[id] = until.UnixMilli(), true
	return s.write()
}

// write replaces the file. s.mu is held, or nobody else has s.
func (s *seen) write() error {
	var b strings.Builder
	for id, until := range s.ids {
		fmt.Fprintf(&b, "%d %s\n", until, id)
	}
	return files.Replace(s.path, []byte(b.String()), 0o600)
}
