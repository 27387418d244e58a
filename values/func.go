package values

import (
	"fmt"
	"reflect"
	"strings"

	"ri/symbols"
)

// Function is what a func value holds.
type Function struct {
	symbols.Line
	PC       uint64  // runtime address of its entry
	Captured []Named // a closure's variables; empty if it has none, or if Go before 1.23 built the program, which doesn't record them
}

// Named is a value with the name that it has in the source.
type Named struct {
	Name  string
	Value Value
}

// Func tells which function a func value holds, and what a closure captured. A variable captured by
// reference is given as the variable itself. ErrNil for a nil func.
func (v Value) Func() (Function, error) {
	if !v.IsValid() || v.Type.Kind != reflect.Func {
		return Function{}, v.wrong("function")
	}
	closure, err := v.s.Uint64(v.Addr)
	if err != nil {
		return Function{}, err
	}
	if closure == 0 {
		return Function{}, fmt.Errorf("nil %s: %w", v.Type.Name, ErrNil)
	}
	return v.s.Closure(closure)
}

// Closure reads the closure object (runtime.funcval, then what was captured) at an address.
func (s *Space) Closure(addr uint64) (Function, error) {
	pc, err := s.Uint64(addr)
	if err != nil {
		return Function{}, fmt.Errorf("closure: %w", err)
	}
	info, ok := s.PC(pc)
	if !ok || info.Entry+s.bias != pc {
		return Function{}, fmt.Errorf("closure at %#x: %#x is no function's entry: %w", addr, pc, ErrCorrupt)
	}
	f := Function{PC: pc, Line: info.Lines[len(info.Lines)-1]}
	f.Func = info.Func
	if method, ok := strings.CutSuffix(f.Func, "-fm"); ok {
		// A method value: the receiver is all that it captured.
		if t, err := s.file.Type(receiver(method)); err == nil {
			f.Captured = []Named{{"receiver", s.At(addr+8, t)}}
		}
		return f, nil
	}
	seen := map[int64]bool{}
	for _, fv := range s.file.FuncVars(pc - s.bias).All() {
		if fv.ClosureOffset < 0 || seen[fv.ClosureOffset] {
			continue
		}
		seen[fv.ClosureOffset] = true
		named := Named{fv.Name, s.At(addr+uint64(fv.ClosureOffset), fv.Type)}
		if name, ok := strings.CutPrefix(fv.Name, "&"); ok {
			if inner, err := named.Value.Elem(); err == nil {
				named = Named{name, inner}
			}
		}
		f.Captured = append(f.Captured, named)
	}
	return f, nil
}

// receiver takes the receiver's type out of a method's name: "pkg.(*T).m" gives "*pkg.T", "pkg.T.m" gives "pkg.T".
func receiver(method string) string {
	dot := strings.LastIndexByte(method, '.')
	if dot < 0 {
		return ""
	}
	t := method[:dot]
	if open := strings.Index(t, ".(*"); open >= 0 && strings.HasSuffix(t, ")") {
		return "*" + t[:open+1] + t[open+3:len(t)-1]
	}
	return t
}
