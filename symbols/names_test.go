package symbols_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"ri/symbols"
)

func TestVar(t *testing.T) {
	f := kinds(t)
	for name, want := range map[string]string{
		"main.number":                    "main.number",
		"number":                         "main.number", // package main's need no name
		"kinds/internal/yaml.v3.Default": "kinds/internal/yaml.v3.Default",
		"yaml.Default":                   "kinds/internal/yaml.v3.Default",
		"thing.All":                      "kinds/internal/thing/v2.All",
		"kinds/internal/thing/v2.Prefix": "kinds/internal/thing/v2.Prefix",
		"runtime.allgs":                  "runtime.allgs",
		"internal/godebugs.All":          "internal/godebugs.All",
		"godebugs.All":                   "internal/godebugs.All",
	} {
		v, err := f.Var(name)
		if err != nil || v.Name != want || v.Addr == 0 || v.Type.Kind == reflect.Invalid {
			t.Errorf("%s: %+v, %v; want %s", name, v, err, want)
		}
	}
	for name, near := range map[string]string{
		"main.nubmer":       "main.number", // two letters swapped
		"main.numbr":        "main.number",
		"main.Number":       "main.number",
		"yaml.Defautl":      "kinds/internal/yaml.v3.Default",
		"growing":           "main.growingMaps",
		"main.nosuchthing_": "",
		"":                  "",
	} {
		_, err := f.Var(name)
		if !errors.Is(err, symbols.ErrNotFound) || !strings.Contains(err.Error(), near) ||
			(near == "") == strings.Contains(err.Error(), "near names") {
			t.Errorf("%s: %v; want ErrNotFound and the near name %q", name, err, near)
		}
		// A trace shows the same error with each hit: near names are looked for once.
		if n := testing.AllocsPerRun(1, func() { _ = err.Error() }); n > 1 {
			t.Errorf("%s: its text costs %v allocations", name, n)
		}
	}
}

func TestType(t *testing.T) {
	f := kinds(t)
	for name, want := range map[string]struct {
		full string
		kind reflect.Kind
		size int64
	}{
		"main.point":                      {"main.point", reflect.Struct, 16},
		"point":                           {"main.point", reflect.Struct, 16},
		"*point":                          {"*main.point", reflect.Pointer, 8},
		"int":                             {"int", reflect.Int, 8},
		"error":                           {"error", reflect.Interface, 16},
		"any":                             {"interface {}", reflect.Interface, 16},
		"interface{}":                     {"interface {}", reflect.Interface, 16},
		"unsafe.Pointer":                  {"unsafe.Pointer", reflect.UnsafePointer, 8},
		"map[string]int":                  {"map[string]int", reflect.Map, 8},
		"map[any]string":                  {"map[interface {}]string", reflect.Map, 8},
		"map[string]map[string][]int":     {"map[string]map[string][]int", reflect.Map, 8},
		"chan main.point":                 {"chan main.point", reflect.Chan, 8},
		"main.Pair[string,int]":           {"main.Pair[string,int]", reflect.Struct, 24},
		"main.Pair[string, int]":          {"main.Pair[string,int]", reflect.Struct, 24},
		"Pair[string, int]":               {"main.Pair[string,int]", reflect.Struct, 24},
		"*main.Pair[*main.point, any]":    {"*main.Pair[*main.point,interface {}]", reflect.Pointer, 8},
		"main.List[string]":               {"main.List[string]", reflect.Struct, 16},
		"yaml.Node":                       {"kinds/internal/yaml.v3.Node", reflect.Struct, 48},
		"kinds/internal/yaml.v3.Node":     {"kinds/internal/yaml.v3.Node", reflect.Struct, 48},
		"*yaml.Node":                      {"*kinds/internal/yaml.v3.Node", reflect.Pointer, 8},
		"[]thing.Thing":                   {"[]kinds/internal/thing/v2.Thing", reflect.Slice, 24},
		"sync/atomic.Pointer[main.point]": {"sync/atomic.Pointer[main.point]", reflect.Struct, 8},
		"atomic.Pointer[main.point]":      {"sync/atomic.Pointer[main.point]", reflect.Struct, 8},
		// Composed of types that the program has, and not in it themselves.
		"***main.top":          {"***main.top", reflect.Pointer, 8},
		"[][]*main.diamond":    {"[][]*main.diamond", reflect.Slice, 24},
		"[7]main.point":        {"[7]main.point", reflect.Array, 112},
		"[0][9]int8":           {"[0][9]int8", reflect.Array, 0},
		" main.point ":         {"main.point", reflect.Struct, 16},
		"[]main.diamond":       {"[]main.diamond", reflect.Slice, 24},
		"time.Duration":        {"time.Duration", reflect.Int64, 8},
		"main.selfPtr":         {"main.selfPtr", reflect.Pointer, 8},
		"main.Vector[float64]": {"main.Vector[float64]", reflect.Slice, 24},
	} {
		got, err := f.Type(name)
		if err != nil || got.Name != want.full || got.Kind != want.kind || got.Size != want.size {
			t.Errorf("%s: %v %v; want %v", name, got, err, want)
			continue
		}
		if again, _ := f.Type(name); again != got {
			t.Errorf("%s: another *Type the second time", name)
		}
	}
	for name, near := range map[string]string{
		"main.piont": "main.point", "*main.piont": "main.point", "[]main.Point": "main.point",
		"main.Pair[string,bool]": "",
		"[x]int":                 "", "[-1]int": "", "[99999999999999999999]int": "", "[100000000000000]main.point": "",
		"":  "",
		"*": "", "map[": "", "[": "", "]": "",
	} {
		got, err := f.Type(name)
		if err == nil || !strings.Contains(err.Error(), near) {
			t.Errorf("%q: %v, %v; want an error with the near name %q", name, got, err, near)
		}
	}
}

func TestShortName(t *testing.T) {
	f := kinds(t)
	for name, want := range map[string]string{
		"main.point":                                                    "main.point",
		"kinds/internal/yaml.v3.Node":                                   "yaml.Node",
		"*kinds/internal/yaml.v3.Node":                                  "*yaml.Node",
		"kinds/internal/yaml.v3.(*Node).Wait":                           "yaml.(*Node).Wait",
		"kinds/internal/yaml.v3.Marshal.func1":                          "yaml.Marshal.func1",
		"kinds/internal/thing/v2.Thing.Wait":                            "thing.Thing.Wait",
		"kinds/internal/thing/v2.hook.func1":                            "thing.hook.func1",
		"map[kinds/internal/thing/v2.ID]sync/atomic.Int64":              "map[thing.ID]atomic.Int64",
		"main.Pair[kinds/internal/yaml.v3.Kind,*encoding/json.Decoder]": "main.Pair[yaml.Kind,*json.Decoder]",
		"example.org/not/there.Type":                                    "there.Type",
		"int":                                                           "int", "": "",
	} {
		if got := f.ShortName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestNear(t *testing.T) {
	all := []string{"main.store", "main.stores", "main.storage", "main.Store", "other.store", "main.x", "main.theStore"}
	for _, c := range []struct {
		name string
		n    int
		want []string
	}{
		{"main.stroe", 1, []string{"main.Store"}},
		{"main.store", 2, []string{"main.Store", "main.store"}},
		{"main.zzzzzz", 3, nil},
		{"main.", 3, nil},
		{"", 3, nil},
		{"heStor", 1, []string{"main.theStore"}},
		{strings.Repeat("x", 300), 3, nil},
	} {
		got := symbols.Near(c.name, all, c.n)
		if strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("Near(%q): %v, want %v", c.name, got, c.want)
		}
	}
}

func TestGenericBase(t *testing.T) {
	for function, want := range map[string]string{
		"main.plain":                          "",
		"main.park[go.shape.[]int]":           "main.park",
		"main.(*Box[go.shape.int]).Get":       "main.Box",
		"main.(*Box[go.shape.int]).Get.func1": "main.Box",
		"main.Box[map[string]int]":            "main.Box",
		"main.(*Box[go.shape.map[string][]int]).Map[go.shape.[]int].func1": "main.Box.Map",
		"main.(*Box[int]).Map[float64]":                                    "main.Box.Map",
		"main.(*Plain).Loop[*main.Box[int]]":                               "main.Plain.Loop",
		"example.com/yaml%2ev3.Node[int]":                                  "example.com/yaml.v3.Node",
		"main.broken[x":                                                    "main.broken",
	} {
		if got := symbols.GenericBase(function); got != want {
			t.Errorf("%s: %q, want %q", function, got, want)
		}
	}
}
