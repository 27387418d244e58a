package heap_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ri/attach"
	"ri/symbols/testprogram"
	"ri/values"
	"ri/values/eval"
	"ri/values/heap"
	"ri/values/testlook"
)

const heapFixture = "testdata/heap"

// heapVariants are releases whose heaps differ: bitmaps in arenas, malloc headers, Swiss maps, inline mark bits.
var heapVariants = []testprogram.Variant{
	{Name: "default"},
	{Name: "NoOpt", Flags: []string{"-gcflags=all=-N -l"}},
	{Name: "pie", Flags: []string{"-buildmode=pie"}},
	{Name: "oldMarks", Env: []string{"GOEXPERIMENT=nogreenteagc"}, Rare: true},
	{Name: "go1.20", Toolchain: "go1.20.14", Full: true},
	{Name: "go1.22", Toolchain: "go1.22.5", Full: true},
	{Name: "go1.24", Toolchain: "go1.24.6", Full: true},
	{Name: "go1.25", Toolchain: "go1.25.3", Rare: true},
	{Name: "go1.27", Toolchain: "go1.27.3", Full: true},
	{Name: "go1.27split", Toolchain: "go1.27.3", Env: []string{"GOEXPERIMENT=mapsplitgroup"}, Rare: true},
}

func eachHeap(t *testing.T, f func(t *testing.T, v testprogram.Variant)) {
	for _, v := range heapVariants {
		t.Run(v.Name, func(t *testing.T) {
			v.Skip(t)
			f(t, v)
		})
	}
}

func lookAtHeap(t testing.TB, v testprogram.Variant) (*testlook.Looked, *heap.Heap) {
	t.Helper()
	l := testlook.Look(t, heapFixture, v, attach.Stopped)
	h, err := heap.Build(context.Background(), l.Space, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range h.Problems() {
		t.Error(p)
	}
	return l, h
}

// The live objects are those that the program counts, and nearly all have a type.
func TestHeapTypes(t *testing.T) {
	eachHeap(t, func(t *testing.T, v testprogram.Variant) {
		l, h := lookAtHeap(t, v)
		got := map[string]int64{}
		for _, row := range h.Types() {
			got[row.Type] += row.Count
		}
		stats := h.Stats()
		near := func(what string, got, want int64) {
			if diff := got - want; diff < -want/50 || diff > want/50 {
				t.Errorf("%s: %d, the program says %d", what, got, want)
			}
		}
		for _, truth := range l.Truths {
			switch want := int64(truth.Size); truth.Expr {
			case "objects":
				near("objects", stats.Live, want)
			case "bytes":
				near("bytes", stats.LiveBytes, want)
			default:
				if got[truth.Expr] != want {
					t.Errorf("%s: %d, the program says %d", truth.Expr, got[truth.Expr], want)
				}
			}
		}
		if share := float64(stats.TypedBytes) / float64(stats.LiveBytes); share < 0.95 {
			t.Errorf("%.1f %% of the bytes have a type", 100*share)
		}
	})
}

// All that Go's collector has just left alive is found alive. The program makes some objects more to tell what it has.
func TestHeapIsWhatTheCollectorLeft(t *testing.T) {
	eachHeap(t, func(t *testing.T, v testprogram.Variant) {
		if _, h := lookAtHeap(t, v); h.Left() > 300 {
			t.Errorf("nothing leads to %d of %d objects: %s", h.Left(), h.Stats().Live, h.LeftBySize())
		}
	})
}

// What containers keep is what is reached through them alone: that of those within counts for those around them, too.
func TestHeapKeeps(t *testing.T) {
	eachHeap(t, func(t *testing.T, v testprogram.Variant) {
		_, h := lookAtHeap(t, v)
		const leaves, leaf = 400, 80 // of a slice, and bytes of each
		around, within, stores := 0, 0, int64(0)
		all := h.Biggest(50)
		for _, c := range all {
			if c.Keeps < c.Bytes && c.Kind != "chan" {
				t.Errorf("%s %s has %d bytes, and keeps %d", c.Kind, c.Type, c.Bytes, c.Keeps)
			}
			if c.Type != "[]*main.Leaf" {
				continue
			}
			within++
			stores += c.Bytes
			if want := []heap.Kept{{Type: "main.Leaf", Count: leaves, Bytes: leaves * leaf}}; c.Keeps !=
				c.Bytes+leaves*leaf || !reflect.DeepEqual(c.Kept, want) {
				t.Errorf("a slice keeps %d bytes: %v", c.Keeps, c.Kept)
			}
		}
		for _, c := range all {
			if c.Type != "map[int][]*main.Leaf" {
				continue
			}
			around++
			if c.Keeps < 20*leaves*leaf+stores+c.Bytes || len(c.Kept) < 2 ||
				c.Kept[0] != (heap.Kept{Type: "main.Leaf", Count: 20 * leaves, Bytes: 20 * leaves * leaf}) ||
				c.Kept[1] != (heap.Kept{Type: "[]*main.Leaf", Count: 20, Bytes: stores}) {
				t.Errorf("the map around them keeps %d bytes: %v", c.Keeps, c.Kept)
			}
		}
		if around != 1 || within != 20 {
			t.Errorf("%d maps around %d slices", around, within)
		}
	})
}

// What can't be woken is what the program made so.
func TestHeapBlocked(t *testing.T) {
	eachHeap(t, func(t *testing.T, v testprogram.Variant) {
		l, h := lookAtHeap(t, v)
		blocked := map[int64]bool{}
		for _, w := range h.Blocked() {
			blocked[w.Goroutine.ID] = true
			if !strings.HasPrefix(w.Goroutine.Start.Func, "main.leak") {
				t.Errorf("goroutine %d, %s, %s %v: it can be woken", w.Goroutine.ID, w.Goroutine.Start.Func, w.Reason, w.On)
			}
		}
		for g, err := range l.Goroutines() {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(g.Start.Func, "main.leak") && !blocked[g.ID] {
				t.Errorf("goroutine %d, %s: nothing can wake it", g.ID, g.Start.Func)
			}
		}
	})
}

// Go's own profile says the same. Before Go 1.27 it is an experiment.
func TestHeapBlockedAsGoSays(t *testing.T) {
	t.Run("experiment", func(t *testing.T) {
		v := testprogram.Variant{Name: "leakprofile", Env: []string{"GOEXPERIMENT=goroutineleakprofile"}, Rare: true}
		v.Skip(t)
		testBlockedAsGoSays(t, v)
	})
	t.Run("go1.27", func(t *testing.T) {
		if testing.Short() {
			t.Skip("not with -short")
		}
		testBlockedAsGoSays(t, testprogram.Variant{Name: "go1.27", Toolchain: "go1.27.3"})
	})
}

func testBlockedAsGoSays(t *testing.T, v testprogram.Variant) {
	l, h := lookAtHeap(t, v)
	var got, want []int64
	for _, w := range h.Blocked() {
		got = append(got, w.Goroutine.ID)
	}
	l.View.Close()
	leaked := regexp.MustCompile(`(?m)^goroutine (\d+) .*\(leaked\)`)
	for _, match := range leaked.FindAllStringSubmatch(l.Program.Stacks(), -1) {
		id, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, id)
	}
	if len(want) == 0 {
		t.Fatal("the program's own profile is empty")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// A walk ends when its context does.
func TestHeapEnds(t *testing.T) {
	l := testlook.Look(t, heapFixture, heapVariants[0], attach.Stopped)
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	_, err := heap.Build(ctx, l.Space, func(done, total int64, what string) {
		if what == "objects" {
			cancel(why)
		}
	})
	if !errors.Is(err, why) {
		t.Errorf("it ended with %v", err)
	}
}

// A heap that one has walked answers the next, too, when the first is over.
func TestHeapAskedAgain(t *testing.T) {
	l := testlook.Look(t, heapFixture, heapVariants[0], attach.Stopped)
	answers := heap.NoteAnswers(func(f func()) { f() })
	ctx, cancel := context.WithCancel(context.Background())
	first, err := heap.Ask(ctx, l.Space, answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	second, err := heap.Ask(context.Background(), l.Space, answers, nil)
	if err != nil || second.Heap() != first.Heap() {
		t.Fatalf("it was walked again: %v", err)
	}
	users, err := second.Users(pointer(t, l, "main.store.list"), heap.MaxUsers)
	if err != nil || !slices.Contains(users.Variables, "main.store") {
		t.Errorf("main.store.list: %+v, %v", users, err)
	}
}

// The way to an object is an expression that leads there.
func TestHeapPaths(t *testing.T) {
	eachHeap(t, func(t *testing.T, v testprogram.Variant) {
		l, h := lookAtHeap(t, v)
		for _, name := range []string{"main.Object", "main.Block", "main.Big", "main.Boxed", "[]*main.Block",
			"map[string]uint32", "chan *main.Object"} {
			addrs := h.Instances(name, 300)
			if len(addrs) == 0 {
				t.Errorf("no %s", name)
			}
			checked := 0
			for _, addr := range addrs {
				p, err := h.Path(addr)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(p.Text, "main.store.") || strings.Contains(p.Text, "times}") ||
					strings.Contains(p.Text, ".synced.") || strings.Contains(p.Text, ".atomic.") ||
					strings.Contains(p.Text, "fns[") || strings.Contains(p.Text, ".queue[") {
					continue // no expression
				}
				value, err := eval.Expression(l.Space, p.Text)
				if err != nil {
					t.Errorf("%s: %v", p.Text, err)
					break
				}
				at := value.Addr
				switch value.Type.Kind {
				case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Chan:
					if at, err = l.Uint64(value.Addr); err != nil {
						t.Fatal(err)
					}
				}
				if at != addr {
					t.Errorf("%s is at %#x, the object at %#x", p.Text, at, addr)
					break
				}
				checked++
			}
			if checked == 0 && name != "chan *main.Object" && !(v.Toolchain == "go1.20.14" && name == "main.Boxed") {
				p, _ := h.Path(addrs[0])
				t.Errorf("no path to a %s is an expression: %s", name, p.Text)
			}
		}
	})
}

// Who keeps objects, and what leads to one.
func TestHeapHolders(t *testing.T) {
	eachHeap(t, func(t *testing.T, v testprogram.Variant) {
		l, h := lookAtHeap(t, v)
		retainers, err := h.Retainers("map[string]uint32")
		if err != nil {
			t.Fatal(err)
		}
		if len(retainers) != 1 || retainers[0].Root != "main.store" || retainers[0].Holder != "main.Object" ||
			retainers[0].Count != 5000 {
			t.Errorf("map[string]uint32: %+v", retainers)
		}
		users, err := h.Users(pointer(t, l, "main.store.list"), heap.MaxUsers)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(users.Variables, "main.store") || users.Truncated {
			t.Errorf("main.store.list: %+v", users)
		}
		for _, w := range h.Waiting() {
			for _, on := range w.On {
				if on.Object == 0 {
					continue
				}
				users, err := h.Users(on.Addr, heap.MaxUsers)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range users.Goroutines {
					if w.Never && !u.Never {
						t.Errorf("goroutine %d (%s) can't be woken, but goroutine %d leads to what it waits for",
							w.Goroutine.ID, w.Goroutine.Start.Func, u.Goroutine.ID)
					}
				}
				if w.Never && len(users.Variables)+len(users.Other) > 0 {
					t.Errorf("goroutine %d (%s) can't be woken, but %v %v lead to what it waits for", w.Goroutine.ID,
						w.Goroutine.Start.Func, users.Variables, users.Other)
				}
			}
		}
	})
}

// What is asked of every goroutine costs the same however many nothing can wake.
func TestNever(t *testing.T) {
	l, h := lookAtHeap(t, heapVariants[0])
	o, err := heap.Ask(context.Background(), l.Space, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var stuck int64
	for _, w := range h.Waiting() {
		never, err := o.Never(w.Goroutine.ID)
		if err != nil || never != w.Never {
			t.Errorf("goroutine %d: %v %v, want %v", w.Goroutine.ID, never, err, w.Never)
		}
		if w.Never {
			stuck = w.Goroutine.ID
		}
	}
	if stuck == 0 {
		t.Error("nothing is stuck for ever")
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = o.Never(stuck) }); n != 0 {
		t.Errorf("a goroutine that is asked for again: %v allocations", n)
	}
}

// pointer evaluates an expression and gives the pointer that it is.
func pointer(t testing.TB, l *testlook.Looked, expr string) uint64 {
	t.Helper()
	word, err := l.Value(t, expr).Word()
	if err != nil {
		t.Fatal(err)
	}
	return word
}

// Memory that is wrong in any way ends in objects left out, not in a panic, a walk without end, or all of the machine's
// memory.
func TestHeapOfGarbage(t *testing.T) {
	for _, v := range []testprogram.Variant{heapVariants[0], {Name: "go1.20", Toolchain: "go1.20.14", Full: true}} {
		t.Run(v.Name, func(t *testing.T) {
			v.Skip(t)
			l, whole := lookAtHeap(t, v)
			rounds := 15
			if testprogram.All() {
				rounds = 60
			}
			for seed := range rounds {
				m := &flipped{View: l.View, random: rand.New(rand.NewPCG(uint64(seed), 1)),
					share: []float64{1e-6, 1e-4, 1e-2}[seed%3]}
				s := values.New(l.File(), attach.NewCache(m), l.Space.Bias())
				s.SetThreads(l.View.Threads())
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				h, err := heap.Build(ctx, s, nil)
				if errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("seed %d: no end", seed)
				}
				if err == nil {
					if n := h.Stats().Slots; n > 100*whole.Stats().Slots {
						t.Errorf("seed %d: %d slots", seed, n)
					}
					for i, row := range h.Types() {
						if i > 20 {
							break
						}
						for _, addr := range h.Instances(row.Type, 3) {
							_, _ = h.Path(addr)
							h.Object(addr)
						}
					}
					_, _ = h.Retainers("main.Object")
					_, _ = h.Stacks()
					h.Biggest(10)
					h.Finalizers()
					for _, w := range h.Waiting() {
						for _, on := range w.On {
							_, _ = h.Users(on.Addr, heap.MaxUsers)
							_, _ = h.Refs(on.Addr)
						}
					}
				}
				cancel()
			}
		})
	}
}

// flipped is a view some of whose words are wrong.
type flipped struct {
	attach.View
	random *rand.Rand
	share  float64
}

func (f *flipped) ReadMemory(p []byte, addr uint64) (int, error) {
	n, err := f.View.ReadMemory(p, addr)
	words := float64(n/8) * f.share
	for range int(words) + f.chance(words-float64(int(words))) {
		if at := f.random.IntN(n/8+1) * 8; at+8 <= n {
			switch f.random.IntN(3) {
			case 0:
				p[at+f.random.IntN(8)] ^= 1 << f.random.IntN(8)
			case 1:
				binary.LittleEndian.PutUint64(p[at:], f.random.Uint64())
			default:
				copy(p[at:at+8], p[f.random.IntN(n/8)*8:])
			}
		}
	}
	return n, err
}

func (f *flipped) chance(p float64) int {
	if f.random.Float64() < p {
		return 1
	}
	return 0
}

func BenchmarkHeap(b *testing.B) {
	testlook.Benchmark(b, heapFixture, func(s *values.Space) error {
		_, err := heap.Build(context.Background(), s, nil)
		return err
	})
}
