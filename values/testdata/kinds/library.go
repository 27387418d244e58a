package main

import (
	"container/heap"
	"container/list"
	"container/ring"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// pairs is what a sync.Map holds.
type pairs struct {
	Expr    string
	Entries map[string]string // texts of keys and values
}

// instant is what a time.Time means.
type instant struct {
	Expr     string
	Seconds  int64 // since 1970
	Nanos    int
	UTC      bool
	Monotone bool
}

type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

var (
	emptySyncMap sync.Map
	syncMap      sync.Map
	atomicInt    atomic.Int64
	atomicUint   atomic.Uint32
	atomicBool   atomic.Bool
	atomicPtr    atomic.Pointer[point]
	atomicNil    atomic.Pointer[point]
	atomicValue  atomic.Value
	atomicEmpty  atomic.Value
	zeroTime     time.Time
	utcTime      = time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.UTC)
	ancient      = time.Date(-5, 1, 1, 0, 0, 0, 1, time.UTC)
	farFuture    = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	localTime    = time.Now()
	localNoMono  = time.Now().Round(0)
	zonedTime    = time.Date(2020, 5, 6, 7, 8, 9, 10, time.FixedZone("here", 3600))
	linkedList   = list.New()
	circle       = ring.New(3)
	numbersHeap  = &intHeap{5, 2, 8}
	aMutex       sync.Mutex
	rwMutex      sync.RWMutex
	once         sync.Once
	fewSyncMap   sync.Map
	heldMutex    sync.Mutex
	writtenLock  sync.RWMutex
	awaitedLock  sync.RWMutex
	waitGroup    sync.WaitGroup
	notOnce      sync.Once
)

// setWord gives a state that takes many goroutines to make: it is for looking at only.
func setWord[T any](of *T, field string, value int32) {
	f, ok := reflect.TypeOf(of).Elem().FieldByName(field)
	if !ok {
		panic(field)
	}
	*(*int32)(unsafe.Add(unsafe.Pointer(of), f.Offset)) = value
}

func library(r *report) {
	want := map[string]string{}
	for i := 0; i < 500; i++ {
		syncMap.Store(fmt.Sprint("key ", i), i)
	}
	syncMap.Range(func(_, _ any) bool { return true }) // promotes the dirty map where there is one
	for i := 0; i < 500; i++ {
		if i%3 == 0 {
			syncMap.Delete(fmt.Sprint("key ", i))
		} else {
			want[fmt.Sprintf("%q", fmt.Sprint("key ", i))] = fmt.Sprint(i)
		}
	}
	syncMap.Store(point{1, 2}, "a point")
	syncMap.Store("late", nil)
	want["{X: 1, Y: 2, }"] = `"a point"`
	want[`"late"`] = "nil"
	r.Pairs = []pairs{{"main.syncMap", want}, {"main.emptySyncMap", nil}}
	atomicInt.Store(-1 << 62)
	atomicUint.Store(1 << 31)
	atomicBool.Store(true)
	atomicPtr.Store(&points[1])
	atomicValue.Store(map[string]point{"v": {5, 6}})
	for i := 0; i < 5; i++ {
		linkedList.PushBack(i * i)
	}
	linkedList.PushFront("first")
	for i := 0; i < 3; i++ {
		circle.Value = i
		circle = circle.Next()
	}
	heap.Init(numbersHeap)
	heap.Push(numbersHeap, 1)
	once.Do(func() {})
	emptySyncMap.Delete(1)
	rwMutex.RLock()
	fewSyncMap.Store("key", &points[0])
	heldMutex.Lock()
	*(*int32)(unsafe.Pointer(&heldMutex)) |= 2<<3 | 4 // two wait, starving
	setWord(&writtenLock, "readerCount", 3-1<<30)
	setWord(&awaitedLock, "readerCount", 5-1<<30)
	setWord(&awaitedLock, "readerWait", 2)
	waitGroup.Add(3)
	say("main.heldMutex", &heldMutex)
	say("main.writtenLock", &writtenLock)
	say("main.awaitedLock", &awaitedLock)
	say("main.waitGroup", &waitGroup)
	say("main.notOnce", &notOnce)
	say("main.fewSyncMap", &fewSyncMap)
	say("main.atomicInt", &atomicInt)
	say("main.atomicUint", &atomicUint)
	say("main.atomicBool", &atomicBool)
	say("main.atomicPtr", &atomicPtr)
	say("main.atomicNil", &atomicNil)
	say("main.atomicValue", &atomicValue)
	say("main.atomicEmpty", &atomicEmpty)
	say("main.linkedList", &linkedList)
	say("main.circle", &circle)
	say("main.numbersHeap", &numbersHeap)
	say("main.aMutex", &aMutex)
	say("main.rwMutex", &rwMutex)
	say("main.once", &once)
	say("main.utcTime", &utcTime)
	say("main.syncMap", &syncMap)
	looked("main.atomicInt.v", atomicInt.Load())
	looked("main.atomicUint.v", atomicUint.Load())
	looked("main.linkedList.len", linkedList.Len())
	looked("main.linkedList.root.next.Value", linkedList.Front().Value)
	looked("main.linkedList.root.next.next.next.Value.(int)", 1)
	looked("*(*main.point)(main.atomicPtr.v)", points[1])
	for _, t := range []struct {
		expr string
		t    *time.Time
	}{{"main.zeroTime", &zeroTime}, {"main.utcTime", &utcTime}, {"main.ancient", &ancient}, {"main.farFuture", &farFuture},
		{"main.localTime", &localTime}, {"main.localNoMono", &localNoMono}, {"main.zonedTime", &zonedTime}} {
		r.Times = append(r.Times, instant{t.expr, t.t.Unix(), t.t.Nanosecond(), t.t.Location() == time.UTC, *t.t != t.t.Round(0)})
	}
}
