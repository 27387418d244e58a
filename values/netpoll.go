package values

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ri/values/layout"

	"ri/attach"
)

const (
	persistentChunk = 256 << 10 // runtime.persistentChunkSize, runtime/malloc.go, Go 1.8 to 1.27
	maxChunks       = 4096      // 1 GiB, more than any program's
)

// PollDescs are the netpoller's descriptors that are in use: one for each socket, pipe and the like that goroutines can
// wait for.
//
// The runtime keeps no list of them, only of those that are free (runtime.pollcache). They lie in its memory that is
// never given back, whose chunks are linked by their first words (runtime.persistentChunks); each that was ever used
// holds its own address in the field self (runtime/netpoll.go, Go 1.16 to 1.27), which finds them all. What was found
// is remembered: they never move.
func (s *Space) PollDescs() (used []Value, err error) {
	l := &s.Layouts().Poller
	if err := l.Err(); err != nil {
		return nil, err
	}
	if s.polled == nil {
		if s.polled, err = s.findPollDescs(l); err != nil {
			return nil, err
		}
	}
	free, err := s.freePollDescs(l)
	if err != nil {
		return nil, err
	}
	for _, addr := range s.polled {
		if !free[addr] {
			used = append(used, s.At(addr, l.Type))
		}
	}
	return used, nil
}

func (s *Space) findPollDescs(l *layout.Poller) ([]uint64, error) {
	chunk, err := s.Uint64(l.Chunks.Addr + s.bias)
	if err != nil {
		return nil, err
	}
	found, self := []uint64{}, uint64(l.Self.Offset)
	for n := 0; chunk != 0; n++ {
		if n == maxChunks {
			return found, fmt.Errorf("runtime.persistentChunks goes on after %d chunks: %w", n, ErrCorrupt)
		}
		b, err := s.Slice(chunk, persistentChunk)
		if errors.Is(err, attach.ErrNotMapped) {
			b, err = s.words(chunk, persistentChunk)
		}
		if err != nil {
			return found, fmt.Errorf("a chunk of runtime.persistentChunks: %w", err)
		}
		for off := 8 * ((self + 7) / 8); off+8 <= uint64(len(b)); off += 8 {
			if word := binary.LittleEndian.Uint64(b[off:]); word == chunk+off-self && off-self+uint64(l.Size) <= uint64(len(b)) {
				found = append(found, word)
			}
		}
		chunk = binary.LittleEndian.Uint64(b)
	}
	return found, nil
}

// words gives the words that can be read of n bytes, and 0 in the place of others: of a recording, which has single
// words.
func (s *Space) words(addr uint64, n int) ([]byte, error) {
	b := make([]byte, n)
	found := false
	for off := 0; off+8 <= n; off += 8 {
		word, err := s.Uint64(addr + uint64(off))
		switch {
		case err == nil:
			found = true
			binary.LittleEndian.PutUint64(b[off:], word)
		case !errors.Is(err, attach.ErrNotMapped):
			return nil, err
		}
	}
	if !found {
		return nil, attach.NotMapped(addr)
	}
	return b, nil
}

// freePollDescs follows runtime.pollcache. The list may be in motion.
func (s *Space) freePollDescs(l *layout.Poller) (map[uint64]bool, error) {
	free := map[uint64]bool{}
	addr, err := s.Field(l.Cache.Addr+s.bias, l.First)
	for ; err == nil && addr != 0 && !free[addr] && len(free) < 1<<20; addr, err = s.Field(addr, l.Link) {
		free[addr] = true
	}
	return free, err
}
