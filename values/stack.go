package values

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ri/attach"
	"ri/symbols"
)

// ErrNoStack: a running goroutine's registers are known only in a stop.
var ErrNoStack = errors.New("no stack")

// Frame of a stack, innermost first.
type Frame struct {
	symbols.Line
	PC      uint64
	CFA     uint64 // canonical frame address: the caller's SP
	Inlined bool   // shares PC and CFA with the frame after it

	Regs  *attach.Registers // of a function that is on a thread, or was when a signal took it off
	At    uint64            // PC for look-ups: that of the call, not of the return
	depth int               // how many inlined calls down from the function itself
}

// Thread finds a stopped thread by ri's number for it.
func (s *Space) Thread(id int) *attach.Thread {
	for _, t := range s.threads {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// Innermost says where a goroutine is, and unwinding begins: its registers if it is on a stopped thread, else what the
// scheduler saved; regs is nil then.
func (g *Goroutine) Innermost() (pc, sp uint64, regs *attach.Registers, err error) {
	switch g.status {
	case statusSyscall:
		if g.sysSP != 0 {
			return g.sysPC, g.sysSP, nil, nil
		}
	case statusRunning:
		t := g.s.Thread(g.ThreadID)
		if t == nil {
			if g.s.threads == nil {
				return 0, 0, nil, fmt.Errorf("goroutine %d is running; its registers are known only in a stopped view: %w",
					g.ID, ErrNoStack)
			}
			if slices.Contains(g.s.forking, g.ThreadID) {
				return 0, 0, nil, fmt.Errorf("goroutine %d waits for a child that has not started its program yet "+
					"(vfork), and which may write to its stack: %w", g.ID, ErrNoStack)
			}
			// Of a process that is dying the threads are gone: see lastPlace.
			if pc, sp, regs, ok := g.lastPlace(); ok {
				return pc, sp, regs, nil
			}
			return 0, 0, nil, fmt.Errorf("goroutine %d was running on thread %d, whose registers are not known: %w",
				g.ID, g.ThreadID, ErrNoStack)
		}
		if sp := t.Regs.SP(); sp > g.StackLo && sp <= g.StackHi {
			// In the vDSO or in C on the goroutine's stack, the function table knows nothing of the PC.
			if info, ok := g.s.PC(t.Regs.PC()); ok {
				// Its stack is back, and the jump to where it goes on is still to come (runtime/asm_*.s, Go 1.20 to 1.27).
				if (info.Func == "gogo" || info.Func == "runtime.gogo") && g.PC != 0 {
					return g.PC, sp, nil, nil
				}
				return t.Regs.PC(), sp, &t.Regs, nil
			}
			return 0, 0, nil, fmt.Errorf("goroutine %d runs code at %#x that is not Go's: %w", g.ID, t.Regs.PC(), ErrNoStack)
		}
		return g.offStack(t)
	}
	if g.SP == 0 || g.SP < g.StackLo || g.SP > g.StackHi {
		return 0, 0, nil, fmt.Errorf("goroutine %d (%s): saved SP %#x lies outside its stack %#x-%#x: %w", g.ID,
			g.Status, g.SP, g.StackLo, g.StackHi, ErrNoStack)
	}
	return g.PC, g.SP, nil, nil
}

// offStack says where unwinding begins for a running goroutine whose thread is on another stack: the system stack, the
// vDSO's caller's, or the signal handler's. What the scheduler saved is believed only where that is certain: it may be
// of an earlier call.
func (g *Goroutine) offStack(t *attach.Thread) (pc, sp uint64, regs *attach.Registers, err error) {
	m, err := g.s.osThread(g.m)
	if err == nil && m.curg != g.Addr {
		err = fmt.Errorf("its thread runs another goroutine: %w", ErrNoStack)
	}
	if err == nil {
		m.regs = &t.Regs
		w := &threadWalk{t: m, pc: t.Regs.PC(), sp: t.Regs.SP(), regs: &t.Regs}
		if err = w.goroutineStart(); err == nil {
			return w.pc, w.sp, w.regs, nil
		}
	}
	return 0, 0, nil, fmt.Errorf("goroutine %d (thread %d at %#x): %w", g.ID, t.ID, t.Regs.PC(), err)
}

// Stack unwinds at most limit functions (0: 256) by the frame sizes of the function table, and leaves out what Go's own
// stack traces leave out as made by the compiler. The error says where and why it broke off; the frames before it are
// good.
func (g *Goroutine) Stack(limit int) ([]Frame, error) {
	all, err := g.Unwind(limit)
	return withoutWrappers(all), err
}

// Outermost gives at most limit functions from the outer end of a stack that is too deep to be unwound as a whole, the
// last of them the first that the goroutine called; none where they aren't found. What is on the stack up there is
// looked for: a word that is a return address, from which the way leads to the goroutine's start.
func (g *Goroutine) Outermost(limit int) []Frame {
	for room := uint64(1 << 12); room <= 1<<17; room *= 2 {
		lo := max(g.StackLo, g.StackHi-min(g.StackHi, room))
		for at := lo &^ 7; at+8 <= g.StackHi; at += 8 {
			pc, err := g.s.Uint64(at)
			if err != nil {
				break
			}
			if info, ok := g.s.PC(pc); !ok || pc == info.Entry || !g.s.called(pc, at+8, g.StackHi) {
				continue
			}
			frames, err := g.unwindFrom(pc, at+8, nil, limit+2)
			if err != nil || len(frames) < 4 {
				continue
			}
			if len(frames) >= limit || room == 1<<17 || lo == g.StackLo {
				return withoutWrappers(frames[2:]) // what was found first may have been a word that was left behind
			}
			break
		}
	}
	return nil
}

// withoutWrappers leaves out what Go's own stack traces leave out. It changes the slice.
func withoutWrappers(all []Frame) []Frame {
	frames := all[:0]
	callee := ""
	for _, f := range all {
		// runtime.elideWrapperCalling: a wrapper that panics itself shows.
		panics := callee == "runtime.gopanic" || callee == "runtime.sigpanic" || callee == "runtime.panicwrap"
		callee = f.Func
		if !f.Wrapper || panics || len(frames) == 0 {
			frames = append(frames, f)
		}
	}
	return frames
}

// FramesAt are the calls that a PC stands for, inlined ones before the function itself. exact: it is the PC of the
// next instruction and not a return address.
func (s *Space) FramesAt(pc uint64, exact bool) []Frame {
	call, ok := s.PC(pc)
	if !ok {
		return nil
	}
	at := pc
	if !exact && pc-s.bias > call.Entry {
		at-- // in the call instruction
		if i, ok := s.PC(at); ok {
			call = i
		}
	}
	frames := make([]Frame, len(call.Lines))
	for i, line := range call.Lines {
		frames[i] = Frame{Line: line, PC: pc, Inlined: i < len(call.Lines)-1, At: at, depth: len(call.Lines) - 1 - i}
	}
	return frames
}

// EntersBySignal names the functions that are entered by a signal: what is below them was interrupted, it did not call.
func EntersBySignal(function string) bool {
	return function == "runtime.asyncPreempt" || function == "runtime.sigpanic" || function == "runtime.debugCallV2"
}

// Unwind is Stack with the compiler's wrappers.
func (g *Goroutine) Unwind(limit int) ([]Frame, error) {
	if limit <= 0 {
		limit = 256
	}
	if frames, err, ok := g.unwindApart(limit); ok {
		return frames, err
	}
	pc, sp, regs, err := g.Innermost()
	if err != nil {
		return nil, err
	}
	return g.unwindFrom(pc, sp, regs, limit)
}

func (g *Goroutine) unwindFrom(pc, sp uint64, regs *attach.Registers, limit int) ([]Frame, error) {
	var frames []Frame
	exact := regs != nil // the PC is that of the next instruction, not a return address
	slot := uint64(0)    // where it was read
	for n := 0; ; n++ {
		info, ok := g.s.PC(pc)
		if !ok {
			return frames, fmt.Errorf("goroutine %d: %#x, %d functions up its stack, %w", g.ID, pc, n, g.s.notGo(pc))
		}
		g.s.returns(slot)
		if info.Err != nil {
			return frames, fmt.Errorf("goroutine %d, %d functions up its stack: %w", g.ID, n, info.Err)
		}
		size := info.FrameSize
		if size < 0 || sp < g.StackLo || sp > g.StackHi || uint64(g.s.arch.FrameBytes(size)) > g.StackHi-sp {
			return frames, fmt.Errorf("goroutine %d: frame of %s (size %d at %#x) lies outside its stack %#x-%#x: %w",
				g.ID, info.Func, size, sp, g.StackLo, g.StackHi, ErrCorrupt)
		}
		cfa := g.s.arch.CFA(sp, size)
		for _, f := range g.s.FramesAt(pc, exact) {
			f.CFA, f.Regs = cfa, regs
			frames = append(frames, f)
		}
		if info.TopFrame || info.Func == "runtime.goexit" {
			return frames, nil
		}
		if n+1 >= limit {
			return frames, fmt.Errorf("goroutine %d: stack deeper than the limit of %d functions: %w", g.ID, limit, ErrRange)
		}
		slot = g.s.arch.ReturnSlot(cfa)
		ret, err := g.s.Uint64(slot)
		if err != nil {
			return frames, fmt.Errorf("goroutine %d: return address of %s: %w", g.ID, info.Func, err)
		}
		exact, regs = EntersBySignal(info.Func), nil
		if n > 0 && info.Func == "runtime.asyncPreempt" { // it has saved them, and called
			if saved, err := g.s.Slice(sp, g.s.arch.PreemptedBytes()); err == nil {
				had := g.s.arch.Preempted(saved, ret, cfa)
				regs = &had
			}
		}
		pc, sp = ret, cfa
	}
}

// FrameVariable is an argument or local of a frame.
type FrameVariable struct {
	Name             string
	Type             *symbols.Type
	Argument, Result bool
	Value            Value
	Err              error // why there is no value: optimised code no longer holds it, mostly
}

// Variables gives a frame's arguments and locals that are in scope at its PC, in the order of their declaration.
func (g *Goroutine) Variables(f *Frame) []FrameVariable {
	fv := g.s.file.FuncVars(f.At - g.s.bias)
	var all []FrameVariable
	for _, v := range fv.At(f.At-g.s.bias, f.depth) {
		one := FrameVariable{Name: v.Name, Type: v.Type, Argument: v.Argument, Result: v.Result}
		one.Value, one.Err = g.frameValue(f, fv, &v)
		if name, escaped := cutEscaped(v); escaped {
			one.Name = name
			if v.Type.Elem() != nil {
				one.Type = v.Type.Elem()
			}
			if one.Err == nil {
				one.Value, one.Err = one.Value.Elem()
			}
		}
		all = append(all, one)
	}
	return all
}

// VariablesLack is symbols.ErrNotRecorded where a frame's variables aren't known for that: then there seem to be none.
func (g *Goroutine) VariablesLack(f *Frame) error {
	return g.s.file.FuncVars(f.At - g.s.bias).Lacks()
}

// Vars gives a frame's arguments and locals that are in scope at its PC. Those that optimised code no longer
// holds are left out; lost counts them.
func (g *Goroutine) Vars(f *Frame) (vars []Named, lost int) {
	for _, v := range g.Variables(f) {
		if v.Err != nil {
			lost++
			continue
		}
		vars = append(vars, Named{v.Name, v.Value})
	}
	return vars, lost
}

// Place is where a part of a variable lies: so many bytes from the frame's CFA on. A part in a register, or that is
// gone, is not InMemory.
type Place struct {
	Offset, Size int64
	InMemory     bool
}

// placeCFA is the CFA at which locations are evaluated to tell places: far from anything that an address could be.
const placeCFA = 1 << 60

// FramePlaces calls back for each variable in scope where a function is, inlined calls' too, with where its parts lie.
// First come those of the location that holds during a call; where yield isn't content with them, those of the location
// behind the call.
func (s *Space) FramePlaces(pc uint64, exact bool, yield func(v *symbols.FrameVar, parts []Place) (content bool)) {
	for _, f := range s.FramesAt(pc, exact) {
		fv := s.file.FuncVars(f.At - s.bias)
		for _, v := range fv.At(f.At-s.bias, f.depth) {
			for _, at := range []uint64{f.At, f.PC} {
				pieces, err := s.locate(fv.Location(&v, at-s.bias), v.Type.Size, placeCFA, nil)
				if err != nil {
					continue
				}
				parts := make([]Place, len(pieces))
				for i, p := range pieces {
					parts[i] = Place{Offset: int64(p.word) - placeCFA, Size: p.size, InMemory: p.kind == pieceMemory}
				}
				if yield(&v, parts) {
					break
				}
			}
		}
	}
}

// cutEscaped recognises a variable that moved to the heap: the frame holds its address under the name "&x".
func cutEscaped(v symbols.FrameVar) (string, bool) {
	if len(v.Name) > 1 && v.Name[0] == '&' {
		return v.Name[1:], true
	}
	return "", false
}

var errGone = errors.New("optimised out")

// frameValue locates one variable: in memory, or put together from registers and pieces.
func (g *Goroutine) frameValue(f *Frame, fv *symbols.FuncVars, v *symbols.FrameVar) (Value, error) {
	value, err := g.located(f, fv, v, f.At)
	if errors.Is(err, errGone) && f.At != f.PC {
		// During the call its arguments count as being in registers, which are gone. Behind it they are in the
		// slots that they were saved to before, and no one else writes there.
		return g.located(f, fv, v, f.PC)
	}
	return value, err
}

// located is frameValue by the location that holds at a runtime pc.
func (g *Goroutine) located(f *Frame, fv *symbols.FuncVars, v *symbols.FrameVar, pc uint64) (Value, error) {
	program := fv.Location(v, pc-g.s.bias)
	if len(program) == 0 {
		return Value{}, errGone
	}
	t := v.Type
	if t.DictIndex() >= 0 {
		t = g.dictType(f, fv, t)
	}
	return g.run(f, program, v.Name, t)
}

// run evaluates a DWARF location expression of a variable.
func (g *Goroutine) run(f *Frame, program []byte, name string, t *symbols.Type) (Value, error) {
	if t.Size < 0 || t.Size > MaxBytes {
		return Value{}, fmt.Errorf("%s: size %d: %w", t.Name, t.Size, ErrCorrupt)
	}
	pieces, err := g.s.locate(program, t.Size, f.CFA, f.Regs)
	if err != nil {
		return Value{}, fmt.Errorf("%s: %w", name, err)
	}
	if addr, ok := contiguous(pieces, t.Size); ok {
		return g.s.At(addr, t), nil
	}
	data, err := g.s.assemble(pieces, t, f.Regs)
	if err != nil {
		return Value{}, fmt.Errorf("%s: %w", name, err)
	}
	return g.s.Local(data, t), nil
}

// dictType finds what a type parameter stands for, in the dictionary that the generic function was given
// (cmd/compile/internal/noder; its entries are type descriptors). Without optimisation that is the local ".dict".
// Optimised code has no such variable: then the type is known where all dictionaries that the function may be given
// agree on it, or by the dictionary's argument slot. What lies there may be an earlier call's, which is harmless as
// long as the shape fixes how memory is read; it does not for pointers, which all have one shape.
func (g *Goroutine) dictType(f *Frame, fv *symbols.FuncVars, shape *symbols.Type) *symbols.Type {
	for _, v := range fv.At(f.At-g.s.bias, f.depth) {
		if v.Name != ".dict" {
			continue
		}
		if dict, err := g.frameValue(f, fv, &v); err == nil {
			if base, err := g.s.Uint64(dict.Addr); err == nil {
				if t := g.dictEntry(base, shape); t != nil {
					return t
				}
			}
		}
		return shape
	}
	known := map[uint64]*symbols.Type{}
	var only *symbols.Type
	agree := true
	for _, addr := range g.s.file.Dictionaries(f.Func) {
		t := g.dictEntry(addr+g.s.bias, shape)
		if t == nil {
			continue
		}
		known[addr+g.s.bias] = t
		agree = agree && (only == nil || only == t)
		only = t
	}
	if only != nil && agree {
		return only
	}
	if pointerShaped(shape) || f.Inlined {
		return shape
	}
	// The dictionary is the first argument, or the one behind a receiver of up to three words.
	for slot := range uint64(4) {
		if word, err := g.s.Uint64(f.CFA + 8*slot); err == nil && known[word] != nil {
			return known[word]
		}
	}
	return shape
}

// pointerShaped tells whether a shape hides what its pointers point to: *uint8 stands for every pointer in one.
func pointerShaped(t *symbols.Type) bool { return strings.Contains(t.Name, "go.shape.*") }

// dictEntry gives the type at the shape's index of the dictionary at a runtime address, nil if it can't be of that
// shape.
func (g *Goroutine) dictEntry(dict uint64, shape *symbols.Type) *symbols.Type {
	desc, err := g.s.Uint64(dict + uint64(shape.DictIndex())*8)
	if err != nil {
		return nil
	}
	t, err := g.s.RuntimeType(desc)
	if err != nil || t.Size != shape.Size || t.Kind != shape.Kind {
		return nil
	}
	return t
}
