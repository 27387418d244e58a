package instruments

import (
	"errors"
	"strings"
	"testing"

	"ri/values"
)

func TestWriteHeld(t *testing.T) {
	for _, toolchain := range []string{"local", "go1.20.14", "go1.27.3"} {
		f, err := buildKinds(toolchain)
		if err != nil {
			t.Fatal(err)
		}
		space := f.start(t)
		for expr, want := range map[string]bool{
			"main.mutex": true, "&main.mutex": true, "main.free": false, "main.rwmutex": false, "main.writing": true, "main.wanted": false, "main.lock": true,
			"main.wanted.w": true, // the writer that waits holds it
		} {
			v, err := space.Eval(expr)
			if err != nil {
				t.Fatal(err)
			}
			if held, err := v.WriteHeld(); err != nil || held != want {
				t.Errorf("%s: %s is held: %v, %v; want %v", toolchain, expr, held, err, want)
			}
		}
		v, err := space.Eval("main.group")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.WriteHeld(); !errors.Is(err, values.ErrKind) || !strings.Contains(err.Error(), "sync.WaitGroup is neither a sync.Mutex nor a sync.RWMutex") {
			t.Error(err)
		}
	}
}

func TestLockKeys(t *testing.T) {
	c, warnings := testCatalogue(t, "one: {instrument: go/list.lua, lock: main.mu}\nmore: {instrument: go/list.lua, lock: [main.a, main.b]}\n"+
		"bad: {instrument: go/list.lua, lock: [{x: y}]}\n")
	one, _ := c.Recipe("one")
	more, _ := c.Recipe("more")
	if len(one.Locks) != 1 || len(more.Locks) != 2 || more.Locks[1] != "main.b" {
		t.Error(one.Locks, more.Locks)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Error(), ":3: recipe bad: a text is needed here, not a mapping") {
		t.Error(warnings)
	}
}
