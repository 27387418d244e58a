package flow

import (
	"golang.org/x/arch/x86/x86asm"

	"ri/symbols"
)

// Loops tells whether the code of the function around a link-time pc goes round: some place in it leads back to itself.
// The jump back to the entry after the stack has grown doesn't count. Code that can't be decoded has none.
func Loops(file *symbols.File, pc uint64) bool {
	info, ok := file.PC(pc)
	if !ok {
		return false
	}
	code, entry := file.Code(info.Entry)
	for off := 0; off < len(code); {
		inst, err := decode(code[off:])
		if err != nil {
			return false
		}
		at := entry + uint64(off)
		off += inst.Len
		rel, direct := inst.Args[0].(x86asm.Rel)
		if !direct || inst.Op == x86asm.CALL {
			continue
		}
		to := entry + uint64(off) + uint64(int64(rel))
		// A jump back out of the cold code at the function's end closes no loop.
		if to > entry && to <= at && reaches(code, entry, to, at) {
			return true
		}
	}
	return false
}

// reaches tells whether the code at from can come to the instruction at to, within one function.
func reaches(code []byte, entry, from, to uint64) bool {
	seen, work := map[uint64]bool{}, []uint64{from}
	for len(work) > 0 {
		pc := work[len(work)-1]
		work = work[:len(work)-1]
		for pc >= entry && pc-entry < uint64(len(code)) && !seen[pc] {
			if pc == to {
				return true
			}
			seen[pc] = true
			inst, err := decode(code[pc-entry:])
			if err != nil {
				break
			}
			next := pc + uint64(inst.Len)
			rel, direct := inst.Args[0].(x86asm.Rel)
			if inst.Op == x86asm.RET || inst.Op == x86asm.UD2 || inst.Op == x86asm.JMP && !direct {
				break
			}
			if direct && inst.Op != x86asm.CALL {
				work = append(work, next+uint64(int64(rel)))
				if inst.Op == x86asm.JMP {
					break
				}
			}
			pc = next
		}
	}
	return false
}
