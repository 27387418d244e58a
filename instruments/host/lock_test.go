package host

import (
	"errors"
	"strings"
	"testing"

	"ri/values"
	"ri/values/eval"
)

func TestWriteHeld(t *testing.T) {
	for _, toolchain := range []string{"local", "go1.20.14", "go1.27.3"} {
		space := startKindsOf(t, toolchain)
		for expr, want := range map[string]bool{
			"main.mutex": true, "&main.mutex": true, "main.free": false, "main.rwmutex": false, "main.writing": true,
			"main.wanted": false, "main.lock": true,
			"main.wanted.w": true, // the writer that waits holds it
		} {
			v, err := eval.Expression(space, expr)
			if err != nil {
				t.Fatal(err)
			}
			if held, err := v.WriteHeld(); err != nil || held != want {
				t.Errorf("%s: %s is held: %v, %v; want %v", toolchain, expr, held, err, want)
			}
		}
		v, err := eval.Expression(space, "main.group")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.WriteHeld(); !errors.Is(err, values.ErrKind) ||
			!strings.Contains(err.Error(), "sync.WaitGroup is neither a sync.Mutex nor a sync.RWMutex") {
			t.Error(err)
		}
	}
}
