package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"ri/probe"
	"ri/symbols/testprogram"
)

// verdict is a condition's outcome, as the test works it out.
type verdict int

const (
	no verdict = iota
	yes
	null
)

func of(b bool) verdict {
	if b {
		return yes
	}
	return no
}

type conditionCase struct {
	name string
	when probe.Condition
	want func(s Call) verdict
}

func compare(w probe.Word, op probe.Op, right uint64) probe.Compare {
	return probe.Compare{Left: w, Op: op, Right: right}
}

// textArg is about the argument name, textField about r.Name, textDeep about r.Sub.Deep.Name.
func textArg(op probe.TextOp, literal string, within uint32) probe.Text {
	return probe.Text{Data: inReg(rcx), Len: inReg(rdi), Op: op, Literal: []byte(literal), Within: within}
}

func textField(op probe.TextOp, literal string) probe.Text {
	return probe.Text{Data: field(8, false, atName), Len: field(8, true, atName+8), Op: op, Literal: []byte(literal),
		Within: 64}
}

func textDeep(op probe.TextOp, literal string) probe.Text {
	return probe.Text{Data: field(8, false, atName, atSub, 0), Len: field(8, true, atName+8, atSub, 0), Op: op,
		Literal: []byte(literal)}
}

func deepID(s Call, f func(int64) bool) verdict {
	if s.Deep < 0 {
		return null
	}
	return of(f(s.Deep))
}

func nextID(s Call, f func(int64) bool) verdict {
	if s.Next < 0 {
		return null
	}
	return of(f(s.Next))
}

// both and either are Kleene's, of true, false and nil.
func both(list ...verdict) verdict {
	out := yes
	for _, v := range list {
		if v == no {
			return no
		}
		if v == null {
			out = null
		}
	}
	return out
}

func either(list ...verdict) verdict {
	out := no
	for _, v := range list {
		if v == yes {
			return yes
		}
		if v == null {
			out = null
		}
	}
	return out
}

func conditionCases() []conditionCase {
	var out []conditionCase
	add := func(name string, when probe.Condition, want func(s Call) verdict) {
		out = append(out, conditionCase{name, when, want})
	}
	add("always", nil, func(s Call) verdict { return yes })
	add("empty and", probe.And{}, func(s Call) verdict { return yes })
	add("empty or", probe.Or{}, func(s Call) verdict { return no })
	for i, op := range []probe.Op{probe.Equal, probe.NotEqual, probe.Less, probe.LessEqual, probe.Greater,
		probe.GreaterEqual} {
		is := func(c int) bool {
			return []bool{c == 0, c != 0, c < 0, c <= 0, c > 0, c >= 0}[i]
		}
		cmp := func(a, b int64) int {
			switch {
			case a < b:
				return -1
			case a > b:
				return 1
			}
			return 0
		}
		add(fmt.Sprint("register ", op), compare(inReg(rbx), op, 300), func(s Call) verdict {
			return of(is(cmp(int64(s.N), 300)))
		})
		minus := int64(-5)
		add(fmt.Sprint("int16 ", op), compare(field(2, true, atSmall), op, uint64(minus)), func(s Call) verdict {
			return of(is(cmp(int64(s.Small), -5)))
		})
		add(fmt.Sprint("uint8 ", op), compare(field(1, false, atBig), op, 200), func(s Call) verdict {
			return of(is(cmp(int64(s.Big), 200)))
		})
		add(fmt.Sprint("low byte in a register ", op), compare(probe.Word{Path: probe.Path{Base: reg(rbx)}, InPlace: true,
			Size: 1, Signed: true}, op, 17), func(s Call) verdict { return of(is(cmp(int64(int8(s.N)), 17))) })
		float := func(v, with float64) verdict {
			if math.IsNaN(v) {
				return of(op == probe.NotEqual)
			}
			c := 0
			if v < with {
				c = -1
			} else if v > with {
				c = 1
			}
			return of(is(c))
		}
		for _, with := range []float64{0, -1.5, 20.25, math.Inf(1), math.Copysign(0, -1)} {
			add(fmt.Sprint("float64 ", op, with), probe.Compare{Left: field(8, false, atPrice), Op: op,
				Right: math.Float64bits(with), Float: true}, func(s Call) verdict { return float(s.price(), with) })
			add(fmt.Sprint("float32 ", op, with), probe.Compare{Left: field(4, false, atRatio), Op: op,
				Right: uint64(math.Float32bits(float32(with))), Float: true},
				func(s Call) verdict { return float(float64(s.Ratio), with) })
		}
		id := field(8, true, atID)
		add(fmt.Sprint("two words ", op), probe.Compare{Left: inReg(rdi), Op: op, With: &id}, func(s Call) verdict {
			return of(is(cmp(int64(len(s.Name)), s.ID)))
		})
		add(fmt.Sprint("behind a pointer ", op), compare(field(8, true, atID, atNext), op, 1200), func(s Call) verdict {
			return nextID(s, func(v int64) bool { return is(cmp(v, 1200)) })
		})
		add(fmt.Sprint("behind two ", op), compare(field(8, true, atID, atSub, 0), op, 2200), func(s Call) verdict {
			return deepID(s, func(v int64) bool { return is(cmp(v, 2200)) })
		})
	}
	for _, literal := range []string{"", "n", "name-7-xxxxxxx", "name-1", "e-1", "-xxxxxxxxxxxx", "xxxxxxxx", "name-40-",
		strings.Repeat("x", 60), "name-89-" + strings.Repeat("x", 89), "0-x"} {
		add("is "+literal, textArg(probe.Is, literal, 0), func(s Call) verdict { return of(s.Name == literal) })
		add("field is "+literal, textField(probe.Is, literal), func(s Call) verdict { return of(s.Name == literal) })
		add("prefix "+literal, textArg(probe.HasPrefix, literal, 0), func(s Call) verdict {
			return of(strings.HasPrefix(s.Name, literal))
		})
		add("suffix "+literal, textField(probe.HasSuffix, literal), func(s Call) verdict {
			return of(strings.HasSuffix(s.Name, literal))
		})
		if len(literal) < 80 {
			add("contains "+literal, textArg(probe.Contains, literal, 128), func(s Call) verdict {
				return of(strings.Contains(s.Name, literal))
			})
		}
	}
	add("deep is", textDeep(probe.Is, "deep"), func(s Call) verdict { return deepID(s, func(int64) bool { return true }) })
	add("deep isn't", probe.Not{Of: textDeep(probe.Is, "deep")}, func(s Call) verdict {
		return deepID(s, func(int64) bool { return false })
	})
	next := func(op probe.Op, v uint64) probe.Condition { return compare(field(8, true, atID, atNext), op, v) }
	deep := func(op probe.Op, v uint64) probe.Condition { return compare(field(8, true, atID, atSub, 0), op, v) }
	n := func(op probe.Op, v uint64) probe.Condition { return compare(inReg(rbx), op, v) }
	add("and of nils", probe.And{next(probe.Less, 1300), n(probe.Less, 600), deep(probe.Greater, 2100)},
		func(s Call) verdict {
			return both(nextID(s, func(v int64) bool { return v < 1300 }), of(s.N < 600),
				deepID(s, func(v int64) bool { return v > 2100 }))
		})
	add("or of nils", probe.Or{next(probe.Greater, 1300), n(probe.Less, 600), deep(probe.Less, 2100)},
		func(s Call) verdict {
			return either(nextID(s, func(v int64) bool { return v > 1300 }), of(s.N < 600),
				deepID(s, func(v int64) bool { return v < 2100 }))
		})
	add("nested", probe.Not{Of: probe.Or{probe.And{next(probe.Greater, 1300), textField(probe.HasSuffix, "xxx")},
		probe.Not{Of: deep(probe.Less, 2300)}, probe.And{n(probe.Less, 90), textField(probe.HasPrefix, "name-1")}}},
		func(s Call) verdict {
			v := either(both(nextID(s, func(v int64) bool { return v > 1300 }), of(strings.HasSuffix(s.Name, "xxx"))),
				deepID(s, func(v int64) bool { return v >= 2300 }), both(of(s.N < 90), of(strings.HasPrefix(s.Name, "name-1"))))
			return map[verdict]verdict{yes: no, no: yes, null: null}[v]
		})
	var many probe.Or
	for i := range 64 {
		many = append(many, textField(probe.Is, fmt.Sprintf("name-%d-%s", 3*i, strings.Repeat("x", 3*i%90))))
	}
	add("one of 64", many, func(s Call) verdict { return of(s.ID%3 == 0 && s.ID < 192) })
	add("an item", compare(probe.Word{Path: probe.Path{Base: probe.Base{Kind: probe.Item, N: 0, Off: atID}}, InPlace: true,
		Size: 8}, probe.Equal, 33), func(s Call) verdict { return of(s.ID == 33) })
	return out
}

func (s Call) price() float64 {
	if s.Price == -1e300 {
		return math.NaN()
	}
	return s.Price
}

func TestConditions(t *testing.T) {
	c := start(t, testprogram.Variant{})
	cases := conditionCases()
	var probes []probe.Probe
	for _, k := range cases {
		p := c.function("main.take", false)
		p.Name = k.name
		p.At = probe.Plan{When: k.when, Reads: []probe.Read{{At: probe.Path{Base: reg(rax)}, Size: 8}}}
		probes = append(probes, p)
	}
	a := c.arm(c.generous(), probes...)
	said, _ := c.do("take 400 4")
	got := make([]map[int64]bool, len(cases))
	for i := range got {
		got[i] = map[int64]bool{}
	}
	for _, e := range all(t, a) {
		if e.Undecided {
			t.Errorf("%s: undecided: %+v", cases[e.Probe].name, e)
		}
		got[e.Probe][int64(binary.LittleEndian.Uint64(e.Pieces[0].Data))] = true
	}
	for i, k := range cases {
		var nulls, falses uint64
		for _, s := range said {
			v := k.want(s)
			if got[i][s.ID] != (v == yes) {
				t.Errorf("%s: call %+v: %v, taken %v", k.name, s, v, got[i][s.ID])
				break
			}
			switch v {
			case null:
				nulls++
			case no:
				falses++
			}
		}
		n := a.Counts()[i]
		if n.Hits != uint64(len(said)) || n.Nil != nulls || n.False != falses || n.Lost+n.Refused != 0 ||
			n.Taken != uint64(len(got[i])) {
			t.Errorf("%s: %+v, want %d false and %d nil", k.name, n, falses, nulls)
		}
	}
}

// Memory that isn't in memory is read; what can't be read is said to be so.
func TestEvicted(t *testing.T) {
	c := start(t, testprogram.Variant{})
	p := c.function("main.take", false)
	p.At = probe.Plan{When: compare(field(2, true, atSmall), probe.Greater, 100),
		Reads: []probe.Read{{At: probe.Path{Base: reg(rax)}, Size: 80}, {At: probe.Path{Base: reg(rbx)}, Size: 8}}}
	a := c.arm(c.generous(), p)
	said, _ := c.do("mapped 200")
	want := 1 // the one whose memory is gone
	for _, s := range said {
		if s.Small > 100 {
			want++
		}
	}
	events := all(t, a)
	if len(events) != want {
		t.Fatalf("%d events of %d: %+v", len(events), want, a.Counts())
	}
	for _, e := range events {
		gone := int64(e.Registers[rbx]) == -1
		if e.Undecided != gone || (e.Pieces[0].State == probe.Unreadable) != gone {
			t.Errorf("%+v", e)
		}
		if !gone && binary.LittleEndian.Uint64(e.Pieces[0].Data) != e.Registers[rbx] {
			t.Errorf("%+v", e)
		}
		if gone && !bytes.Equal(e.Pieces[0].Data, nil) {
			t.Errorf("bytes of what can't be read: %+v", e)
		}
	}
	if n := a.Counts()[0]; n.Undecided != 1 {
		t.Errorf("%+v", n)
	}
}
