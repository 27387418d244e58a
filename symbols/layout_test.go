package symbols_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ri/symbols"
)

func mustType(t testing.TB, f *symbols.File, name string) *symbols.Type {
	t.Helper()
	typ, err := f.Type(name)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func TestFieldByName(t *testing.T) {
	f := kinds(t)
	for _, c := range []struct {
		typ, field string
		steps      []symbols.Step
		offset     int64
		want       string // the field's type
	}{
		{"main.point", "Y", nil, 8, "int"},
		{"*main.point", "Y", nil, 8, "int"},
		{"main.top", "ID", nil, 0, "int"},
		{"main.top", "Label", nil, 32, "string"}, // middle's, not base's
		{"main.top", "middle", nil, 0, "main.middle"},
		{"main.top", "base", nil, 0, "main.base"},
		{"main.top", "Remote", []symbols.Step{{Offset: 48, Deref: true}}, 0, "string"},
		{"main.top", "pointed", nil, 48, "*main.pointed"},
		{"main.top", "named", nil, 64, "main.base"},
		{"main.twoSides", "OnlyRight", nil, 24, "int"},
		{"main.viaPointer", "ID", []symbols.Step{{Offset: 0, Deref: true}}, 0, "int"},
		{"main.viaPointer", "Level", []symbols.Step{{Offset: 0, Deref: true}}, 24, "int"},
		{"main.embedsGeneric", "Key", nil, 0, "string"},
		{"main.embedsGeneric", "Pair", nil, 0, "main.Pair[string,int]"},
		{"main.embedsGeneric", "Items", []symbols.Step{{Offset: 24, Deref: true}}, 0, "[]int"},
		{"main.embedsNumber", "number64", nil, 0, "main.number64"},
		{"main.embedsInterface", "error", nil, 0, "error"},
		{"main.blank", "C", nil, 8, "bool"},
	} {
		got, err := mustType(t, f, c.typ).FieldByName(c.field)
		if err != nil || !slices.Equal(got.Steps, c.steps) || got.Offset != c.offset || got.Field.Type.Name != c.want {
			t.Errorf("%s.%s: %+v, %v; want %+v", c.typ, c.field, got, err, c)
		}
	}
	for _, c := range []struct {
		typ, field string
		want       error
		text       string
	}{
		{"main.twoSides", "Both", symbols.ErrAmbiguous, "2 embedded structs"},
		{"main.diamond", "ID", symbols.ErrAmbiguous, ""}, // one type, embedded twice
		{"main.diamond", "base", symbols.ErrAmbiguous, ""},
		{"main.point", "Z", symbols.ErrNotFound, ""},
		{"main.middle", "Lable", symbols.ErrNotFound, "did you mean Label?"},
		{"main.tree", "nothingLikeIt", symbols.ErrNotFound, "it has Key, Left, Right, Parent, Kids, ByName"},
		{"struct {}", "x", symbols.ErrNotFound, "it has no fields"},
		{"int", "x", symbols.ErrNotFound, "int is a int and has no fields"},
	} {
		_, err := mustType(t, f, c.typ).FieldByName(c.field)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s.%s: %v; want %v: %s", c.typ, c.field, err, c.want, c.text)
		}
	}
}

func TestFields(t *testing.T) {
	f := kinds(t)
	var got []string
	for _, fd := range mustType(t, f, "main.blank").Fields() {
		got = append(got, fd.Name+" "+fd.Type.Name)
	}
	want := []string{"A int8", "_ int32", "B struct {}", "_ [0]func()", "C bool", "Last struct {}"}
	if !slices.Equal(got, want) {
		t.Errorf("fields %q, want %q", got, want)
	}
	top := mustType(t, f, "main.top").Fields()
	for i, embedded := range []bool{true, true, false, false} {
		if top[i].Embedded != embedded {
			t.Errorf("%s embedded: %v", top[i].Name, top[i].Embedded)
		}
	}
	if mustType(t, f, "int").Fields() != nil || mustType(t, f, "*main.top").Fields() != nil {
		t.Error("an int and a pointer have fields")
	}
}

func TestParts(t *testing.T) {
	f := kinds(t)
	m := mustType(t, f, "map[main.point]string")
	if m.Key().Name != "main.point" || m.Elem().Name != "string" || m.Repr() == nil ||
		m.Repr().Kind != reflect.Pointer {
		t.Errorf("map: key %v, element %v, behind it %v", m.Key(), m.Elem(), m.Repr())
	}
	a := mustType(t, f, "[2][3]main.point")
	if a.Len() != 2 || a.Elem().Len() != 3 || a.Elem().Elem().Name != "main.point" {
		t.Errorf("array: %d of %v", a.Len(), a.Elem())
	}
	self := mustType(t, f, "main.selfPtr")
	if self.Elem() != self {
		t.Errorf("a pointer to itself points to %v", self.Elem())
	}
	if e := mustType(t, f, "interface {}"); e.Repr().Name != "runtime.eface" || e.Elem() != nil || e.Key() != nil {
		t.Errorf("any: %v", e.Repr())
	}
	if e := mustType(t, f, "error"); e.Repr().Name != "runtime.iface" {
		t.Errorf("error: %v", e.Repr())
	}
	node := mustType(t, f, "main.node")
	if again, ok := f.RuntimeType(node.RuntimeOffset()); !ok || again != node {
		t.Errorf("the descriptor of %v leads to %v", node, again)
	}
	if f.PointerTo(node) != mustType(t, f, "*main.node") ||
		f.SliceOf(f.SliceOf(node)) != mustType(t, f, "[][]main.node") {
		t.Error("composed types are not unique")
	}
}

func TestConstants(t *testing.T) {
	f := kinds(t)
	for name, want := range map[string][]string{
		"main.season": {"main.Winter", "main.Summer", "main.Autumn"},
		"main.grade":  nil,
		"main.level":  {"main.Low", "main.Mid", "main.High"},
		"main.flags":  {"main.FlagRead", "main.FlagWrite", "main.FlagExec"},
		"int":         nil,
		"main.point":  nil,
	} {
		got := mustType(t, f, name).Constants()
		for _, c := range want {
			if !slices.Contains(got, c) {
				t.Errorf("%s: %v, want %s among them", name, got, c)
			}
		}
		if want == nil && got != nil {
			t.Errorf("%s: %v, want none", name, got)
		}
	}
	season := mustType(t, f, "main.season")
	for _, name := range []string{"main.Autumn", "Autumn"} {
		if v, ok := season.ConstantValue(name); !ok || v != 3 {
			t.Errorf("%s is %d, %v", name, v, ok)
		}
	}
	if _, ok := season.ConstantValue("Low"); ok {
		t.Error("a constant of another type")
	}
	if name, ok := mustType(t, f, "main.level").Constant(-1); !ok || name != "main.Low" {
		t.Errorf("-1 is %q", name)
	}
	var top uint64 = 1 << 63
	if name, ok := mustType(t, f, "main.wide").Constant(int64(top)); !ok || name != "main.Top" {
		t.Errorf("1<<63 is %q", name)
	}
}
