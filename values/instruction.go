package values

import (
	"fmt"

	"ri/arch"
)

// Instruction is one machine instruction, for saying what faulted.
type Instruction struct {
	arch.Instruction
	Text string // in Go's assembly syntax: MOVQ 0x10(AX), AX
}

// Instruction decodes what the processor executes at a runtime pc. Errors: those of reading, ErrCorrupt for no instruction.
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
