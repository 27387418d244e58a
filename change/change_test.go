package change

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ri/symbols/testprogram"
)

// Every kind of value: the program sees the new one, goes on through collections, and sees the old one after an undo.
func TestKinds(t *testing.T) {
	for _, v := range []testprogram.Variant{{Name: "default"}, {Name: "NoOpt", Flags: []string{"-gcflags=all=-N -l"}},
		{Name: "pie", Flags: []string{"-buildmode=pie"}},
		{Name: "go1.20", Toolchain: "go1.20.14", Full: true}, {Name: "go1.22", Toolchain: "go1.22.5", Full: true},
		{Name: "go1.24", Toolchain: "go1.24.6", Full: true},
		{Name: "go1.27", Toolchain: "go1.27.3", Full: true}} {
		t.Run(v.Name, func(t *testing.T) {
			v.Skip(t)
			testKinds(t, v)
		})
	}
}

func testKinds(t *testing.T, v testprogram.Variant) {
	p := start(t, v)
	for _, test := range []struct{ expr, value, ask, want string }{
		{"limits.Max", "-200", "limits", "Max:-200"},
		{"main.limits.Small", "-128", "limits", "Small:-128"},
		{"limits.Big", "0xffffffffffffffff", "limits", "Big:18446744073709551615"},
		{"limits.Ratio", "2.25", "limits", "Ratio:2.25"},
		{"limits.F32", "-0.5", "limits", "F32:-0.5"},
		{"limits.Flag", "true", "limits", "Flag:true"},
		{"limits.State", "Broken", "limits", "State:2"},
		{"limits.State", "main.On", "limits", "State:1"},
		{"limits.Wait", "1m30s", "limits", "Wait:1m30s"},
		{"limits.Inner.Depth[2]", "65535", "limits", "Depth:[0 0 65535 0]"},
		{"server.Limits.Max", "7", "limits", "Max:7"},
		{"server.List[1]", "22", "server", "[1 22 3 4]"},
		{"server.List", "server.List[:2]", "server", "2 [1 2]"},
		{"server.List", "server.List[1:6]", "server", "5 [2 3 4 0 0]"},
		{"server.List", "nil", "server", "0 []"},
		{"server.Bytes", `"UVWXYZ"`, "server", "UVWXYZ"},
		{"server.Sum", `"\x01\x02\x03\x04\x05\x06\x07\x08"`, "server", "[1 2 3 4 5 6 7 8]"},
		{`server.Peers["a"].Max`, "55", "maps", "55 500"},
		{`server.Counts["k500"]`, "-1", "maps", "1 -1 501 1000"},
		{`server.Large["x"][0]`, "9", "maps", "1000 9"},
		{`server.Keys["1"]`, "12", "maps", "10 12"},
		{"counter", "12345678901", "atomics", "12345678901 "},
		{"enabled", "true", "atomics", "0 true"},
		{"pointer", "nil", "atomics", "false true"},
		{"pointer", "server.Peers[\"b\"]", "atomics", "false false"},
		{"limits.Text", `"hello"`, "limits", "Text:hello Inner"},
		{"limits.Text", `"world"`, "limits", "Text:world Inner"},
		{"limits.Text", `""`, "limits", "Text: Inner"},
		{"greeting", "good morning", "greeting", "good morning"},
		{"greeting", "limits.Text", "greeting", "hello world"},
		{"greeting", "collected", "greeting", "collected"}, // the program has it among its constants
		{"server.Name", "server.Shape.(*square).side", "", "ErrRefused"},
		{"server.Shape", "large", "server", "square 2"},
		{"server.Shape", "nil", "server", "<nil> "},
		{"server.Any", "nil", "server", "<nil> square 1"},
		{"server.Any", "other.Any", "server", "7 square 1"},
		{"server.Next", "server", "next", "true false"},
		{"server.Next", "&other", "", "ErrRefused"},
		{"server.Next", "nil", "next", "false false"},
		{"server.Hook", "nil", "hook", "true"},
		{"server.Limits", "server.Peers[\"b\"]", "server", `""`},
		{"limits.Ratio", "-Inf", "limits", "Ratio:-Inf"},
		{"limits.F32", "NaN", "limits", "F32:NaN"},
		{"server.C", "1-2.5i", "complex", "(1-2.5i)"},
		{"kinds.Narrow", "2", "kinds", "(2+0i)"},
		{"kinds.ID", "99", "kinds", "{99 [a b]}"},
		{"kinds.Base.Tags[1]", "bee", "kinds", "[a bee]"},
		{"kinds.Grid[2][3]", "-5", "kinds", "[0 0 0 -5]]"},
		{"kinds.Switch", "true", "kinds", "]] true"},
		{"kinds.Title", "another title, all of its own", "kinds", "title:another title, all of its own"},
		{"kinds.Title", `""`, "kinds", "title:"},
		{"kinds.Prices[Blue]", "2.5", "kinds", "2:2.5"},
		{"kinds.Prices[main.Red]", "0.5", "kinds", "0:0.5"},
		{"kinds.Points[[2]int{1, 2}].B", "44", "kinds", "{3 44}"},
		{"kinds.Pair.Key", "kk", "kinds", "{kk 1}"},
		{"kinds.Nested.Val.Val", "true", "kinds", "{1 {q true}}"},
		{"kinds.When", "2031-05-06T07:08:09.1Z", "kinds", "2031-05-06 07:08:09.1 +0000 UTC"},
		{"kinds.When", "kinds.Later", "kinds", " true (0"},
		{"kinds.Later", "2023-11-14T23:13:20.000000005+01:00", "kinds", " true (0"},
		{"kinds.Letter", "'é'", "kinds", " 233 "},
	} {
		name := test.expr + "=" + test.value
		before := ""
		if test.ask != "" {
			before = p.ask(test.ask)
		}
		out, err := p.set(test.expr, test.value)
		if test.want == "ErrRefused" {
			if !errors.Is(err, ErrRefused) {
				t.Errorf("%s: %v, want a refusal", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := p.ask(test.ask); !strings.Contains(got, test.want) {
			t.Errorf("%s: the program says %q, want %q in it", name, got, test.want)
		}
		if !intoHeap[test.expr] { // else a collection makes its undo impossible: see TestUndoAfterCollection
			p.ask("gc")
			if got := p.ask(test.ask); !strings.Contains(got, test.want) {
				t.Errorf("%s: after collections the program says %q, want %q in it", name, got, test.want)
			}
		}
		if undone, err := p.undo(out.Number, false); err != nil || undone.State != Committed {
			t.Errorf("%s: undo: %v", name, err)
		} else if got := p.ask(test.ask); got != before {
			t.Errorf("%s: after its undo the program says %q, before it said %q", name, got, before)
		}
		p.ask("gc")
	}
}

// intoHeap are those whose old value is a pointer into the heap.
var intoHeap = map[string]bool{"server.List": true, "pointer": true, "server.Next": true, "server.Shape": true,
	"server.Any": true, "server.Hook": true, "server.Limits": true}

func TestUndoAfterCollection(t *testing.T) {
	p := start(t, testprogram.Variant{Name: "default"})
	out, err := p.set("server.Next", "server")
	if err != nil {
		t.Fatal(err)
	}
	p.ask("gc")
	if _, err := p.undo(out.Number, false); !errors.Is(err, ErrRefused) ||
		!strings.Contains(err.Error(), "collection has begun") {
		t.Errorf("undo of a pointer after a collection: %v", err)
	}
	if got := p.ask("next"); got != "true false" {
		t.Errorf("the program says %s", got)
	}
}

// A string is put back although its bytes are gone, as often as one likes: undo has its text.
func TestUndoOfTextAfterCollection(t *testing.T) {
	p := start(t, testprogram.Variant{Name: "default"})
	number := int64(0)
	for i, want := range []string{"quite another", "one", "quite another", "one"} {
		var out *Outcome
		var err error
		if i == 0 {
			out, err = p.set("server.Name", want)
		} else {
			out, err = p.undo(number, false)
		}
		if err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		number = out.Number
		p.ask("gc")
		if got := p.ask("server"); !strings.HasPrefix(got, want+" 4 ") {
			t.Errorf("the program says %s, want %s", got, want)
		}
	}
	plan, err := p.plan(func(on *Plan) error {
		j, err := ReadJournal(p.journal)
		if err != nil {
			return err
		}
		entry, err := j.Entry(1)
		if err != nil {
			return err
		}
		undo, err := Undo(on.space, on.mappings, entry, p.target.Identity(), false)
		if err == nil {
			*on = *undo
		}
		return err
	})
	if err != nil || !plan.Empty() {
		t.Errorf("what has its text already is left alone: %v, %v", plan, err)
	}
}

// What can be undone only for a while says so before it is made.
func TestPerishable(t *testing.T) {
	p := start(t, testprogram.Variant{Name: "default"})
	for _, test := range []struct {
		expr, value string
		want        bool
	}{{"limits.Max", "1", false}, {"server.Name", "new", false}, {"server.Name", "server.Name", false},
		{"server.Next", "nil", true}, {"server.List", "server.List[:2]", false},
		{"server.List", "server.List[1:2]", true}, {"server.Any", "nil", false}, {"server.Bytes", `"UVWXYZ"`, false},
		{"server.Queue", "nil", true}} {
		plan, err := p.plan(assignment(test.expr, test.value))
		if err != nil {
			t.Fatal(err)
		}
		if plan.Perishable() != test.want {
			t.Errorf("%s = %s: perishable: %t", test.expr, test.value, plan.Perishable())
		}
	}
}

// What can't be done safely is refused with the reason, and nothing is changed.
func TestRefusals(t *testing.T) {
	p := start(t, testprogram.Variant{Name: "default"})
	before := p.ask("server") + p.ask("limits") + p.ask("maps")
	for _, test := range []struct{ expr, value, why string }{
		{"limits.Small", "128", "from -128 to 127"},
		{"limits.Big", "-1", "does not fit"},
		{"limits.Big", "18446744073709551616", "out of range"},
		{"limits.Max", "-9223372036854775809", "does not fit"},
		{"limits.Max", "9223372036854775808", "does not fit"},
		{"limits.Max", "1e19", "does not fit"},
		{"limits.Max", "1.5", "no value of type int"},
		{"limits.Max", "hello", "no variable"},
		{"limits.Flag", "1", "no value of type bool"},
		{"limits.State", "Broke", "which has main.Off, main.On, main.Broken"},
		{"limits.F32", "1e300", "too large"},
		{"limits", "nil", ""}, // fine: see below
		{`server.Peers["c"].Max`, "1", "no key"},
		{`server.Counts["new"]`, "1", "no key"},
		{"server.List", "server.List[:9]", "out of range"},
		{"server.List", "other.List", "appending beyond"},
		{"server.List[4]", "1", "out of range"},
		{"server.Any.(int)", "8", "box of an interface"},
		{"server.Any", "8", "box of its own"},
		{"server.Any", "server.Name", "new type in an interface"},
		{"server.Shape", "circle", "new type in an interface"},
		{"server.Queue[0]", "9", "channel's queue"},
		{"server.Name[0]", "9", "bytes are shared"},
		{"server.Bytes", `"short"`, "only as many"},
		{"server.Next", "(*Server)(0xc000012340)", "can't be told"},
		{"server.Limits", "server", "no existing value of type"},
		{"limits.Inner", "server", "by its parts"},
		{"server.C", "one", "no variable"},
		{"server.C", "server.Name", "such as 1+2i"},
		{"kinds.When", "yesterday", "no variable"},
		{"kinds.When", "5", "no moment such as"},
		{"server.Name", "5", "in quotes it is one"},
		{"runtime.gcphase", "1", "belongs to Go's runtime"},
		{"(*runtime.allgs[0]).goid", "1", "belongs to Go's runtime"},
		{"&limits", "nil", "no place"},
		{"len(server.List)", "3", "no place"},
	} {
		if test.why == "" {
			continue
		}
		_, err := p.set(test.expr, test.value)
		if err == nil || !strings.Contains(err.Error(), test.why) {
			t.Errorf("%s = %s: %v; want %q", test.expr, test.value, err, test.why)
		}
	}
	if now := p.ask("server") + p.ask("limits") + p.ask("maps"); now != before {
		t.Errorf("the program now says %s", now)
	}
}

// What changes between the plan and the stop is a conflict, and nothing is written: the value, and each word on the way
// to it.
func TestConflicts(t *testing.T) {
	for _, test := range []struct{ name, expr, value, meanwhile string }{
		{"the value", "server.List[0]", "5", "server.List[0]=8"},
		{"a pointer on the way", "server.Limits.Max", "5", "server.Limits=server.Peers[\"b\"]"},
		{"a slice's array", "server.List[0]", "5", "server.List=server.List[1:3]"},
		{"the pointed-to was dropped", "server.Limits.Max", "5", "drop"},
		{"a map grew", `server.Counts["k500"]`, "5", "grow"},
		{"a source", "server.Next", "server.Shape", ""},
	} {
		if test.meanwhile == "" {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			p := start(t, testprogram.Variant{Name: "default"})
			plan, err := p.plan(assignment(test.expr, test.value))
			if err != nil {
				t.Fatal(err)
			}
			if expr, value, ok := strings.Cut(test.meanwhile, "="); ok {
				if _, err := p.set(expr, value); err != nil {
					t.Fatal(err)
				}
			} else {
				p.ask(test.meanwhile)
			}
			before := p.ask("server") + p.ask("limits") + p.ask("maps")
			out, err := p.commit(plan, p.options())
			if !errors.Is(err, ErrConflict) || out.State != RolledBack {
				t.Errorf("%v, %v", out, err)
			}
			if now := p.ask("server") + p.ask("limits") + p.ask("maps"); now != before {
				t.Errorf("the program now says %s, before %s", now, before)
			}
			j, err := ReadJournal(p.journal)
			if err != nil {
				t.Fatal(err)
			}
			if e := j.Entries(); e[len(e)-1].State != RolledBack || e[len(e)-1].Reason == "" {
				t.Errorf("the journal says %s: %s", e[len(e)-1].State, e[len(e)-1].Reason)
			}
		})
	}
}

// A lock that is held when the change is to be made, even by readers, is waited for, and then the change refused.
func TestLocks(t *testing.T) {
	p := start(t, testprogram.Variant{Name: "default"})
	plan, err := p.plan(assignment("limits.Max", "5"))
	if err != nil {
		t.Fatal(err)
	}
	opt := p.options()
	opt.Locks = []string{"main.mu", "main.rw"}
	p.ask("rlock")
	if _, err := p.commit(plan, opt); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "main.rw") {
		t.Errorf("with a reader: %v", err)
	}
	opt.Locks = []string{"main.mu"}
	p.ask("lock")
	if _, err := p.commit(plan, opt); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "main.mu") ||
		!strings.Contains(err.Error(), fmt.Sprintf("-p %d)", p.target.PID())) {
		t.Errorf("with the lock held: %v", err)
	}
	p.ask("unlock")
	if _, err := p.commit(plan, opt); err != nil {
		t.Errorf("with the lock free: %v", err)
	}
}

// Several words are written all or none, and mutate computes exactly.
func TestTransaction(t *testing.T) {
	p := start(t, testprogram.Variant{Name: "default"})
	plan, err := p.plan(func(plan *Plan) error {
		at, err := plan.At("limits.Max")
		if err != nil {
			return err
		}
		if err := plan.Wait(at, Native(int64(100))); err != nil {
			return err
		}
		if err := plan.Mutate(at, "*=", Native(int64(3))); err != nil {
			return err
		}
		big, err := plan.At("limits.Big")
		if err != nil {
			return err
		}
		if err := plan.Mutate(big, "-=", Native(int64(1))); err != nil {
			return err
		}
		return assignment("limits.Text", "hello")(plan)
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.commit(plan, p.options())
	if err != nil {
		t.Fatal(err)
	}
	got := p.ask("limits")
	for _, want := range []string{"Max:300", "Big:9223372036854775807", "Text:hello "} {
		if !strings.Contains(got, want) {
			t.Errorf("the program says %s, without %s", got, want)
		}
	}
	if _, err := p.undo(out.Number, false); err != nil {
		t.Fatal(err)
	}
	if got := p.ask("limits"); !strings.Contains(got, "Max:100 ") || !strings.Contains(got, "Text:hello world") {
		t.Errorf("after the undo the program says %s", got)
	}
	undoAgain(t, p, out.Number)
	// Another process has nothing to undo.
	q := start(t, testprogram.Variant{Name: "default"})
	q.journal = p.journal
	if _, err := q.undo(out.Number, true); !errors.Is(err, ErrRefused) ||
		!strings.Contains(err.Error(), "another process") {
		t.Errorf("in another process: %v", err)
	}
}

// undoAgain: undoing a transaction twice finds nothing to do; undoing what was overwritten needs force.
func undoAgain(t *testing.T, p *program, number int64) {
	if _, err := p.undo(number, false); err == nil {
		if plan, err := p.plan(assignment("limits.Max", "1")); err != nil || plan.Empty() {
			t.Error(err)
		}
	}
	out, err := p.set("limits.Max", "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.set("limits.Max", "2"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.undo(out.Number, false); !errors.Is(err, ErrConflict) {
		t.Errorf("undo of what was overwritten: %v", err)
	}
	if _, err := p.undo(out.Number, true); err != nil || !strings.Contains(p.ask("limits"), "Max:100 ") {
		t.Errorf("forced: %v", err)
	}
}

// With the collector at work all the time pointers are changed between collections, and several words when no code of
// the program runs.
func TestBusyCollector(t *testing.T) {
	p := start(t, testprogram.Variant{Name: "default"}, "-churn")
	made, waited := 0, 0
	for i := range 20 {
		value := []string{"server", "other"}[i%2]
		out, err := p.set("server.Next", value)
		switch {
		case errors.Is(err, ErrConflict), errors.Is(err, ErrRefused):
			t.Logf("%v", err)
			continue
		case err != nil:
			t.Fatal(err)
		}
		made++
		waited += len(out.Waits)
		if got := p.ask("next"); got != []string{"true false", "false true"}[i%2] {
			t.Fatalf("the program says %s", got)
		}
	}
	if made < 10 {
		t.Errorf("%d of 20 changes were made", made)
	}
	t.Logf("%d of 20 were made, %d waits", made, waited)
}

// On a program of many goroutines a change reads little, and stops the program no more often.
func TestManyGoroutines(t *testing.T) {
	p := start(t, testprogram.Variant{Name: "default"}, "-goroutines", "30000")
	for _, test := range []struct {
		expr, value string
		most        int64 // bytes read in stops
	}{{"limits.Max", "7", 1 << 20}, {"greeting", "a text that is nowhere in the program", 40 << 20}} {
		out, err := p.set(test.expr, test.value)
		if err != nil || out.State != Committed {
			t.Fatalf("%s: %v, %+v", test.expr, err, out)
		}
		t.Logf("%s: %+v", test.expr, out.Stats)
		if out.Stats.BytesRead > test.most {
			t.Errorf("%s: %d bytes were read in %d stops", test.expr, out.Stats.BytesRead, out.Stats.Stops)
		}
	}
}

// All stops of a change have one budget: where no moment suits, they end when that is used up.
func TestBudget(t *testing.T) {
	p := start(t, testprogram.Variant{Name: "default"}, "-spin")
	plan, err := p.plan(assignment("greeting", "limits.Text"))
	if err != nil {
		t.Fatal(err)
	}
	opt := p.options()
	opt.MaxStop = 5 * time.Millisecond
	out, err := p.commit(plan, opt)
	if !errors.Is(err, ErrRefused) || out.State != RolledBack || !strings.Contains(err.Error(), "--max-stop") {
		t.Fatalf("%v, %+v", err, out)
	}
	// What a stop costs beyond its limit is what the kernel takes to let the threads go.
	if out.Stats.Stops > maxStops || out.Stats.Stopped < opt.MaxStop-leastStop {
		t.Errorf("%+v", out.Stats)
	}
	if got := p.ask("greeting"); got != "good morning" {
		t.Errorf("the program says %s", got)
	}
}
