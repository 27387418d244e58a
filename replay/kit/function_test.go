package kit

import (
	"reflect"
	"strings"
	"testing"
)

type breaker struct{ open bool }

// Execute calls what it is given, as a circuit breaker does.
func (b *breaker) Execute(f func(n int) error) bool {
	if !b.open {
		b.open = f(1) != nil
	}
	return b.open
}

// TestFunctions: a function that the library is given gives what it gave, each time, and what it is called with is
// compared; one of which no calls are recorded says what to do.
func TestFunctions(t *testing.T) {
	const given = `{"$func":"main.main.func1"}`
	for name, c := range map[string]struct{ first, n, want string }{
		"as it was":        {given, "1", ""},
		"another argument": {given, "2", "event 2: main.main.func1: argument 0: expected 2, got 1"},
		"not recorded":     {`{"$missing":"a function of which no calls are recorded"}`, "1", "record with --also"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Join([]string{
				`{"ri":"calls","version":1,"from_start":true,"state":[{"on":1,"type":"*kit.breaker","value":{"open":false}}],` +
					`"boundary":{"out":[{"func":"main.main.func1","callback":true}]}}`,
				`{"seq":1,"goroutine":1,"kind":"call","func":"kit.(*breaker).Execute","on":1,"values":[` + c.first + `]}`,
				`{"seq":2,"goroutine":1,"kind":"call","func":"main.main.func1","out":true,"parent":1,"values":[` + c.n + `]}`,
				`{"seq":3,"goroutine":1,"kind":"return","func":"main.main.func1","out":true,"parent":1,"call":2,` +
					`"values":[null]}`,
				`{"seq":4,"goroutine":1,"kind":"return","func":"kit.(*breaker).Execute","on":1,"call":1,"values":[false]}`,
				`{"seq":5,"goroutine":1,"kind":"call","func":"kit.(*breaker).Execute","on":1,"values":[` + given + `]}`,
				`{"seq":6,"goroutine":1,"kind":"call","func":"main.main.func1","out":true,"parent":5,"values":[1]}`,
				`{"seq":7,"goroutine":1,"kind":"return","func":"main.main.func1","out":true,"parent":5,"call":6,` +
					`"values":[{"$type":"*errors.errorString","value":{"s":"bad"}}]}`,
				`{"seq":8,"goroutine":1,"kind":"return","func":"kit.(*breaker).Execute","on":1,"call":5,"values":[true]}`,
			}, "\n") + "\n"
			rec, err := riParse(strings.NewReader(text + endMark(text)))
			if err != nil {
				t.Fatal(err)
			}
			types := &riTypes{}
			rec.given(types)
			said := &recorder{TB: t}
			said.plays(rec, types, map[string]any{"kit.(*breaker).Execute": (*breaker).Execute})
			said.wants(t, c.want)
		})
	}
}

// TestNested: what a call that goes out does in code of the library isn't done by what stands in for it.
func TestNested(t *testing.T) {
	text := strings.Join(append([]string{head}, lines[1], lines[2],
		`{"seq":3,"at":2100,"goroutine":7,"kind":"call","func":"x.(*y).Rest","out":true,"on":1,"parent":2}`,
		`{"seq":4,"at":2200,"goroutine":7,"kind":"send","chan":3,"parent":2}`,
		`{"seq":5,"at":2300,"goroutine":7,"kind":"return","func":"x.(*y).Rest","out":true,"on":1,"parent":2,"call":3}`,
		`{"seq":6,"at":3000,"goroutine":7,"kind":"return","func":"x.(*y).Next","out":true,"on":1,"parent":1,"call":2,`+
			`"values":[2,null]}`), "\n") + "\n"
	rec, err := riParse(strings.NewReader(text + endMark(text)))
	if err != nil {
		t.Fatal(err)
	}
	rec.given(&riTypes{})
	rec.grouped()
	for _, e := range rec.events[2:5] {
		if e.goesOut() || rec.step(e) != nil {
			t.Errorf("event %d has to be done", e.Seq)
		}
	}
	if e := rec.at(2); !e.goesOut() || rec.step(rec.at(6)) == nil {
		t.Error("the call itself isn't there")
	}
}

// TestHidden: a receiver or channel in a field without an exported name of what the library made can be used, as that
// of a type that embeds what does the work.
func TestHidden(t *testing.T) {
	type cache struct {
		*breaker
		done chan int
	}
	r := (&riRecording{}).replay(t, nil)
	r.types = &riTypes{}
	c := riCompare{replay: r}
	made := &cache{&breaker{}, make(chan int, 1)}
	if why := c.differs(reflect.ValueOf(made), []byte(`{"breaker":{"$on":4},"done":{"$chan":2}}`), "result 0"); why != "" {
		t.Fatal(why)
	}
	made.done <- 5
	if v, ok := r.channels["2"].Recv(); !ok || v.Int() != 5 {
		t.Errorf("the channel has %v", v)
	}
	if r.receivers[4].Interface() != made.breaker {
		t.Error("the receiver is another")
	}
}
