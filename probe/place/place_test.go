package place

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"
	"testing"

	"ri/probe"
	"ri/symbols"
	"ri/symbols/testprogram"
)

// TestFind holds what names stand for.
func TestFind(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		p := build(t, v)
		for what, want := range map[string][]string{
			"main.leaf":            {"main.leaf"},
			"leaf":                 {"main.leaf"},
			"main.(*T).Pointer":    {"main.(*T).Pointer"},
			"main.T.Pointer":       {"main.(*T).Pointer"},
			"(*T).Pointer":         {"main.(*T).Pointer"},
			"main.T.Value":         {"main.T.Value"},
			"main.(*Box).Get":      {"main.(*Box[go.shape.float64]).Get", "main.(*Box[go.shape.string]).Get"},
			"main.Map[int,string]": {"main.Map[go.shape.int,go.shape.string]"},
			"main.Valuer.Value":    {"main.T.Value", "main.V.Value"},
			"main.nosplit*":        {"main.nosplit", "main.nosplitter"},
			"main.(*T).P*":         {"main.(*T).Pointer"},
			"main.closes*":         {"main.closes"},
			"main.closes.func*":    {"main.closes.func1"},
		} {
			found, err := Find(p.file, what)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			var names []string
			for _, fn := range found.Functions {
				names = append(names, fn.Name)
			}
			slices.Sort(names)
			if v.Toolchain == "go1.20.14" && strings.Contains(want[0], "[") {
				for i := range want {
					want[i] = withoutArguments(want[i])
				}
				for i := range names {
					names[i] = withoutArguments(names[i])
				}
				names = names[:min(len(names), len(want))] // it doesn't tell instances apart
			}
			if !slices.Equal(names, want) || len(found.Refused) > 0 {
				t.Errorf("%s: %q, want %q; refused: %+v", what, names, want, found.Refused)
			}
		}
		for what, want := range map[string]error{
			"main.nothing":        symbols.ErrNotFound,
			"main.x*y":            symbols.ErrNotFound,
			"main.Valuer.Missing": symbols.ErrNotFound,
			"places.go:1":         symbols.ErrNotFound,
			"main.go:100000":      symbols.ErrNotFound,
		} {
			if _, err := Find(p.file, what); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
	})
}

// A pattern has at least as many names as functions are found by it.
func TestMatching(t *testing.T) {
	f := build(t, testprogram.Variants[0]).file
	if got := Matching(f, "main.main"); got != 1 {
		t.Errorf("%d functions are main.main", got)
	}
	found, err := Find(f, "main.*")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, fn := range found.Functions {
		names[fn.Name] = true
	}
	for _, r := range found.Refused {
		names[r.Func] = true
	}
	if got := Matching(f, "main.*"); got < len(names) || len(names) < 2 {
		t.Errorf("%d names match, and %d functions were found", got, len(names))
	}
}

// What the compiler made to compare values of a type is nothing that a pattern of the source means.
func TestCompiled(t *testing.T) {
	n := &names{all: []string{"example.org/shop/order.Find", "type:.eq.example.org/shop/order.Key"}}
	f := build(t, testprogram.Variants[0]).file
	for pattern, want := range map[string][]string{"order.*": n.all[:1], "*order.*": n.all[:1], "type:.eq.*": n.all[1:]} {
		if got := n.matching(f, pattern); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}

// A value's method is meant before the pointer's that the compiler made of it.
func TestExact(t *testing.T) {
	value, pointer := "example.org/shop/file.File.Serve", "example.org/shop/file.(*File).Serve"
	f := build(t, testprogram.Variants[0]).file
	n := &names{all: []string{pointer, value}, short: map[string][]string{}}
	for _, full := range n.all {
		for _, way := range ways(f, full) {
			n.short[way] = append(n.short[way], full)
		}
	}
	for what, want := range map[string]string{"file.File.Serve": value, value: value, "file.(*File).Serve": pointer,
		"(*File).Serve": pointer} {
		if got, err := n.resolve(f, what); err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, %v; want %s", what, got, err, want)
		}
	}
}

// lineOf finds the line of the test program that has a text.
func lineOf(t *testing.T, text string) int {
	t.Helper()
	source, err := os.ReadFile("testdata/places/main.go")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(source), "\n") {
		if strings.Contains(line, text) {
			return i + 1
		}
	}
	t.Fatalf("no line has %q", text)
	return 0
}

// TestLine: a line is found where it is, in a function or in what was inlined; that of a declaration is the function's
// entry.
func TestLine(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		p := build(t, v)
		for text, want := range map[string]struct {
			fn   string
			role probe.Role
		}{
			"func leaf(":    {"main.leaf", probe.Entry},
			"sink += n":     {"main.exits", probe.Line},
			"return b.e, n": {"main.(*Box", probe.Entry},
			"n >>= 1":       {"main.spin", probe.Line},
		} {
			found, err := Find(p.file, fmt.Sprintf("places/main.go:%d", lineOf(t, text)))
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			for _, fn := range found.Functions {
				for _, s := range fn.Sites {
					if !strings.HasPrefix(fn.Name, want.fn) || s.Role != want.role || s.Line != lineOf(t, text) {
						t.Errorf("%s: %+v", text, s)
					}
				}
			}
			if len(found.Functions) == 0 || len(found.Functions[0].Sites) == 0 {
				t.Errorf("%s: %+v", text, found)
			}
		}
	})
}

// text is where a variable lies, in short: "AX BX", "+8" on the stack, "!" and why.
func (v Var) text() string {
	var parts []string
	for _, p := range v.Pieces {
		switch p.Kind {
		case InRegister:
			parts = append(parts, registerNames[p.Register])
		case OnStack:
			parts = append(parts, fmt.Sprintf("%+d", p.Off))
		case Behind:
			parts = append(parts, fmt.Sprintf("%+d(%s)", p.Off, registerNames[p.Register]))
		case Fixed:
			parts = append(parts, fmt.Sprintf("=%x", p.Data))
		default:
			parts = append(parts, "-")
		}
	}
	if v.Why != "" {
		parts = append(parts, "!"+v.Why)
	}
	return strings.Join(parts, " ")
}

var registerNames = [16]string{"AX", "DX", "CX", "BX", "SI", "DI", "BP", "SP", "R8", "R9", "R10", "R11", "R12", "R13",
	"R14", "R15"}

// TestVars holds where arguments and results lie at entries and returns: as the ABI says, however the program was
// built, and also those that nothing uses.
func TestVars(t *testing.T) {
	const vector = " !" + whyVector
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		p := build(t, v)
		for name, want := range map[string]map[string]string{
			"main.leaf":         {"a": "AX", "b": "BX", "~r0": "AX"},
			"main.T.Value":      {"t": "AX BX CX", "~r0": "AX"},
			"main.(*T).Pointer": {"t": "AX", "s": "BX CX", "~r0": "AX"},
			"main.floats":       {"a": "-" + vector, "b": "AX", "c": "-" + vector, "d": "BX CX", "~r0": "-" + vector},
			"main.many": {"a": "AX", "b": "BX CX", "c": "DI SI R8", "m": "+0", "d": "R9", "e": "R10", "f": "+48",
				"g": "+64", "~r0": "AX", "~r1": "BX CX", "~r2": "DI SI"},
			"main.escapes":                           {"n": "AX", "s": "BX CX", "p": "AX", "err": "BX CX"},
			"main.variadic":                          {"a": "AX", "rest": "BX CX DI", "~r0": "AX BX"},
			"main.assembled":                         {},
			"main.(*Box[go.shape.string]).Get":       {"b": "AX", "n": "CX", "s": "DI SI", "~r0": "AX BX", "~r1": "CX"},
			"main.Map[go.shape.int,go.shape.string]": {"in": "BX CX DI", "f": "SI", "out": "AX BX CX"},
		} {
			found, err := Find(p.file, name)
			if v.Toolchain == "go1.20.14" && strings.Contains(name, "[") {
				continue // it doesn't tell instances apart
			}
			if err != nil || len(found.Functions) != 1 {
				t.Errorf("%s: %+v, %v", name, found, err)
				continue
			}
			fn := found.Functions[0]
			got := map[string]string{}
			for _, v := range fn.Vars(&fn.Sites[0]) {
				got[v.Name] = v.text()
			}
			for i := range fn.Returns {
				for _, v := range fn.Vars(&fn.Returns[i]) {
					if v.Kind == Result {
						got[v.Name] = v.text()
					}
				}
			}
			for name, where := range want {
				if got[name] != where {
					t.Errorf("%s: %s lies in %q, want %q", fn.Name, name, got[name], where)
				}
			}
		}
		found, err := Find(p.file, "main.closes.func1")
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range found.Functions[0].Vars(&found.Functions[0].Sites[0]) {
			if one.Kind == Captured && (len(one.Pieces) == 0 || one.Pieces[0].Kind != Behind) {
				t.Errorf("captured %s: %q", one.Name, one.text())
			}
		}
	})
}

// TestReferee looks at every function of a program: its place must be passed once by each call, by what leads where in
// its code, and debug information may not have the arguments elsewhere, but for the few of which it is known to.
func TestReferee(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		p := build(t, v)
		places, refused, disagree, functions := 0, 0, 0, 0
		for _, e := range p.file.FuncEntries() {
			b := read(p.file, e.Entry)
			if b == nil {
				continue
			}
			functions++
			s, why := b.entry()
			if why != "" {
				refused++
				continue
			}
			places++
			if b.broken == 0 {
				referee(t, b, s)
			}
			fn := &Function{Name: e.Name, Entry: e.Entry, file: p.file}
			if _, ok := fn.byABI(b.info); !ok && len(fn.declared(e.Entry)) > 0 {
				disagree++
			}
		}
		t.Logf("%d functions, %d places, %d refused, %d disagree", functions, places, refused, disagree)
		if functions < 1000 || refused > functions/50 || disagree > 2 {
			t.Errorf("%d functions, %d places, %d refused, arguments of %d elsewhere", functions, places, refused, disagree)
		}
	})
}

// referee walks through a function's code without the place: no return may be reached, but by growing the stack.
func referee(t *testing.T, b *body, s probe.Site) {
	t.Helper()
	g := &graph{body: b, next: make([][]int32, len(b.list))}
	if i, ok := b.index(s.PC); !ok || b.list[i].refuse != "" {
		t.Errorf("%s: the place %#x is no instruction that can be probed", s.Func, s.PC)
	}
	for i, in := range b.list {
		for _, to := range []uint64{in.pc + uint64(in.length), in.target} {
			falls := to != in.target && in.flow != jump && in.flow != leave && in.flow != ret && in.flow != stop
			if j, ok := b.index(to); ok && (falls || to == in.target && in.flow != call && to != b.info.Entry) {
				g.next[i] = append(g.next[i], int32(j))
			}
		}
	}
	away := func(i int32) bool { return b.list[i].pc != s.PC }
	if b.info.Entry == s.PC {
		return // everything is behind it
	}
	for i := range g.reach(0, g.next, away) {
		if b.list[i].flow == ret {
			t.Errorf("%s: it returns at %#x without passing the place %#x", s.Func, b.list[i].pc, s.PC)
			return
		}
	}
}

// TestStripped: functions, interfaces, inlined calls and lines are found without debug information; arguments are
// words.
func TestStripped(t *testing.T) {
	for _, toolchain := range []string{"", "go1.20.14", "go1.27.3"} {
		if toolchain != "" && testing.Short() {
			continue
		}
		p := build(t, testprogram.Variant{Name: "stripped" + toolchain, Flags: []string{"-ldflags=-s -w"},
			Toolchain: toolchain})
		for what, want := range map[string]string{
			"main.leaf": "AX,BX", "main.Valuer.Value": "AX,BX,CX", "main.small": "", "main.assembled": "+0,+8,+16",
		} {
			found, err := Find(p.file, what)
			if err != nil {
				t.Errorf("%s %s: %v", toolchain, what, err)
				continue
			}
			fn := found.Functions[0]
			var words []string
			for _, v := range fn.Vars(&fn.Sites[0]) {
				words = append(words, v.text())
			}
			if strings.Join(words, ",") != want {
				t.Errorf("%s %s: %q, want %q", toolchain, what, words, want)
			}
		}
	}
}

// TestGarbage reads functions whose code is anything: nothing may panic, or go round for ever.
func TestGarbage(t *testing.T) {
	f := build(t, testprogram.Variants[0]).file
	random := rand.New(rand.NewSource(1))
	for range 2000 {
		code := make([]byte, random.Intn(600))
		random.Read(code)
		if random.Intn(2) == 0 { // short jumps, mostly
			for i := 0; i+1 < len(code); i += 1 + random.Intn(4) {
				code[i] = []byte{0xeb, 0x74, 0x75, 0x55, 0xc3, 0x90, 0xe8, 0x0f, 0xc5, 0x62}[random.Intn(10)]
			}
		}
		garbage(f, code)
	}
}

func FuzzCode(f *testing.F) {
	file := build(f, testprogram.Variants[0]).file
	f.Add([]byte{0x49, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0, 0, 0, 0, 0x55, 0xc3})
	f.Add([]byte{0xc5, 0xf8, 0x77, 0xeb, 0xfb})
	f.Fuzz(func(t *testing.T, code []byte) { garbage(file, code) })
}

func garbage(f *symbols.File, code []byte) {
	b := newBody(f, symbols.FuncInfo{Entry: 0x1000, End: 0x1000 + uint64(len(code))})
	b.disassemble(code)
	b.entry()
	b.returns()
	g := b.flow()
	for n := range g.list[:min(20, len(g.list))] {
		g.begin(func(i int32) bool { return int(i) >= n && i%3 != 1 }, int32(n))
	}
}
