package symbols

import (
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// reference gives the link-time address that the instruction at the start of code, which lies at addr, refers to relative to the PC.
func reference(code []byte, addr uint64) (target uint64, length int, ok bool) {
	inst, err := decodeInstruction(code)
	if err != nil {
		return 0, 1, false
	}
	for _, arg := range inst.Args {
		if m, isMem := arg.(x86asm.Mem); isMem && m.Base == x86asm.RIP && m.Index == 0 {
			return addr + uint64(inst.Len) + uint64(m.Disp), inst.Len, true
		}
	}
	return 0, inst.Len, false
}

// decodeInstruction is x86asm.Decode, which need not have thought of everything that isn't code.
func decodeInstruction(code []byte) (inst x86asm.Inst, err error) {
	defer func() {
		if recover() != nil {
			err = x86asm.ErrUnrecognized
		}
	}()
	return x86asm.Decode(code, 64)
}

// References calls found with each place in the runtime's code that refers to data: the function, the instruction's offset in
// it, and the link-time address referred to.
func References(f *File, found func(function string, at int, target uint64)) {
	t := f.pcln
	if t == nil {
		return
	}
	for i := range t.nfunc {
		fn, ok := t.head(i)
		if !ok {
			continue
		}
		name := fn.name()
		if !strings.HasPrefix(name, "runtime.") && !strings.HasPrefix(name, "internal/runtime/") {
			continue
		}
		code, entry := f.Code(t.entry(i))
		for at := 0; at < len(code); {
			target, length, ok := reference(code[at:], entry+uint64(at))
			if ok {
				found(name, at, target)
			}
			at += max(length, 1)
		}
	}
}
