package values

import (
	"fmt"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// Instruction is one machine instruction, for saying what faulted.
type Instruction struct {
	Text   string // in Go's assembly syntax: MOVQ 0x10(AX), AX
	Access string // what it does with memory: "read", "write" or ""
	Base   string // the register that holds the address, "" if none does: "RAX"
	Index  string
	Offset int64 // added to it
	Size   int   // bytes that it accesses
	Length int   // of the instruction itself
}

// Instruction decodes what the processor executes at a runtime pc. Errors: those of reading, ErrCorrupt for no instruction.
func (s *Space) Instruction(pc uint64) (*Instruction, error) {
	var code []byte
	var err error
	for n := 15; n > 0; n-- { // the last ones of a mapping
		if code, err = s.Slice(pc, n); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	inst, err := decode(code)
	if err != nil {
		return nil, fmt.Errorf("no instruction at %#x (%x): %w", pc, code, ErrCorrupt)
	}
	out := &Instruction{Text: x86asm.GoSyntax(inst, pc, nil), Length: inst.Len}
	for i, arg := range inst.Args {
		m, ok := arg.(x86asm.Mem)
		if !ok || inst.Op == x86asm.LEA {
			continue
		}
		out.Access, out.Offset, out.Size = "read", m.Disp, inst.MemBytes
		if i == 0 && writes(inst.Op) {
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

// writes tells whether an instruction changes its first argument. Those that only compare or jump do not.
func writes(op x86asm.Op) bool {
	switch op {
	case x86asm.CMP, x86asm.TEST, x86asm.CALL, x86asm.JMP, x86asm.PUSH, x86asm.MUL, x86asm.DIV, x86asm.IDIV, x86asm.UCOMISD, x86asm.UCOMISS, x86asm.NOP:
		return false
	}
	return !strings.HasPrefix(op.String(), "PREFETCH")
}

// decode is x86asm.Decode, which may not know what is not code.
func decode(code []byte) (inst x86asm.Inst, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoding: %v", p)
		}
	}()
	return x86asm.Decode(code, 64)
}
