package flow

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"ri/files"
	"strconv"
	"strings"
	"sync"
	"time"
)

// seenFile in the agent's folder has which enablings it has seen: a line each, when it can be forgotten, the
// generation, whether it has ended, and the request; and which definitions of devices: "device", its name,
// the generation.
const seenFile = "flows-seen"

// seen are enablings that were seen, so that no older one, and none that has ended, is armed again.
type seen struct {
	mu   sync.Mutex
	path string
	all  map[string]generation // by request
	// devices are the generations of their definitions.
	devices map[string]int64
}

type generation struct {
	number, until int64
	over          bool
}

func openSeen(folder string, now time.Time) (*seen, error) {
	s := &seen{path: filepath.Join(folder, seenFile), all: map[string]generation{},
		devices: map[string]int64{}}
	text, err := os.ReadFile(s.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	s.read(string(text), now)
	return s, nil
}

func (s *seen) read(text string, now time.Time) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == "device" {
			if number, err := strconv.ParseInt(words[2], 10, 64); err == nil {
				s.devices[words[1]] = number
			}
			continue
		}
		if len(words) != 4 {
			continue
		}
		until, err1 := strconv.ParseInt(words[0], 10, 64)
		number, err2 := strconv.ParseInt(words[1], 10, 64)
		if err1 == nil && err2 == nil && until > now.UnixMilli() {
			s.all[words[3]] = generation{number, until, words[2] == "over"}
		}
	}
}

// take writes down that an enabling was seen, before anything of it is armed, or says that it is a replay.
func (s *seen) take(e *enabling, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.all[e.trace]
	if known && (e.generation < last.number || e.generation == last.number && last.over) {
		return errReplay
	}
	if known && e.generation == last.number {
		return nil
	}
	s.all[e.trace] = generation{e.generation, e.expires.Add(time.Hour).UnixMilli(), false}
	return s.write(now)
}

// device writes down that a definition, which was believed, was seen, or says that it is older than one that was.
func (s *seen) device(name string, number int64, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch last := s.devices[name]; {
	case number < last:
		return errOlderOne
	case number == last:
		return nil
	}
	s.devices[name] = number
	return s.write(now)
}

// end writes down that an enabling has ended.
func (s *seen) end(trace string, number int64, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.all[trace]
	if !known || last.number != number || last.over {
		return nil
	}
	last.over = true
	s.all[trace] = last
	return s.write(now)
}

// write replaces the file. s.mu is held.
func (s *seen) write(now time.Time) error {
	var b strings.Builder
	for trace, g := range s.all {
		if g.until < now.UnixMilli() {
			delete(s.all, trace)
			continue
		}
		state := "on"
		if g.over {
			state = "over"
		}
		fmt.Fprintf(&b, "%d %d %s %s\n", g.until, g.number, state, trace)
	}
	for name, number := range s.devices {
		fmt.Fprintf(&b, "device %s %d\n", name, number)
	}
	return files.Replace(s.path, []byte(b.String()), 0o600)
}
