package values_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"ri/attach"
	"ri/values"
	"ri/values/eval"
)

// wrong words: lengths that can't be, pointers that lead nowhere or back.
var wrongWords = []uint64{0, 1, 8, 0x18, 1<<32 + 1, 1 << 39, 1<<40 + 1, 1<<63 - 1, 1 << 63, ^uint64(0),
	^uint64(0) - 7, 0xbadc_0000_0000_0000, 0xbadc_0000_0000_0010, 0x7fff_ffff_f000}

// TestGarbageHeads breaks each word of variables one by one: lengths, capacities, pointers, types.
func TestGarbageHeads(t *testing.T) {
	z := freeze(t)
	for _, name := range []string{"main.someTexts", "main.nested", "main.anyStruct", "main.aWriter", "main.wrapped",
		"main.smallMap", "main.grownMap",
		"main.tall", "main.byRefFn", "main.methodValue", "main.linkedList", "main.syncMap", "main.utcTime",
		"main.circular", "main.longText", "main.anyOnePtr", "main.structKeys"} {
		plain, _ := z.space(nil)
		v, err := plain.Var(name)
		if err != nil {
			t.Fatal(err)
		}
		for off := int64(0); off < min(v.Type.Size, 64); off += 8 {
			for _, w := range append(wrongWords, v.Addr, v.Addr+1) {
				s, _ := z.space(map[uint64]uint64{v.Addr + uint64(off): w})
				broken, err := s.Var(name)
				if err != nil {
					t.Fatal(err)
				}
				if text := broken.Dump(values.DumpOptions{Size: 1 << 16}); len(text) > 1<<17 {
					t.Errorf("%s+%d = %#x: %d bytes of text", name, off, w, len(text))
				}
			}
		}
		// What the variable points to: map headers, channels, closures, nodes.
		first, err := plain.Uint64(v.Addr)
		if err != nil || first == 0 {
			continue
		}
		for off := uint64(0); off < 64; off += 8 {
			for _, w := range append(wrongWords, first) {
				s, _ := z.space(map[uint64]uint64{first + off: w})
				broken, _ := s.Var(name)
				broken.Dump(values.DumpOptions{Size: 1 << 16, Elems: 20_000})
			}
		}
	}
}

// TestGarbageSays: an error names what can't be.
func TestGarbageSays(t *testing.T) {
	z := freeze(t)
	at := func(expr string) uint64 {
		s, _ := z.space(nil)
		v, err := eval.Expression(s, expr)
		if err != nil {
			t.Fatal(err)
		}
		return v.Addr
	}
	word := func(addr uint64) uint64 {
		s, _ := z.space(nil)
		w, err := s.Uint64(addr)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	ringNode := word(at("main.circular"))
	smallHead := word(at("main.smallMap"))
	channel := word(at("main.wrapped"))
	for _, c := range []struct {
		words map[uint64]uint64
		expr  string
		kind  error
		text  string
	}{
		{map[uint64]uint64{at("main.circular"): 0x18}, "main.circular.Name[0]", attach.ErrNotMapped,
			"main.circular.Name: address 0x18 is not mapped"},
		{map[uint64]uint64{ringNode + 16: 0x18}, "main.circular.Next.Next.Name", attach.ErrNotMapped,
			"main.circular.Next.Next: address 0x28 is not mapped"},
		{map[uint64]uint64{at("main.pointPtrs") + 8: 1 << 63}, "main.pointPtrs[0].X", values.ErrCorrupt,
			"main.pointPtrs[0]: []*main.point at "},
		{map[uint64]uint64{at("main.numberSlice") + 16: 1}, "main.numberSlice[0]", values.ErrCorrupt,
			"length 3, capacity 1 cannot be"},
		{map[uint64]uint64{at("main.plainText"): 0}, "main.plainText[0]", values.ErrCorrupt, "data 0x0, length 5"},
		{map[uint64]uint64{smallHead: 77}, `main.smallMap["nope"]`, values.ErrCorrupt, "4 entries found, its count says 77"},
		{map[uint64]uint64{smallHead: 2}, `main.smallMap["nope"]`, values.ErrCorrupt,
			"more entries than the map's count of 2"},
		{map[uint64]uint64{smallHead: ^uint64(0)}, `len(main.smallMap)`, values.ErrCorrupt, "entries"},
		{map[uint64]uint64{channel: 99}, "main.wrapped[0]", values.ErrCorrupt, "99 elements queued of 4"},
		{map[uint64]uint64{at("main.anyStruct"): 0x10}, "main.anyStruct.X", attach.ErrNotMapped,
			"main.anyStruct.X: type descriptor: address 0x10 is not mapped"},
		{map[uint64]uint64{at("main.anyStruct") + 8: 0}, "main.anyStruct.X", values.ErrCorrupt,
			"holds a main.point but no data"},
		{nil, "main.noEmbedded.ID", values.ErrNil, "promoted through an embedded pointer that is nil"},
		{nil, "main.nilPtr.x", values.ErrNil, "main.nilPtr.x: nil *int"},
		{nil, "*main.nilPtr", values.ErrNil, "*main.nilPtr: nil *int"},
		{nil, "main.chainOfTen.Next.Next.Next.Next.Next.Next.Next.Next.Next.Next.Name", values.ErrNil,
			"Next.Name: nil *main.node"},
		{nil, "main.points[2]", values.ErrRange, "main.points[2]: index 2 with length 2"},
		{nil, "main.points[-1]", values.ErrRange, "index -1"},
		{nil, "main.points[1].Z", values.ErrNoField, `main.points[1].Z: no field "Z" in main.point`},
		{nil, "main.pionts[1]", values.ErrNoField, "near names: main.points"},
		{nil, `main.smallMap["three"]`, values.ErrNotFound, `main.smallMap["three"]: no key three in map[string]int`},
		{nil, "main.number.x", values.ErrKind, "main.number.x"},
		{nil, "main.sides.Both", nil, "at the same depth"},
		{nil, "main.anyInt.(string)", values.ErrKind, "main.anyInt.(string): holds a int"},
		{nil, "main.capture(1)", values.ErrExpr, ""},
		{nil, "main.points[", values.ErrExpr, ""},
		{nil, "int8(300)", values.ErrExpr, "the constant 300 does not fit into int8"},
		{nil, "int(2.5)", values.ErrExpr, "the constant 2.5 can't be converted to int"},
		{nil, "int(main.brokenText)", values.ErrKind, "int(main.brokenText): string can't be converted to int"},
		{nil, "bool(main.number)", values.ErrKind, "int can't be converted to bool"},
		{nil, "main.number + 1", values.ErrExpr, "ri exec"},
		{nil, "main", values.ErrExpr, "main is a package"},
		{nil, "(*main.point)(0x18).X[0]", nil, "(*main.point)(0x18).X[0]: int is a int and has no elements"},
		{nil, "*(*int)(0x18)", nil, ""},
	} {
		s, _ := z.space(c.words)
		v, err := eval.Expression(s, c.expr)
		if err == nil && v.IsValid() {
			// Nothing is read until it is asked for.
			if _, err = v.Int(); errors.Is(err, values.ErrKind) {
				_, _, err = v.Text(100)
			}
		}
		if err == nil || (c.kind != nil && !errors.Is(err, c.kind)) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v\n\twant %v: %s", c.expr, err, c.kind, c.text)
		}
	}
}

// words turns fuzzed bytes into broken words: a page among those that matter, an offset, and what is written there.
func (z *frozen) words(data []byte) map[uint64]uint64 {
	var pages []uint64
	for p := range z.used {
		pages = append(pages, p)
	}
	slices.Sort(pages)
	out := map[uint64]uint64{}
	for len(data) >= 6 && len(out) < 64 {
		page := pages[int(binary.LittleEndian.Uint16(data))%len(pages)]
		addr := page + uint64(binary.LittleEndian.Uint16(data[2:]))%attach.PageSize&^7
		switch kind := data[4]; {
		case int(kind) < len(wrongWords):
			out[addr] = wrongWords[kind]
		case kind < 128: // a pointer to somewhere that is there
			out[addr] = pages[int(data[5])%len(pages)] + uint64(kind)*8
		default: // one byte changed
			old := binary.LittleEndian.Uint64(z.pages[page][addr-page:])
			out[addr] = old ^ uint64(data[5])<<(kind%8*8)
		}
		data = data[6:]
	}
	return out
}

func FuzzDump(f *testing.F) {
	z := freeze(f)
	f.Add([]byte{})
	for i := range 40 {
		var seed []byte
		for k := range 60 {
			seed = append(seed, byte(i*31+k*7), byte(k%3), byte(k*13+i), byte(i+k), byte(i*k+k), byte(k))
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _ := z.space(z.words(data))
		if err := exercise(s, values.DumpOptions{Depth: 3, Elems: 50, Size: 1 << 14}); err != nil {
			t.Error(err)
		}
	})
}

func FuzzFind(f *testing.F) {
	z := freeze(f)
	f.Add([]byte{}, uint8(0))
	f.Add([]byte("abcdefghijklmnopqrstuvwxyz0123456789"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, which uint8) {
		s, _ := z.space(z.words(data))
		types := []string{"main.node", "main.serverDeep", "main.holderInner", "main.tree", "error", "*main.point"}
		typ, err := s.Type(types[int(which)%len(types)])
		if err != nil {
			t.Fatal(err)
		}
		found, _, _ := s.Find(typ, values.FindOptions{Limit: 50})
		if len(found) > 50 {
			t.Errorf("%d found, limit 50", len(found))
		}
	})
}

func FuzzEval(f *testing.F) {
	z := freeze(f)
	for _, expr := range []string{"main.number", "*main.numberPtr", "main.grid[1][2].Y", `main.smallMap["one"]`,
		"(*main.point)(0x18).X", "main.anyStruct.(main.point)",
		"&main.tall.ID", "len(main.points)", "main.longText[3:9]", "main.points[:1][0]",
		`"kinds/internal/yaml.v3".Default.Tag`, "kinds/internal/thing/v2.All[0]", "main.Pair[string,int](main.aPair)",
		"-1", "1.5", "'x'", "nil", "true", `"text"`, "func(){}", "[]int{1}", "main.", ".", "/", "a/b.c", "((((",
		"****main.ptrPtr", "[3][4]int(0)", "(chan int)(main.unbuffered)", "main.anyKeys[nil]",
		"main.points[9223372036854775808]", "main.points[main.number]", "main.structKeys[main.points[0]]",
		"main.unitSlice[:1099511627776]", "([1099511627776]struct{})(main.emptyArray)", "&&main.number", "*&*&main.number",
		"uintptr(5)", "int8(300)", "bool(1)", "unsafe.Pointer(0)", "len(5)", "cap(nil)", "x.(type)", "main.points[:]",
		"main.points[2:1]", "main.numberArray[1:3]", "map[string]int(0)", "main.tall[0]", "main.nilAny.x", "main.nilFunc.x",
		"string(main.bytesOfText)", "float32(1e400)", "int(1e1000000000)", "[]rune(main.brokenText)",
		"string([]rune(main.longText))", "uint64(-1)", "complex64(1.5)"} {
		f.Add(expr)
	}
	s, _ := z.space(nil)
	f.Fuzz(func(t *testing.T, expr string) {
		s.Reset()
		v, err := eval.Expression(s, expr)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a text")
			}
			return
		}
		if !v.IsValid() {
			t.Fatalf("%q: neither a value nor an error", expr)
		}
		v.Dump(values.DumpOptions{Depth: 2, Size: 1 << 12})
	})
}
