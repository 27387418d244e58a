package compile_test

import (
	"encoding/binary"
	"testing"

	"ri/probe"
	"ri/probe/compile"
	"ri/symbols/testprogram"
)

// FuzzExpression: whatever is typed is compiled, or refused; what is compiled can be decided, and be read back.
func FuzzExpression(f *testing.F) {
	s := open(f, testprogram.Variants[0])
	for _, one := range s.truths {
		f.Add(one.Expr)
	}
	for _, expr := range []string{`a.Circle.(type) == *Circle`, `a.Took >= 75ms`, `"\x00" == a.Text`, `x.(type`, `((((`,
		`1e400 > a.Ratio`, `a.Numbers[1<<62]`, `-(-1) == 1 && !!a.On`, `len(len(a))`, `1/0`, `'x'`, `a.Map[a]`} {
		f.Add(expr)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		for _, w := range []compile.Wanted{{When: []string{expr}}, {Show: []string{expr}}, {After: []string{expr}}} {
			p, err := compile.Compile(&s.scope, w)
			if err != nil {
				continue
			}
			m := *s.at
			m.capture(p.At.Reads)
			m.decide(p.At.When)
			ev := &probe.Event{Registers: m.registers, Pieces: m.pieces}
			_, _ = p.Decide(ev)
			for _, v := range p.Entry(ev) {
				if v.Err == nil {
					v.Value.Dump(p.Dump())
				}
			}
		}
	})
}

// FuzzEvent: whatever a hit has, it is shown, or it is said why not.
func FuzzEvent(f *testing.F) {
	s := open(f, testprogram.Variants[0])
	p, err := compile.Compile(&s.scope, compile.Wanted{Show: []string{"*a", "text", "data", "fault", "a.Deep"},
		After: []string{`a.Text == text || a.Wrapped.(*fmt.wrapError).msg != "x"`}, Limit: compile.Limits{Depth: 4}})
	if err != nil {
		f.Fatal(err)
	}
	m := *s.at
	m.capture(p.At.Reads)
	var whole []byte
	for _, piece := range m.pieces {
		whole = binary.LittleEndian.AppendUint64(append(whole, byte(piece.State), byte(len(piece.Data))), piece.Addr)
		whole = append(whole, piece.Data...)
	}
	f.Add(whole)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		ev := &probe.Event{Registers: map[int]uint64{}}
		for n := range m.registers {
			ev.Registers[n] = m.registers[n]
			if len(data) > 8 && data[0]&1 != 0 {
				ev.Registers[n] = binary.LittleEndian.Uint64(data)
			}
		}
		for len(data) > 10 {
			piece := probe.Piece{State: probe.State(data[0] % 6), Addr: binary.LittleEndian.Uint64(data[2:])}
			n := min(int(data[1]), len(data)-10)
			piece.Data, data = data[10:10+n], data[10+n:]
			piece.Want = uint64(n) * 2
			ev.Pieces = append(ev.Pieces, piece)
		}
		_, _ = p.Decide(ev)
		for _, v := range p.Entry(ev) {
			if v.Err == nil {
				v.Value.Dump(p.Dump())
			}
		}
	})
}
