package waits_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"ri/attach"
	"ri/symbols"
	"ri/symbols/testprogram"
	"ri/values"
	"ri/values/testlook"
	"ri/values/waits"
)

// waiting is what a Reader tells of testdata/waiting.
type waiting struct {
	reader *waits.Reader
	waits  *waits.Waits
	needs  *waits.Needs
	groups []*values.StackGroup
	own    map[int64]string // the outermost function of the program's that a goroutine is in, but main.main
}

// lookAt reads all that there is to be told of a space.
func lookAt(s *values.Space) (*waiting, error) {
	w := &waiting{reader: waits.New(s), own: map[int64]string{}}
	var err error
	if w.waits, err = w.reader.Waits(nil); err != nil {
		return nil, err
	}
	if w.groups, err = s.Stacks(values.StackOptions{Limit: 256}, &values.StackMemo{}); err != nil {
		return nil, err
	}
	if err = w.reader.FindHolders(w.waits, w.groups, true, nil); err != nil {
		return nil, err
	}
	w.reader.NameLocks(w.waits)
	if w.needs, err = w.reader.Needs(w.waits, w.groups, nil); err != nil {
		return nil, err
	}
	w.reader.NameChannels(w.waits.Channels)
	for _, group := range w.groups {
		for _, frame := range group.Frames {
			if strings.HasPrefix(frame.Func, "main.") && !strings.Contains(frame.Func, "gowrap") {
				for _, id := range group.IDs {
					w.own[id] = frame.Func
				}
			}
		}
	}
	return w, nil
}

// lock finds the one of a name that somebody waits for, or else that is held.
func (w *waiting) lock(name string) *waits.Lock {
	var found *waits.Lock
	for _, l := range w.waits.Locks {
		if l.Name == name && (found == nil || len(found.Writers)+len(found.Readers)+len(found.Waiting) == 0) {
			found = l
		}
	}
	return found
}

func (w *waiting) channel(name string) *waits.WaitedChannel {
	for _, c := range w.waits.Channels {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// describe writes holders as "main.holdPlain", with letters for what else is told of them.
func describe(holders []waits.Holder) string {
	var out []string
	for i := range holders {
		h := &holders[i]
		text := h.Site.Func + " "
		for _, flag := range []struct {
			is     bool
			letter string
		}{
			{h.Reader, "R"}, {h.Deferred, "D"}, {h.Try, "T"}, {h.Through, "I"}, {h.By != "", "B"}, {h.Earlier, "E"},
			{h.Possibly, "?"}, {h.Unplaced, "U"},
		} {
			if flag.is {
				text += flag.letter
			}
		}
		out = append(out, strings.TrimSpace(text))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// TestWaits has each kind of lock and channel told, with its name, who waits and who holds it, and why.
func TestWaits(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		l := testlook.Look(t, "../testdata/waiting", v, attach.Stopped)
		w, err := lookAt(l.Space)
		if err != nil {
			t.Fatal(err)
		}
		if w.waits.Unread != nil {
			t.Error(w.waits.Unread)
		}
		testLocks(t, w, v.Toolchain != "go1.20.14")
		testChannels(t, w)
		testNeeds(t, w)
		testLocking(t, l.Space, w)
	})
}

// testLocks compares the locks. deferred says whether the compiler makes a closure for a deferred Unlock.
func testLocks(t *testing.T, w *waiting, deferred bool) {
	holders := func(list []waits.Holder) string {
		if !deferred {
			return strings.TrimSuffix(describe(list), " D")
		}
		return describe(list)
	}
	for _, want := range []struct {
		name, kind                string
		writers, readers, waiting int
		holders                   string
	}{
		{"main.plain", "Mutex", 2, 0, 0, "main.holdPlain"},
		{"main.deferred", "Mutex", 1, 0, 0, "main.holdDeferred D"},
		{"main.helped", "Mutex", 1, 0, 0, "main.holdHelped B"},
		{"main.tried", "Mutex", 1, 0, 0, "main.holdTried T"},
		{"main.given", "Mutex", 1, 0, 0, "main.holdGiven"},
		{"main.called", "Mutex", 1, 0, 0, "main.holdCalled I"},
		{"main.left", "Mutex", 1, 0, 0, "main.main B"},
		{"main.spun", "Mutex", 1, 0, 0, "main.holdSpun"},
		{"main.outer", "Mutex", 1, 0, 0, "main.holdOuter"}, // which waits for inner itself, and doesn't hold it
		{"main.inner", "Mutex", 1, 0, 0, "main.holdInner"},
		{"main.carried", "Mutex", 1, 0, 0, "main.holdCarried"},
		{"main.writing", "RWMutex", 1, 1, 0, "main.holdWriting"},
		{"main.reading", "RWMutex", 1, 1, 0, "main.holdReading R, main.holdReading R"},
		{"main.shards[2].mu", "Mutex", 1, 0, 0, "main.holdShard"},
		{"main.rounds[0].mu", "Mutex", 1, 0, 0, "main.holdRounds E"},
		{"main.unused", "Mutex", 0, 0, 0, "main.holdUnused"},
		{"main.account.mu", "Mutex", 1, 0, 0, "main.(*account).hold"},
		{"main.wrapped.RWMutex", "RWMutex", 1, 0, 0, "main.(*wrapped).hold R"},
		{"main.group", "WaitGroup", 0, 0, 1, ""},
	} {
		lock := w.lock(want.name)
		if lock == nil {
			t.Errorf("%s isn't told", want.name)
			continue
		}
		got := want
		if got.kind, got.holders = lock.Kind, holders(lock.Holders); !deferred {
			want.holders = strings.TrimSuffix(want.holders, " D")
		}
		got.writers, got.readers, got.waiting = len(lock.Writers), len(lock.Readers), len(lock.Waiting)
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	for name, is := range map[string]func(*waits.Lock) bool{
		"main.plain":   func(l *waits.Lock) bool { return l.Locked },
		"main.writing": func(l *waits.Lock) bool { return l.Locked && l.Pending },
		// Two are in and one waits behind the writer.
		"main.reading": func(l *waits.Lock) bool { return !l.Locked && l.Pending && l.Active == 3 && l.Leaving == 2 },
		"main.group":   func(l *waits.Lock) bool { return l.Count == 2 && l.Locked },
		// It was taken on one way of two: by what the code says it may be the one.
		"main.maybe": func(l *waits.Lock) bool {
			return len(l.Writers) == 1 && strings.HasPrefix(describe(l.Holders), "main.holdMaybe")
		},
	} {
		if lock := w.lock(name); lock == nil || !is(lock) {
			t.Errorf("%s: %+v", name, lock)
		}
	}
	if once := w.once(); once == nil || len(once.Writers) != 1 ||
		strings.TrimSuffix(describe(once.Holders), " D") != "sync.(*Once).doSlow" {
		t.Errorf("a sync.Once: %+v", once)
	}
}

// once is the lock of the sync.Once. How it is named differs between releases.
func (w *waiting) once() *waits.Lock {
	for _, l := range w.waits.Locks {
		if strings.HasPrefix(l.Name, "main.lazily") {
			return l
		}
	}
	return nil
}

func testChannels(t *testing.T, w *waiting) {
	for _, want := range []struct {
		name, elem         string
		senders, receivers int
		buffered           uint64
	}{
		{"main.full", "int", 2, 0, 2},
		{"main.results", "int", 1, 0, 0},
		{"main.either", "string", 0, 1, 0},
		{"main.other", "string", 1, 0, 0},
		{"main.pipe.jobs", "int", 0, 1, 0},
		{"main.never", "struct {}", 0, 22, 0},
	} {
		c := w.channel(want.name)
		if c == nil {
			t.Errorf("%s isn't told", want.name)
			continue
		}
		got := want
		got.elem, got.senders, got.receivers, got.buffered = c.Type, len(c.Senders), len(c.Receivers), uint64(c.Len)
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	for _, name := range []string{"main.either", "main.other"} { // one goroutine selects from both
		if c := w.channel(name); c != nil {
			for _, waiter := range append(slices.Clone(c.Senders), c.Receivers...) {
				if waiter.Others != 1 {
					t.Errorf("%s: its waiter waits for %d others", name, waiter.Others)
				}
			}
		}
	}
}

// testNeeds has those found who would act: who receives behind a lock, who calls Done, who sends. Who sends to a
// channel at the moment isn't one of those who receive from it.
func testNeeds(t *testing.T, w *waiting) {
	send := waits.Wanted{Addr: w.channel("main.pipe.jobs").Addr, Kind: "send"}
	users, err := w.reader.Users(w.waits, []waits.Wanted{send}, w.groups, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		wanted waits.Wanted
		sure   map[waits.Wanted][]int64
		users  string
	}{
		{waits.Wanted{Addr: w.channel("main.results").Addr, Kind: "receive"}, w.needs.Sure, "main.takeResults"},
		{waits.Wanted{Addr: w.channel("main.full").Addr, Kind: "receive"}, w.needs.Sure, "main.takeFull"},
		{waits.Wanted{Addr: w.lock("main.group").Addr, Kind: "done"}, w.needs.Sure, "main.finish, main.finish"},
		{send, users.Sure, "main.feed"},
		{send, w.needs.Sure, ""}, // idle workers need nobody
	} {
		var got []string
		for _, id := range want.sure[want.wanted] {
			got = append(got, w.own[id])
		}
		slices.Sort(got)
		if text := strings.Join(got, ", "); text != want.users {
			t.Errorf("%s: %q, want %q", want.wanted.Kind, text, want.users)
		}
	}
}

// testLocking has one goroutine at a time told.
func testLocking(t *testing.T, s *values.Space, w *waiting) {
	triers, err := w.reader.Triers(w.groups, nil)
	if err != nil || len(triers) != 1 || w.own[triers[0].ID] != "main.insist" {
		t.Errorf("triers: %v, %v", triers, err)
	}
	for function, want := range map[string]string{
		"main.insist": "1 held, 1 tried", "main.holdPlain": "1 held, 0 tried", "main.holdOuter": "1 held, 0 tried",
		"main.holdSpun": "1 held, 0 tried", "main.work": "0 held, 0 tried", "main.holdRounds": "3 held, 0 tried",
	} {
		looked := 0
		for g, err := range s.Goroutines() {
			if err != nil || w.own[g.ID] != function {
				continue
			}
			looked++
			found, err := w.reader.Locking(g)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%d held, %d tried", len(found.Holds), len(found.Tries)); got != want {
				t.Errorf("%s: %s, want %s", function, got, want)
			}
			if len(found.Tries) == 1 && (found.Tries[0].Kind != "Mutex" || found.Tries[0].Site.Func != "main.insist" ||
				found.Tries[0].Addr == found.Holds[0].Addr) {
				t.Errorf("%s tries %+v", function, found.Tries[0])
			}
		}
		if looked != 1 {
			t.Errorf("%d goroutines are in %s", looked, function)
		}
	}
}

// TestHiddenLockFields has a program that lacks a field told as far as it goes: what needs the field is an error that
// says so, or left out. Who holds a plain lock is told as before.
func TestHiddenLockFields(t *testing.T) {
	l := testlook.Look(t, "../testdata/waiting", testprogram.Variants[0], attach.Stopped)
	exe, err := os.Open(l.Target.ExecutablePath())
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	for typ, fields := range map[string][]string{
		"sync.RWMutex":   {"w", "writerSem", "readerSem", "readerCount", "readerWait"},
		"sync.WaitGroup": {"state", "sema"},
		"runtime.sudog":  {"waitlink", "elem", "g", "prev"},
		"runtime.g":      {"waitreason", "sched", "_defer"},
	} {
		for _, field := range fields {
			f, err := symbols.Open(exe, "waiting")
			if err != nil {
				t.Fatal(err)
			}
			hidden, err := f.Type(typ)
			if err != nil {
				t.Fatal(err)
			}
			hidden.Without(field)
			s := values.New(f, attach.NewCache(l.View), l.Space.Bias())
			s.SetThreads(l.View.Threads())
			w, err := lookAt(s)
			if err != nil {
				if !errors.Is(err, values.ErrNoField) {
					t.Errorf("without %s.%s: %v", typ, field, err)
				}
				continue
			}
			if plain := w.lock("main.plain"); plain == nil || describe(plain.Holders) != "main.holdPlain" ||
				len(plain.Writers) != 2 {
				t.Errorf("without %s.%s: main.plain is %+v", typ, field, plain)
			}
		}
	}
}
