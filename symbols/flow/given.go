package flow

import (
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// given finds the registers in which a function is given what it uses; false where its code doesn't say. A function
// that may need more stack keeps these, and no others, while it gets some (cmd/internal/obj/x86, preprocess, Go 1.20 to
// 1.27).
func (r *round) given(to uint64, direct bool) (list []int, known bool) {
	info, ok := r.g.file.PC(to)
	if !direct || !ok || info.Entry != to {
		return nil, false
	}
	if list, ok := r.arguments[to]; ok {
		return list, list != nil
	}
	r.arguments[to] = nil
	code, at := r.g.file.Code(to)
	if at != to || len(code) > maxLoop {
		return nil, false
	}
	for off := 0; off < len(code); {
		inst, err := decode(code[off:])
		if err != nil {
			return nil, false
		}
		off += inst.Len
		switch next := to + uint64(off); {
		case inst.Op == x86asm.CALL:
			callee, direct := target(inst, next)
			name := r.g.name(callee, direct)
			if known = strings.HasPrefix(name, "runtime.morestack"); known {
				list = []int{}
			}
			if known && !strings.HasPrefix(name, "runtime.morestack_noctxt") {
				list = append(list, Context)
			}
		case known && inst.Op == x86asm.JMP:
			r.arguments[to] = list
			return list, true
		case known:
			if n := r.place(inst.Args[regAX]); n >= 0 && n < vectors+16 && strings.HasPrefix(inst.Op.String(), "MOV") {
				list = append(list, n)
			}
		}
	}
	return nil, false
}
