package flow

import (
	"slices"

	"golang.org/x/arch/x86/x86asm"

	"ri/symbols"
)

// This file finds the blocks of a function, its loops, and the ways out of them that are none to a panic.

// graph is a function's blocks.
type graph struct {
	file   *symbols.File
	info   *symbols.PCInfo
	code   []byte
	starts []uint64 // of blocks, in order
	next   map[uint64][]uint64
	loops  map[uint64]map[uint64]bool // the blocks of each loop, by its head
	back   map[uint64][]uint64        // heads that a block leads back to
	leaves map[uint64]bool            // blocks that return
}

func graphOf(file *symbols.File, pc uint64) (*graph, bool) {
	info, ok := file.PC(pc)
	if !ok {
		return nil, false
	}
	code, at := file.Code(info.Entry)
	if at != info.Entry || len(code) == 0 || len(code) > maxLoop {
		return nil, false
	}
	r := &run{p: &Program{file: file, lacks: new(error)}, f: &Function{info: info, code: code}}
	leaders, ok := r.leaders()
	if !ok {
		return nil, false
	}
	g := &graph{file: file, info: info, code: code, loops: map[uint64]map[uint64]bool{}, back: map[uint64][]uint64{},
		leaves: map[uint64]bool{}}
	dead, out, first := g.special(leaders)
	for at := range leaders {
		if at > info.Entry && at < info.End {
			g.starts = append(g.starts, at)
		}
	}
	g.starts = append(g.starts, info.Entry)
	slices.Sort(g.starts)
	g.next = r.edges(leaders)
	for _, pc := range dead {
		g.next[g.block(pc)] = nil
	}
	for _, pc := range first { // of a function that needs no stack, the first instruction may be a loop's
		g.next[g.block(pc)] = append(g.next[g.block(pc)], info.Entry)
	}
	for _, pc := range out {
		g.leaves[g.block(pc)] = true
	}
	g.findLoops(dominatorsOf(info.Entry, g.next))
	return g, true
}

// special finds the instructions whose edges aren't plain: calls that never return, behind which a block begins; ways
// out of the function; and jumps to its first instruction.
func (g *graph) special(leaders map[uint64]bool) (dead, out, first []uint64) {
	info := g.info
	for off := 0; off < len(g.code); {
		inst, _ := decode(g.code[off:])
		pc := info.Entry + uint64(off)
		off += inst.Len
		to, direct := target(inst, info.Entry+uint64(off))
		switch {
		case inst.Op == x86asm.CALL && direct && g.ends(to):
			leaders[info.Entry+uint64(off)] = true
			dead = append(dead, pc)
		case inst.Op == x86asm.RET, inst.Op == x86asm.JMP && direct && (to < info.Entry || to >= info.End):
			out = append(out, pc)
		case inst.Op != x86asm.CALL && direct && to == info.Entry:
			first = append(first, pc)
		}
	}
	return dead, out, first
}

// ends tells whether a call of the function at an address never returns.
func (g *graph) ends(to uint64) bool {
	info, ok := g.file.PC(to)
	return ok && info.Entry == to && neverReturn(info.Func)
}

func target(inst x86asm.Inst, next uint64) (uint64, bool) {
	rel, direct := inst.Args[regAX].(x86asm.Rel)
	return next + uint64(int64(rel)), direct
}

// block is where the block around a place begins.
func (g *graph) block(pc uint64) uint64 {
	return g.starts[blockAt(g.starts, pc)]
}

// blockAt is the number of the block around a place, among the starts of blocks in order.
func blockAt(starts []uint64, pc uint64) int {
	i, found := slices.BinarySearch(starts, pc)
	if !found {
		i--
	}
	return max(i, 0)
}

// has tells whether all places lie in a loop: themselves, or the calls that return to them.
func (g *graph) has(body map[uint64]bool, pcs []uint64) bool {
	for _, pc := range pcs {
		if pc < g.info.Entry || pc >= g.info.End || !body[g.block(pc)] && !body[g.block(max(pc-1, g.info.Entry))] {
			return false
		}
	}
	return true
}

// findLoops gathers what leads round to each head without passing it.
func (g *graph) findLoops(d *dominators) {
	before := map[uint64][]uint64{}
	for from, list := range g.next {
		for _, to := range list {
			before[to] = append(before[to], from)
		}
	}
	for from, list := range g.next {
		for _, head := range list {
			if !d.heads(from, head) {
				continue
			}
			g.back[from] = append(g.back[from], head)
			body := g.loops[head]
			if body == nil {
				body = map[uint64]bool{head: true}
				g.loops[head] = body
			}
			for work := []uint64{from}; len(work) > 0; {
				at := work[len(work)-1]
				work = work[:len(work)-1]
				if !body[at] {
					body[at] = true
					work = append(work, before[at]...)
				}
			}
		}
	}
}

// out tells whether a way leads on from a block, other than to a panic.
func (g *graph) out(from uint64) bool {
	seen := map[uint64]bool{}
	for work := []uint64{from}; len(work) > 0; {
		at := work[len(work)-1]
		work = work[:len(work)-1]
		if seen[at] {
			continue
		}
		if seen[at] = true; g.leaves[at] || len(g.back[at]) > 0 {
			return true
		}
		work = append(work, g.next[at]...)
	}
	return false
}

// name is that of the function that a call is of.
func (g *graph) name(to uint64, direct bool) string {
	if info, ok := g.file.PC(to); direct && ok && info.Entry == to {
		return info.Func
	}
	return ""
}
