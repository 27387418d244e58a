package place

import (
	"slices"
	"sort"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"ri/probe"
)

// This file finds where code that was mixed with other code begins: calls that were inlined, and lines. Whose an
// instruction is, the function table knows of each. The compiler orders instructions as it likes, though, leaves some
// out that were computed before, and moves others to where they are needed. So what begins is found by following the
// function's control flow: the instructions of the set at which it arrives first.

// graph is a function's instructions, with whose each is.
type graph struct {
	*body
	owner  []int32   // of each instruction: the innermost inlined call; -1
	next   [][]int32 // where each goes on
	before [][]int32 // backward; see prev
	roots  []int32   // where the function begins, and what nothing leads to: the runtime does
}

func (b *body) graph() *graph {
	g := b.flow()
	b.calls, b.ranges = b.file.Inlined(b.info.Entry)
	r := 0
	for i, in := range b.list {
		for r < len(b.ranges) && b.ranges[r].End <= in.pc {
			r++
		}
		if g.owner[i] = -1; r < len(b.ranges) && b.ranges[r].Start <= in.pc && b.ranges[r].Call < len(b.calls) {
			g.owner[i] = int32(b.ranges[r].Call)
		}
	}
	if c, ok := b.check(); ok && c+1 < len(b.list) {
		// The stack check, and what grows the stack and begins anew, is nobody's, whatever line it is said to have.
		for i := range c + 1 {
			g.owner[i] = -1
		}
	}
	return g
}

// flow works out what leads where.
func (b *body) flow() *graph {
	g := &graph{body: b, owner: make([]int32, len(b.list)), next: make([][]int32, len(b.list))}
	reached := make([]bool, len(b.list))
	check, checked := b.check()
	follow := func(i int, to uint64) {
		if j, ok := b.index(to); ok && !(checked && j == 0) { // having grown the stack, the call begins anew
			g.next[i] = append(g.next[i], int32(j))
			reached[j] = true
		}
	}
	for i, in := range b.list {
		behind := in.pc + uint64(in.length)
		switch in.flow {
		case next, call:
			follow(i, behind)
		case branch:
			follow(i, behind)
			follow(i, in.target)
		case jump:
			follow(i, in.target)
		case leave:
			for _, to := range b.tableAt[in.pc] {
				follow(i, to)
			}
		}
	}
	for i := range b.list {
		if i == 0 || !reached[i] {
			g.roots = append(g.roots, int32(i))
		}
	}
	if checked && check+1 < len(b.list) {
		g.next[check] = []int32{int32(check + 1)} // not to where the stack grows
	}
	return g
}

// index finds the instruction at an address.
func (b *body) index(pc uint64) (int, bool) {
	i := sort.Search(len(b.list), func(i int) bool { return b.list[i].pc >= pc })
	return i, i < len(b.list) && b.list[i].pc == pc
}

// of tells whether an instruction belongs to an inlined call, or to one that was inlined in it.
func (g *graph) of(i int32, call int) bool {
	at := int(g.owner[i])
	for at > call {
		at = g.calls[at].Parent // smaller each time
	}
	return at == call
}

// depth is how many inlined calls deep one is: 1 if it is inlined in the function itself.
func (g *graph) depth(call int) (n int) {
	for ; call >= 0; call = g.calls[call].Parent {
		n++
	}
	return n
}

// first gives the instructions of a set at which control arrives from the function's entry before any other of the set.
func (g *graph) first(in func(int32) bool) (out []int32) {
	seen := make([]bool, len(g.list))
	stack := slices.Clone(g.roots)
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[i] {
			continue
		}
		if seen[i] = true; in(i) {
			out = append(out, i)
			continue
		}
		stack = append(stack, g.next[i]...)
	}
	slices.Sort(out)
	return out
}

// comesBack tells whether control that is at one of some instructions comes to one of them again without leaving the
// set, or comes to another one of them by going forward only: then a hit is not one call.
func (g *graph) comesBack(at []int32, in func(int32) bool) (why string) {
	is := map[int32]bool{}
	for _, i := range at {
		is[i] = true
	}
	for _, from := range at {
		if g.leads(from, is, in) {
			return "its first instruction is also that of a loop in it"
		}
		if len(at) > 1 && g.leads(from, is, nil) {
			return "it begins at several instructions, of which one follows another"
		}
	}
	return ""
}

// leads tells whether control gets from an instruction to one of some by way of a set; of nil: forward only.
func (g *graph) leads(from int32, to map[int32]bool, in func(int32) bool) bool {
	seen := map[int32]bool{}
	stack := []int32{from}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, j := range g.next[i] {
			if seen[j] || in != nil && !in(j) || in == nil && j <= i {
				continue
			}
			if to[j] {
				return true
			}
			seen[j] = true
			stack = append(stack, j)
		}
	}
	return false
}

// moved tells instructions that the register allocator puts where it needs them, with a line of what needs them: words
// fetched from the stack or kept there, or copied from register to register, constants and addresses of variables.
func moved(in instr) bool {
	if !in.known || in.flow != next {
		return false
	}
	op := in.inst.Op
	if op == x86asm.XOR {
		return in.inst.Args[0] == in.inst.Args[1]
	}
	if op != x86asm.LEA && !strings.HasPrefix(op.String(), "MOV") {
		return false
	}
	_, to := in.inst.Args[0].(x86asm.Reg)
	if _, from := in.inst.Args[1].(x86asm.Reg); to && from {
		return true
	}
	for _, arg := range in.inst.Args[:2] {
		switch a := arg.(type) {
		case x86asm.Imm:
			return true
		case x86asm.Mem:
			if a.Index == 0 && (a.Base == x86asm.RSP && op != x86asm.LEA || a.Base == x86asm.RIP && op == x86asm.LEA) {
				return true
			}
		}
	}
	return false
}

// maxHoisted bounds how many instructions of a call are taken for such that were moved in front of a loop.
const maxHoisted = 32

// begin finds where a call's instructions begin, as instructions that can be probed. mark is one that has the line of
// the call, and tells of which loop it is part: instructions that don't change in it may have been moved in front of
// it. unsure says that a call may be passed without the instruction, or more often than once, for all that is known.
func (g *graph) begin(in func(int32) bool, mark int32) (at []instr, unsure bool, why string) {
	own := func(i int32) bool { return in(i) && !moved(g.list[i]) }
	first := g.first(own)
	if len(first) == 0 {
		if first, own, unsure = g.first(in), in, true; len(first) == 0 {
			return nil, false, "no instruction of it is left"
		}
	}
	gone := map[int32]bool{}
	for len(gone) < maxHoisted && mark >= 0 {
		out := g.hoisted(first, mark)
		if len(out) == 0 {
			break
		}
		for _, i := range out {
			gone[i] = true
		}
		if first = g.first(func(i int32) bool { return own(i) && !gone[i] }); len(first) == 0 {
			return nil, false, "its instructions were moved out of the loop that it is in"
		}
	}
	if why = g.comesBack(first, func(i int32) bool { return in(i) && !gone[i] }); why != "" {
		return nil, false, why
	}
	for _, i := range first {
		ok, why := g.probeable(i)
		if why != "" {
			return nil, false, why
		}
		at = append(at, ok)
	}
	return at, unsure || mark < 0 || g.apart(mark, first), ""
}

// maxLoops bounds how deep loops are nested.
const maxLoops = 16

// hoisted gives those of some instructions that lie outside a loop in which a mark lies.
func (g *graph) hoisted(some []int32, mark int32) (out []int32) {
	if !g.leads(mark, map[int32]bool{mark: true}, g.without(some)) {
		return nil
	}
	loop := func(int32) bool { return true }
	for range maxLoops {
		forth, back := g.reach(mark, g.next, loop), g.reach(mark, g.prev(), loop)
		if !forth[mark] {
			break // it doesn't come back to itself: no loop
		}
		within := func(i int32) bool { return forth[i] && back[i] }
		for _, i := range some {
			if !within(i) {
				out = append(out, i)
			}
		}
		if len(out) > 0 {
			break
		}
		// Without what leads into it the loop falls apart into those within it.
		inner := map[int32]bool{}
		for i := range forth {
			if within(i) && !slices.ContainsFunc(g.before[i], func(j int32) bool { return !within(j) }) {
				inner[i] = true
			}
		}
		if !inner[mark] {
			break
		}
		loop = func(i int32) bool { return inner[i] }
	}
	return out
}

// reach gives the instructions that one leads to, by edges within a set; itself if it comes back.
func (g *graph) reach(from int32, edges [][]int32, in func(int32) bool) map[int32]bool {
	seen := map[int32]bool{}
	stack := []int32{from}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, j := range edges[i] {
			if !seen[j] && in(j) {
				seen[j] = true
				stack = append(stack, j)
			}
		}
	}
	return seen
}

// prev gives the edges backward.
func (g *graph) prev() [][]int32 {
	if g.before == nil {
		g.before = make([][]int32, len(g.list))
		for i, next := range g.next {
			for _, j := range next {
				g.before[j] = append(g.before[j], int32(i))
			}
		}
	}
	return g.before
}

// without is all instructions but some.
func (g *graph) without(some []int32) func(int32) bool {
	return func(i int32) bool { return !slices.Contains(some, i) }
}

// apart tells whether control may pass a mark without passing any of some instructions before or behind it.
func (g *graph) apart(mark int32, some []int32) bool {
	if slices.Contains(some, mark) {
		return false
	}
	around := g.without(some)
	before := slices.ContainsFunc(g.roots, func(root int32) bool {
		return root == mark || around(root) && g.leads(root, map[int32]bool{mark: true}, around)
	})
	return before && g.ends(mark, around)
}

// ends tells whether control gets from an instruction to where the function ends, or begins the next round, by way of a
// set.
func (g *graph) ends(from int32, in func(int32) bool) bool {
	seen := map[int32]bool{from: true}
	stack := []int32{from}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if len(g.next[i]) == 0 {
			return true
		}
		for _, j := range g.next[i] {
			if j == from {
				return true
			}
			if !seen[j] && in(j) {
				seen[j] = true
				stack = append(stack, j)
			}
		}
	}
	return false
}

// probeable gives an instruction, or the next one that control comes to behind it and that can be probed.
func (g *graph) probeable(i int32) (in instr, why string) {
	why = g.list[i].refuse
	for n := int32(0); n < maxPrologue; n++ {
		in := g.list[i+n]
		if in.refuse == "" {
			return in, ""
		}
		if in.flow != next || int(i+n+1) >= len(g.list) || g.targets[g.list[i+n+1].pc] {
			break
		}
	}
	return in, why
}

// inlinedAt is where the variables of a site's inlined call are looked up.
type inlinedAt struct {
	pc    uint64 // of an instruction of the call
	depth int
}

// inlineCall adds the sites of a call that was inlined in a function.
func (fn *Function) inlineCall(g *graph, n int) {
	in := func(i int32) bool { return g.of(i, n) }
	at, why, unsure := []instr(nil), "", false
	switch mark, ok := g.index(g.calls[n].Mark); {
	case ok && g.list[mark].inst.Op == x86asm.NOP && g.list[mark].length == 1:
		at = []instr{g.list[mark]} // the compiler has made it for this call
	case ok && !moved(g.list[mark]):
		at, unsure, why = g.begin(in, int32(mark))
	default:
		at, unsure, why = g.begin(in, -1)
	}
	if why != "" {
		file, line := g.place(g.calls[n].Mark)
		fn.Refused = append(fn.Refused, Refused{Func: fn.Name, Into: g.info.Name, File: file, Line: line,
			PC: g.calls[n].Mark, Why: why})
		return
	}
	inside := inlinedAt{depth: g.depth(n)}
	for i := range g.list {
		if in(int32(i)) {
			inside.pc = g.list[i].pc
			break
		}
	}
	if fn.File == "" {
		fn.File, fn.Line = g.declared(inside, g.calls[n].Line)
	}
	for _, one := range at {
		if i, ok := g.index(one.pc); ok && in(int32(i)) {
			inside.pc = one.pc
		}
		s := g.site(fn.better(g, one, inside), probe.Inlined)
		s.Func, s.Into = fn.Name, g.info.Name
		s.File, s.Line = g.place(g.calls[n].Mark) // of the call
		s.Unsure = unsure
		fn.Sites = append(fn.Sites, s)
		fn.inlined[s.PC] = inside
	}
}

// better looks, among the instructions that follow each other from one on, without a branch, a call or a store, for one
// at which more arguments of an inlined call lie somewhere, or as many and the kernel emulates it.
func (fn *Function) better(g *graph, one instr, inside inlinedAt) instr {
	i, ok := g.index(one.pc)
	if !ok || !fn.file.HasDWARF() {
		return one
	}
	best, most := one, fn.there(one.pc, inside)
	for in := one; quiet(in) && i+1 < len(g.list) && in.pc < one.pc+maxAhead; {
		if i++; g.targets[g.list[i].pc] {
			break
		}
		if in = g.list[i]; in.refuse != "" {
			continue
		}
		if n := fn.there(in.pc, inside); n > most || n == most && in.cost.Cost() < best.cost.Cost() {
			best, most = in, n
		}
	}
	return best
}

// maxAhead is how far a place may be from where a call begins, in bytes.
const maxAhead = 48

// there counts the arguments of an inlined call that lie somewhere at a pc.
func (fn *Function) there(pc uint64, inside inlinedAt) (n int) {
	fv, at := fn.file.FuncVars(pc), inside.pc
	if at == 0 {
		at = pc
	}
	for _, v := range fv.At(at, inside.depth) {
		if v.Argument && !v.Result && len(fv.Location(&v, pc)) > 0 {
			n++
		}
	}
	return n
}

// quiet tells whether an instruction goes on behind it, and changes registers only.
func quiet(in instr) bool {
	if !in.known || in.flow != next {
		return false
	}
	switch op := in.inst.Op; op {
	case x86asm.CMP, x86asm.TEST, x86asm.BT, x86asm.NOP, x86asm.UCOMISD, x86asm.UCOMISS:
		return true
	case x86asm.LEA, x86asm.ADD, x86asm.SUB, x86asm.AND, x86asm.OR, x86asm.XOR, x86asm.SHL, x86asm.SHR, x86asm.SAR,
		x86asm.INC, x86asm.DEC, x86asm.NEG, x86asm.NOT, x86asm.IMUL:
	default:
		if name := op.String(); !strings.HasPrefix(name, "MOV") && !strings.HasPrefix(name, "CMOV") &&
			!strings.HasPrefix(name, "SET") || strings.HasPrefix(name, "MOVS") && in.inst.Args[0] == nil {
			return false
		}
	}
	reg, ok := in.inst.Args[0].(x86asm.Reg)
	return ok && reg != x86asm.RSP
}

// inside gives an address within the inlined call of a site, and how deep it is inlined.
func (fn *Function) inside(site *probe.Site) (pc uint64, depth int) {
	if in, ok := fn.inlined[site.PC]; ok && in.pc != 0 {
		return in.pc, in.depth
	}
	return site.PC, 0
}

// place is where the instruction at an address stands in the source: in the innermost of inlined calls.
func (b *body) place(pc uint64) (file string, line int) {
	if info, ok := b.file.PC(pc); ok && len(info.Lines) > 0 {
		return info.Lines[0].File, info.Lines[0].Line
	}
	return b.info.File, b.info.Line
}

// declared is where the function of an inlined call is declared.
func (b *body) declared(in inlinedAt, line int) (string, int) {
	if info, ok := b.file.PC(in.pc); ok && in.pc != 0 && len(info.Lines) > in.depth {
		return info.Lines[len(info.Lines)-1-in.depth].File, line
	}
	return "", line
}
