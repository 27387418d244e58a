// Command heap keeps objects whose number it knows, and goroutines of which it knows whether anything can wake them: those whose function's name
// begins with leak are left for ever, those that begin with fine are not.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

type Object struct {
	name   string
	blocks []*Block
	next   *Object
	any    interface{}
	attrs  map[string]uint32
	pad    [64]byte
}

type Block struct {
	id   int64
	data []byte
}

// Big has its type noted by the allocator.
type Big struct {
	words [100]uint64
	child *Block
	more  [40]*Block
}

type Finalized struct {
	keeps *Kept
	pad   [4]uint64
}

type Kept struct{ a, b, c uint64 }

// Leaf is reached in one way only.
type Leaf struct {
	id  int64
	pad [9]uint64
}

// Wide lies in rows, to which nothing leads but a pointer to an element, or into one.
type Wide struct {
	id  int64
	far *Far
	pad [2]*Far
}

type Far struct{ a, b, c, d, e uint64 }

func row(n int) []Wide {
	row := make([]Wide, n)
	for i := range row {
		row[i].far = &Far{}
	}
	return row
}

func pointers(n int) []*Far {
	list := make([]*Far, n)
	for i := range list {
		list[i] = &Far{}
	}
	return list
}

type Boxed struct{ a, b, c, d int64 }

type Opaque struct {
	a, b uint64
	next *Opaque
}

type Store struct {
	mu       sync.Mutex
	objects  map[string]*Object
	byID     map[int]*Object
	values   map[int64]Block
	list     *Object
	fns      []func() int64
	queue    chan *Object
	bigs     []*Big
	atomic   atomic.Pointer[Boxed]
	anything []interface{}
	hidden   unsafe.Pointer
	synced   sync.Map
	inside   *int64 // into a Block
	leaves   map[int][]*Leaf
	few      *Wide
	many     *Wide
	middle   *Wide
	fewFar   **Far
	manyFar  **Far
}

var store = &Store{objects: map[string]*Object{}, byID: map[int]*Object{}, values: map[int64]Block{}, queue: make(chan *Object, 100)}

const objects = 5000

//go:noinline
func fill() {
	for i := 0; i < objects; i++ {
		o := &Object{name: fmt.Sprint("object-", i), attrs: map[string]uint32{"a": uint32(i)}}
		for j := int64(0); j < 3; j++ {
			o.blocks = append(o.blocks, &Block{id: j, data: make([]byte, 100)})
		}
		o.next = store.list
		store.list = o
		if i%2 == 0 {
			o.any = &Block{id: int64(i)}
		} else {
			o.any = Boxed{a: int64(i)}
		}
		store.objects[o.name] = o
		store.byID[i] = o
		store.values[int64(i)] = Block{data: make([]byte, 24)}
		if i%100 == 0 {
			store.fns = append(store.fns, func() int64 { return o.blocks[0].id })
		}
		if i < 50 {
			store.queue <- o
		}
	}
	for i := 0; i < 10; i++ {
		b := &Big{child: &Block{}}
		b.more[7] = &Block{}
		store.bigs = append(store.bigs, b)
		store.anything = append(store.anything, b, fmt.Sprint("text ", i))
		store.synced.Store(i, &Boxed{})
	}
	store.atomic.Store(&Boxed{})
	store.hidden = unsafe.Pointer(&Opaque{next: &Opaque{}})
	store.inside = &(&Block{}).id
	store.leaves = map[int][]*Leaf{}
	for i := 0; i < 20; i++ {
		leaves := make([]*Leaf, 400)
		for j := range leaves {
			leaves[j] = &Leaf{id: int64(i)}
		}
		store.leaves[i] = leaves
	}
	store.few, store.many = &row(10)[0], &row(100)[0]
	if !strings.HasPrefix(runtime.Version(), "go1.20") { // whose allocator notes no types: a pointer into the middle says nothing
		store.middle = &row(2000)[7]
		counts["main.Far"] += 2000
	}
	store.fewFar, store.manyFar = &pointers(20)[0], &pointers(1000)[0]
	runtime.SetFinalizer(&Finalized{keeps: &Kept{}}, func(f *Finalized) {})
}

// counts are the live objects by type: all *Object, *Block and so on that fill made.
var counts = map[string]uint64{
	"main.Object":             objects,
	"main.Block":              3*objects + objects/2 + 20, // the one of inside is seen as what it points to
	"main.Boxed":              objects/2 + 11,
	"main.Big":                10,
	"main.Store":              0,
	"main.Leaf":               20 * 400,
	"main.Far":                10 + 100 + 20 + 1000,
	"map[string]uint32":       objects,
	"[]*main.Block":           objects,
	"chan *main.Object":       1,
	"main.fill.func1 closure": objects / 100,
}

// lock is large enough to have a slot of its own.
type lock struct {
	sync.Mutex
	sync.RWMutex
	wg   sync.WaitGroup
	cond sync.Cond
	pad  [64]byte
}

func newLock() *lock {
	l := &lock{}
	l.cond.L = &l.Mutex
	return l
}

func leakSend(c chan int)        { c <- 1 }
func leakReceive(c chan *Object) { <-c }
func leakNilChannel(c chan int)  { <-c }
func leakEmptySelect()           { select {} }
func leakMutex(l *lock)          { l.Mutex.Lock() }
func leakWriter(l *lock)         { l.RWMutex.Lock() }
func leakReader(l *lock)         { l.RWMutex.RLock() }
func leakWaitGroup(l *lock)      { l.wg.Wait() }
func leakCond(l *lock)           { l.cond.L.Lock(); l.cond.Wait() }
func leakSelect(a, b chan int) {
	select {
	case <-a:
	case b <- 1:
	}
}
func leakCycle(a, b chan int) { a <- 1; b <- 1 }
func leakRange(c chan int, done func()) {
	defer done()
	for range c {
	}
}
func leakDeadlock(a, b *lock, met *sync.WaitGroup) {
	a.Mutex.Lock()
	met.Done()
	met.Wait()
	b.Mutex.Lock()
}

func leaks() {
	go leakSend(make(chan int))
	go leakReceive(make(chan *Object))
	go leakNilChannel(nil)
	go leakEmptySelect()
	l := newLock()
	l.Mutex.Lock()
	go leakMutex(l)
	l = newLock()
	l.RWMutex.Lock()
	go leakWriter(l)
	go leakReader(l)
	l = newLock()
	l.wg.Add(1)
	go leakWaitGroup(l)
	go leakCond(newLock())
	go leakSelect(make(chan int), make(chan int))
	a, b := make(chan int), make(chan int)
	go leakCycle(a, b)
	go leakCycle(b, a)
	l = newLock()
	go leakRange(make(chan int), func() { l.wg.Done() })
	x, y, met := newLock(), newLock(), new(sync.WaitGroup)
	met.Add(2)
	go leakDeadlock(x, y, met)
	go leakDeadlock(y, x, met)
}

var (
	global     = make(chan int)
	globalLock lock
	inner      = map[string]*lock{}
)

func fineGlobal()                  { <-global }
func fineGlobalLock()              { globalLock.Mutex.Lock() }
func fineInner(l *lock)            { l.wg.Wait() }
func fineHeldByMain(c chan int)    { <-c }
func fineHeldBySleeper(c chan int) { <-c }
func fineSleeper(c chan int)       { time.Sleep(time.Hour); c <- 1 }
func fineTimer()                   { <-time.After(time.Hour) }
func fineTicker() {
	t := time.NewTicker(time.Hour)
	for range t.C {
	}
}
func fineContext(ctx context.Context) { <-ctx.Done() }
func fineChained(c chan int)          { <-c }
func fineChain(c chan int)            { <-global; c <- 1 }
func fineCallback(c chan int) {
	select {
	case <-c:
	case <-time.After(time.Hour):
	}
}
func fineTimerFunc(l *lock)      { l.wg.Wait() }
func fineFinalizer(c chan int)   { <-c }
func fineCond()                  { globalLock.cond.L.Lock(); globalLock.cond.Wait() }
func fineNested(c chan chan int) { <-<-c }

func fine(held chan int) {
	go fineGlobal()
	globalLock.Mutex.Lock()
	go fineGlobalLock()
	l := newLock()
	l.wg.Add(1)
	inner["x"] = l
	go fineInner(l)
	go fineHeldByMain(held)
	c := make(chan int)
	go fineHeldBySleeper(c)
	go fineSleeper(c)
	go fineTimer()
	go fineTicker()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	_ = cancel
	go fineContext(ctx)
	chained := make(chan int)
	go fineChained(chained)
	go fineChain(chained)
	go fineCallback(make(chan int))
	l2 := newLock()
	l2.wg.Add(1)
	time.AfterFunc(time.Hour, func() { l2.wg.Done() })
	go fineTimerFunc(l2)
	f := make(chan int)
	runtime.SetFinalizer(&Finalized{}, func(*Finalized) { f <- 1 })
	go fineFinalizer(f)
	nested := make(chan chan int)
	go fineNested(nested)
	go func() { <-global; nested <- nil }()
}

// settled waits until all goroutines but this one wait.
func settled() {
	buf := make([]byte, 1<<20)
	for {
		text := buf[:runtime.Stack(buf, true)]
		if bytes.Count(text, []byte("[runnable")) == 0 && bytes.Count(text, []byte("[running")) == 1 {
			return
		}
		runtime.Gosched()
	}
}

type truth struct {
	Expr string
	Size uint64
}

func main() {
	held := make(chan int)
	fill()
	leaks()
	globalLock.cond.L = new(sync.Mutex)
	go fineCond()
	fine(held)
	settled()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	truths := []truth{{"objects", m.HeapObjects}, {"bytes", m.HeapAlloc}}
	for name, n := range counts {
		truths = append(truths, truth{name, n})
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]interface{}{"PID": os.Getpid(), "GoVersion": runtime.Version(), "Truths": truths})
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		// Who waits for ever, as the runtime itself has it, if it was built so.
		var text strings.Builder
		if p := pprof.Lookup("goroutineleak"); p != nil {
			p.WriteTo(&text, 2)
		}
		out.Encode(map[string]string{"Stacks": text.String()})
	}
	held <- 1
}
