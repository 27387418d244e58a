package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// A stripped program's runtime is read as that of the same source built with debug information: by each release, at
// fixed and at other addresses.
func TestStripped(t *testing.T) {
	for _, how := range []struct {
		name, toolchain string
		flags           []string
	}{
		{"local", "local", nil}, {"pie", "local", []string{"-buildmode=pie"}},
		{"go1.20", "go1.20.14", nil}, {"go1.20pie", "go1.20.14", []string{"-buildmode=pie"}},
		{"go1.22", "go1.22.5", nil}, {"go1.24", "go1.24.6", nil}, {"go1.25", "go1.25.3", nil},
		{"go1.25pie", "go1.25.3", []string{"-buildmode=pie"}},
		{"go1.27", "go1.27.3", nil}, {"go1.27pie", "go1.27.3", []string{"-buildmode=pie"}},
	} {
		t.Run(how.name, func(t *testing.T) {
			if how.toolchain != "local" && testing.Short() {
				t.Skip("not with -short")
			}
			if how.toolchain != "local" && (len(how.flags) > 0 || how.name == "go1.25") && !allVersions() {
				t.Skip("only with RI_VERSIONS=all: it compiles the standard library once more")
			}
			pid := startCrash(t, buildCrash(t, how.toolchain, "0", append(how.flags, "-ldflags=-s -w")...))
			out, _ := runRi(t, 0, "run", "goroutines", "-p", pid, "--json")
			for _, want := range []string{`"count": 5`, "main.main.func2 main.go:", `"state": "chan receive"`,
				"main.main.func1 main.go:", `"state": "sleep"`} {
				if !strings.Contains(out, want) {
					t.Errorf("no %s in\n%s", want, out)
				}
			}
			if how.toolchain == "go1.20.14" {
				return // whose allocator notes no types beside objects, so that few have one in a stripped program
			}
			// Types by name, and values of them by what the runtime's descriptors say: fields, strings, maps.
			out, _ = runRi(t, 0, "exec", "-p", pid, "-e", `
				local a = ri.heap():instances("main.kept")[1]
				local k = ri.at(a, "main.kept")
				ri.emit{name = k.name, count = #k.table, one = k.table.one.value, two = k.table["two"].value, any = k.any.name,
					len = #k.list, last = k.list[2]}`)
			if words := strings.Join(strings.Fields(out),
				" "); words != "NAME COUNT ONE TWO ANY LEN LAST kept 2 1 2 inner 3 30" {
				t.Error(out)
			}
		})
	}
}

// startCrash starts testdata/crash so that it waits, and gives its pid.
func startCrash(t *testing.T, exe string) string {
	t.Helper()
	if !mayAttach() {
		t.Skip("processes may not be stopped here")
	}
	cmd := exec.Command(exe, "wait")
	testprogram.Ready(t, cmd)
	return fmt.Sprint(cmd.Process.Pid)
}

// A stripped program is read by the names of an unstripped build of the same source, and by no other.
func TestBorrowedSymbols(t *testing.T) {
	build := func(toolchain string, flags ...string) string { return buildCrash(t, toolchain, "0", flags...) }
	for _, how := range []struct {
		name, toolchain string
		flags           []string
	}{
		{"local", "local", nil}, {"pie", "local", []string{"-buildmode=pie"}}, {"go1.20", "go1.20.14", nil},
		{"go1.22pie", "go1.22.5", []string{"-buildmode=pie"}}, {"go1.25", "go1.25.3", nil},
		{"go1.27", "go1.27.3", nil}, {"go1.27pie", "go1.27.3", []string{"-buildmode=pie"}},
	} {
		t.Run(how.name, func(t *testing.T) {
			if how.toolchain != "local" && testing.Short() {
				t.Skip("not with -short")
			}
			if how.toolchain != "local" && (len(how.flags) > 0 || how.name == "go1.25") && !allVersions() {
				t.Skip("only with RI_VERSIONS=all: it compiles the standard library once more")
			}
			pid := startCrash(t, build(how.toolchain, append(how.flags, "-ldflags=-s -w")...))
			out, _ := runRi(t, 0, "print", "main.sink", "-p", pid, "--symbols", build(how.toolchain, how.flags...))
			for _, want := range []string{`name: "kept"`, `"two": main.node{`, "list: []int{10, 20, 30}"} {
				if !strings.Contains(out, want) {
					t.Errorf("no %s in\n%s", want, out)
				}
			}
			// The heap's walk begins with the runtime's description of the program, which lies elsewhere than other
			// data.
			out, _ = runRi(t, 0, "run", "heap", "-p", pid, "--max-stop", "10s", "--symbols",
				build(how.toolchain, how.flags...))
			if !strings.Contains(out, "main.kept") {
				t.Error(out)
			}
			if how.name != "local" && !allVersions() {
				return // the standard library would be compiled once more
			}
			out, _ = runRi(t, 0, "print", "runtime.gomaxprocs", "-p", pid, "--symbols",
				build(how.toolchain, append(how.flags, "-trimpath")...))
			if !strings.HasPrefix(out, "int32(") {
				t.Error(out)
			}
		})
	}
	pid := startCrash(t, build("local", "-ldflags=-s -w"))
	for _, wrong := range []struct{ exe, why string }{
		{build("local", "-gcflags=all=-N -l"), "-gcflags"},
		{build("local", "-buildmode=pie"), "-buildmode"},
		{build("local", "-ldflags=-s -w"), "no DWARF debug information"},
		{buildCrash(t, "go1.24.6", "0"), "it was built by go1.24.6"},
		{bin + "/ri", "it is "},
	} {
		_, errs := runRi(t, 4, "print", "main.sink", "-p", pid, "--symbols", wrong.exe)
		if !strings.Contains(errs, wrong.why) || !strings.Contains(errs, "--symbols") {
			t.Errorf("no %q in %s", wrong.why, errs)
		}
	}
}
