package values_test

import (
	"math"
	"regexp"
	"strings"
	"testing"

	"ri/values"
	"ri/values/eval"
)

var address = regexp.MustCompile(`\)\(0x[0-9a-f]+\)`)

func TestDump(t *testing.T) {
	z := freeze(t)
	s, _ := z.space(nil)
	line := values.DumpOptions{OneLine: true}
	for _, c := range []struct {
		expr string
		opt  values.DumpOptions
		want string
	}{
		{"main.yes", line, "true"},
		{"main.intMin", line, "-9223372036854775808"},
		{"main.int8Max", line, "int8(127)"},
		{"main.uint64Max", line, "uint64(18446744073709551615)"},
		{"main.uintptrMax", line, "uintptr(0xffffffffffffffff)"},
		{"main.oneFloat", line, "0.1"},
		{"main.float64s[9]", line, "3.0"},
		{"main.notANumber", line, "NaN"},
		{"main.infinity", line, "-Inf"},
		{"main.minusZero", line, "-0.0"},
		{"main.complex128s[1]", line, "(-1+0.1i)"},
		{"main.brokenText", line, `"a\x00b\xff\xfec\xc3"`},
		{"main.longText", values.DumpOptions{Bytes: 4}, `"0123" /* ... 1048572 more bytes */`},
		{"main.namedText", line, `main.title("a title")`},
		{"main.bytesOfText", line, `[]uint8("a\x00b\xff\xfec\xc3")`},
		{"main.nilSlice", line, "[]int(nil)"},
		{"main.emptySlice", line, "[]int{}"},
		{"main.nilMap", line, "map[string]int(nil)"},
		{"main.emptyMap", line, "map[string]int{}"},
		{"main.nilPtr", line, "nil"},
		{"main.nilAny", line, "nil"},
		{"main.nilFunc", line, "nil"},
		{"main.nilChan", line, "nil"},
		{"main.aSeason", line, "main.Summer /* 2 */"},
		{"main.otherSeason", line, "main.season(17)"},
		{"main.aGrade", line, "main.grade(2)"},
		{"main.mixed", line, "main.flags(5)"},
		{"main.pause", line, "time.Duration(90000000000 /* 1m30s */)"},
		{"main.utcTime", line, "time.Time /* 2024-02-29T23:59:58.123456789Z */"},
		{"main.zeroTime", line, "time.Time{}"},
		{"main.atomicInt", line, "atomic.Int64(-4611686018427387904)"},
		{"main.atomicUint", line, "atomic.Uint32(2147483648)"},
		{"main.atomicBool", line, "atomic.Bool(true)"},
		{"main.atomicPtr", line, "atomic.Pointer[main.point](&main.point{X: 3, Y: 4})"},
		{"main.atomicNil", line, "atomic.Pointer[main.point](nil)"},
		{"main.atomicValue", line, `atomic.Value(map[string]main.point{"v": main.point{X: 5, Y: 6}})`},
		{"main.atomicEmpty", line, "atomic.Value(nil)"},
		{"main.aMutex", line, "sync.Mutex{unlocked}"},
		{"main.heldMutex", line, "sync.Mutex{locked, 2 waiting, starving}"},
		{"main.rwMutex", line, "sync.RWMutex{1 reader}"},
		{"main.writtenLock", line, "sync.RWMutex{locked, 3 readers waiting}"},
		{"main.awaitedLock", line, "sync.RWMutex{2 readers, 3 readers waiting, 1 writer waiting}"},
		{"main.waitGroup", line, "sync.WaitGroup{count 3}"},
		{"main.once", line, "sync.Once{done}"},
		{"main.notOnce", line, "sync.Once{not done}"},
		{"main.emptySyncMap", line, "sync.Map{}"},
		{"main.fewSyncMap", line, `sync.Map{"key": &main.point{X: 1, Y: 2}}`},
		{"main.fewSyncMap", values.DumpOptions{Depth: 1}, "sync.Map{\n\t\"key\": (*main.point)(0x),\n}"},
		{"main.points", line, "[]main.point{main.point{X: 1, Y: 2}, main.point{X: 3, Y: 4}}"},
		{"main.longSlice", values.DumpOptions{OneLine: true, Elems: 3}, "[]uint32{0, 1, 4, /* ... 99997 more */}"},
		{"main.numberPtr", line, "&42"},
		{"main.anyInt", line, "7"},
		{"main.anyByte", line, "uint8(200)"},
		{"main.anyStruct", line, "main.point{X: 3, Y: 4}"},
		{"main.wrapped", line, "(chan main.point)(0x) /* 3 of 4 queued */"},
		{"main.closedEmpty", line, "(chan struct {})(0x) /* 0 of 0 queued, closed */"},
		{"main.aPair", line, `main.Pair[string,int]{Key: "key", Val: 9}`},
		{"main.dotted.Key", line, "yaml.Mapping /* 2 */"},
		{"float64(main.number)", line, "42.0"},
		{"int(float32(0.1))", line, "0"},
		{"int8(main.number)", line, "int8(42)"},
		{"int8(main.intMin)", line, "int8(0)"},
		{"uint64(main.int8Max)", line, "uint64(127)"},
		{"int64(main.oneFloat)", line, "int64(0)"},
		{"float32(main.oneFloat)", line, "float32(0.1)"},
		{"bool(main.yes)", line, "true"},
		{"bool(false)", line, "false"},
		{"string(main.namedText)", line, `"a title"`},
		{"main.title(main.brokenText)", line, `main.title("a\x00b\xff\xfec\xc3")`},
		{"string(main.bytesOfText)", line, `"a\x00b\xff\xfec\xc3"`},
		{"[]byte(main.namedText)", line, `[]uint8("a title")`},
		{"len([]rune(main.namedText))", line, "7"},
		{`string("x")`, line, `"x"`},
		{"string(rune(65))", line, `"A"`},
		{"uint8(3.0)", line, "uint8(3)"},
		{"main.season(2)", line, "main.Summer /* 2 */"},
		{"time.Duration(main.number)", line, "time.Duration(42 /* 42ns */)"},
		{"main.chainOfTen", values.DumpOptions{OneLine: true, Depth: 2}, `&main.node{Name: "j", Next: (*main.node)(0x)}`},
		{"main.circular", values.DumpOptions{OneLine: true, Depth: 20},
			`&main.node{Name: "a", Next: &main.node{Name: "b", Next: &main.node{Name: "c", Next: (*main.node)(0x)}}}`},
		{"main.points", values.DumpOptions{},
			"[]main.point{\n\tmain.point{\n\t\tX: 1,\n\t\tY: 2,\n\t},\n\tmain.point{\n\t\tX: 3,\n\t\tY: 4,\n\t},\n}"},
	} {
		v, err := eval.Expression(s, c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		if got := address.ReplaceAllString(v.Dump(c.opt), ")(0x)"); got != c.want {
			t.Errorf("%s:\n\tgot  %s\n\twant %s", c.expr, got, c.want)
		}
	}
	v, err := eval.Expression(s, "main.grownMap")
	if err != nil {
		t.Fatal(err)
	}
	if text := v.Dump(values.DumpOptions{Elems: 10_000, Size: 1000}); len(text) > 2000 ||
		!strings.Contains(text, "output limit reached") {
		t.Errorf("a limit of 1000 bytes gives %d bytes: %s", len(text), text)
	}
	if text := (values.Value{}).Dump(line); text != "invalid value" {
		t.Errorf("the zero Value: %s", text)
	}
}

// TestLookup finds keys of every kind, by Go values and by the program's own.
func TestLookup(t *testing.T) {
	z := freeze(t)
	s, _ := z.space(nil)
	eval := func(expr string) values.Value {
		t.Helper()
		v, err := eval.Expression(s, expr)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		m    string
		key  any
		want string // "" if there is none
	}{
		{"main.smallMap", "two", "2"},
		{"main.smallMap", "", "0"},
		{"main.smallMap", "three", ""},
		{"main.grownMap", int64(7), `"1"`},
		{"main.grownMap", uint64(7), `"1"`},
		{"main.grownMap", 7.0, `"1"`},
		{"main.grownMap", int64(8), ""},
		{"main.grownMap", "7", ""},
		{"main.uint8Map", int64(-1), ""},
		{"main.uint8Map", int64(256), ""},
		{"main.uint8Map", uint64(3), "-125"},
		{"main.floatKeys", 0.5, `"half"`},
		{"main.floatKeys", int64(3), `"three"`},
		{"main.floatKeys", math.NaN(), ""},
		{"main.boolKeys", true, `"t"`},
		{"main.structKeys", eval("main.points[0]"), `"a"`},
		{"main.structKeys", eval("main.points"), ""},
		{"main.anyKeys", "1", `"string"`},
		{"main.anyKeys", eval("main.anyInt"), ""},
		{"main.anyKeys", eval("main.points[0]"), `"point"`},
		{"main.nilMap", "x", ""},
		{"main.unitKeys", eval("main.unitPtr"), ""},
		{"main.unitKeys", eval("*main.unitPtr"), "7"},
		{"main.largeValues", uint64(1 << 60), ""},
	} {
		v, err := eval(c.m).Lookup(c.key)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s[%v]: %s, want none", c.m, c.key, text(v))
			}
			continue
		}
		if err != nil || text(v) != c.want {
			t.Errorf("%s[%v]: %v, %v; want %s", c.m, c.key, v, err, c.want)
		}
	}
}
