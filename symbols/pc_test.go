package symbols_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"ri/symbols"
	"ri/symbols/testprogram"
)

// shapeless writes a generic function's name as the runtime prints it.
func shapeless(name string) string {
	open, end := strings.IndexByte(name, '['), strings.LastIndexByte(name, ']')
	if open < 0 || end < open {
		return name
	}
	return name[:open] + "[...]" + name[end+1:]
}

// TestPC compares program counters with what runtime.Callers says of them, inlined calls too.
func TestPC(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, variant testprogram.Variant) {
		exe := testprogram.Build(t, fixture, variant)
		f := open(t, exe)
		p := testprogram.Start(t, exe)
		if len(p.Callers) < 5 {
			t.Fatalf("only %d callers", len(p.Callers))
		}
		// In a PIE addresses are moved by as much as any of its variables is.
		v, err := f.Var("main.number")
		if err != nil {
			t.Fatal(err)
		}
		bias := uint64(0)
		for _, truth := range p.Truths {
			if truth.Expr == "*main.numberPtr" {
				bias = truth.Addr - v.Addr
			}
		}
		if (bias != 0) != symbols.PIE(f) {
			t.Fatalf("moved by %#x, PIE: %v", bias, symbols.PIE(f))
		}
		for _, want := range p.Callers {
			info, ok := f.PC(want.PC - bias - 1)
			if !ok {
				t.Errorf("%s: %#x is no code", want.Func, want.PC)
				continue
			}
			got := info.Lines[0]
			if shapeless(got.Func) != want.Func || got.Line != want.Line ||
				filepath.Base(got.File) != filepath.Base(want.File) {
				t.Errorf("%#x: %+v, want %+v", want.PC, info.Lines, want)
			}
			last := info.Lines[len(info.Lines)-1]
			if last.Func != info.Func || info.Entry > want.PC-bias || info.End < want.PC-bias {
				t.Errorf("%#x: outermost %s, function %s from %#x to %#x", want.PC, last.Func, info.Func, info.Entry,
					info.End)
			}
			if variant.Optimised() && strings.HasSuffix(want.Func, ".deeper") && len(info.Lines) < 3 {
				t.Errorf("%s: %+v, want three calls in one function", want.Func, info.Lines)
			}
			if !variant.Optimised() && len(info.Lines) != 1 {
				t.Errorf("%s: %+v, want no inlined calls", want.Func, info.Lines)
			}
		}
	})
}

func TestPCOutside(t *testing.T) {
	f := kinds(t)
	for _, pc := range []uint64{0, 1, f.Entry() - 1<<40, ^uint64(0), 1 << 47} {
		if info, ok := f.PC(pc); ok {
			t.Errorf("PC(%#x): %+v", pc, info)
		}
	}
}

// TestPCEverywhere: each instruction address of some functions has a name, a line and a frame size that can be.
func TestPCEverywhere(t *testing.T) {
	f := kinds(t)
	for _, name := range []string{"main.main", "main.callers", "runtime.gopark", "main.everyLocal", "runtime.goexit"} {
		_, entry, err := f.Func(name)
		if err != nil {
			t.Fatal(err)
		}
		first, ok := f.PC(entry)
		if !ok || first.Func != name || first.Entry != entry || first.FrameSize != 0 {
			t.Errorf("%s: at its entry %+v", name, first)
			continue
		}
		if first.TopFrame != (name == "runtime.goexit") {
			t.Errorf("%s: top frame: %v", name, first.TopFrame)
		}
		for pc := first.Entry; pc < first.End; pc++ {
			info, ok := f.PC(pc)
			if ok && info.FrameSize == -1 && info.Lines[0].Line == -1 && pc > first.End-32 {
				break // padding
			}
			if !ok || info.Func != name || len(info.Lines) == 0 || info.Lines[0].Line < 0 || info.FrameSize > 1<<16 {
				t.Fatalf("%s+%#x: %+v", name, pc-entry, info)
			}
		}
	}
}

func TestFunc(t *testing.T) {
	f := kinds(t)
	for name, want := range map[string]symbols.Line{
		"main.main":                           {Func: "main.main", File: "main.go"},
		"main.(*counter).where":               {Func: "main.(*counter).where", File: "functions.go"},
		"kinds/internal/yaml.v3.(*Node).Wait": {Func: "kinds/internal/yaml.v3.(*Node).Wait", File: "yaml.go"},
		"yaml.(*Node).Wait":                   {Func: "kinds/internal/yaml.v3.(*Node).Wait", File: "yaml.go"},
		"thing.hook":                          {Func: "kinds/internal/thing/v2.hook", File: "thing.go"},
		"thing.hook.func1":                    {Func: "kinds/internal/thing/v2.hook.func1", File: "thing.go"},
		"runtime.gopark":                      {Func: "runtime.gopark", File: "proc.go"},
	} {
		got, entry, err := f.Func(name)
		if err != nil || got.Func != want.Func || filepath.Base(got.File) != want.File || got.Line == 0 || entry == 0 {
			t.Errorf("%s: %+v at %#x, %v; want %+v", name, got, entry, err, want)
			continue
		}
		if info, ok := f.PC(entry); !ok || info.Func != want.Func {
			t.Errorf("%s: its entry lies in %+v", name, info)
		}
	}
	_, _, err := f.Func("main.(*counter).were")
	if !errors.Is(err, symbols.ErrNotFound) || !strings.Contains(err.Error(), "main.(*counter).where") {
		t.Errorf("a misspelt name: %v", err)
	}
	if _, _, err := f.Func(""); !errors.Is(err, symbols.ErrNotFound) {
		t.Errorf("no name: %v", err)
	}
}

func TestFuncVars(t *testing.T) {
	f := open(t, testprogram.Build(t, fixture, testprogram.Variants[1])) // without optimisation
	_, entry, err := f.Func("main.everyLocal")
	if err != nil {
		t.Fatal(err)
	}
	vars := f.FuncVars(entry)
	got := map[string]symbols.FrameVar{}
	for _, v := range vars.All() {
		got[v.Name] = v
	}
	for name, want := range map[string]struct {
		typ              string
		argument, result bool
	}{
		"n": {"int", true, false}, "label": {"string", true, false}, "list": {"[]int", true, false},
		"something": {"interface {}", true, false},
		"p":         {"*main.point", true, false}, "result": {"string", true, true}, "doubled": {"int", false, false},
		"pair": {"main.Pair[string,int]", false, false}, "array": {"[3]int16", false, false},
		"m": {"map[string]int", false, false},
	} {
		v, ok := got[name]
		if !ok || v.Type.Name != want.typ || v.Argument != want.argument || v.Result != want.result ||
			v.ClosureOffset != -1 {
			t.Errorf("%s: %+v, want %+v", name, v, want)
		}
	}
	if f.FuncVars(0) != nil || f.FuncVars(^uint64(0)) != nil {
		t.Error("there are variables where there is no function")
	}
	var none *symbols.FuncVars
	if none.All() != nil || none.At(entry, 0) != nil {
		t.Error("no function has variables")
	}
}
