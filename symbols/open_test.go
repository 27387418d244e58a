package symbols_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"ri/symbols"
	"ri/symbols/testprogram"
)

const fixture = "../values/testdata/kinds"

func open(t testing.TB, exe string) *symbols.File {
	t.Helper()
	r, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	f, err := symbols.Open(r, exe)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// kinds is the fixture as it is built by default.
func kinds(t testing.TB) *symbols.File {
	t.Helper()
	f := open(t, testprogram.Build(t, fixture, testprogram.Variants[0]))
	if f.NoDWARF() != nil {
		t.Fatal(f.NoDWARF())
	}
	return f
}

func TestOpen(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, variant testprogram.Variant) {
		f := open(t, testprogram.Build(t, fixture, variant))
		if !f.HasDWARF() || f.NoDWARF() != nil {
			t.Errorf("no DWARF: %v", f.NoDWARF())
		}
		if want := strings.Contains(variant.Name, "pie") ||
			strings.Contains(variant.Name, "PIE"); symbols.PIE(f) != want {
			t.Errorf("PIE: %v, want %v", symbols.PIE(f), want)
		}
		if version, _, _ := strings.Cut(f.GoVersion(), "-X:"); variant.Toolchain != "" && version != variant.Toolchain {
			t.Errorf("Go version %q, want %q", f.GoVersion(), variant.Toolchain)
		}
		if path, _ := f.MainModule(); path != "kinds" {
			t.Errorf("main module %q", path)
		}
		if f.BuildID() == "" {
			t.Error("no build ID")
		}
		if f.TypesBase() == 0 {
			t.Error("runtime.types is not known")
		}
		if len(f.Vars()) < 300 || len(f.TypeNames()) < 500 || len(f.Funcs()) < 1000 {
			t.Errorf("%d variables, %d types, %d functions", len(f.Vars()), len(f.TypeNames()), len(f.Funcs()))
		}
		settings := map[string]string{}
		for _, s := range f.BuildSettings() {
			settings[s[0]] = s[1]
		}
		if settings["GOARCH"] != "amd64" {
			t.Errorf("build settings %v", settings)
		}
	})
}

// TestStripped: without DWARF there are functions, lines and build info, and errors that say so for the rest.
func TestStripped(t *testing.T) {
	full := kinds(t)
	for _, flags := range []string{"-ldflags=-s -w", "-ldflags=-w"} {
		f := open(t, testprogram.Build(t, fixture, testprogram.Variant{Name: "stripped", Flags: []string{flags}}))
		if f.HasDWARF() || !errors.Is(f.NoDWARF(), symbols.ErrNoDWARF) {
			t.Errorf("%s: NoDWARF is %v", flags, f.NoDWARF())
		}
		if _, err := f.Var("main.number"); !errors.Is(err, symbols.ErrNoDWARF) {
			t.Errorf("%s: Var: %v", flags, err)
		}
		if _, err := f.Type("main.point"); !errors.Is(err, symbols.ErrNoDWARF) {
			t.Errorf("%s: Type: %v", flags, err)
		}
		want, _, err := full.Func("main.(*counter).where")
		if err != nil {
			t.Fatal(err)
		}
		got, pc, err := f.Func("main.(*counter).where")
		if err != nil || got != want {
			t.Errorf("%s: Func: %+v, %v; want %+v", flags, got, err, want)
		}
		info, ok := f.PC(pc)
		if !ok || info.Func != "main.(*counter).where" || info.FrameSize < 0 {
			t.Errorf("%s: PC(%#x): %+v, %v", flags, pc, info, ok)
		}
		if vars := f.FuncVars(pc); vars != nil {
			t.Errorf("%s: frame variables without DWARF: %v", flags, vars)
		}
		if f.GoVersion() != full.GoVersion() {
			t.Errorf("%s: Go version %q, want %q", flags, f.GoVersion(), full.GoVersion())
		}
	}
}

func TestNotGo(t *testing.T) {
	for name, content := range map[string][]byte{
		"empty":   nil,
		"text":    []byte("#!/bin/sh\n"),
		"cut ELF": []byte("\x7fELF\x02\x01\x01\x00"),
	} {
		_, err := symbols.Open(bytes.NewReader(content), name)
		if !errors.Is(err, symbols.ErrNotGo) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want ErrNotGo", name, err)
		}
	}
	// Any executable of the system that Go didn't make.
	for _, path := range []string{"/bin/true", "/usr/bin/true", "/bin/sh"} {
		r, err := os.Open(path)
		if err != nil {
			continue
		}
		defer r.Close()
		if _, err := symbols.Open(r, path); !errors.Is(err, symbols.ErrNotGo) {
			t.Errorf("%s: %v, want ErrNotGo", path, err)
		}
	}
}
