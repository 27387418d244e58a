package compile_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"ri/attach"
	"ri/probe"
	"ri/probe/compile"
	"ri/symbols"
	"ri/symbols/testprogram"
	"ri/values"
	"ri/values/testlook"
)

type truth struct {
	Expr string
	Is   bool
}

// stage is the program args, and what a probe in it would see: its package variables as arguments, in registers.
type stage struct {
	*testlook.Looked
	scope  compile.Scope
	truths []truth
	at     *machine
}

func open(t testing.TB, v testprogram.Variant) *stage {
	t.Helper()
	cmd := exec.Command(testprogram.Build(t, "testdata/args", v))
	_, out := testprogram.Run(t, cmd)
	s := &stage{}
	for {
		line, err := out.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "ready\n" {
			break
		}
		var one truth
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		s.truths = append(s.truths, one)
	}
	p := &testprogram.Program{Report: testprogram.Report{PID: cmd.Process.Pid}}
	s.Looked = testlook.At(t, p, attach.Stopped)
	s.scope = compile.Scope{Space: s.Space, Package: "main"}
	s.at = &machine{mem: s.View, registers: map[int]uint64{}}
	s.argument(t, "a", "all")
	for _, name := range []string{"text", "data", "number", "flag", "fault", "shape", "null", "large"} {
		s.argument(t, name, name)
	}
	return s
}

// argument puts a package variable into registers, a word each.
func (s *stage) argument(t testing.TB, name, variable string) {
	t.Helper()
	v := s.Value(t, "main."+variable)
	a := compile.Argument{Name: name, Type: v.Type}
	for off := int64(0); off < v.Type.Size; off += 8 {
		size := min(8, v.Type.Size-off)
		b := make([]byte, 8)
		if _, err := s.View.ReadMemory(b[:size], v.Addr+uint64(off)); err != nil {
			t.Fatal(err)
		}
		if size < 8 {
			copy(b[size:], "garbage") // Go leaves the rest of a register undefined
		}
		n := len(s.at.registers)
		s.at.registers[n] = binary.LittleEndian.Uint64(b)
		a.Pieces = append(a.Pieces, compile.Piece{Size: size, Register: n})
	}
	s.scope.Arguments = append(s.scope.Arguments, a)
}

// program compiles, and runs it as a hit.
func (s *stage) program(t testing.TB, w compile.Wanted) (*compile.Program, outcome, *probe.Event) {
	t.Helper()
	p, err := compile.Compile(&s.scope, w)
	if err != nil {
		t.Fatalf("%+v: %v", w, err)
	}
	maps, err := s.Target.Mappings()
	if err != nil {
		t.Fatal(err)
	}
	p.Static(compile.Unchanging(maps, s.Target.ExecutablePath(), s.View))
	m := *s.at
	m.capture(p.At.Reads)
	size := 0
	for _, r := range p.At.Reads {
		size += int(r.Size)
	}
	if limit := max(w.Limit.Bytes, 4096); size > limit {
		t.Errorf("%+v takes %d bytes, of %d", w, size, limit)
	}
	return p, m.decide(p.At.When), &probe.Event{Registers: m.registers, Pieces: m.pieces}
}

func TestConditions(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		s := open(t, v)
		if len(s.truths) < 60 {
			t.Fatalf("%d conditions", len(s.truths))
		}
		for _, one := range s.truths {
			_, got, _ := s.program(t, compile.Wanted{When: []string{one.Expr}, Show: []string{}})
			if got != of(one.Is) {
				t.Errorf("%s: %v, Go says %v", one.Expr, got, one.Is)
			}
		}
	})
}

// What Go has no words for, and what isn't decided.
func TestConditionsOfOurs(t *testing.T) {
	s := open(t, testprogram.Variants[0])
	for _, one := range []struct {
		expr string
		want outcome
	}{
		{`a.Circle.(type) == *Circle`, yes},
		{`a.Circle.(type) == *main.Circle`, yes},
		{`a.Circle.(type) != *Circle`, no},
		{`a.Circle.(type) == Square`, no},
		{`a.Square.(type) == Square`, yes},
		{`a.NoErr.(type) == nil`, yes},
		{`a.NoErr.(type) == *fs.PathError`, no},
		{`a.NoErr.(*fs.PathError).Op == "open"`, no},
		{`a.Wrapped.(type) == *fmt.wrapError`, yes},
		{`a.Wrapped.(*fmt.wrapError).err == io.EOF`, yes},
		{`a.Path.(*fs.PathError)`, yes},
		{`a.Err.(*fs.PathError)`, no},
		{`a.Err.(*fs.PathError).Op == "open"`, no},
		{`a.Number.(string) == "boxed"`, no},
		{`a.Took >= 75ms && a.Took < 0.1s`, yes},
		{`a.Took > 75000us`, no},
		{`a.Nil.N == 3`, undecided},
		{`!(a.Nil.N == 3)`, undecided},
		{`a.Nil.N == 3 && a.Off`, no},
		{`a.Nil.N == 3 || a.On`, yes},
		{`null.Text == "x"`, undecided},
		{`a.Inners[1].N == 0`, undecided},
		{`a.Words[7] == "x"`, no}, // there is no such element
		{`hasSuffix(a.Long, "needle")`, yes},
		{`contains(a.Long, "xx")`, yes},
		{`contains(a.Long, "needle")`, undecided}, // it stands behind what is searched
		{`main.leaf.N == -7`, yes},
		{`leaf.N == -7`, yes},
		{`a.Deep == nil`, no},
		{`a.Neg == -1<<40 && a.U64 == 1<<63`, yes},
		{`a.U8 == 0xf0&^0x20|0x18^0x10`, yes}, // from the left
		{`a.U8 == 0xc0|0x0f%9+2`, yes},
		{`fault != io.EOF`, yes},
		{`true`, yes},
		{`1 > 2`, no},
	} {
		_, got, _ := s.program(t, compile.Wanted{When: []string{one.expr}, Show: []string{}})
		if got != one.want {
			t.Errorf("%s: %v, want %v", one.expr, got, one.want)
		}
	}
}

func TestRefused(t *testing.T) {
	s := open(t, testprogram.Variants[0])
	for _, one := range []struct {
		expr, why string
		is        error
	}{
		{`a.Inner.N ==`, "expected operand", values.ErrExpr},
		{`b == 1`, "no argument, result or package variable", values.ErrExpr},
		{`a.Inner.M == 1`, `no field "M"`, values.ErrNoField},
		{`a.Inner.N`, "no condition", values.ErrExpr},
		{`a.Inner.N + 1 == 2`, "operator +", compile.ErrCannot},
		{`a.Words[number] == "x"`, "constant", compile.ErrCannot},
		{`a.Text == a.Empty`, "two values of type string", compile.ErrCannot},
		{`a.Text < "x"`, "no order", compile.ErrCannot},
		{`a.Text == 5`, "can't be compared", compile.ErrCannot},
		{`a.U8 == 300`, "is no uint8", values.ErrExpr},
		{`a.U8 == -1`, "is no uint8", values.ErrExpr},
		{`a.U8 == a.U64`, "wrong kind", values.ErrKind},
		{`a.On == 1`, "is no bool", values.ErrExpr},
		{`a.Err.Op == "open"`, "say which type it holds", compile.ErrCannot},
		{`a.Err == a.Path`, "package variable", compile.ErrCannot},
		{`a.Neg == 1<<65`, "no shift", values.ErrExpr},
		{`a.Neg == 5%0`, "division by zero", values.ErrExpr},
		{`a.Neg == 1.5|1`, "no whole numbers", values.ErrExpr},
		{`a.Inner.(*Circle)`, "is no interface", values.ErrKind},
		{`a.Err.(*Nothing)`, "Nothing", symbols.ErrNotFound},
		{`a.Inner == nil`, "never nil", values.ErrKind},
		{`a.Text == "` + strings.Repeat("y", 129) + `"`, "129 bytes", compile.ErrCannot},
		{`hasPrefix(a.Text, a.Empty)`, "text in quotes", compile.ErrCannot},
		{`hasPrefix(a.Inner, "x")`, "is no text", values.ErrKind},
		{`a.Err.Error() == "x"`, "functions can't be called", compile.ErrCannot},
		{`fmt.Sprint(a.Text) == "x"`, "functions can't be called", compile.ErrCannot},
		{`duration > 50ms`, "known at the return only", compile.ErrReturns},
		{`a.Numbers[4] == 1`, "length 4", values.ErrRange},
		{`a.Inner.Tags[-1] == "x"`, "no index", values.ErrRange},
		{`a.At == a.At`, "can't be compared", compile.ErrCannot},
		{`float64(a.U8) > 1`, "computes", compile.ErrCannot},
		{`len(a.Inner) == 1`, "none that could be read", compile.ErrCannot},
		{`1/0 == 1`, "division by zero", values.ErrExpr},
		{`-"x" == 1`, "operator -", compile.ErrCannot},
		{`func() {}`, "only names", compile.ErrCannot},
	} {
		_, err := compile.Compile(&s.scope, compile.Wanted{When: []string{one.expr}})
		if err == nil || !strings.Contains(err.Error(), one.why) || !errors.Is(err, one.is) {
			t.Errorf("%s: %v, want %q, %v", one.expr, err, one.why, one.is)
		}
	}
}

func TestShown(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		s := open(t, v)
		for _, one := range []struct{ expr, want string }{
			{`a.Text`, `"GET /orders/17 HTTP/1.1"`},
			{`a.Empty`, `""`},
			{`text`, `"in registers"`},
			{`data`, `[]uint8("bytes")`},
			{`string(data)`, `"bytes"`},
			{`number`, `int16(-5)`},
			{`flag`, `true`},
			{`null`, `nil`},
			{`a.ID`, `uint64(42)`},
			{`len(a.Words)`, `3`},
			{`len(a.Map)`, `2`},
			{`a.Ptr`, `&main.Inner{Name: "pointed", N: -3, Small: 5, Next: (*main.Inner)(`},
			{`*a.Ptr`, `Next: (*main.Inner)(`},
			{`a.Words`, `[]string{"zero", "one", "two"}`},
			{`a.Inners`, `[]*main.Inner{(*main.Inner)(`},
			{`a.Numbers`, `[4]int16{1, -2, 3, -4}`},
			{`a.State`, `main.Busy /* 1 */`},
			{`a.Took`, `time.Duration(75000000 /* 75ms */)`},
			{`a.At`, `time.Time /* 2023-11-14T`},
			{`a.NoMap`, `map[string]int(nil)`},
			{`a.Chan`, `/* 1 of 3 queued */`},
			{`a.Err`, `&errors.errorString{s: "no such order"}`},
			{`a.NoErr`, `nil`},
			{`a.Path`, `&fs.PathError{Op: "open", Path: "/etc/motd", Err: (*errors.errorString)(`},
			{`a.Own`, `&main.Fault{Code: 5, Text: "of our own", In: (*main.Inner)(`},
			{`fault.(*fs.PathError).Path`, `"/etc/motd"`},
			{`a.Square`, `main.Square{Side: 2.0}`},
			{`a.Circle`, `&main.Circle{R: 3.0}`},
			{`shape`, `main.Square{Side: 2.0}`},
			{`a.Any`, `"boxed"`},
			{`a.Number`, `7`},
			{`a.Func`, `.func1 /* `}, // Go 1.20 names it main.glob..func1
			{`a.Count`, `atomic.Int64(9)`},
			{`a.Long`, `" /* ... 178 more bytes */`},
		} {
			p, _, ev := s.program(t, compile.Wanted{Show: []string{one.expr}})
			got := p.Entry(ev)
			if len(got) != 1 || got[0].Err != nil {
				t.Errorf("%s: %+v", one.expr, got)
				continue
			}
			if text := got[0].Value.Dump(p.Dump()); !strings.Contains(text, one.want) {
				t.Errorf("%s: %s, want %s", one.expr, text, one.want)
			}
		}
		for _, one := range []struct{ expr, want string }{
			{`a.Map`, `map[string]int{"one": 1, "two": 2}`},
			{`a.Deep`, `map[string]*main.Inner{"leaf": &main.Inner{`},
		} {
			p, _, ev := s.program(t, compile.Wanted{Show: []string{one.expr}, Limit: compile.Limits{Depth: 4}})
			text := p.Entry(ev)[0].Value.Dump(p.Dump())
			if swapped := `map[string]int{"two": 2, "one": 1}`; !strings.Contains(text, one.want) && text != swapped {
				t.Errorf("%s: %s, want %s", one.expr, text, one.want)
			}
		}
	})
}

// What isn't there says why.
func TestNotShown(t *testing.T) {
	s := open(t, testprogram.Variants[0])
	s.scope.Arguments = append(s.scope.Arguments,
		compile.Argument{Name: "gone", Type: s.Value(t, "main.text").Type, Err: compile.ErrGone})
	p, _, ev := s.program(t, compile.Wanted{Show: []string{"a.Nil.Name", "a.Err.(*fs.PathError).Op", "gone"}})
	for i, want := range []error{values.ErrNil, compile.ErrNotCaptured, compile.ErrGone} {
		if got := p.Entry(ev)[i]; !errors.Is(got.Err, want) {
			t.Errorf("%s: %v, want %v", got.Name, got.Err, want)
		}
	}
	p, _, ev = s.program(t, compile.Wanted{Show: []string{"*a"}, Limit: compile.Limits{Bytes: 900}})
	text := p.Entry(ev)[0].Value.Dump(p.Dump())
	if !strings.Contains(text, "the hit's 900 bytes were full") || p.Over == 0 {
		t.Errorf("%d over: %s", p.Over, text)
	}
	// Fields that aren't there for one reason say it once.
	for bytes, want := range map[int]string{
		0:    `&main.Large{First: 17, /* 4 fields: not captured: of a structure the first 1024 bytes are (--bytes) */}`,
		8192: `&main.Large{First: 17, A: 0, B: 0, C: 0, D: 0}`,
	} {
		p, _, ev = s.program(t, compile.Wanted{Show: []string{"large"}, Limit: compile.Limits{Bytes: bytes}})
		if text := p.Entry(ev)[0].Value.Dump(p.Dump()); text != want {
			t.Errorf("%s, want %s", text, want)
		}
	}
}

// TestElements: elements of small maps are conditions, and are taken along; what isn't there, and what is too large to
// be searched, is neither true nor false.
func TestElements(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		s := open(t, v)
		m := s.Value(t, "main.all.Map")
		if l, err := s.Space.MapLayout(m.Type); err != nil {
			t.Fatal(err)
		} else if !l.Swiss {
			_, err := compile.Compile(&s.scope, compile.Wanted{When: []string{`a.Map["one"] == 1`}})
			if !errors.Is(err, compile.ErrCannot) {
				t.Errorf("a map with buckets: %v", err)
			}
			return
		}
		for expr, want := range map[string]outcome{
			`a.Map["one"] == 1`: yes, `a.Map["two"] == 1`: no, `a.Map["six"] == 1`: undecided, `a.NoMap["one"] == 1`: undecided,
			`a.Map[""] == 0`: undecided, `a.Deep["leaf"].N == -7`: yes, `a.Deep["leaf"].Name == "leaf"`: yes,
			`a.Many[-11] == "many-11"`: yes, `hasSuffix(a.Many[11], "11")`: yes, `a.Many[-12] == ""`: undecided,
			`a.Many[100] == ""`: undecided, `a.Grown["key7"] == 7`: undecided,
			`a.Map["six"] == 1 || a.Map["one"] == 1`: yes, `a.Map["six"] == 1 && a.Map["one"] == 2`: no,
		} {
			if _, got, _ := s.program(t, compile.Wanted{When: []string{expr}, Show: []string{}}); got != want {
				t.Errorf("%s: %v, not %v", expr, got, want)
			}
		}
		for expr, want := range map[string]string{`a.Map["two"]`: "2", `a.Many[3]`: `"many3"`, `a.Deep["leaf"].N`: "-7",
			`a.Map["six"]`: "no such key", `a.Grown["key7"]`: "more than the 64 places"} {
			p, _, ev := s.program(t, compile.Wanted{Show: []string{expr}})
			value := p.Entry(ev)[0]
			text := fmt.Sprint(value.Err)
			if value.Err == nil {
				text = value.Value.Dump(p.Dump())
			}
			if !strings.Contains(text, want) {
				t.Errorf("%s: %s, not %s", expr, text, want)
			}
		}
		for _, expr := range []string{`a.Map[1] == 1`, `a.Map[a.Text] == 1`, `a.Many[70000] == ""`, `a.Many["x"] == ""`} {
			if _, err := compile.Compile(&s.scope, compile.Wanted{When: []string{expr}}); err == nil {
				t.Errorf("%s compiles", expr)
			}
		}
	})
}
