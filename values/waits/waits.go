package waits

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ri/symbols"
	"ri/symbols/flow"
	"ri/values"
	"ri/values/layout"
)

// Waits is who waits for what, as the runtime has it: goroutines parked for semaphores (sync's locks, WaitGroup) in
// runtime.semtable, and those parked for channels by their own lists of runtime.sudog.
type Waits struct {
	Locks      []*Lock
	Channels   []*WaitedChannel
	Unread     error // the first thing that could not be read, nil if all could
	Unreadable int
}

// Waiter is one goroutine in a queue.
type Waiter struct {
	ID     int64
	Addr   uint64 // of its runtime.g
	Reason string
	Wait   time.Duration // a lower bound, 0 where not recorded
	Others int           // how many channels it waits for beside this one, in a select
}

// Lock is a sync.Mutex, sync.RWMutex or sync.WaitGroup that somebody waits for, or that frames hold.
type Lock struct {
	Addr    uint64
	Kind    string // "Mutex", "RWMutex", "WaitGroup"
	Name    string // as far as it is known: "main.store.mu", "main.Account.mu"
	Writers []Waiter
	Readers []Waiter
	Waiting []Waiter // of a WaitGroup

	Locked  bool // by a writer; of a WaitGroup: the counter isn't 0
	Starved bool // a mutex's starving mode: somebody has waited for over a millisecond
	Readers32
	Count   int // of a WaitGroup
	Holders []Holder
	// Candidates are goroutines that may have a lock of which no holder was found. Somebody else may have it, too.
	Candidates []Holder
	// Unseen is how many goroutines could not be searched for holders: running ones outside of a stop, broken stacks.
	Unseen int
}

// Waiters is how many wait for it.
func (l *Lock) Waiters() int { return len(l.Writers) + len(l.Readers) + len(l.Waiting) }

// SortLocks puts those that most wait for first, else in the order of their addresses.
func (w *Waits) SortLocks() {
	slices.SortFunc(w.Locks, func(a, b *Lock) int {
		return cmp.Or(cmp.Compare(b.Waiters(), a.Waiters()), cmp.Compare(a.Addr, b.Addr))
	})
}

// Readers32 are an RWMutex's counters.
type Readers32 struct {
	Active  int  // readers that are in, and behind a waiting writer those that wait
	Leaving int  // readers that a writer waits for
	Pending bool // a writer has announced itself, or has the lock
}

// WaitedChannel is a channel that goroutines wait for.
type WaitedChannel struct {
	values.Channel
	Type string // of an element, "" if not known
	// Name is the variable or field that holds it, as far as it is known: "main.jobs", "main.pool.jobs",
	// "jobs in main.work".
	Name      string
	Senders   []Waiter
	Receivers []Waiter
	Timer     bool // the runtime's timers send to it
}

// Reader tells of one program who waits and who holds. It keeps what it has found in the program's code.
type Reader struct {
	s       *values.Space
	flow    *flow.Program
	through *flow.Program // looks at calls through interfaces, too
	uses    *flow.Program // of channels and WaitGroups
	wakers  *flow.Program // of Conds and semaphores
	byAddr  []symbols.Var // all package variables, by address
	// channels are the channels' places in all package variables, once asked for.
	channels []channelPlace
}

// New makes a Reader of a space.
func New(s *values.Space) *Reader { return &Reader{s: s} }

// program is the analysis of the executable's code.
func (r *Reader) program() (*flow.Program, error) {
	l := &r.s.Layouts().Lock
	if err := l.Err(); err != nil {
		return nil, err
	}
	if r.flow == nil {
		readers := int64(-1)
		if f := l.RWMutex.Readers; f.Known() {
			readers = f.Offset
		}
		var err error
		if r.flow, err = flow.New(r.s.File(), readers); err != nil {
			return nil, err
		}
	}
	return r.flow, nil
}

// Loops tells whether the code of the function around a pc has a loop.
func (r *Reader) Loops(pc uint64) bool { return flow.Loops(r.s.File(), pc-r.s.Bias()) }

// Stores tells whether the function around a pc writes memory other than its own frame.
func (r *Reader) Stores(pc uint64) bool { return flow.StoresIn(r.s.File(), pc-r.s.Bias()) }

// Turns is what the code of a loop says of how it goes on.
type Turns = flow.Turns

// Turns describes the innermost loop that has several places of one function in it; false where there is none.
func (r *Reader) Turns(pcs []uint64) (*Turns, bool) {
	if _, err := r.program(); err != nil || len(pcs) == 0 {
		return nil, false
	}
	linked := make([]uint64, len(pcs))
	for i, pc := range pcs {
		linked[i] = pc - r.s.Bias()
	}
	t, ok := flow.TurnsAt(r.s.File(), linked)
	for at := t; at != nil; at = at.Around {
		at.Head, at.Low, at.High = at.Head+r.s.Bias(), at.Low+r.s.Bias(), at.High+r.s.Bias()
	}
	return t, ok
}

// Waits reads all queues. check is called now and then, and may be nil.
func (r *Reader) Waits(check func()) (*Waits, error) {
	return r.read(check, (*waitReader).waitingForChannels)
}

// Locks is Waits without the channels.
func (r *Reader) Locks(check func()) (*Waits, error) { return r.read(check, func(*waitReader) {}) }

func (r *Reader) read(check func(), channels func(*waitReader)) (*Waits, error) {
	s := r.s
	all := s.Layouts()
	if err := errors.Join(all.Queue.Err(), all.Lock.Err()); err != nil {
		return nil, err
	}
	n, err := s.GoroutineCount()
	if err != nil {
		return nil, err
	}
	w := &waitReader{s: s, l: &all.Queue, hchan: &all.Channel, lock: &all.Lock, out: &Waits{}, check: check,
		locks: map[uint64]*Lock{}, channels: map[uint64]*WaitedChannel{}, lengths: map[uint64]int{}, most: n + 1024}
	if err := w.semaphores(); err != nil {
		return nil, err
	}
	channels(w)
	for _, lock := range w.out.Locks {
		if err := readLock(s, lock); err != nil {
			w.failed(err)
		}
	}
	return w.out, nil
}

// maxLinks is how many channels a goroutine may wait for: the compiler allows no more cases of a select.
const maxLinks = 1 << 16

type waitReader struct {
	s        *values.Space
	l        *layout.Queue
	hchan    *layout.Channel
	lock     *layout.Lock
	out      *Waits
	check    func()
	steps    int
	most     int // entries of one queue: in memory that changes meanwhile a queue may lead back into itself
	locks    map[uint64]*Lock
	channels map[uint64]*WaitedChannel
	lengths  map[uint64]int // how many channels a goroutine in a select waits for, by its runtime.g
}

func (w *waitReader) step() {
	if w.steps++; w.steps%256 == 0 && w.check != nil {
		w.check()
	}
}

func (w *waitReader) failed(err error) {
	w.out.Unreadable++
	if w.out.Unread == nil {
		w.out.Unread = err
	}
}

// semaphores goes through runtime.semtable: a tree of addresses in each slot, and behind each address the list of
// those who wait for it.
func (w *waitReader) semaphores() error {
	table := w.s.At(w.l.Table.Addr+w.s.Bias(), w.l.Table.Type)
	n, err := table.Len()
	if err != nil {
		return err
	}
	step := uint64(table.Type.Elem().Size)
	for i := range uint64(n) {
		top, err := w.s.Field(table.Addr+i*step, w.l.Root)
		if err != nil {
			return err
		}
		stack := []uint64{top}
		for nodes := 0; len(stack) > 0; nodes++ {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if at == 0 {
				continue
			}
			if nodes > w.most { // live memory: nodes of the tree were used for something else meanwhile
				w.failed(fmt.Errorf("runtime.semtable: slot %d has no end: %w", i, values.ErrCorrupt))
				break
			}
			b, err := w.s.Structure(at, &w.l.Sudog.Structure)
			if err != nil {
				w.failed(fmt.Errorf("runtime.semtable: %w", err))
				continue
			}
			stack = append(stack, w.l.Sudog.Prev.Uint(b), w.l.Sudog.Next.Uint(b))
			w.semaphore(w.l.Sudog.Elem.Uint(b), at)
		}
	}
	return nil
}

// semaphore goes through those who wait for one address.
func (w *waitReader) semaphore(addr, first uint64) {
	for n := 0; first != 0; n++ {
		w.step()
		b, err := w.s.Structure(first, &w.l.Sudog.Structure)
		if err == nil && n > w.most {
			err = fmt.Errorf("the queue for %#x has no end: %w", addr, values.ErrCorrupt)
		}
		if err != nil {
			w.failed(err)
			return
		}
		g, err := w.s.GoroutineAt(w.l.Sudog.G.Uint(b))
		first = w.l.Sudog.WaitLink.Uint(b)
		if err != nil || g == nil {
			w.failed(err)
			continue
		}
		w.s.OnStack(g, func() { w.waits(addr, g) })
	}
}

func waiterOf(g *values.Goroutine) Waiter {
	return Waiter{ID: g.ID, Addr: g.Addr, Reason: g.WaitReason, Wait: g.Wait}
}

// waits notes that a goroutine waits for a semaphore: its wait reason says what that belongs to.
func (w *waitReader) waits(addr uint64, g *values.Goroutine) {
	l := w.lock
	add := func(kind string, sema layout.Field) *Lock {
		if !sema.Known() { // the program has no such type
			return nil
		}
		lock := w.locks[addr-uint64(sema.Offset)]
		if lock == nil {
			lock = &Lock{Addr: addr - uint64(sema.Offset), Kind: kind}
			w.locks[lock.Addr] = lock
			w.out.Locks = append(w.out.Locks, lock)
		}
		if kind == "RWMutex" {
			lock.Kind = kind
		}
		return lock
	}
	switch g.WaitReason {
	case "sync.Mutex.Lock":
		kind := "Mutex"
		// Writers wait for each other by the Mutex that an RWMutex begins with.
		if frames, _ := g.Stack(12); hasFunc(frames, "sync.(*RWMutex).Lock") {
			kind = "RWMutex"
		}
		if lock := add(kind, l.Mutex.Sema); lock != nil {
			lock.Writers = append(lock.Writers, waiterOf(g))
		}
	case "sync.RWMutex.Lock":
		if lock := add("RWMutex", l.RWMutex.WriterSema); lock != nil {
			lock.Writers = append(lock.Writers, waiterOf(g))
		}
	case "sync.RWMutex.RLock":
		if lock := add("RWMutex", l.RWMutex.ReaderSema); lock != nil {
			lock.Readers = append(lock.Readers, waiterOf(g))
		}
	case "sync.WaitGroup.Wait", "semacquire":
		if g.WaitReason == "semacquire" {
			if frames, _ := g.Stack(12); !hasFunc(frames, "sync.(*WaitGroup).Wait") {
				return
			}
		}
		if lock := add("WaitGroup", l.WaitGroup.Sema); lock != nil {
			lock.Waiting = append(lock.Waiting, waiterOf(g))
		}
	}
}

func hasFunc(frames []values.Frame, name string) bool {
	for i := range frames {
		if frames[i].Func == name {
			return true
		}
	}
	return false
}

// waitingForChannels goes through all goroutines' lists of channels that they wait for.
func (w *waitReader) waitingForChannels() {
	for raw, err := range w.s.Raws(w.check) {
		if err != nil {
			w.failed(err)
			continue
		}
		if !raw.Waits() {
			continue
		}
		if reason := raw.Reason(); !strings.HasPrefix(reason, "chan") && !strings.HasPrefix(reason, "select") {
			continue
		}
		at := w.l.Waiting.Uint(raw.Bytes)
		for links := 0; at != 0 && links < maxLinks; links++ {
			sudog, err := w.s.Structure(at, &w.l.Sudog.Structure)
			if err != nil {
				w.failed(err)
				break
			}
			w.channel(w.l.Sudog.Chan.Uint(sudog))
			at = w.l.Sudog.WaitLink.Uint(sudog)
		}
	}
}

// channel reads a channel and its queues, once.
func (w *waitReader) channel(addr uint64) {
	if addr == 0 || w.channels[addr] != nil {
		return
	}
	state, err := w.s.ChannelAt(addr)
	if err != nil {
		w.failed(err)
		return
	}
	word := func(f layout.Field) uint64 {
		if !f.Known() {
			return 0
		}
		n, err := w.s.Field(addr, f)
		if err != nil {
			w.failed(err)
		}
		return n
	}
	c := &WaitedChannel{Channel: state, Timer: word(w.hchan.Timer) != 0}
	w.channels[addr] = c
	w.out.Channels = append(w.out.Channels, c)
	if desc := word(w.hchan.ElemType); desc != 0 {
		if t, err := w.s.RuntimeType(desc); err == nil {
			c.Elem, c.Type = t, t.Name
		}
	}
	receivers, senders := word(w.l.Receivers), word(w.l.Senders)
	c.Receivers, c.Senders = w.queue(receivers), w.queue(senders)
}

func (w *waitReader) queue(at uint64) (out []Waiter) {
	for n := 0; at != 0; n++ {
		w.step()
		b, err := w.s.Structure(at, &w.l.Sudog.Structure)
		if err == nil && n > w.most {
			err = fmt.Errorf("a channel's queue has no end: %w", values.ErrCorrupt)
		}
		if err != nil {
			w.failed(err)
			return out
		}
		g, err := w.s.GoroutineAt(w.l.Sudog.G.Uint(b))
		if err != nil {
			w.failed(err)
		}
		if g != nil {
			waiter := waiterOf(g)
			if w.l.Sudog.Select.Uint(b) != 0 {
				waiter.Others = w.links(g) - 1
			}
			out = append(out, waiter)
		}
		at = w.l.Sudog.Next.Uint(b)
	}
	return out
}

// readLock decodes a lock's words.
func readLock(s *values.Space, lock *Lock) (err error) {
	switch lock.Kind {
	case "WaitGroup":
		var g values.WaitGroupState
		g, err = s.WaitGroupAt(lock.Addr)
		lock.Count, lock.Locked = int(g.Count), g.Count != 0
	case "RWMutex":
		var m values.RWMutexState
		m, err = s.RWMutexAt(lock.Addr)
		lock.Active, lock.Pending = int(m.Readers+m.ReadersWaiting), m.Pending
		lock.Locked, lock.Starved = m.Locked, m.Starving
		if m.Pending {
			lock.Leaving = int(m.Readers)
		}
	case "Mutex":
		var m values.MutexState
		m, err = s.MutexAt(lock.Addr)
		lock.Locked, lock.Starved = m.Locked, m.Starving
	}
	if err != nil {
		err = fmt.Errorf("sync.%s at %#x: %w", lock.Kind, lock.Addr, err)
	}
	return err
}

// links is how many channels a goroutine waits for.
func (w *waitReader) links(g *values.Goroutine) (n int) {
	if n, ok := w.lengths[g.Addr]; ok {
		return n
	}
	at, err := w.s.Field(g.Addr, w.l.Waiting)
	for ; err == nil && at != 0 && n < maxLinks; n++ {
		at, err = w.s.Field(at, w.l.Sudog.WaitLink)
	}
	w.lengths[g.Addr] = n
	return n
}
