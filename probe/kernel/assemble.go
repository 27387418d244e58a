package kernel

import (
	"fmt"
	"math"

	"github.com/cilium/ebpf/asm"
)

// Registers as programs use them: the kernel keeps R6 to R9 over calls of helpers.
const (
	ctx      = asm.R6 // pt_regs
	event    = asm.R7 // the event that is made: memory of the ring, or at a return the entry's in the table of calls
	scratch  = asm.R8
	counters = asm.R9 // of the probe
	frame    = asm.RFP
)

// label is a place in a program that is jumped to.
type label int

// assembler collects instructions and jumps. The library's own labels are one a instruction, and a jump to what isn't
// reachable makes the verifier refuse the program; both are simpler here.
type assembler struct {
	code   []asm.Instruction
	jumps  map[int]label // by instruction
	places []int         // by label; -1: not placed yet
}

func newAssembler() *assembler {
	return &assembler{code: make([]asm.Instruction, 0, 512), jumps: make(map[int]label, 64)}
}

func (a *assembler) label() label {
	a.places = append(a.places, -1)
	return label(len(a.places) - 1)
}

func (a *assembler) place(l label) { a.places[l] = len(a.code) }

// here is a label of the next instruction.
func (a *assembler) here() label {
	l := a.label()
	a.place(l)
	return l
}

func (a *assembler) add(code ...asm.Instruction) { a.code = append(a.code, code...) }

func (a *assembler) jump(l label) {
	a.jumps[len(a.code)] = l
	a.add(asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Ja)})
}

// if_ jumps where a register compares to a number.
func (a *assembler) if_(op asm.JumpOp, r asm.Register, value int32, l label) {
	a.jumps[len(a.code)] = l
	a.add(asm.Instruction{OpCode: op.Op(asm.ImmSource), Dst: r, Constant: int64(value)})
}

func (a *assembler) ifReg(op asm.JumpOp, r, with asm.Register, l label) {
	a.jumps[len(a.code)] = l
	a.add(asm.Instruction{OpCode: op.Op(asm.RegSource), Dst: r, Src: with})
}

func (a *assembler) mov(to, from asm.Register)    { a.add(asm.Mov.Reg(to, from)) }
func (a *assembler) set(to asm.Register, v int32) { a.add(asm.Mov.Imm(to, v)) }
func (a *assembler) set64(to asm.Register, v uint64) {
	if int64(v) == int64(int32(v)) {
		a.set(to, int32(v))
		return
	}
	a.add(asm.LoadImm(to, int64(v), asm.DWord))
}

// plus adds a number, which may be beyond 32 bits; R5 is lost then.
func (a *assembler) plus(r asm.Register, v int64) {
	switch {
	case v == 0:
	case v == int64(int32(v)):
		a.add(asm.Add.Imm(r, int32(v)))
	default:
		a.add(asm.LoadImm(asm.R5, v, asm.DWord), asm.Add.Reg(r, asm.R5))
	}
}

func (a *assembler) load(to, from asm.Register, off int) {
	a.add(asm.LoadMem(to, from, int16(off), asm.DWord))
}

func (a *assembler) loadSize(to, from asm.Register, off, size int) {
	a.add(asm.LoadMem(to, from, int16(off), sizes[size]))
}

func (a *assembler) store(to asm.Register, off int, from asm.Register) {
	a.add(asm.StoreMem(to, int16(off), from, asm.DWord))
}

func (a *assembler) storeImm32(to asm.Register, off int, v int32) {
	a.add(asm.StoreImm(to, int16(off), int64(v), asm.Word))
}

// addr is the address of a place on the stack.
func (a *assembler) addr(to asm.Register, off int) {
	a.mov(to, frame)
	a.plus(to, int64(off))
}

func (a *assembler) call(f asm.BuiltinFunc) { a.add(f.Call()) }

func (a *assembler) exit() {
	a.set(asm.R0, 0)
	a.add(asm.Return())
}

// fetchAdd adds r to memory, and leaves what was there in r. The library's own FetchAdd loses what makes it fetch
// (cilium/ebpf 0.22), which is BPF_FETCH in the immediate.
func (a *assembler) fetchAdd(to asm.Register, off int, r asm.Register) {
	ins := asm.AddAtomic.Mem(to, r, asm.DWord, int16(off))
	ins.Constant = 1
	a.add(ins)
}

func (a *assembler) atomicAdd(to asm.Register, off int, r asm.Register) {
	a.add(asm.AddAtomic.Mem(to, r, asm.DWord, int16(off)))
}

// count adds one to a counter of the probe. R1 is lost.
func (a *assembler) count(c int) {
	a.set(asm.R1, 1)
	a.atomicAdd(counters, c, asm.R1)
}

var sizes = map[int]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word, 8: asm.DWord}

func width(i asm.Instruction) int {
	if i.OpCode.IsDWordLoad() {
		return 2
	}
	return 1
}

// finish leaves out what can't be reached, and fills in how far jumps go.
func (a *assembler) finish() (asm.Instructions, error) {
	reached := make([]bool, len(a.code))
	todo := []int{0}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for i < len(a.code) && !reached[i] {
			reached[i] = true
			l, jumps := a.jumps[i]
			if jumps {
				todo = append(todo, a.places[l])
			}
			op := a.code[i].OpCode
			if op.Class() == asm.JumpClass && (op.JumpOp() == asm.Exit || op.JumpOp() == asm.Ja && jumps) {
				break
			}
			i++
		}
		if i >= len(a.code) {
			return nil, fmt.Errorf("a program that doesn't end: %w", ErrTooComplex)
		}
	}
	at := make([]int, len(a.code)+1)
	for i, ins := range a.code {
		at[i+1] = at[i]
		if reached[i] {
			at[i+1] += width(ins)
		}
	}
	var out asm.Instructions
	for i, ins := range a.code {
		if !reached[i] {
			continue
		}
		if l, ok := a.jumps[i]; ok {
			far := at[a.places[l]] - at[i] - 1
			if far < math.MinInt16 || far > math.MaxInt16 {
				return nil, fmt.Errorf("%d instructions: %w", at[len(a.code)], ErrTooComplex)
			}
			ins.Offset = int16(far)
		}
		out = append(out, ins)
	}
	return out, nil
}

// join appends another's code, and gives the label of its beginning.
func (a *assembler) join(b *assembler) label {
	first, labels := len(a.code), len(a.places)
	start := a.here()
	for i, l := range b.jumps {
		a.jumps[first+i] = l + label(labels) + 1
	}
	a.code = append(a.code, b.code...)
	for _, p := range b.places {
		a.places = append(a.places, p+first)
	}
	return start
}
