package values

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"time"

	"ri/symbols"
)

// Waits is who waits for what, as the runtime has it: goroutines parked for semaphores (sync's locks, WaitGroup) in runtime.semtable, and
// those parked for channels by their own lists of runtime.sudog.
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
	Select bool          // it waits for others too
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
	// Unseen is how many goroutines could not be searched for holders: running ones outside of a stop, broken stacks.
	Unseen int
}

// Readers32 are an RWMutex's counters.
type Readers32 struct {
	Active  int  // readers that are in, and behind a waiting writer those that wait
	Leaving int  // readers that a writer waits for
	Pending bool // a writer has announced itself, or has the lock
}

// WaitedChannel is a channel that goroutines wait for.
type WaitedChannel struct {
	Channel
	Type      string // of an element, "" if not known
	Senders   []Waiter
	Receivers []Waiter
	Timer     bool // the runtime's timers send to it
}

// queueLayout is where the runtime keeps its queues, by field names (Go 1.20 to 1.26).
type queueLayout struct {
	g, next, prev, waitlink, elem, c, isSelect int64 // of runtime.sudog
	size                                       int64
	waiting                                    int64 // g.waiting
	seq                                        int64 // g.trackingSeq
	table                                      Value // runtime.semtable
	root, treap                                int64
	chanSize, qcount, dataqsiz, closed, recv   int64
	send, buf, elemtype, timer, recvx          int64
	mutexSema, rwWriter, rwReader, groupSema   int64 // semaphores in sync's types
	readerCount                                int64
}

// leaf gives the offset of a field and, where its type is a struct around one value (atomic.Int32, maybeTraceablePtr), of that value.
func leaf(t *symbols.Type, names ...string) int64 {
	off := int64(0)
	for _, name := range names {
		p, err := t.FieldByName(name)
		if err != nil || len(p.Steps) > 0 {
			return -1
		}
		off, t = off+p.Offset, p.Field.Type
	}
	for range 4 {
		if t.Kind != reflect.Struct {
			break
		}
		var inner symbols.Path
		err := error(ErrNoField)
		for _, name := range []string{"vu", "value", "v", "maybeTraceablePtr"} {
			if inner, err = t.FieldByName(name); err == nil {
				break
			}
		}
		if err != nil {
			break
		}
		off, t = off+inner.Offset, inner.Field.Type
	}
	return off
}

func (s *Space) queueLayout() (*queueLayout, error) {
	if s.waits != nil {
		return s.waits, nil
	}
	gl, err := s.goroutineLayout()
	if err != nil {
		return nil, err
	}
	g := gl.allgs.Type.Elem().Elem()
	waiting, err := g.FieldByName("waiting")
	if err != nil || waiting.Field.Type.Elem() == nil {
		return nil, fmt.Errorf("runtime.g has no field waiting in this release of Go (%s): %w", s.file.GoVersion(), ErrNoField)
	}
	sudog := waiting.Field.Type.Elem()
	l := &queueLayout{size: sudog.Size, waiting: waiting.Offset, seq: leaf(g, "trackingSeq")}
	l.g, l.next, l.prev, l.waitlink = leaf(sudog, "g"), leaf(sudog, "next"), leaf(sudog, "prev"), leaf(sudog, "waitlink")
	l.elem, l.c, l.isSelect = leaf(sudog, "elem"), leaf(sudog, "c"), leaf(sudog, "isSelect")
	for name, off := range map[string]int64{"g": l.g, "next": l.next, "prev": l.prev, "waitlink": l.waitlink, "elem": l.elem, "c": l.c} {
		if off < 0 {
			return nil, fmt.Errorf("runtime.sudog has no field %s in this release of Go (%s): %w", name, s.file.GoVersion(), ErrNoField)
		}
	}
	if l.table, err = s.Var("runtime.semtable"); err != nil {
		return nil, err
	}
	element := l.table.Type.Elem()
	if element == nil {
		return nil, fmt.Errorf("runtime.semtable is a %s: %w", l.table.Type.Name, ErrKind)
	}
	if l.root = leaf(element, "root"); l.root < 0 {
		return nil, fmt.Errorf("runtime.semtable has no roots in this release of Go (%s): %w", s.file.GoVersion(), ErrNoField)
	}
	root, _ := element.FieldByName("root")
	if l.treap = leaf(root.Field.Type, "treap"); l.treap < 0 {
		return nil, fmt.Errorf("runtime.semaRoot has no treap in this release of Go (%s): %w", s.file.GoVersion(), ErrNoField)
	}
	hchan, err := s.file.Type("runtime.hchan")
	if err != nil {
		return nil, err
	}
	l.chanSize = hchan.Size
	l.qcount, l.dataqsiz, l.closed, l.buf, l.recvx = leaf(hchan, "qcount"), leaf(hchan, "dataqsiz"), leaf(hchan, "closed"), leaf(hchan, "buf"), leaf(hchan, "recvx")
	l.recv, l.send, l.elemtype, l.timer = leaf(hchan, "recvq", "first"), leaf(hchan, "sendq", "first"), leaf(hchan, "elemtype"), leaf(hchan, "timer")
	of := func(name string, fields ...string) int64 {
		t, err := s.file.Type(name)
		if err != nil {
			return -1
		}
		return leaf(t, fields...)
	}
	if l.mutexSema = of("sync.Mutex", "sema"); l.mutexSema < 0 {
		l.mutexSema = of("sync.Mutex", "mu", "sema")
	}
	l.rwWriter, l.rwReader, l.readerCount = of("sync.RWMutex", "writerSem"), of("sync.RWMutex", "readerSem"), of("sync.RWMutex", "readerCount")
	l.groupSema = of("sync.WaitGroup", "sema")
	s.waits = l
	return l, nil
}

// Waits reads all queues. check is called now and then, and may be nil.
func (s *Space) Waits(check func()) (*Waits, error) {
	l, err := s.queueLayout()
	if err != nil {
		return nil, err
	}
	w := &waitReader{s: s, l: l, out: &Waits{}, check: check, locks: map[uint64]*Lock{}, channels: map[uint64]*WaitedChannel{}}
	if gl, err := s.goroutineLayout(); err == nil {
		_, n, _, err := gl.allgs.sliceHeader()
		if err != nil || n > maxGoroutines {
			return nil, fmt.Errorf("runtime.allgs claims %d goroutines: %w", n, ErrCorrupt)
		}
		w.most = int(n) + 1024
	}
	if err := w.semaphores(); err != nil {
		return nil, err
	}
	if err := w.waitingForChannels(); err != nil {
		return nil, err
	}
	for _, lock := range w.out.Locks {
		s.readLock(lock)
	}
	return w.out, nil
}

type waitReader struct {
	s        *Space
	l        *queueLayout
	out      *Waits
	check    func()
	steps    int
	most     int // entries of one queue: in memory that changes meanwhile a queue may lead back into itself
	locks    map[uint64]*Lock
	channels map[uint64]*WaitedChannel
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

// semaphores goes through runtime.semtable: a tree of addresses in each slot, and behind each address the list of those who wait for it.
func (w *waitReader) semaphores() error {
	n, err := w.l.table.Len()
	if err != nil {
		return err
	}
	step := uint64(w.l.table.Type.Elem().Size)
	for i := range uint64(n) {
		top, err := w.s.Uint64(w.l.table.Addr + i*step + uint64(w.l.root+w.l.treap))
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
			if nodes > w.most {
				return fmt.Errorf("runtime.semtable: slot %d has no end: %w", i, ErrCorrupt)
			}
			b, err := w.s.Slice(at, int(w.l.size))
			if err != nil {
				w.failed(fmt.Errorf("runtime.semtable: %w", err))
				continue
			}
			stack = append(stack, word(b, w.l.prev), word(b, w.l.next))
			w.semaphore(word(b, w.l.elem), at)
		}
	}
	return nil
}

func word(b []byte, off int64) uint64 {
	if off < 0 || off+8 > int64(len(b)) {
		return 0
	}
	return binary.LittleEndian.Uint64(b[off:])
}

// semaphore goes through those who wait for one address.
func (w *waitReader) semaphore(addr, first uint64) {
	for n := 0; first != 0; n++ {
		w.step()
		b, err := w.s.Slice(first, int(w.l.size))
		if err == nil && n > w.most {
			err = fmt.Errorf("the queue for %#x has no end: %w", addr, ErrCorrupt)
		}
		if err != nil {
			w.failed(err)
			return
		}
		g, err := w.s.goroutineAt(word(b, w.l.g))
		first = word(b, w.l.waitlink)
		if err != nil || g == nil {
			w.failed(err)
			continue
		}
		w.waits(addr, g)
	}
}

func waiterOf(g *Goroutine) Waiter {
	return Waiter{ID: g.ID, Addr: g.Addr, Reason: g.WaitReason, Wait: g.Wait}
}

// waits notes that a goroutine waits for a semaphore: its wait reason says what that belongs to.
func (w *waitReader) waits(addr uint64, g *Goroutine) {
	l := w.l
	add := func(kind string, off int64) *Lock {
		if off < 0 {
			return nil
		}
		lock := w.locks[addr-uint64(off)]
		if lock == nil {
			lock = &Lock{Addr: addr - uint64(off), Kind: kind}
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
		if frames, _ := g.Stack(12); hasFunc(frames, "sync.(*RWMutex).Lock") { // writers wait for each other by the Mutex that an RWMutex begins with
			kind = "RWMutex"
		}
		if lock := add(kind, l.mutexSema); lock != nil {
			lock.Writers = append(lock.Writers, waiterOf(g))
		}
	case "sync.RWMutex.Lock":
		if lock := add("RWMutex", l.rwWriter); lock != nil {
			lock.Writers = append(lock.Writers, waiterOf(g))
		}
	case "sync.RWMutex.RLock":
		if lock := add("RWMutex", l.rwReader); lock != nil {
			lock.Readers = append(lock.Readers, waiterOf(g))
		}
	case "sync.WaitGroup.Wait", "semacquire":
		if g.WaitReason == "semacquire" {
			if frames, _ := g.Stack(12); !hasFunc(frames, "sync.(*WaitGroup).Wait") {
				return
			}
		}
		if lock := add("WaitGroup", l.groupSema); lock != nil {
			lock.Waiting = append(lock.Waiting, waiterOf(g))
		}
	}
}

func hasFunc(frames []Frame, name string) bool {
	for i := range frames {
		if frames[i].Func == name {
			return true
		}
	}
	return false
}

// waitingForChannels goes through all goroutines' lists of channels that they wait for.
func (w *waitReader) waitingForChannels() error {
	gl, err := w.s.goroutineLayout()
	if err != nil {
		return err
	}
	data, n, _, err := gl.allgs.sliceHeader()
	if err != nil || n > maxGoroutines {
		return fmt.Errorf("runtime.allgs claims %d goroutines: %w", n, ErrCorrupt)
	}
	for i := range uint64(n) {
		w.step()
		addr, err := w.s.Uint64(data + 8*i)
		if err != nil || addr == 0 {
			continue
		}
		b, err := w.s.Slice(addr, int(gl.size))
		if err != nil {
			w.failed(fmt.Errorf("runtime.g: %w", err))
			continue
		}
		if binary.LittleEndian.Uint32(b[gl.status:])&^statusScan != statusWaiting || gl.waitReason < 0 {
			continue
		}
		if reason := gl.reason(b[gl.waitReason]); !strings.HasPrefix(reason, "chan") && !strings.HasPrefix(reason, "select") {
			continue
		}
		at := word(b, w.l.waiting)
		for links := 0; at != 0 && links < 1<<16; links++ {
			sudog, err := w.s.Slice(at, int(w.l.size))
			if err != nil {
				w.failed(err)
				break
			}
			w.channel(word(sudog, w.l.c))
			at = word(sudog, w.l.waitlink)
		}
	}
	return nil
}

// channel reads a channel and its queues, once.
func (w *waitReader) channel(addr uint64) {
	if addr == 0 || w.channels[addr] != nil {
		return
	}
	b, err := w.s.Slice(addr, int(w.l.chanSize))
	if err != nil {
		w.failed(err)
		return
	}
	l := w.l
	c := &WaitedChannel{Channel: Channel{Addr: addr, Len: int(word(b, l.qcount)), Cap: int(word(b, l.dataqsiz)),
		Closed: binary.LittleEndian.Uint32(b[l.closed:]) != 0, buf: word(b, l.buf), first: word(b, l.recvx)}}
	c.Timer = l.timer >= 0 && word(b, l.timer) != 0
	w.channels[addr] = c
	w.out.Channels = append(w.out.Channels, c)
	if desc := word(b, l.elemtype); desc != 0 {
		if t, err := w.s.RuntimeType(desc); err == nil {
			c.Elem, c.Type = t, t.Name
		}
	}
	receivers, senders := word(b, l.recv), word(b, l.send)
	c.Receivers, c.Senders = w.queue(receivers), w.queue(senders)
}

func (w *waitReader) queue(at uint64) (out []Waiter) {
	for n := 0; at != 0; n++ {
		w.step()
		b, err := w.s.Slice(at, int(w.l.size))
		if err == nil && n > w.most {
			err = fmt.Errorf("a channel's queue has no end: %w", ErrCorrupt)
		}
		if err != nil {
			w.failed(err)
			return out
		}
		g, err := w.s.goroutineAt(word(b, w.l.g))
		if err != nil {
			w.failed(err)
		}
		if g != nil {
			waiter := waiterOf(g)
			waiter.Select = w.l.isSelect >= 0 && b[w.l.isSelect] != 0
			out = append(out, waiter)
		}
		at = word(b, w.l.next)
	}
	return out
}

// readLock decodes a lock's words.
func (s *Space) readLock(lock *Lock) {
	t, err := s.file.Type("sync." + lock.Kind)
	if err != nil {
		return
	}
	v := s.At(lock.Addr, t)
	if lock.Kind == "WaitGroup" {
		for _, name := range []string{"state", "state1"} {
			if off := leaf(t, name); off >= 0 {
				if state, err := s.Uint64(lock.Addr + uint64(off)); err == nil {
					lock.Count = int(int32(state >> 32))
					lock.Locked = lock.Count != 0
				}
				return
			}
		}
		return
	}
	mutex := v
	if lock.Kind == "RWMutex" {
		readers, _ := v.word32("readerCount")
		leaving, _ := v.word32("readerWait")
		lock.Active, lock.Leaving, lock.Pending = int(readers), int(leaving), readers < 0
		if readers < 0 {
			lock.Active += 1 << 30 // sync.rwmutexMaxReaders
		}
		lock.Locked = readers < 0 && leaving == 0
		if mutex, err = v.Field("w"); err != nil {
			return
		}
	}
	if inner, err := mutex.Field("mu"); err == nil {
		mutex = inner
	}
	state, err := mutex.word32("state")
	if err != nil {
		return
	}
	lock.Starved = state&4 != 0
	if lock.Kind == "Mutex" {
		lock.Locked = state&mutexLocked != 0
	}
}
