package flow

import (
	"errors"

	"golang.org/x/arch/x86/x86asm"
)

var errCode = errors.New("not decodable")

// decode reads one instruction. x86asm panics on some bytes that are none.
func decode(code []byte) (inst x86asm.Inst, err error) {
	defer func() {
		if recover() != nil {
			err = errCode
		}
	}()
	inst, err = x86asm.Decode(code, 64)
	if err == nil && inst.Len == 0 {
		err = errCode
	}
	return inst, err
}
