package kernel

import (
	"github.com/cilium/ebpf/asm"

	"ri/probe"
)

// element puts the address of a map's element into scratch: it goes through the places of the map's groups, compares
// their keys, and doesn't hash, as the program's hash function is its own.
func (g *generator) element(m *probe.Elem, f fails) {
	if m == nil || len(m.Key) > probe.MaxMapKey || !m.Text && len(m.Key) == 0 {
		g.fail("a map's key that can't be looked for")
		return
	}
	before := g.depth
	defer func() { g.depth = before }()
	group, left, control, header := g.alloc(8), g.alloc(8), g.alloc(8), g.alloc(16)
	key := header
	if m.Text && len(m.Key) > 0 {
		key = g.alloc(len(m.Key))
	} else if !m.Text {
		key = g.alloc(len(m.Key))
	}
	// load copies from what a slot of the stack points to.
	load := func(base int, off int64, to, size int, bad label) {
		args := len(g.code)
		g.load(asm.R3, frame, base)
		g.plus(asm.R3, off)
		g.addr(asm.R1, to)
		g.set(asm.R2, int32(size))
		g.copyUser(args, bad)
	}
	search, several, done := g.label(), g.label(), g.label()
	g.word(m.Map, f)
	g.if_(asm.JEq, scratch, 0, f.null)
	g.store(frame, group, scratch)
	load(group, m.Tables, left, 8, f.unreadable)
	load(group, m.Directory, control, 8, f.unreadable)
	g.load(scratch, frame, control)
	g.if_(asm.JEq, scratch, 0, f.null) // nothing was ever put into it
	g.store(frame, group, scratch)
	g.load(asm.R1, frame, left)
	g.set(asm.R2, 1)
	g.store(frame, left, asm.R2)
	g.if_(asm.JEq, asm.R1, 0, search) // one group
	g.if_(asm.JNE, asm.R1, 1, f.unreadable)
	load(group, 0, control, 8, f.unreadable)
	g.load(asm.R1, frame, control)
	g.store(frame, group, asm.R1)
	load(group, m.Mask, left, 8, f.unreadable)
	load(group, m.Groups, control, 8, f.unreadable)
	g.load(asm.R1, frame, control)
	g.store(frame, group, asm.R1)
	g.load(asm.R1, frame, left)
	g.add(asm.Add.Imm(asm.R1, 1))
	g.store(frame, left, asm.R1)

	// scratch counts places; the rest lies on the stack, as helpers keep nothing else.
	g.place(search)
	g.set(scratch, 0)
	loop := g.here()
	same, next, over := g.label(), g.label(), g.label()
	g.mov(asm.R1, scratch)
	g.add(asm.And.Imm(asm.R1, probe.GroupSlots-1))
	g.if_(asm.JNE, asm.R1, 0, same)
	g.mov(asm.R1, scratch)
	g.add(asm.RSh.Imm(asm.R1, 3))
	g.load(asm.R2, frame, left)
	g.ifReg(asm.JGE, asm.R1, asm.R2, f.null) // all of them were searched
	first := g.label()
	g.if_(asm.JEq, scratch, 0, first)
	g.load(asm.R1, frame, group)
	g.plus(asm.R1, m.Group)
	g.store(frame, group, asm.R1)
	g.place(first)
	load(group, m.Control, control, 8, f.unreadable)
	g.place(same)
	g.load(asm.R1, frame, control)
	g.mov(asm.R2, asm.R1)
	g.add(asm.RSh.Imm(asm.R2, 8))
	g.store(frame, control, asm.R2)
	g.if_(asm.JSet, asm.R1, 0x80, next) // empty, or deleted
	// at puts where a place has something into R3.
	at := func(s probe.Slots) {
		g.mov(asm.R3, scratch)
		g.add(asm.And.Imm(asm.R3, probe.GroupSlots-1), asm.Mul.Imm(asm.R3, int32(s.Stride)))
		g.plus(asm.R3, s.First)
		g.load(asm.R1, frame, group)
		g.add(asm.Add.Reg(asm.R3, asm.R1))
	}
	args := len(g.code)
	at(m.Keys)
	if m.Text {
		g.addr(asm.R1, header)
		g.set(asm.R2, 16)
	} else {
		g.addr(asm.R1, key)
		g.set(asm.R2, int32(len(m.Key)))
	}
	g.copyUser(args, f.unreadable)
	if m.Text {
		g.load(asm.R1, frame, header+8)
		g.if_(asm.JNE, asm.R1, int32(len(m.Key)), next)
		if len(m.Key) > 0 {
			load(header, 0, key, len(m.Key), f.unreadable)
		}
	}
	g.same(m.Key, frame, key, next)
	at(m.Elems)
	g.mov(scratch, asm.R3)
	g.jump(done)
	g.place(next)
	g.add(asm.Add.Imm(scratch, 1))
	g.if_(asm.JLT, scratch, probe.MaxGroups*probe.GroupSlots, loop)
	g.place(over)
	g.load(asm.R2, frame, left)
	g.if_(asm.JGT, asm.R2, probe.MaxGroups, f.unreadable) // more of it than is searched
	g.jump(f.null)
	g.place(several)
	g.place(done)
}
