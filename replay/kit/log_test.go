package kit

import (
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
)

type logger interface {
	Logf(format string, args ...any)
}

type fakeLogger struct {
	r  *riReplay
	on int
}

func (f *fakeLogger) Logf(a0 string, a1 ...any) { f.r.goesOut("Logf", f.on, []any{a0, a1}) }

// teller is a library that tells a log what it does.
type teller struct {
	Log   logger
	lines []string
}

func (t *teller) Tell() {
	for _, line := range t.lines {
		t.Log.Logf(line, 1)
	}
}

// TestLog: what a log is told may come in another order, and is all there; something else is a difference, and so is
// one line less or more.
func TestLog(t *testing.T) {
	text := strings.Join([]string{
		`{"ri":"calls","version":1,"boundary":{"out":[{"func":"x.(*l).Logf","interface":"kit.logger","params":[` +
			`{"type":"*x.l"},{"type":"string"},{"type":"[]interface {}"}]}]},"state":[{"on":2,"type":"*kit.teller",` +
			`"value":{"Log":{"$type":"*x.l","$on":1}}}]}`,
		`{"seq":1,"at":1000,"goroutine":7,"kind":"call","func":"kit.(*teller).Tell","on":2}`,
		`{"seq":2,"at":2000,"goroutine":7,"kind":"call","func":"x.(*l).Logf","out":true,"on":1,"values":["a",` +
			`[{"$type":"int","value":1}]]}`,
		`{"seq":3,"at":3000,"goroutine":7,"kind":"call","func":"x.(*l).Logf","out":true,"on":1,"values":["b",` +
			`[{"$type":"int","value":1}]]}`,
		`{"seq":4,"at":90000000,"goroutine":7,"kind":"call","func":"kit.(*teller).Tell","on":3}`,
	}, "\n") + "\n"
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{"as it was": {[]string{"a", "b"}, ""}, "another order": {[]string{"b", "a"}, ""},
		"another line": {[]string{"a", "c"}, `event 3: x.(*l).Logf: argument 0: expected "b", got "c"`},
		"one less":     {[]string{"b"}, "event 2: x.(*l).Logf was called when it was recorded, and not now"},
		"one more":     {[]string{"a", "b", "a"}, "once more than was recorded"}} {
		t.Run(name, func(t *testing.T) {
			rec, err := riParse(strings.NewReader(text + endMark(text)))
			if err != nil {
				t.Fatal(err)
			}
			types := &riTypes{fakes: map[reflect.Type]func(*riReplay, int) any{
				reflect.TypeFor[logger](): func(r *riReplay, on int) any { return &fakeLogger{r, on} }}}
			rec.given(types)
			said := &recorder{TB: t}
			var sum riVerdict
			for _, steps := range rec.grouped()[:1] {
				r := rec.replay(said, steps)
				r.types, r.funcs, r.wait = types, map[string]any{"kit.(*teller).Tell": (*teller).Tell}, synctest.Wait
				r.setup = map[string]func(any) any{"*ri/replay/kit.teller": func(v any) any {
					v.(*teller).lines = c.lines
					return v
				}}
				synctest.Test(t, func(*testing.T) { r.play() })
				sum.add(r)
			}
			sum.say(said, rec, 0)
			said.wants(t, c.want)
		})
	}
}
