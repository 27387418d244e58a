package kit

import (
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
)

type counters struct {
	n    atomic.Uint32
	on   atomic.Bool
	seen sync.Map
	log  source // somebody else's, of which nothing was recorded
}

// TestDecodeAtomic: what is atomic is recorded as what it holds, and an interface's contents that nobody here has a
// type for are stood in for.
func TestDecodeAtomic(t *testing.T) {
	r := &riReplay{t: t, types: &riTypes{fakes: map[reflect.Type]func(*riReplay, int) any{
		reflect.TypeFor[source](): func(r *riReplay, on int) any { return &fakeSource{r, on} }}}}
	r.start()
	d := riDecoder{replay: r, paths: map[string]reflect.Value{}}
	var c counters
	text := `{"n":5,"on":true,"seen":{"m":{"root":null}},"log":{"$type":"main.quiet"}}`
	if err := d.into(reflect.ValueOf(&c).Elem(), []byte(text), "state"); err != nil {
		t.Fatal(err)
	}
	c.seen.Range(func(k, v any) bool {
		t.Errorf("a sync.Map isn't told apart, and has %v: %v", k, v)
		return true
	})
	if c.n.Load() != 5 || !c.on.Load() || c.log == nil || len(d.absent) != 1 {
		t.Errorf("%d, %v, %v, absent %q", c.n.Load(), c.on.Load(), c.log, d.absent)
	}
}

// TestFeed: what is polled for is there before the call that looks, what is waited for comes after it began; the end
// of a channel comes once. What nobody fetches is a difference.
func TestFeed(t *testing.T) {
	events := []*riEvent{
		{Seq: 1, Kind: "call", Func: "kit.F", Goroutine: 1},
		{Seq: 2, Kind: "receive", Chan: 1, Polled: true, Parent: 1, Goroutine: 1},
		{Seq: 3, Kind: "receive", Chan: 2, Parent: 1, Goroutine: 1},
		{Seq: 4, Kind: "receive", Chan: 2, Goroutine: 2, Closed: true},
		{Seq: 5, Kind: "receive", Chan: 2, Goroutine: 3, Closed: true}}
	r := &riReplay{t: t}
	r.start()
	calls := map[int64]*riEvent{}
	for _, e := range events {
		r.take(e, calls)
	}
	r.order(calls)
	var order []int64
	for _, e := range r.in {
		order = append(order, e.Seq)
	}
	if !reflect.DeepEqual(order, []int64{2, 1, 3, 4, 5}) {
		t.Errorf("the order is %v", order)
	}
	r.feed(events[2]) // nobody has the channel yet
	c := r.channel(reflect.TypeFor[<-chan int](), "2").Interface().(<-chan int)
	if len(c) != 1 {
		t.Errorf("%d are there", len(c))
	}
	r.fetched(events[2])
	if r.failedAt != 3 {
		t.Errorf("what nobody fetched is no difference: %q", r.failed)
	}
	<-c
	r.feed(events[3])
	r.feed(events[4])
	if _, ok := <-c; ok {
		t.Error("it isn't closed")
	}
}
