package kernel

import (
	"encoding/binary"

	"github.com/cilium/ebpf/asm"

	"ri/probe"
)

// text decides how a text compares to a literal, over a copy of it on the stack.
func (k *conditioner) text(t probe.Text, e ends) {
	n := len(t.Literal)
	if n > probe.MaxLiteral {
		k.fail("a literal of %d bytes, of at most %d", n, probe.MaxLiteral)
		return
	}
	before := k.depth
	defer func() { k.depth = before }()
	t.Len.Signed = true
	k.value(t.Len, asm.R1, e)
	if t.Op == probe.Is {
		k.if_(asm.JNE, asm.R1, int32(n), e.no)
	} else {
		k.if_(asm.JSLT, asm.R1, int32(n), e.no)
	}
	if n == 0 {
		k.jump(e.yes)
		return
	}
	if t.Op == probe.Contains {
		k.contains(t, e)
		return
	}
	// R1, the length, is needed for the address of a suffix; value may use R1 to R3 of its own only to load.
	k.mov(asm.R4, asm.R1)
	k.value(t.Data, scratch, e)
	k.if_(asm.JEq, scratch, 0, e.null)
	if t.Op == probe.HasSuffix {
		k.add(asm.Add.Reg(scratch, asm.R4), asm.Sub.Imm(scratch, int32(n)))
	}
	buffer := k.alloc(n)
	args := len(k.code)
	k.addr(asm.R1, buffer)
	k.set(asm.R2, int32(n))
	k.mov(asm.R3, scratch)
	k.copyUser(args, e.unreadable)
	k.same(t.Literal, frame, buffer, e.no)
	k.jump(e.yes)
}

// same falls through where bytes in memory are those of a literal.
func (k *generator) same(literal []byte, at asm.Register, off int, no label) {
	for i := 0; i < len(literal); {
		size := 8
		for size > len(literal)-i {
			size /= 2
		}
		var b [8]byte
		copy(b[:], literal[i:i+size])
		k.loadSize(asm.R2, at, off+i, size)
		want := binary.LittleEndian.Uint64(b[:])
		if want <= 0x7fffffff {
			k.if_(asm.JNE, asm.R2, int32(want), no)
		} else {
			k.add(asm.LoadImm(asm.R3, int64(want), asm.DWord))
			k.ifReg(asm.JNE, asm.R2, asm.R3, no)
		}
		i += size
	}
}

// contains searches the first bytes of a text, whose length is in R1.
func (k *conditioner) contains(t probe.Text, e ends) {
	within := int(t.Within)
	if within == 0 || within > probe.MaxWithin {
		within = probe.MaxWithin
	}
	n := len(t.Literal)
	if n > within {
		k.fail("a literal of %d bytes, searched within %d", n, within)
		return
	}
	length, some, last := k.alloc(8), k.alloc(8), k.alloc(8)
	buffer := k.alloc(within)
	k.store(frame, length, asm.R1)
	k.set(asm.R1, 0)
	for i := 0; i < within; i += 8 {
		k.store(frame, buffer+i, asm.R1)
	}
	k.value(t.Data, scratch, e)
	k.if_(asm.JEq, scratch, 0, e.null)
	k.load(asm.R2, frame, length)
	whole := k.label()
	k.if_(asm.JLE, asm.R2, int32(within), whole)
	k.set(asm.R2, int32(within))
	k.place(whole)
	k.mov(asm.R1, asm.R2)
	k.add(asm.Sub.Imm(asm.R1, int32(n-min(n, 8)+1)))
	k.store(frame, last, asm.R1)
	k.store(frame, some, asm.R2)
	args := len(k.code)
	k.load(asm.R2, frame, some)
	k.addr(asm.R1, buffer)
	k.mov(asm.R3, scratch)
	k.copyUser(args, e.unreadable)

	// The stack is read at aligned places only, so bytes are read one by one, and the last eight are kept in R2.
	head := min(n, 8)
	var b [8]byte
	copy(b[8-head:], t.Literal[:head])
	k.set(scratch, 0)
	k.set(asm.R2, 0)
	k.add(asm.LoadImm(asm.R3, int64(binary.LittleEndian.Uint64(b[:])), asm.DWord))
	loop, next, missed := k.label(), k.label(), k.label()
	k.place(loop)
	k.if_(asm.JGE, scratch, int32(within), missed)
	k.addr(asm.R1, buffer)
	k.add(asm.Add.Reg(asm.R1, scratch))
	k.loadSize(asm.R4, asm.R1, 0, 1)
	k.add(asm.RSh.Imm(asm.R2, 8), asm.LSh.Imm(asm.R4, 56), asm.Or.Reg(asm.R2, asm.R4))
	k.mov(asm.R4, asm.R2)
	if head < 8 {
		k.add(asm.RSh.Imm(asm.R4, int32(64-8*head)), asm.LSh.Imm(asm.R4, int32(64-8*head)))
	}
	k.ifReg(asm.JNE, asm.R4, asm.R3, next)
	// Before there are that many bytes, the zeros of R2 are no text.
	k.if_(asm.JLT, scratch, int32(head-1), next)
	if n > 8 {
		k.if_(asm.JGT, scratch, int32(within-(n-7)), next)
		for i, c := range t.Literal[8:] {
			k.loadSize(asm.R4, asm.R1, 1+i, 1)
			k.if_(asm.JNE, asm.R4, int32(c), next)
		}
	}
	k.jump(e.yes)
	k.place(next)
	k.add(asm.Add.Imm(scratch, 1))
	k.load(asm.R1, frame, last)
	k.ifReg(asm.JLE, scratch, asm.R1, loop)
	k.place(missed)
	k.load(asm.R1, frame, length)
	k.if_(asm.JGT, asm.R1, int32(within), e.unreadable)
	k.jump(e.no)
}
