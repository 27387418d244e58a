package recipes_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/gopher-lua/ast"

	"ri/instruments/lang"
	"ri/instruments/recipes"
	"ri/values/layout"
)

// Each built-in recipe compiles, its presets are parameters, and its header says what a reader needs.
func TestBuiltInRecipes(t *testing.T) {
	t.Setenv("RI_RECIPES", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	c, warnings, err := recipes.OpenCatalogue(os.DirFS("../.."))
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	for _, r := range c.Recipes() {
		script, err := r.Script(c)
		if err != nil {
			t.Error(err)
			continue
		}
		h := script.Header
		if h == nil {
			t.Errorf("%s: %s is no instrument", r.Name, r.Instrument)
			continue
		}
		if h.Title == "" || h.Category == "" || h.Description == "" || h.Sample == "" {
			t.Errorf("%s: title, category, description or sample is missing", r.Name)
		}
		if len(h.Columns) == 0 && r.Name != "check" { // which gives findings
			t.Errorf("%s: columns are missing", r.Name)
		}
		if len(h.Title) > 60 {
			t.Errorf("%s: the title has more than 60 letters: %s", r.Name, h.Title)
		}
		for _, p := range h.Params {
			if p.Help == "" {
				t.Errorf("%s: parameter %s has no help", r.Name, p.Name)
			}
		}
		for _, col := range h.Columns {
			if !col.Hidden && !strings.Contains(h.Sample, strings.ToUpper(strings.ReplaceAll(col.Name, "_", " "))) {
				t.Errorf("%s: the sample doesn't show column %s", r.Name, col.Name)
			}
		}
	}
}

// What functions of ri read of the runtime, by the groups that package layout gives its structures.
var readsRuntime = map[string]string{
	"goroutines": "goroutine", "goroutine": "goroutine", "stacks": "goroutine", "find": "goroutine", "find1": "goroutine",
	"threads": "thread", "chan": "channel", "heap": "heap", "spans": "heap", "polled": "poller", "waits": "queue",
}

// included is which groups are in others.
var included = map[string][]string{
	"goroutine": {"thread", "queue", "heap"}, "channel": {"queue", "heap"}, "queue": {"heap"},
}

// Structures of the runtime that scripts name are of groups.
var runtimeTypes = map[string]string{
	"runtime.g": "goroutine", "runtime.m": "thread", "runtime.hchan": "channel", "runtime.sudog": "queue",
	"runtime.pollDesc": "poller", "runtime.timer": "timer",
}

// A recipe that reads structures of the runtime says so: a program that lacks them is refused before the stop. check
// says itself what it does without.
func TestRuntimeIsDeclared(t *testing.T) {
	t.Setenv("RI_RECIPES", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	c, _, err := recipes.OpenCatalogue(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Recipes() {
		script, err := r.Script(c)
		if err != nil {
			t.Fatal(err)
		}
		// whose types are of libraries; to need less would fit what is stripped. What the kernel knows of descriptors
		// is told without the poller, by way of which goroutines are come to.
		if script.Header.Less || slices.Contains([]string{"log-level", "conns", "files"}, r.Name) {
			continue
		}
		needs, seen := script.Header.Needs, map[string]bool{}
		var look func(file string)
		look = func(file string) {
			if seen[file] {
				return
			}
			seen[file] = true
			source, err := os.ReadFile("../../scripts/lua/" + file)
			if err != nil {
				t.Fatal(err)
			}
			_, chunk, err := lang.CompileLua(file, string(source))
			if err != nil {
				t.Fatal(err)
			}
			lang.EachNode(reflect.ValueOf(chunk), func(n any) bool {
				call, ok := n.(*ast.FuncCallExpr)
				if !ok {
					return true
				}
				object, name := called(call)
				if object == "" && name == "pcall" {
					return false // it does without
				}
				if object == "" && name == "require" {
					module := literal(call.Args[0])
					for _, file := range []string{module + ".lua", "lib/" + module + ".lua"} {
						if _, err := os.Stat("../../scripts/lua/" + file); err == nil {
							look(file)
						}
					}
				}
				if object != "ri" || optional(call) {
					return true
				}
				group := readsRuntime[name]
				for _, arg := range call.Args {
					text := literal(arg)
					if name == "var" && strings.HasPrefix(text, "runtime.") && !strings.HasPrefix(file, "lib/") &&
						!slices.Contains(needs.Vars, text) && !slices.Contains(groupVars, text) {
						t.Errorf("%s: %s:%d reads %s, and its needs don't say so", r.Name, file, call.Line(), text)
					}
					if known := runtimeTypes[text]; known != "" {
						group = known
					}
				}
				if group != "" && !slices.Contains(needs.Runtime, group) &&
					!slices.ContainsFunc(included[group], func(g string) bool { return slices.Contains(needs.Runtime, g) }) {
					t.Errorf("%s: %s:%d calls ri.%s, and its needs lack runtime = { %q }", r.Name, file, call.Line(), name, group)
				}
				return true
			})
		}
		look(r.Instrument)
	}
}

// groupVars are variables that groups have.
var groupVars = []string{"runtime.gcphase"}

// called is what a call calls: ri.NAME, or a NAME.
func called(call *ast.FuncCallExpr) (object, name string) {
	switch f := call.Func.(type) {
	case *ast.AttrGetExpr:
		if id, ok := f.Object.(*ast.IdentExpr); ok {
			return id.Value, literal(f.Key)
		}
	case *ast.IdentExpr:
		return "", f.Value
	}
	return "", ""
}

// optional is whether a call of ri.heap says that it may be refused.
func optional(call *ast.FuncCallExpr) bool {
	if len(call.Args) != 1 {
		return false
	}
	table, ok := call.Args[0].(*ast.TableExpr)
	return ok && slices.ContainsFunc(table.Fields, func(f *ast.Field) bool {
		return f.Key != nil && literal(f.Key) == "optional"
	})
}

// literal is the text that stands in the source; "" if none does.
func literal(e ast.Expr) string {
	if s, ok := e.(*ast.StringExpr); ok {
		return s.Value
	}
	return ""
}

// The manual names all structures of the runtime that an instrument may need.
func TestManualNamesRuntime(t *testing.T) {
	text, err := lang.Manual(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if want := "`" + strings.Join(layout.Groups(), "`, `") + "`"; !strings.Contains(text, want) {
		t.Errorf("the manual lacks %s", want)
	}
}
