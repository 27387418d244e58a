package values

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"

	"ri/symbols"
	"ri/values/layout"
)

// What the words of package sync's types say, as people would say it. The layouts were read in Go 1.20 to 1.27 and are
// told apart by the fields that there are.

// MutexState is a sync.Mutex: sync/mutex.go and internal/sync/mutex.go, mutexLocked to mutexWaiterShift.
type MutexState struct {
	Locked   bool
	Starving bool // the next holder is the first that waits
	Waiting  int64
}

// Mutex reads a sync.Mutex.
func (v Value) Mutex() (m MutexState, err error) {
	if v, err = v.Struct(); err != nil {
		return m, err
	}
	switch v.Type.Name {
	case "sync.Mutex":
		return v.s.MutexAt(v.Addr)
	case "internal/sync.Mutex":
		return v.s.mutex(v.Addr, v.s.Layouts().Lock.InnerState)
	}
	return m, v.Lacks("mutex")
}

// MutexAt reads the sync.Mutex at an address.
func (s *Space) MutexAt(addr uint64) (MutexState, error) {
	return s.mutex(addr, s.Layouts().Lock.Mutex.State)
}

func (s *Space) mutex(addr uint64, f layout.Field) (m MutexState, err error) {
	state, err := s.word(addr, f)
	const locked, starving, waiterShift = 1, 4, 3
	return MutexState{state&locked != 0, state&starving != 0, int64(uint32(state) >> waiterShift)}, err
}

// word reads a word of a lock.
func (s *Space) word(addr uint64, f layout.Field) (uint64, error) {
	if err := s.Layouts().Lock.Err(); err != nil {
		return 0, err
	}
	return s.Field(addr, f)
}

// RWMutexState is a sync.RWMutex: sync/rwmutex.go.
type RWMutexState struct {
	Locked         bool  // by a writer
	Pending        bool  // a writer has it, or waits for readers to leave
	Starving       bool  // of the Mutex by which writers wait for each other
	Readers        int64 // that have it
	ReadersWaiting int64
	WritersWaiting int64
}

// RWMutex reads a sync.RWMutex.
func (v Value) RWMutex() (m RWMutexState, err error) {
	if v, err = v.Struct(); err != nil {
		return m, err
	}
	if v.Type.Name != "sync.RWMutex" {
		return m, v.Lacks("read-write mutex")
	}
	return v.s.RWMutexAt(v.Addr)
}

// RWMutexAt reads the sync.RWMutex at an address.
func (s *Space) RWMutexAt(addr uint64) (m RWMutexState, err error) {
	l := &s.Layouts().Lock.RWMutex
	count, err := s.word(addr, l.Readers)
	if err != nil {
		return m, err
	}
	wait, err := s.word(addr, l.Leaving)
	if err != nil {
		return m, err
	}
	w, err := s.mutex(addr, l.State)
	if err != nil {
		return m, err
	}
	readers, leaving := int64(int32(count)), int64(int32(wait))
	m = RWMutexState{Readers: readers, WritersWaiting: w.Waiting, Starving: w.Starving}
	if m.Pending = readers < 0; m.Pending {
		// A writer takes rwmutexMaxReaders off readerCount and waits until as many readers as there were have left.
		// Until it has said how many, readerWait is 0 or less: 0 is taken for a writer that has the lock, to be on the
		// safe side.
		m.Readers, m.ReadersWaiting = leaving, readers+1<<30-leaving
		if m.Locked = leaving == 0; !m.Locked {
			m.WritersWaiting++
		}
	}
	return m, nil
}

// WaitGroupState is a sync.WaitGroup: sync/waitgroup.go; 32 bits count, below them a flag (since Go 1.25) and those who
// wait.
type WaitGroupState struct{ Count, Waiting int64 }

// WaitGroup reads a sync.WaitGroup.
func (v Value) WaitGroup() (g WaitGroupState, err error) {
	if v, err = v.Struct(); err != nil {
		return g, err
	}
	if v.Type.Name != "sync.WaitGroup" {
		return g, v.Lacks("wait group")
	}
	return v.s.WaitGroupAt(v.Addr)
}

// WaitGroupAt reads the sync.WaitGroup at an address.
func (s *Space) WaitGroupAt(addr uint64) (WaitGroupState, error) {
	word, err := s.word(addr, s.Layouts().Lock.WaitGroup.State)
	return WaitGroupState{int64(int32(word >> 32)), int64(word & (1<<31 - 1))}, err
}

// isMutex tells whether t is a sync.Mutex or a sync.RWMutex.
func isMutex(t *symbols.Type) bool {
	switch t.Name {
	case "sync.Mutex", "sync.RWMutex", "internal/sync.Mutex":
		return t.Kind == reflect.Struct
	}
	return false
}

// WriteHeld tells whether somebody may be changing what a sync.Mutex or sync.RWMutex guards. Readers of an RWMutex
// change nothing, and a writer that waits for them hasn't begun. v may lead to the mutex through pointers and
// interfaces.
//
// A mutex that is being handed over to a waiter is not held: its next holder takes the bit before it goes on.
func (v Value) WriteHeld() (bool, error) {
	held, _, err := v.held()
	return held, err
}

// Held tells whether a sync.Mutex is locked, or a sync.RWMutex is, by a writer or by readers: what must not be when
// what it guards is changed.
func (v Value) Held() (bool, error) {
	held, read, err := v.held()
	return held || read, err
}

// held tells whether a lock is held by a writer, and whether readers have it or wait for it.
func (v Value) held() (held, read bool, err error) {
	if !v.IsValid() {
		return false, false, v.Lacks("lock")
	}
	m, err := v.Struct()
	if err != nil {
		return false, false, err
	}
	switch {
	case !isMutex(m.Type):
		return false, false, fmt.Errorf("%s is neither a sync.Mutex nor a sync.RWMutex: %w", m.Type.Name, ErrKind)
	case m.Type.Name == "sync.RWMutex":
		state, err := m.RWMutex()
		return state.Locked, state.Pending || state.Readers != 0, err
	}
	state, err := m.Mutex()
	return state.Locked, false, err
}

// OnceDone tells whether a sync.Once has run its function. done is a uint32, since Go 1.22 an atomic.Uint32, since Go
// 1.25 an atomic.Bool.
func (v Value) OnceDone() (bool, error) {
	v, err := v.Struct()
	if err != nil {
		return false, err
	}
	if v.Type.Name != "sync.Once" {
		return false, v.Lacks("once")
	}
	done, err := v.Field("done")
	if err != nil {
		return false, err
	}
	b, err := done.bytes(min(done.Type.Size, 4))
	for _, c := range b {
		if c != 0 {
			return true, err
		}
	}
	return false, err
}

// Bounds of a sync.Map's structure: its hash has 64 bits, of which each level takes 4; a chain has entries of one hash.
const (
	trieDepth   = 64
	trieChain   = 10_000
	trieBarrens = 1 << 16 // nodes in a row without an entry
)

// SyncMap iterates over a sync.Map: a hash trie since Go 1.24 (internal/sync.HashTrieMap), before that a read-only map
// and one with what is new.
func (v Value) SyncMap() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		m, err := v.Struct()
		if err == nil && m.Type.Name != "sync.Map" {
			err = m.Lacks("entries of a sync.Map")
		}
		if err == nil {
			if trie, e := m.Field("m"); e == nil && trie.Type.Kind == reflect.Struct {
				w := &trieWalk{s: m.s, yield: yield}
				err = w.start(trie)
			} else {
				err = m.twoMaps(yield)
			}
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(Entry{}, err)
		}
	}
}

// errStop: the caller has seen enough.
var errStop = errors.New("stop")

// trieWalk goes through a hash trie, depth first.
type trieWalk struct {
	s       *Space
	yield   func(Entry, error) bool
	barrens int
}

// args are the type arguments of sync.Map's trie.
const trieArgs = "[interface {},interface {}]"

func (w *trieWalk) start(trie Value) error {
	root, err := trie.Field("root")
	if err != nil {
		return err
	}
	return w.node(root, 0)
}

// pointee follows an atomic.Pointer as a pointer to another type; an invalid Value where it is nil.
func (w *trieWalk) pointee(p Value, name string) (Value, error) {
	addr, err := w.s.atomicWord(p)
	if err != nil || addr == 0 {
		return Value{}, err
	}
	t, err := w.s.Type(name)
	if err != nil {
		return Value{}, err
	}
	return w.s.At(addr, t), nil
}

func (s *Space) atomicWord(p Value) (uint64, error) {
	_, offset, ok := s.Atomic(p.Type)
	if !ok {
		return 0, p.Lacks("atomic pointer")
	}
	return s.Uint64(p.Addr + uint64(offset))
}

func (w *trieWalk) node(p Value, depth int) error {
	n, err := w.pointee(p, "internal/sync.node"+trieArgs)
	if err != nil || !n.IsValid() {
		return err
	}
	if w.barrens++; depth > trieDepth || w.barrens > trieBarrens {
		return fmt.Errorf("the trie has no end: %w", ErrCorrupt)
	}
	isEntry, err := n.Field("isEntry")
	if err != nil {
		return err
	}
	leaf, err := isEntry.Bool()
	if err != nil {
		return err
	}
	if leaf {
		return w.chain(p)
	}
	if n, err = w.pointee(p, "internal/sync.indirect"+trieArgs); err != nil {
		return err
	}
	children, err := n.Field("children")
	if err != nil {
		return err
	}
	size, err := children.Len()
	for i := 0; err == nil && i < size; i++ {
		var child Value
		if child, err = children.Index(i); err == nil {
			err = w.node(child, depth+1)
		}
	}
	return err
}

func (w *trieWalk) chain(p Value) error {
	for range trieChain {
		e, err := w.pointee(p, "internal/sync.entry"+trieArgs)
		if err != nil || !e.IsValid() {
			return err
		}
		var entry Entry
		if entry.Key, err = e.Field("key"); err != nil {
			return err
		}
		if entry.Value, err = e.Field("value"); err != nil {
			return err
		}
		w.barrens = 0
		if !w.yield(entry, nil) {
			return errStop
		}
		if p, err = e.Field("overflow"); err != nil {
			return err
		}
	}
	return fmt.Errorf("the chain of a trie's leaf has no end: %w", ErrCorrupt)
}

// twoMaps goes through a sync.Map of before Go 1.24: all is in dirty, if read lacks anything. An entry that leads to
// nil or to sync.expunged was deleted.
func (v Value) twoMaps(yield func(Entry, error) bool) error {
	w := &trieWalk{s: v.s}
	read, err := v.Field("read")
	if err != nil {
		return err
	}
	m, err := w.pointee(read, "sync.readOnly")
	if err != nil {
		return err
	}
	entries := Value{}
	amended := true
	if m.IsValid() {
		flag, err := m.Field("amended")
		if err != nil {
			return err
		}
		if amended, err = flag.Bool(); err != nil {
			return err
		}
		if entries, err = m.Field("m"); err != nil {
			return err
		}
	}
	if amended {
		if entries, err = v.Field("dirty"); err != nil {
			return err
		}
	}
	expunged := uint64(0)
	if x, err := v.s.Var("sync.expunged"); err == nil {
		if expunged, err = x.Word(); err != nil {
			return err
		}
	}
	for e, err := range entries.Entries() {
		if err != nil {
			return err
		}
		p, err := e.Value.Field("p")
		if errors.Is(err, ErrNil) {
			continue
		}
		if err != nil {
			return err
		}
		addr, err := v.s.atomicWord(p)
		if err != nil {
			return err
		}
		if addr == 0 || addr == expunged {
			continue
		}
		value, err := w.pointee(p, "interface {}")
		if err != nil {
			return err
		}
		if !yield(Entry{Key: e.Key, Value: value}, nil) {
			return errStop
		}
	}
	return nil
}

// Atomic gives what is in a type of sync/atomic, or in the runtime's own, and where in it.
func (s *Space) Atomic(t *symbols.Type) (inner *symbols.Type, offset int64, ok bool) {
	if t.Kind != reflect.Struct {
		return nil, 0, false
	}
	name := t.Name
	for _, prefix := range []string{"sync/atomic.", "internal/runtime/atomic.", "runtime/internal/atomic."} {
		if name, ok = strings.CutPrefix(t.Name, prefix); ok {
			break
		}
	}
	if !ok {
		return nil, 0, false
	}
	fields := t.Fields()
	at := slices.IndexFunc(fields, func(f symbols.Field) bool {
		return f.Name == "v" || f.Name == "value" || f.Name == "u"
	})
	if at < 0 {
		return nil, 0, false
	}
	inner = fields[at].Type
	switch base, _, _ := strings.Cut(name, "["); base {
	case "Int32", "Int64", "Uint32", "Uint64", "Uintptr", "Uint8", "Value", "UnsafePointer":
	case "Bool":
		if bools, err := s.Type("bool"); err == nil {
			inner = bools
		}
	case "Pointer":
		// The pointee's type is written in the field _ [0]*T.
		for _, g := range fields {
			if g.Type.Kind == reflect.Array && g.Type.Len() == 0 && g.Type.Elem() != nil &&
				g.Type.Elem().Kind == reflect.Pointer {
				inner = g.Type.Elem()
			}
		}
		if inner.Kind != reflect.Pointer {
			argument := strings.TrimSuffix(strings.TrimPrefix(name, "Pointer["), "]")
			if t, err := s.Type("*" + argument); err == nil {
				inner = t
			}
		}
	default:
		return nil, 0, false
	}
	return inner, fields[at].Offset, true
}
