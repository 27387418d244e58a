package place

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"ri/probe"
	"ri/symbols"
)

// body is the code of a function.
type body struct {
	file    *symbols.File
	info    symbols.FuncInfo
	list    []instr
	broken  uint64          // where code begins that can't be read; 0: all of it was
	targets map[uint64]bool // of branches within it
	away    []instr         // jumps that leave it
	tables  bool            // it jumps by a table that isn't known
	tableAt map[uint64][]uint64
	used    []int // registers that have an argument at the entry, by DWARF's number

	calls  []symbols.InlinedCall
	ranges []symbols.InlinedRange
}

// maxInstructions bounds one function.
const maxInstructions = 1 << 20

// read disassembles the function at a link-time entry; nil if there is none, or the file doesn't have its code.
func read(f *symbols.File, entry uint64) *body {
	info, ok := f.FuncInfo(entry)
	if !ok {
		return nil
	}
	code, at := f.Code(entry)
	if code == nil || at != info.Entry {
		return nil
	}
	b := newBody(f, info)
	b.disassemble(code)
	return b
}

func newBody(f *symbols.File, info symbols.FuncInfo) *body {
	return &body{file: f, info: info, targets: map[uint64]bool{}, tableAt: map[uint64][]uint64{}, used: allArguments}
}

// disassemble reads the function's code.
func (b *body) disassemble(code []byte) {
	info := b.info
	b.list = make([]instr, 0, min(len(code)/4+8, maxInstructions)) // an instruction has some four bytes and a half
	for pc := info.Entry; len(code) > 0 && len(b.list) < maxInstructions; {
		in, ok := decode(code, pc)
		if !ok {
			b.broken = pc
			break
		}
		b.list = append(b.list, in)
		switch in.flow {
		case branch, jump:
			if in.target >= info.Entry && in.target < info.End {
				b.targets[in.target] = true
			} else {
				b.away = append(b.away, in)
			}
		case leave:
			b.indirect(in)
		}
		code, pc = code[in.length:], pc+uint64(in.length)
	}
}

// indirect takes an indirect jump: by a table (cmd/compile's jump tables are addressed by base and index) or away.
func (b *body) indirect(in instr) {
	m, ok := in.inst.Args[0].(x86asm.Mem)
	if !ok || m.Index == 0 {
		b.away = append(b.away, in)
		return
	}
	known := false
	defer func() { b.tables = b.tables || !known }()
	for i := len(b.list) - 2; i >= 0 && i >= len(b.list)-12; i-- {
		lea := b.list[i].inst
		if lea.Op != x86asm.LEA || lea.Args[0] != x86asm.Arg(m.Base) {
			continue
		}
		at, ok := lea.Args[1].(x86asm.Mem)
		if !ok || at.Base != x86asm.RIP {
			return
		}
		table := b.list[i].pc + uint64(lea.Len) + uint64(at.Disp)
		var word [8]byte
		for n := uint64(0); n < 4096 && b.file.ReadStatic(word[:], table+8*n); n++ {
			to := le64(word[:])
			if to < b.info.Entry || to >= b.info.End {
				known = n > 0
				return
			}
			b.targets[to] = true
			b.tableAt[in.pc] = append(b.tableAt[in.pc], to)
		}
		return
	}
}

func le64(b []byte) (v uint64) {
	for i := range 8 {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

// cfa is how far the CFA is from SP at a pc; that of an entry where the function table doesn't know.
func (b *body) cfa(pc uint64) int64 {
	size := int64(0)
	if info, ok := b.file.PC(pc); ok && info.FrameSize >= 0 {
		size = info.FrameSize
	}
	return b.file.Arch().FrameBytes(size)
}

// isGo tells whether a goroutine's g is in R14, and arguments are in registers: in what the compiler compiled, except
// where it goes between its own ABI and the assembler's.
func (b *body) isGo() bool { return !b.info.Assembler && !b.info.System }

// site makes one of an instruction.
func (b *body) site(in instr, role probe.Role) probe.Site {
	s := probe.Site{Func: b.info.Name, File: b.info.File, Line: b.info.Line, PC: in.pc, Instruction: in.cost, Role: role,
		CFA: b.cfa(in.pc), G: b.isGo()}
	if role != probe.Entry {
		s.File, s.Line = b.place(in.pc)
	}
	return s
}

// maxPrologue is how many instructions are looked at for the stack check.
const maxPrologue = 10

// check finds the stack check's branch: its index. It compares SP, or SP less the frame, with g.stackguard0 or 1, and
// goes to where the stack grows (cmd/internal/obj/x86: stacksplit).
func (b *body) check() (int, bool) {
	for i := 1; i < len(b.list) && i < maxPrologue; i++ {
		in := b.list[i]
		if in.flow == branch && in.inst.Op == x86asm.JBE && in.target > in.pc && in.target < b.info.End {
			cmp := b.list[i-1].inst
			m, ok := cmp.Args[1].(x86asm.Mem)
			if cmp.Op != x86asm.CMP || !ok || m.Disp != 16 && m.Disp != 24 || m.Index != 0 {
				return 0, false
			}
			switch cmp.Args[0] {
			case x86asm.RSP, x86asm.R12, x86asm.R13, x86asm.RAX, x86asm.RSI:
				return i, true
			}
			return 0, false
		}
		switch in.inst.Op {
		case x86asm.CMP, x86asm.LEA, x86asm.MOV, x86asm.SUB, x86asm.JB, x86asm.NOP:
		default:
			return 0, false
		}
		if in.flow == branch && in.inst.Op != x86asm.JB {
			return 0, false
		}
	}
	return 0, false
}

// entry chooses where calls of the function are seen.
func (b *body) entry() (s probe.Site, why string) {
	if len(b.list) == 0 {
		return s, "its code can't be read"
	}
	if i, ok := b.check(); ok && i+1 < len(b.list) {
		// Behind the check nothing comes back but the call itself, so each hit is one call.
		if in := b.list[i+1]; in.cost != probe.Stepped && in.refuse == "" && !b.targets[in.pc] {
			return b.site(in, probe.Entry), ""
		}
		in := b.list[i]
		in.cost = probe.Check
		s = b.site(in, probe.Entry)
		s.Again = true
		return s, in.refuse
	}
	first := b.list[0]
	if b.targets[first.pc] {
		return s, "calls can't be told from rounds of a loop, to which its first instruction belongs"
	}
	if first.cost != probe.Stepped && first.refuse == "" {
		return b.site(first, probe.Entry), ""
	}
	if in, ok := b.cheap(); ok {
		return b.site(in, probe.Entry), ""
	}
	return b.site(first, probe.Entry), first.refuse
}

// cheap looks, among the instructions that every call passes first, for one that the kernel emulates, as long as they
// leave arguments and memory as they are.
func (b *body) cheap() (instr, bool) {
	for i, in := range b.list {
		switch {
		case i > maxPrologue, i > 0 && b.targets[in.pc]:
			return in, false
		case in.cost != probe.Stepped && in.refuse == "":
			return in, true
		case !b.harmless(in):
			return in, false
		}
	}
	return instr{}, false
}

// hardware is the number that instructions give a register, by DWARF's number of it (System V ABI, figure 3.36).
var hardware = [16]int{0, 2, 1, 3, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15}

// allArguments are the registers that may have an argument, or a closure's object, by DWARF's number.
var allArguments = append([]int{closureRegister, goroutineRegister}, argRegisters...)

// harmless tells whether an instruction changes neither memory nor a register that has an argument, and goes on behind
// it.
func (b *body) harmless(in instr) bool {
	if !in.known || in.flow != next {
		return false
	}
	switch in.inst.Op {
	case x86asm.CMP, x86asm.TEST, x86asm.UCOMISD, x86asm.UCOMISS, x86asm.BT, x86asm.NOP:
		return true
	case x86asm.MOV, x86asm.LEA, x86asm.MOVZX, x86asm.MOVSX, x86asm.MOVSXD, x86asm.XOR, x86asm.SUB, x86asm.ADD,
		x86asm.AND, x86asm.OR, x86asm.SHL, x86asm.SHR, x86asm.SAR, x86asm.NEG, x86asm.NOT, x86asm.INC, x86asm.DEC,
		x86asm.MOVQ, x86asm.MOVSD_XMM, x86asm.MOVSS, x86asm.MOVUPS, x86asm.MOVAPS, x86asm.XORPS, x86asm.PXOR:
		switch to := in.inst.Args[0].(type) {
		case x86asm.Reg:
			return !b.isUsed(to)
		case x86asm.Mem: // an argument is put by, into the room that the caller left for it
			return !b.info.Assembler && to.Base == x86asm.RSP && to.Index == 0 &&
				strings.HasPrefix(in.inst.Op.String(), "MOV")
		}
	}
	return false
}

// isUsed tells whether a register has an argument. A register of vectors may, but can't be read.
func (b *body) isUsed(reg x86asm.Reg) bool {
	var n int
	switch {
	case reg >= x86asm.X0 && reg <= x86asm.X15:
		return false
	case reg >= x86asm.RAX && reg <= x86asm.R15:
		n = int(reg - x86asm.RAX)
	case reg >= x86asm.EAX && reg <= x86asm.R15L:
		n = int(reg - x86asm.EAX)
	default:
		return true // a part of one
	}
	return slices.ContainsFunc(b.used, func(dwarf int) bool { return hardware[dwarf] == n })
}

// returns finds where the function returns; why says why that can't be told.
func (b *body) returns() (sites []probe.Site, why string) {
	switch {
	case b.broken != 0:
		return nil, fmt.Sprintf("its code can't be read from %+d on", b.broken-b.info.Entry)
	case b.info.System:
		return nil, "it changes stacks"
	}
	for _, in := range b.away {
		if in.flow != branch || in.target != 0 {
			return nil, "it leaves by a jump to " + b.name(in.target)
		}
	}
	for _, in := range b.list {
		if in.flow == ret {
			if in.refuse != "" {
				return nil, in.refuse
			}
			sites = append(sites, b.site(in, probe.Return))
		}
	}
	if sites == nil {
		return nil, "it has no return instruction"
	}
	return sites, ""
}

// name names a function by an address.
func (b *body) name(pc uint64) string {
	if info, ok := b.file.FuncInfo(pc); pc != 0 && ok {
		return info.Name
	}
	return "a function that is only known when it runs"
}
