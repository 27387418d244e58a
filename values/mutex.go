package values

import (
	"fmt"
	"reflect"

	"ri/symbols"
)

// Bits of a mutex's state (sync, internal/sync).
const (
	MutexLocked   = 1
	MutexStarving = 4
)

// IsMutex tells whether t is a sync.Mutex or a sync.RWMutex.
func IsMutex(t *symbols.Type) bool {
	switch t.Name {
	case "sync.Mutex", "sync.RWMutex", "internal/sync.Mutex":
		return t.Kind == reflect.Struct
	}
	return false
}

// WriteHeld tells whether somebody may be changing what a sync.Mutex or sync.RWMutex guards. Readers of an RWMutex change nothing, and a
// writer that waits for them hasn't begun. v may lead to the mutex through pointers and interfaces.
//
// A mutex that is being handed over to a waiter is not held: its next holder takes the bit before it goes on.
func (v Value) WriteHeld() (bool, error) {
	if !v.IsValid() {
		return false, v.Lacks("lock")
	}
	m, err := v.Struct()
	if err != nil {
		return false, err
	}
	if !IsMutex(m.Type) {
		return false, fmt.Errorf("%s is neither a sync.Mutex nor a sync.RWMutex: %w", m.Type.Name, ErrKind)
	}
	if m.Type.Name != "sync.RWMutex" {
		if inner, err := m.Field("mu"); err == nil { // since Go 1.24
			m = inner
		}
		state, err := m.word32("state")
		return state&MutexLocked != 0, err
	}
	// A writer takes rwmutexMaxReaders off readerCount and waits until as many readers as there were have left. Until it has said
	// how many, readerWait is 0 or less: 0 is taken for a writer, to be on the safe side.
	readers, err := m.word32("readerCount")
	if err != nil || readers >= 0 {
		return false, err
	}
	waiting, err := m.word32("readerWait")
	return waiting == 0, err
}

// word32 reads an int32, or an atomic.Int32, by its name.
func (v Value) word32(name string) (int32, error) {
	f, err := v.Field(name)
	if err != nil {
		return 0, err
	}
	if f.Type.Kind == reflect.Struct {
		if f, err = f.Field("v"); err != nil {
			return 0, err
		}
	}
	n, err := f.Int()
	return int32(n), err
}
