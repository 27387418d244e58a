package symbols_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"ri/symbols"
	"ri/symbols/testprogram"
)

// asked is what the tests ask a file for: names of types and variables, functions of which every PC is asked.
type asked struct{ types, vars, funcs []string }

var askedOfKinds = asked{
	types: []string{"main.top", "*main.point", "main.viaPointer", "main.embedsGeneric", "main.twoSides", "runtime.g",
		"[]main.point", "map[string]int", "runtime.hchan", "time.Duration", "main.Pair[string,int]", "main.colour"},
	vars:  []string{"runtime.allgs", "runtime.sched", "main.missing"},
	funcs: []string{"main.main", "fmt.Fprintf", "runtime.mallocgc", "sort.insertionSort", "runtime.systemstack"},
}

// answers asks, and gives what comes as text. What there is no text for is left out where a file lacks it.
func (q asked) answers(f *symbols.File) string {
	var out strings.Builder
	for _, name := range q.types {
		t, err := f.Type(name)
		if err != nil {
			fmt.Fprintf(&out, "type %s: %v\n", name, errors.Is(err, symbols.ErrNotFound))
			continue
		}
		describeType(&out, t, 0)
		_, err = t.FieldByName("ID")
		fmt.Fprintln(&out, "ID", err)
	}
	for _, name := range q.vars {
		v, err := f.Var(name)
		if err != nil {
			fmt.Fprintf(&out, "var %s: %v\n", name, errors.Is(err, symbols.ErrNotFound))
			continue
		}
		fmt.Fprintf(&out, "var %s %#x %s\n", v.Name, v.Addr, v.Type.Name)
	}
	for _, name := range q.funcs {
		line, entry, err := f.Func(name)
		if err != nil {
			fmt.Fprintf(&out, "func %s: %v\n", name, errors.Is(err, symbols.ErrNotFound))
			continue
		}
		fmt.Fprintf(&out, "func %+v %#x %d\n", line, entry, len(f.Dictionaries(name)))
		describeFunc(&out, f, entry)
	}
	return out.String()
}

func describeType(out *strings.Builder, t *symbols.Type, depth int) {
	fmt.Fprintf(out, "%*s%s %s %d %d %v", depth, "", t.Name, t.Kind, t.Size, t.RuntimeOffset(), t.Constants())
	for _, to := range []*symbols.Type{t.Elem(), t.Key(), t.Repr()} {
		if to != nil {
			fmt.Fprintf(out, " -> %s %s %d", to.Name, to.Kind, to.Size)
		}
	}
	out.WriteByte('\n')
	if t.Kind == reflect.Array {
		describeType(out, t.Elem(), depth+1)
	}
	for _, fd := range t.Fields() {
		fmt.Fprintf(out, "%*s.%s %d %v\n", depth, "", fd.Name, fd.Offset, fd.Embedded)
		describeType(out, fd.Type, depth+1)
	}
}

// describeFunc asks for all PCs of a function.
func describeFunc(out *strings.Builder, f *symbols.File, entry uint64) {
	info, ok := f.PC(entry)
	if !ok {
		return
	}
	vars := f.FuncVars(entry)
	if err := vars.Lacks(); err != nil {
		fmt.Fprintln(out, err)
	}
	for pc := info.Entry; pc < info.End; pc++ {
		at, ok := f.PC(pc)
		fmt.Fprintf(out, "%#x %v %+v\n", pc, ok, *at)
		m, ok := f.StackMap(pc)
		fmt.Fprintln(out, ok)
		if ok {
			fmt.Fprintf(out, "%+v\n", *m)
		}
		for depth := range at.Lines {
			for _, v := range vars.At(pc, depth) {
				fmt.Fprintf(out, "%s %s %v %v %d %x\n", v.Name, v.Type.Name, v.Argument, v.Result, v.Line,
					vars.Location(&v, pc))
			}
		}
	}
	code, _ := f.Code(entry)
	fmt.Fprintf(out, "%d %x\n", len(code), code[:min(len(code), 16)])
}

// carried is a file as it comes out of a recording.
func carried(t testing.TB, f *symbols.File, opt symbols.PortableOptions) (*symbols.File, *symbols.Portable) {
	t.Helper()
	p, err := f.Portable(opt)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p.Header)
	if err != nil {
		t.Fatal(err)
	}
	other := &symbols.Portable{Parts: map[string][]byte{}}
	if err := json.Unmarshal(text, &other.Header); err != nil {
		t.Fatal(err)
	}
	for name, part := range p.Parts {
		other.Parts[name] = append(make([]byte, 1, len(part)+1), part...)[1:] // nothing shared, nothing aligned
	}
	got, err := symbols.OpenPortable(other)
	if err != nil {
		t.Fatal(err)
	}
	return got, other
}

func opened(t testing.TB, exe string) *symbols.File {
	t.Helper()
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	f, err := symbols.Open(bytes.NewReader(data), exe)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestPortable: what was asked of a program is answered in the same way without it, what wasn't is an error.
func TestPortable(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		f := opened(t, testprogram.Build(t, "../values/testdata/kinds", v))
		f.Track()
		want := askedOfKinds.answers(f)
		if strings.Count(want, "\n") < 1000 {
			t.Fatalf("the questions have hardly any answers:\n%s", want)
		}
		got, p := carried(t, f, symbols.PortableOptions{})
		if text := askedOfKinds.answers(got); text != want {
			t.Error(difference(want, text))
		}
		if !got.IsPortable() || got.Entry() != f.Entry() || got.GoVersion() != f.GoVersion() ||
			got.BuildID() != f.BuildID() || got.TypesBase() != f.TypesBase() {
			t.Errorf("another file: %s %#x", got.GoVersion(), got.Entry())
		}
		size := 0
		for _, part := range p.Parts {
			size += len(part)
		}
		if len(got.TypeNames()) == 0 || len(got.TypeNames())*2 > len(f.TypeNames()) ||
			len(got.Funcs())*2 > len(f.Funcs()) || size > 1<<20 {
			t.Errorf("%d of %d types, %d of %d functions, %d bytes", len(got.TypeNames()), len(f.TypeNames()),
				len(got.Funcs()), len(f.Funcs()), size)
		}
		// Once more from what travelled: a recording may be made of a recording.
		got.Track()
		askedOfKinds.answers(got)
		again, _ := carried(t, got, symbols.PortableOptions{})
		if text := askedOfKinds.answers(again); text != want {
			t.Error("the second time:", difference(want, text))
		}
	})
}

// TestPortableWhole: without Track, all travels.
func TestPortableWhole(t *testing.T) {
	f := opened(t, testprogram.Build(t, "testdata/tiny", testprogram.Variant{Name: "default"}))
	got, _ := carried(t, f, symbols.PortableOptions{Whole: true})
	q := asked{types: f.TypeNames(), vars: f.Vars(), funcs: f.Funcs()[:200]}
	if want, text := q.answers(f), q.answers(got); text != want {
		t.Error(difference(want, text))
	}
	again, _ := carried(t, got, symbols.PortableOptions{Whole: true})
	if want, text := q.answers(f), q.answers(again); text != want {
		t.Error("the second time:", difference(want, text))
	}
	if a, b := len(got.Funcs()), len(f.Funcs()); a != b {
		t.Errorf("%d functions of %d", a, b)
	}
	_, err := got.Type("main.nothing")
	if errors.Is(err, symbols.ErrNotRecorded) || !errors.Is(err, symbols.ErrNotFound) {
		t.Error(err)
	}
}

// TestPortableHoles: what wasn't asked for isn't there, and says so.
func TestPortableHoles(t *testing.T) {
	exe := testprogram.Build(t, "../values/testdata/kinds", testprogram.Variant{Name: "default"})
	f := opened(t, exe)
	f.Track()
	mustType(t, f, "main.point").Fields()
	mustType(t, f, "runtime.sudog").Fields()
	_, entry, err := f.Func("fmt.Fprintf")
	if err != nil {
		t.Fatal(err)
	}
	f.Type("runtime.nosuchtype")
	f.Var("main.nosuchvariable")
	got, _ := carried(t, f, symbols.PortableOptions{})
	_, main, _ := f.Func("main.main")
	for what, ask := range map[string]func() error{
		"type":     func() error { _, err := got.Type("runtime.mheap"); return err },
		"variable": func() error { _, err := got.Var("runtime.allgs"); return err },
		"function": func() error { _, _, err := got.Func("main.main"); return err },
		"user's":   func() error { _, err := got.Var("main.nosuchvariable"); return err },
		"pc": func() error {
			info, ok := got.PC(main + 1)
			if !ok || len(info.Lines) == 0 || info.Entry > main || info.End <= main {
				t.Errorf("the function that didn't travel: %+v", info)
			}
			return info.Err
		},
		"variables": func() error { return got.FuncVars(entry).Lacks() },
		"fields": func() error {
			path, err := mustType(t, got, "runtime.sudog").FieldByName("g")
			if err != nil {
				return err
			}
			g := path.Field.Type.Elem() // one step from what was laid out
			if path, err = g.FieldByName("m"); err != nil || g.Lacks() != nil {
				t.Errorf("%s: %v, %v", g.Name, err, g.Lacks())
				return err
			}
			m := path.Field.Type.Elem() // two steps
			if m.Name != "runtime.m" || m.Kind != reflect.Struct || m.Size < 200 || len(m.Fields()) != 0 {
				t.Errorf("%s, %d bytes, has %d fields", m.Name, m.Size, len(m.Fields()))
			}
			if _, err := m.FieldByName("procid"); !errors.Is(err, symbols.ErrNotRecorded) {
				t.Error(err)
			}
			return m.Lacks()
		},
	} {
		if err := ask(); !errors.Is(err, symbols.ErrNotRecorded) || !strings.Contains(err.Error(), "--symbols-whole") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := got.Type("runtime.nosuchtype"); errors.Is(err, symbols.ErrNotRecorded) {
		t.Error("it was looked for, so it is known not to be:", err)
	}
	if _, ok := got.PC(1); ok {
		t.Error("no code of Go's")
	}
	if err := mustType(t, got, "main.point").Lacks(); err != nil {
		t.Error(err)
	}
}

// TestPortableStripped: the runtime's types come from the tables, variables and descriptors from the program.
func TestPortableStripped(t *testing.T) {
	for _, v := range []testprogram.Variant{
		{Name: "stripped", Flags: []string{"-ldflags=-s -w"}},
		{Name: "strippedPIE", Flags: []string{"-ldflags=-s -w", "-buildmode=pie"}},
	} {
		t.Run(v.Name, func(t *testing.T) {
			f := opened(t, testprogram.Build(t, "../values/testdata/kinds", v))
			f.Track()
			if !f.RuntimeOnly() {
				t.Fatal(f.NoRuntime())
			}
			q := asked{types: []string{"runtime.g", "*runtime.m", "int"}, vars: []string{"runtime.allgs"},
				funcs: []string{"main.main", "runtime.mallocgc"}}
			want := q.answers(f)
			desc, ok := f.Descriptor("main.point")
			if !ok {
				t.Fatal("no descriptor of main.point")
			}
			got, _ := carried(t, f, symbols.PortableOptions{})
			if text := q.answers(got); text != want {
				t.Error(difference(want, text))
			}
			if addr, ok := got.Descriptor("main.point"); !ok || addr != desc || got.KnowsType("*main.point") != nil {
				t.Errorf("descriptor at %#x, %v; want %#x", addr, ok, desc)
			}
			if err := got.KnowsType("main.top"); !errors.Is(err, symbols.ErrNotRecorded) {
				t.Error(err)
			}
			if !got.RuntimeOnly() || got.RuntimeTable() != f.RuntimeTable() || len(got.Vars()) != len(f.Vars()) {
				t.Error(got.RuntimeTable(), len(got.Vars()))
			}
		})
	}
}

// TestPortableBorrowed: a stripped program's names of another file travel, as if they were its own.
func TestPortableBorrowed(t *testing.T) {
	f := opened(t, testprogram.Build(t, "../values/testdata/kinds",
		testprogram.Variant{Name: "stripped", Flags: []string{"-ldflags=-s -w"}}))
	if err := f.Borrow(opened(t, testprogram.Build(t, "../values/testdata/kinds",
		testprogram.Variant{Name: "default"}))); err != nil {
		t.Fatal(err)
	}
	f.Track()
	want := askedOfKinds.answers(f)
	got, _ := carried(t, f, symbols.PortableOptions{})
	if text := askedOfKinds.answers(got); text != want {
		t.Error(difference(want, text))
	}
}

// TestPortableSecrets: what the linker was given, and folders of the machine that built the program, don't travel.
func TestPortableSecrets(t *testing.T) {
	for _, v := range []testprogram.Variant{
		{Name: "secret", Flags: []string{"-ldflags=-X main.stamp=Xsecret-1 -X 'main.other=Xsecret 2'"}},
		{Name: "secretStripped", Flags: []string{"-ldflags=-s -w -X main.stamp=Xsecret-1 -X 'main.other=Xsecret 2'"}},
	} {
		for _, whole := range []bool{false, true} {
			exe := testprogram.Build(t, "testdata/tiny", v)
			f := opened(t, exe)
			data, _ := os.ReadFile(exe)
			if n := bytes.Count(data, []byte("Xsecret")); n < 2 {
				t.Fatalf("the program has the secrets %d times", n)
			}
			f.Track()
			// An instrument may well have read all constants.
			if addr, ok := f.ConstantText("Xsecret-1"); ok {
				f.ReadStatic(make([]byte, 64), addr-16)
			}
			_, p := carried(t, f, symbols.PortableOptions{Whole: whole})
			text, _ := json.Marshal(p.Header)
			dir, _ := os.Getwd()
			all := map[string][]byte{"header": text}
			for name, part := range p.Parts {
				all[name] = part
			}
			for name, part := range all {
				for _, secret := range []string{"Xsecret", "-X main.stamp", "DW_AT_comp_dir"} {
					if bytes.Contains(part, []byte(secret)) {
						t.Errorf("%s, whole %v: %s has %q", v.Name, whole, name, secret)
					}
				}
				if name != "pclntab" && bytes.Contains(part, []byte(dir)) {
					t.Errorf("%s, whole %v: %s has the folder that it was built in", v.Name, whole, name)
				}
			}
			if ranges := f.LinkerStrings(); len(ranges) < 3 {
				t.Errorf("%s: %d texts of the linker", v.Name, len(ranges))
			}
		}
	}
}

// difference is the first line in which two texts differ.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d: have %q, want %q (behind %q)", i, b[i], a[i], a[max(i-1, 0)])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(b), len(a))
}

func TestSplitQuoted(t *testing.T) {
	for ldflags, want := range map[string][]string{
		"-s -w": nil, "": nil, "-X": nil,
		"-X main.a=b":                        {"b"},
		"-X=main.a=b -s --X=main.c=d=e":      {"b", "d=e"},
		"-X 'main.a=b c' -X \"main.d=it's\"": {"b c", "it's"},
		"-X 'main.a=never closed":            {"never closed"},
		"'-X=main.a=b c' -Xmain.x=y":         {"b c"},
	} {
		if got := symbols.GivenByX(ldflags); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", ldflags, got, want)
		}
	}
}
