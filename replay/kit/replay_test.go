package kit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
)

// adder is a library: it asks a source for numbers.
type adder struct {
	Source source
	sum    int
	last   *node
}

type source interface {
	Next(name string) (int, error)
	Note() // nothing of it is recorded
}

type node struct {
	Names []string
	Next  *node
	Seen  map[string]int
}

var errEmpty = errors.New("empty")

func (a *adder) Add(name string, n *node) (int, error) {
	a.Source.Note()
	got, err := a.Source.Next(name)
	if err != nil {
		return 0, fmt.Errorf("add: %w", err)
	}
	a.sum, a.last = a.sum+got, n
	return a.sum, nil
}

type fakeSource struct {
	r  *riReplay
	on int
}

func (f *fakeSource) Note() { f.r.passes() }

func (f *fakeSource) Next(a0 string) (r0 int, r1 error) {
	f.r.goesOut("Next", f.on, []any{a0}, &r0, &r1)
	return
}

const head = `{"ri":"calls","version":1,"state":[{"on":2,"type":"*kit.adder","value":{"Source":{"$type":"*x.y",` +
	`"$on":1},"sum":40,"last":null}}]}`

// lines are a recording's, without the end mark.
var lines = []string{head,
	`{"seq":1,"at":1000,"goroutine":7,"kind":"call","func":"kit.(*adder).Add","on":2,"values":[{"$token":"ab"},` +
		`{"Names":["x",{"$token":"yy"}],"Next":{"$ref":"values[1]"},"Seen":{"$map":[["k",1]]}}]}`,
	`{"seq":2,"at":2000,"goroutine":7,"kind":"call","func":"x.(*y).Next","out":true,"on":1,"parent":1,` +
		`"values":[{"$token":"ab"}]}`,
	`{"seq":3,"at":3000,"goroutine":7,"kind":"return","func":"x.(*y).Next","out":true,"on":1,"parent":1,"call":2,` +
		`"values":[2,null]}`,
	`{"seq":4,"at":4000,"goroutine":7,"kind":"return","func":"kit.(*adder).Add","on":2,"call":1,"values":[42,null]}`,
	`{"seq":5,"at":5000,"goroutine":8,"kind":"call","func":"kit.(*adder).Add","on":2,"values":["cd",null]}`,
	`{"seq":6,"at":6000,"goroutine":8,"kind":"call","func":"x.(*y).Next","out":true,"on":1,"parent":5,"values":["cd"]}`,
	`{"seq":7,"at":7000,"goroutine":8,"kind":"return","func":"x.(*y).Next","out":true,"on":1,"parent":5,"call":6,` +
		`"values":[0,{"$type":"*errors.errorString","$var":"kit.errEmpty","value":{"s":"empty"}}]}`,
	`{"seq":8,"at":8000,"goroutine":8,"kind":"return","func":"kit.(*adder).Add","on":2,"call":5,` +
		`"values":[0,{"$type":"*fmt.wrapError","value":{"msg":"add: empty","err":{"$type":"*errors.errorString",` +
		`"$var":"kit.errEmpty"}}}]}`}

// TestReplay replays a recording as it is, and changed in one place: the first call that differs is named.
func TestReplay(t *testing.T) {
	types := &riTypes{types: map[string]reflect.Type{"kit.node": reflect.TypeFor[node]()},
		fakes: map[reflect.Type]func(*riReplay, int) any{
			reflect.TypeFor[source](): func(r *riReplay, on int) any { return &fakeSource{r, on} }},
		vars: map[string]any{"kit.errEmpty": errEmpty}}
	funcs := map[string]any{"kit.(*adder).Add": (*adder).Add}
	whole := strings.Join(lines, "\n") + "\n"
	t.Setenv("GODEBUG", "asynctimerchan=1") // as in a module of before Go 1.23
	riRun(t, write(t, whole+endMark(whole)), types, funcs, nil, synctest.Test, synctest.Wait)
	for _, c := range []struct{ name, from, to, want string }{
		{"as it was", "", "", ""},
		{"result", `"values":[42,null]`, `"values":[43,null]`, "event 4: kit.(*adder).Add: result 0: expected 43, got 42"},
		{"error", `"add: empty"`, `"add: nothing"`, `event 8: kit.(*adder).Add: result 1.msg: expected "add: nothing"`},
		{"argument", `"parent":5,"values":["cd"]`, `"parent":5,"values":["ce"]`,
			`event 6: x.(*y).Next: argument 0: expected "ce", got "cd"`},
		{"no such function", `kit.(*adder).Add"`, `kit.(*adder).Gone"`,
			"event 1: the library has changed: it has no kit.(*adder).Gone"},
		{"other type", `"values":["cd",null]`, `"values":[7,null]`, "event 5: the library has changed"},
		{"given less", `["cd",null]`, `[{"$missing":"optimised away"},null]`,
			`event 6: x.(*y).Next: argument 0: expected "cd", got ""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.ReplaceAll(strings.Join(lines, "\n")+"\n", c.from, c.to)
			said := &recorder{TB: t}
			rec, err := riRead(write(t, text+endMark(text)))
			if err != nil {
				t.Fatal(err)
			}
			rec.given(types)
			said.plays(rec, types, funcs)
			said.wants(t, c.want)
			less := strings.Contains(strings.Join(said.logs, "\n"), "says nothing of the library")
			if less != (c.name == "given less") {
				t.Errorf("that it was given less: %v", less)
			}
		})
	}
}

// TestRead: a recording that is cut short, or was changed, isn't replayed.
func TestRead(t *testing.T) {
	text := strings.Join(lines, "\n") + "\n"
	for name, content := range map[string]string{"cut short": text, "checksum": strings.Replace(text, "42", "43", 1) +
		endMark(text), "line 2": strings.Replace(text, `{"seq":1`, `{"seq":"`, 1) + endMark(text)} {
		if _, err := riRead(write(t, content)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRead: whatever a recording says, it is refused or there is an order in which it is done, each step once.
func FuzzRead(f *testing.F) {
	f.Add(strings.Join(lines, "\n") + "\n")
	f.Add(head + "\n" + `{"seq":1,"kind":"call","func":"a","out":true,"goroutine":1}` + "\n" +
		`{"seq":2,"kind":"receive","chan":1,"inside":true,"from":1,"polled":true,"goroutine":1,"over":[1]}` + "\n" +
		`{"seq":3,"kind":"send","chan":1,"inside":true,"goroutine":2}` + "\n" +
		`{"seq":4,"kind":"receive","chan":1,"inside":true,"from":3,"goroutine":1,"over":[3]}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		rec, err := riParse(strings.NewReader(text + endMark(text)))
		if err == nil {
			rec.given(nil)
			ordered(t, rec)
		}
	})
}

// FuzzOrder is FuzzRead of events that look like a recording's.
func FuzzOrder(f *testing.F) {
	f.Add([]byte("\x00\x10\x21\x32\x43\x54\x65\x00\x11\x52\x23\x04"))
	f.Fuzz(func(t *testing.T, from []byte) {
		rec := &riRecording{}
		for i := 0; i+1 < len(from) && i < 400; i += 2 {
			seq, kind, of := int64(len(rec.events)+1), from[i]%8, int64(from[i+1])
			e := map[string]any{"seq": seq, "goroutine": 1 + of%4, "func": "x.F", "on": of % 3}
			switch back := max(seq-1-of/16, 1); kind {
			case 0, 1:
				e["kind"], e["out"] = "call", kind == 0
			case 2:
				e["kind"], e["call"], e["out"] = "return", back, of%2 == 0
			case 3, 4:
				e["kind"], e["chan"], e["inside"] = "send", 1+of%3, kind == 3
			default:
				e["kind"], e["chan"], e["inside"], e["polled"] = "receive", 1+of%3, kind != 7, kind == 6
				e["from"], e["over"] = back, []int64{back}
			}
			line, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			rec.take(line) // what isn't one is left out
		}
		rec.given(nil)
		ordered(t, rec)
	})
}

// ordered holds the order of a recording's steps to what must be so of any.
func ordered(t *testing.T, rec *riRecording) {
	t.Helper()
	n := 0
	for _, steps := range rec.grouped() {
		seen := map[*riStep]bool{}
		for _, s := range steps {
			seen[s] = true
		}
		if len(seen) != len(steps) {
			t.Errorf("of %d steps some come twice", len(steps))
		}
		n += len(steps)
		for _, c := range rec.choices {
			if joined, ok := c.join(steps); ok && len(joined) != len(steps) {
				t.Errorf("%d steps of %d", len(joined), len(steps))
			}
		}
		riMoves(steps, len(steps)/2)
	}
	if n > len(rec.events) {
		t.Errorf("%d steps of %d events", n, len(rec.events))
	}
}

// FuzzDecode: a value from anybody is put into any type, or refused.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"Names":["x",{"$missing":"more"}],"Next":{"$ref":"v"},"Seen":{"$map":[["k",1]]}}`, `null`,
		`{"$on":1}`, `{"$type":"*kit.node","value":{}}`, `{"$bytes":"AA=="}`, `[1,2,{"$missing":"x"}]`, `{"$mask":"9"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r := (&riRecording{}).replay(t, nil)
		r.types = &riTypes{types: map[string]reflect.Type{"kit.node": reflect.TypeFor[node]()}}
		for _, to := range []any{new(node), new(*node), new(any), new(error), new([]byte), new([3]int), new(map[string]any),
			new(chan int), new(float64), new(complex64), new(func())} {
			v := reflect.ValueOf(to).Elem()
			d := riDecoder{replay: r, paths: map[string]reflect.Value{}}
			if d.into(v, []byte(raw), "v") == nil {
				c := riCompare{replay: r}
				c.differs(v, []byte(raw), "v")
			}
		}
	})
}

// recorder hears what a test would say.
type recorder struct {
	testing.TB
	errors []string
	logs   []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}
func (r *recorder) Logf(format string, args ...any) {
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}

// plays replays all groups of a recording, each once, and hears what is said of them.
func (r *recorder) plays(rec *riRecording, types *riTypes, funcs map[string]any) {
	var sum riVerdict
	for _, steps := range rec.grouped() {
		one := rec.replay(r, steps)
		one.types, one.funcs = types, funcs
		one.play()
		sum.add(one)
	}
	sum.say(r, rec, 0)
}

// wants compares what was said with some of it; "": nothing.
func (r *recorder) wants(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(r.errors, "; "); want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
}

func endMark(text string) string {
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf(`{"end":true,"length":9000,"sha256":%q}`+"\n", hex.EncodeToString(sum[:]))
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.calls")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
