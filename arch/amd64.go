package arch

import (
	"debug/elf"
	"encoding/binary"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// AMD64 is x86-64. DWARF's numbers of its registers are those of the System V ABI, figure 3.36; struct user_regs_struct
// is that of sys/user.h, struct sigcontext_64 that of uapi/asm/sigcontext.h; frames are made as cmd/compile's
// ABI-internal says.
var AMD64 = &Arch{
	Name:     "amd64",
	Machine:  elf.EM_X86_64,
	PageSize: 4096,

	ArenaBase:   0x8000_0000_0000,
	AddressBits: 47,

	Breakpoint:         []byte{0xcc},
	Syscall:            []byte{0x0f, 0x05},
	CallSize:           5,
	LongestInstruction: 15,

	// struct rt_sigframe, from the address that a handler finds as its caller's SP: uc_mcontext at 40, the siginfo_t
	// behind the ucontext.
	Signal: SignalFrame{Size: 304, Stack: 16, Info: 304, Registers: words(40, 13, 12, 14, 11, 9, 8, 10, 15, 0, 1, 2, 3,
		4, 5, 6, 7, 16)},

	registers: []string{"RAX", "RDX", "RCX", "RBX", "RSI", "RDI", "RBP", "RSP", "R8", "R9", "R10", "R11", "R12", "R13",
		"R14", "R15", "RIP"},
	pointers: 16,
	pc:       16,
	sp:       7,
	fp:       6,
	// r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs
	// gs
	UserSize: 27 * 8,
	user:     []int{10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16},
	userTLS:  21,
	pushed:   8,
	saved:    8, // RBP
	// AX CX DX BX SI DI R8 to R15 (runtime/preempt_amd64.s, Go 1.20 to 1.27)
	preempted: []int{0, 2, 1, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15},

	callTarget: callTargetAMD64,
	reference:  referenceAMD64,
	decode:     decodeAMD64,
	text:       textAMD64,
}

// words gives the offsets of words that are counted from a base.
func words(base int, counts ...int) []int {
	for i, n := range counts {
		counts[i] = base + 8*n
	}
	return counts
}

// callTargetAMD64: CALL rel32.
func callTargetAMD64(code []byte, pc uint64) (uint64, bool) {
	if len(code) != 5 || code[0] != 0xe8 {
		return 0, false
	}
	return pc + uint64(int64(int32(binary.LittleEndian.Uint32(code[1:])))), true
}

func decodeAMD64(code []byte) (out Instruction, err error) {
	inst, err := x86(code)
	if err != nil {
		return out, err
	}
	out.Length = inst.Len
	for i, arg := range inst.Args {
		m, ok := arg.(x86asm.Mem)
		if !ok || inst.Op == x86asm.LEA {
			continue
		}
		out.Access, out.Offset, out.Size = "read", m.Disp, inst.MemBytes
		if i == 0 && writesAMD64(inst.Op) {
			out.Access = "write"
		}
		if m.Base != 0 {
			out.Base = m.Base.String()
		}
		if m.Index != 0 {
			out.Index = m.Index.String()
		}
		break
	}
	return out, nil
}

func referenceAMD64(code []byte, pc uint64) (target uint64, length int, ok bool) {
	inst, err := x86(code)
	if err != nil {
		return 0, 1, false
	}
	for _, arg := range inst.Args {
		if m, isMem := arg.(x86asm.Mem); isMem && m.Base == x86asm.RIP && m.Index == 0 {
			return pc + uint64(inst.Len) + uint64(m.Disp), inst.Len, true
		}
	}
	return 0, inst.Len, false
}

func textAMD64(code []byte, pc uint64) string {
	inst, err := x86(code)
	if err != nil {
		return ""
	}
	return x86asm.GoSyntax(inst, pc, nil)
}

// writesAMD64 tells whether an instruction changes its first argument. Those that only compare or jump do not.
func writesAMD64(op x86asm.Op) bool {
	switch op {
	case x86asm.CMP, x86asm.TEST, x86asm.CALL, x86asm.JMP, x86asm.PUSH, x86asm.MUL, x86asm.DIV, x86asm.IDIV,
		x86asm.UCOMISD, x86asm.UCOMISS, x86asm.NOP:
		return false
	}
	return !strings.HasPrefix(op.String(), "PREFETCH")
}

// x86 is x86asm.Decode, which need not have thought of everything that isn't code.
func x86(code []byte) (inst x86asm.Inst, err error) {
	defer func() {
		if recover() != nil {
			err = ErrInstruction
		}
	}()
	if inst, err = x86asm.Decode(code, 64); err != nil {
		err = ErrInstruction
	}
	return inst, err
}
