package place

import (
	"bytes"

	"golang.org/x/arch/x86/x86asm"

	"ri/probe"
)

// flow is where an instruction goes on.
type flow uint8

const (
	next   flow = iota
	branch      // next, or target
	jump        // target
	leave       // nowhere that is known: an indirect jump
	call        // next, after a call; target if it is direct
	ret
	stop // INT3, UD2: nowhere
)

// instr is one instruction.
type instr struct {
	pc     uint64
	length int
	flow   flow
	target uint64 // 0: not known
	inst   x86asm.Inst
	known  bool // inst is that of the decoder, which doesn't know vector extensions
	cost   probe.Instruction
	refuse string // why the kernel would not have a probe here; "" if nothing is known
}

// decode reads the instruction at the beginning of code. ok is false where there is none that is known.
func decode(code []byte, pc uint64) (in instr, ok bool) {
	in = instr{pc: pc, cost: probe.Stepped}
	if n, op, evex := vectorLength(code); n > 0 {
		in.length = n
		if evex || !good1[op] { // the kernel looks it up in the table of opcodes without a prefix
			in.refuse = "uprobes don't take its vector instruction"
		}
		return in, true
	}
	if in.inst, ok = x86(code); !ok {
		return in, false
	}
	in.known, in.length = true, in.inst.Len
	end := pc + uint64(in.length)
	if rel, is := in.inst.Args[0].(x86asm.Rel); is {
		in.target = end + uint64(int64(rel))
	}
	switch op := in.inst.Op; {
	case op == x86asm.RET:
		in.flow = ret
	case op == x86asm.CALL || op == x86asm.LCALL:
		in.flow = call
	case op == x86asm.JMP || op == x86asm.LJMP:
		if in.flow = jump; in.target == 0 {
			in.flow = leave
		}
	case op == x86asm.UD1 || op == x86asm.UD2 || op == x86asm.INT || op == x86asm.HLT:
		in.flow = stop
	case in.target != 0: // Jcc, JRCXZ, LOOP
		in.flow = branch
	}
	in.emulation(code[:in.length])
	return in, true
}

// x86 is x86asm.Decode, which need not have thought of everything that isn't code.
func x86(code []byte) (inst x86asm.Inst, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	inst, err := x86asm.Decode(code[:min(len(code), 15)], 64)
	return inst, err == nil && inst.Len > 0 && inst.Len <= len(code)
}

// opcode skips the prefixes of an instruction: it gives those that are no REX, and what REX there is.
func opcode(code []byte) (prefixes, rest []byte, rex byte) {
	i := 0
prefix:
	for ; i < len(code); i++ {
		switch code[i] {
		case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3:
		default:
			break prefix
		}
	}
	prefixes, rest = code[:i], code[i:]
	if len(rest) > 0 && rest[0]&0xf0 == 0x40 {
		rex, rest = rest[0], rest[1:]
	}
	return prefixes, rest, rex
}

// emulation says what the kernel does with an instruction: arch/x86/kernel/uprobes.c, arch_uprobe_analyze_insn with
// branch_setup_xol_ops, push_setup_xol_ops, is_prefix_bad, good_insns_64 and good_2byte_insns, Linux 5.8 to 6.18.
func (in *instr) emulation(code []byte) {
	prefixes, op, rex := opcode(code)
	if len(op) == 0 {
		in.refuse = "there is no instruction"
		return
	}
	if bytes.IndexByte(prefixes, 0xf0) >= 0 {
		in.refuse = "its instruction has a LOCK prefix, which uprobes don't take"
		return
	}
	if bytes.ContainsAny(prefixes, "\x26\x2e\x36\x3e") {
		in.refuse = "its instruction has a segment prefix, which uprobes don't take"
		return
	}
	if op[0] == 0x0f && len(op) > 1 && !good2[op[1]] || op[0] != 0x0f && !good1[op[0]] {
		in.refuse = "uprobes don't take its instruction (" + in.inst.Op.String() + ")"
		return
	}
	switch c := op[0]; {
	case c == 0x90 && rex&1 == 0:
		in.cost = probe.Emulated // also with prefixes
	case c == 0xeb, c == 0xe9, c == 0xe8, c >= 0x70 && c <= 0x7f,
		c == 0x0f && len(op) > 1 && op[1] >= 0x80 && op[1] <= 0x8f:
		in.cost = probe.Emulated
		if bytes.IndexByte(prefixes, 0x66) >= 0 {
			in.refuse = "its branch has a 16-bit prefix, which uprobes don't take"
		}
	case c == 0x55 && len(code) == 1:
		in.cost = probe.Push
	case c >= 0x50 && c <= 0x57 && (len(code) == 1 || len(code) == 2 && rex == 0x41):
		in.cost = probe.Emulated
	}
}

// vectorLength is the length and the opcode of an instruction with a VEX or EVEX prefix; 0 of others (Intel's manual,
// volume 2, 2.3 and 2.7). In 64-bit mode these bytes begin no others.
func vectorLength(code []byte) (n int, op byte, evex bool) {
	if len(code) < 3 {
		return 0, 0, false
	}
	var table byte
	switch code[0] {
	case 0xc5:
		n, table = 2, 1
	case 0xc4:
		n, table = 3, code[1]&0x1f
	case 0x62:
		n, table, evex = 4, code[1]&7, true
	default:
		return 0, 0, false
	}
	if len(code) < n+1 {
		return 0, 0, false
	}
	op = code[n]
	n++
	if table == 1 && op == 0x77 && !evex {
		return n, op, false // VZEROUPPER
	}
	if n += modrmLength(code[n:]); n > len(code) {
		return 0, 0, false
	}
	immediate := table == 3 || table == 1 && (op >= 0x70 && op <= 0x73 || op == 0xc2 || op >= 0xc4 && op <= 0xc6)
	if immediate {
		n++
	}
	if n > len(code) || n > 15 {
		return 0, 0, false
	}
	return n, op, evex
}

// modrmLength is the length of a ModRM byte with what belongs to it; more than there is where it is cut off.
func modrmLength(code []byte) int {
	if len(code) == 0 {
		return 1
	}
	mod, rm := code[0]>>6, code[0]&7
	n := 1
	if mod != 3 && rm == 4 {
		if n++; len(code) < 2 {
			return n
		}
		if mod == 0 && code[1]&7 == 5 {
			return n + 4
		}
	}
	switch {
	case mod == 1:
		n++
	case mod == 2, mod == 0 && rm == 5:
		n += 4
	}
	return n
}
