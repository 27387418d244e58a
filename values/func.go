package values

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"ri/arch"
	"ri/symbols"
)

// Function is what a func value holds.
type Function struct {
	symbols.Line
	PC uint64 // runtime address of its entry
	// Captured are a closure's variables. Some are missing where the compiler recorded no place for them: all before Go
	// 1.23, later those that optimised code keeps in pieces.
	Captured []Named
	Lacks    error // symbols.ErrNotRecorded where what it captured isn't known for that
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
		return Function{}, v.Lacks("function")
	}
	addr, err := v.s.Uint64(v.Addr)
	if err != nil {
		return Function{}, err
	}
	if addr == 0 {
		return Function{}, fmt.Errorf("nil %s: %w", v.Type.Name, ErrNil)
	}
	return v.s.closure(addr)
}

// closure reads the closure object (runtime.funcval, then what was captured) at an address.
func (s *Space) closure(addr uint64) (Function, error) {
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
		if t, err := s.file.Type(ReceiverType(method)); err == nil {
			f.Captured = []Named{{"receiver", s.At(addr+8, t)}}
		}
		return f, nil
	}
	var captured []symbols.FrameVar
	vars := s.file.FuncVars(pc - s.bias)
	f.Lacks = vars.Lacks()
	for _, fv := range vars.All() {
		if fv.ClosureOffset >= 0 {
			captured = append(captured, fv)
		}
	}
	slices.SortStableFunc(captured,
		func(a, b symbols.FrameVar) int { return cmp.Compare(a.ClosureOffset, b.ClosureOffset) })
	captured = slices.CompactFunc(captured, func(a, b symbols.FrameVar) bool { return a.ClosureOffset == b.ClosureOffset })
	for i, fv := range captured {
		room := int64(0) // to the next captured variable, if there is one
		if i+1 < len(captured) {
			room = captured[i+1].ClosureOffset - fv.ClosureOffset
		}
		f.Captured = append(f.Captured, s.captured(addr+uint64(fv.ClosureOffset), fv, room))
	}
	return f, nil
}

// Receiver is what a method value is bound to; false of what is none, or where its type isn't known.
func (f *Function) Receiver() (Value, bool) {
	if len(f.Captured) != 1 || !strings.HasSuffix(f.Func, "-fm") {
		return Value{}, false
	}
	return f.Captured[0].Value, true
}

// reference names a value without what is in it: a pointer by its address.
func (v Value) reference() string {
	if v.Type.Kind != reflect.Pointer {
		return v.Type.ShortName() + "{...}"
	}
	addr, err := v.Word()
	if err != nil {
		return v.Type.ShortName()
	}
	return fmt.Sprintf("(%s)(%#x)", v.Type.ShortName(), addr)
}

// captured reads one variable of a closure. "&x" means x by reference; in code that isn't optimised also an x that the
// closure holds itself, which has its place there: the room that it takes tells the two apart, and where it is the
// last, whether the word is an address.
func (s *Space) captured(addr uint64, fv symbols.FrameVar, room int64) Named {
	name, escaped := strings.CutPrefix(fv.Name, "&")
	held := s.At(addr, fv.Type)
	if !escaped || fv.Type.Kind != reflect.Pointer || fv.Type.Elem() == nil {
		return Named{name, held}
	}
	elem := fv.Type.Elem()
	inner, err := held.Elem()
	if room > 8 && elem.Size > 8 || err != nil {
		return Named{name, s.At(addr, elem)}
	}
	if _, err := s.Slice(inner.Addr, int(min(max(elem.Size, 1), 8))); err != nil {
		return Named{name, s.At(addr, elem)}
	}
	return Named{name, inner}
}

// ReceiverType takes the receiver's type out of a method's name: "pkg.(*T).m" gives "*pkg.T", "pkg.T.m" gives "pkg.T".
func ReceiverType(method string) string {
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

// FramesOf names the functions of a stack that somebody else took: the innermost PC first, as it was, then return
// addresses. What is no Go code is given with an empty name.
func (s *Space) FramesOf(pcs []uint64) []Frame {
	var all []Frame
	exact := true
	for _, pc := range pcs {
		frames := s.FramesAt(pc, exact)
		if frames == nil {
			frames = []Frame{{PC: pc}}
		}
		all = append(all, frames...)
		exact = EntersBySignal(frames[len(frames)-1].Func)
	}
	return withoutWrappers(all)
}

// FrameEnd is how far the return address is from SP at a PC, in bytes; false if that isn't Go code or not known.
func (s *Space) FrameEnd(pc uint64) (int64, bool) {
	info, ok := s.PC(pc)
	if !ok || info.FrameSize < 0 {
		return 0, false
	}
	return info.FrameSize, true
}

// Instruction is one machine instruction, for saying what faulted.
type Instruction struct {
	arch.Instruction
	Text string // in Go's assembly syntax: MOVQ 0x10(AX), AX
}

// Instruction decodes what the processor executes at a runtime pc. Errors: those of reading, ErrCorrupt for no
// instruction.
func (s *Space) Instruction(pc uint64) (*Instruction, error) {
	var code []byte
	var err error
	for n := s.arch.LongestInstruction; n > 0; n-- { // the last ones of a mapping
		if code, err = s.Slice(pc, n); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	in, err := s.arch.Decode(code)
	if err != nil {
		return nil, fmt.Errorf("no instruction at %#x (%x): %w", pc, code, ErrCorrupt)
	}
	return &Instruction{in, s.arch.Text(code, pc)}, nil
}
