package kit

import (
	"reflect"
	"slices"
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
	r := (&riRecording{}).replay(t, nil)
	r.types = &riTypes{fakes: map[reflect.Type]func(*riReplay, int) any{
		reflect.TypeFor[source](): func(r *riReplay, on int) any { return &fakeSource{r, on} }}}
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
	compare := riCompare{replay: r}
	if why := compare.differs(reflect.ValueOf(&c).Elem().FieldByName("n"), []byte("5"), "n"); why != "" {
		t.Error(why)
	}
	if why := compare.differs(reflect.ValueOf(&c).Elem().FieldByName("on"), []byte("false"), "on"); why == "" {
		t.Error("another bool is no difference")
	}
	if c.n.Load() != 5 || !c.on.Load() || c.log == nil || len(d.absent) != 1 {
		t.Errorf("%d, %v, %v, absent %q", c.n.Load(), c.on.Load(), c.log, d.absent)
	}
}

// TestFeed: what is polled for is there before the call that looks, what is waited for comes after it began; the end
// of a channel comes once. What nobody fetches is a difference.
func TestFeed(t *testing.T) {
	rec := recordingOf(t, `{"kind":"call","func":"kit.F","goroutine":1}`,
		`{"kind":"receive","chan":1,"polled":true,"parent":1,"goroutine":1}`,
		`{"kind":"receive","chan":2,"parent":1,"goroutine":1}`,
		`{"kind":"receive","chan":2,"goroutine":2,"closed":true}`, `{"kind":"receive","chan":2,"goroutine":3,"closed":true}`)
	if order := orderOf(rec); !slices.Equal(order, []int64{2, 1, 3, 4, 5}) {
		t.Errorf("the order is %v", order)
	}
	r, events := rec.replay(t, nil), rec.events
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
