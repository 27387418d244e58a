package kit

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// till calls out while it has its lock.
type till struct {
	mu     sync.Mutex
	Source source
	sum    int
}

func (t *till) Add(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, _ := t.Source.Next(name)
	t.sum += n
	return t.sum
}

func (t *till) Sum() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sum
}

// TestLock: the second call waits for the lock that the first has, which calls out.
func TestLock(t *testing.T) {
	types := &riTypes{fakes: map[reflect.Type]func(*riReplay, int) any{
		reflect.TypeFor[source](): func(r *riReplay, on int) any { return &fakeSource{r, on} }}}
	funcs := map[string]any{"kit.(*till).Add": (*till).Add, "kit.(*till).Sum": (*till).Sum}
	text := strings.Join([]string{
		`{"ri":"calls","version":1,"state":[{"on":2,"type":"*kit.till","value":{"Source":{"$type":"*x.y","$on":1},` +
			`"sum":0}}]}`,
		`{"seq":1,"at":1000,"goroutine":7,"kind":"call","func":"kit.(*till).Add","on":2,"values":["a"]}`,
		`{"seq":2,"at":2000,"goroutine":7,"kind":"call","func":"x.(*y).Next","out":true,"on":1,"parent":1,"values":["a"]}`,
		`{"seq":3,"at":3000,"goroutine":8,"kind":"call","func":"kit.(*till).Add","on":2,"values":["b"]}`,
		`{"seq":4,"at":4000,"goroutine":9,"kind":"call","func":"kit.(*till).Sum","on":2}`,
		`{"seq":5,"at":4500,"goroutine":9,"kind":"return","func":"kit.(*till).Sum","on":2,"call":4,"values":[2]}`,
		`{"seq":6,"at":5000,"goroutine":7,"kind":"return","func":"x.(*y).Next","out":true,"on":1,"parent":1,"call":2,` +
			`"values":[2,null]}`,
		`{"seq":7,"at":6000,"goroutine":8,"kind":"call","func":"x.(*y).Next","out":true,"on":1,"parent":3,"values":["b"]}`,
		`{"seq":8,"at":7000,"goroutine":8,"kind":"return","func":"x.(*y).Next","out":true,"on":1,"parent":3,"call":7,` +
			`"values":[3,null]}`,
		`{"seq":9,"at":8000,"goroutine":8,"kind":"return","func":"kit.(*till).Add","on":2,"call":3,"values":[5]}`,
	}, "\n") + "\n"
	riRun(t, write(t, text+endMark(text)), types, funcs, nil, synctest.Test, synctest.Wait)
}

// locked is a replay of a till's calls.
func locked(t testing.TB, text string) *riReplay {
	t.Helper()
	rec, err := riParse(strings.NewReader(text + endMark(text)))
	if err != nil {
		t.Fatal(err)
	}
	types := &riTypes{fakes: map[reflect.Type]func(*riReplay, int) any{
		reflect.TypeFor[source](): func(r *riReplay, on int) any { return &fakeSource{r, on} }}}
	rec.given(types)
	free, gone := map[*riEvent]bool{}, map[*riEvent]bool{}
	try := func(steps []*riStep, _ map[*riStep]uint64) *riReplay {
		r := rec.replay(t, steps)
		r.free, r.gone, r.types, r.wait = free, gone, types, synctest.Wait
		r.funcs = map[string]any{"kit.(*till).Add": (*till).Add, "kit.(*till).Sum": (*till).Sum}
		r.watched(func() {
			defer func() {
				if p := recover(); p != nil && !r.over {
					panic(p)
				}
			}()
			synctest.Test(t.(*testing.T), func(*testing.T) { r.play() })
		})
		return r
	}
	return riUnlocked(try, free, gone)(rec.grouped()[0], nil)
}

// TestLockEnded: of a call no return is recorded, and others got the lock that it had: it had ended by a panic, which
// its goroutine's caller recovered from. One that others didn't wait for goes on.
func TestLockEnded(t *testing.T) {
	text := strings.Join([]string{
		`{"ri":"calls","version":1,"state":[{"on":2,"type":"*kit.till","value":{"Source":{"$type":"*x.y","$on":1},` +
			`"sum":0}},{"on":3,"type":"*kit.till","value":{"Source":{"$type":"*x.y","$on":1},"sum":0}}]}`,
		`{"seq":1,"at":500,"goroutine":6,"kind":"call","func":"kit.(*till).Add","on":3,"values":["c"]}`,
		`{"seq":2,"at":600,"goroutine":6,"kind":"call","func":"x.(*y).Next","out":true,"on":1,"values":["c"]}`,
		`{"seq":3,"at":1000,"goroutine":7,"kind":"call","func":"kit.(*till).Add","on":2,"values":["a"]}`,
		`{"seq":4,"at":2000,"goroutine":7,"kind":"call","func":"x.(*y).Next","out":true,"on":1,"values":["a"]}`,
		`{"seq":5,"at":4000,"goroutine":9,"kind":"call","func":"kit.(*till).Sum","on":2}`,
		`{"seq":6,"at":4500,"goroutine":9,"kind":"return","func":"kit.(*till).Sum","on":2,"call":5,"values":[0]}`,
	}, "\n") + "\n"
	r := locked(t, text)
	if r.failed != "" || len(r.gone) != 1 || !r.gone[r.rec.at(4)] {
		t.Errorf("event %d: %q; %d calls are taken for ended", r.failedAt, r.failed, len(r.gone))
	}
	// What differs while a lock is held is what is told, not the lock.
	r = locked(t, strings.Replace(text, `"values":["a"]}`+"\n"+`{"seq":5`, `"values":["b"]}`+"\n"+`{"seq":5`, 1))
	if r.failedAt != 4 || !strings.Contains(r.failed, "argument 0") {
		t.Errorf("event %d: %q", r.failedAt, r.failed)
	}
}
