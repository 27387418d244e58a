package kernel

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"

	"ri/probe"
)

// A condition is decided with words on the stack, before anything is reserved for an event. Words that lie close to
// each other behind the same pointer are one block, read at once; blocks that several comparisons use are read once,
// and remember how that went.

// block is a range of memory behind a pointer.
type block struct {
	base   probe.Base // where pointer is nil
	parent *node
	lo, hi int64
	slot   int // on the stack
	status int // on the stack, of a shared one: 0, or what it failed with
	alone  bool
	users  map[int]bool // comparisons, by number
}

// node is a word that is loaded: eight bytes of a pointer, or the last number.
type node struct {
	block  *block
	base   probe.Base
	parent *node
	off    int64
	size   int
}

const blockSize = 64 // bytes that are read at once at most

// Why a condition is not decided.
const (
	isNil        = 1
	isUnreadable = 2
)

// ends are where a condition jumps to.
type ends struct{ yes, no, null, unreadable label }

func (e ends) fails() fails { return fails{null: e.null, unreadable: e.unreadable, absent: e.null} }

type conditioner struct {
	*generator
	nodes  map[string]*node
	blocks []*block
	leaf   int // the number of the next
	of     map[int][]*block
}

// condition makes the code that decides c.
func (g *generator) condition(c probe.Condition, e ends) {
	if c == nil {
		g.jump(e.yes)
		return
	}
	k := &conditioner{generator: g, nodes: map[string]*node{}, of: map[int][]*block{}}
	before := g.depth
	k.collect(c)
	k.divide()
	k.leaf = 0
	k.decide(c, e, nil)
	g.depth = before
}

// inline turns what a condition says of reads into paths of its own: nothing is captured when it is decided.
func (g *generator) inline(w probe.Word) probe.Word {
	for range len(g.reads) + 1 {
		b := w.Path.Base
		if b.Kind != probe.Item {
			return w
		}
		if b.N < 0 || b.N >= len(g.reads) {
			break
		}
		at := g.reads[b.N].At
		p := probe.Path{Base: at.Base, Steps: slices.Clone(at.Steps), Last: at.Last + b.Off}
		if w.InPlace {
			p.Last += int64(w.Shift / 8)
			w.InPlace, w.Shift = false, 0
		} else {
			p.Steps = append(append(p.Steps, p.Last), w.Path.Steps...)
			p.Last = w.Path.Last
		}
		w.Path = p
	}
	if w.Path.Base.Kind == probe.Item {
		g.fail("a condition names read %d", w.Path.Base.N)
	}
	return w
}

func wordsOf(c probe.Condition) []*probe.Word {
	switch c := c.(type) {
	case probe.Compare:
		if c.With != nil {
			return []*probe.Word{&c.Left, with(c)}
		}
		return []*probe.Word{&c.Left}
	case probe.Text:
		return []*probe.Word{&c.Len, &c.Data}
	}
	return nil
}

// with is the right side in the size and sign of the left.
func with(c probe.Compare) *probe.Word {
	w := *c.With
	w.Size, w.Signed = c.Left.Size, c.Left.Signed
	return &w
}

// collect notes all words of a condition.
func (k *conditioner) collect(c probe.Condition) {
	switch c := c.(type) {
	case probe.And:
		for _, d := range c {
			k.collect(d)
		}
	case probe.Or:
		for _, d := range c {
			k.collect(d)
		}
	case probe.Not:
		k.collect(c.Of)
	default:
		for _, w := range wordsOf(c) {
			k.note(*w)
		}
		k.leaf++
	}
}

// note notes the loads of a word, and gives the last; nil if there is none.
func (k *conditioner) note(w probe.Word) *node {
	w = k.inline(w)
	if !k.sized(w) || w.InPlace {
		return nil
	}
	key := fmt.Sprint(w.Path.Base)
	var n *node
	load := func(off int64, size int) {
		key += fmt.Sprint(" ", off, ":", size)
		if k.nodes[key] == nil {
			k.nodes[key] = &node{base: w.Path.Base, parent: n, off: off, size: size}
		}
		n = k.nodes[key]
		k.put(n)
		n.block.users[k.leaf] = true
	}
	for _, s := range w.Path.Steps {
		load(s, 8)
	}
	load(w.Path.Last, int(w.Size))
	return n
}

// put gives a node a block: one that is there, if that stays small. The stack is read at aligned places only, so a
// block begins at a multiple of eight, as a structure with such a field does. What isn't aligned has a block of its
// own.
func (k *conditioner) put(n *node) {
	if n.block != nil {
		return
	}
	lo, hi := n.off&^7, n.off+int64(n.size)
	aligned := n.off >= 0 && n.off%int64(n.size) == 0
	if !aligned {
		lo = n.off
	}
	for _, b := range k.blocks {
		if aligned && !b.alone && b.parent == n.parent && (n.parent != nil || b.base == n.base) &&
			max(b.hi, hi)-min(b.lo, lo) <= blockSize {
			b.lo, b.hi = min(b.lo, lo), max(b.hi, hi)
			n.block = b
			return
		}
	}
	n.block = &block{base: n.base, parent: n.parent, lo: lo, hi: hi, alone: !aligned, users: map[int]bool{}}
	k.blocks = append(k.blocks, n.block)
}

// divide gives blocks their places on the stack: shared ones for good, those of one comparison in turn.
func (k *conditioner) divide() {
	for _, b := range k.blocks {
		if len(b.users) > 1 {
			b.slot, b.status = k.alloc(int(b.hi-b.lo)), k.alloc(8)
		}
		for leaf := range b.users {
			k.of[leaf] = append(k.of[leaf], b)
		}
	}
	shared, deepest := k.depth, k.depth
	for leaf := range k.leaf {
		k.depth = shared
		for _, b := range k.of[leaf] {
			if len(b.users) == 1 {
				b.slot = k.alloc(int(b.hi - b.lo))
			}
		}
		deepest = max(deepest, k.depth)
	}
	k.depth = deepest
}

// known are the blocks whose reading was tried on all ways to a place.
type known map[*block]bool

func (n known) and(more []*block) known {
	out := known{}
	for b := range n {
		out[b] = true
	}
	for _, b := range more {
		out[b] = true
	}
	return out
}

// decide makes the code of a condition, and gives the shared blocks that it tries to read in any case.
func (k *conditioner) decide(c probe.Condition, e ends, have known) []*block {
	switch c := c.(type) {
	case probe.Not:
		return k.decide(c.Of, ends{yes: e.no, no: e.yes, null: e.null, unreadable: e.unreadable}, have)
	case probe.And:
		return k.several(c, e, have, true)
	case probe.Or:
		return k.several(c, e, have, false)
	case probe.Compare:
		tried := k.prepare(have, e)
		k.decideCompare(c, e)
		k.leaf++
		return tried
	case probe.Text:
		tried := k.prepare(have, e)
		k.text(c, e)
		k.leaf++
		return tried
	case probe.Since:
		if !k.atReturn {
			k.fail("the time since the entry is known at a return only")
			return nil
		}
		k.since()
		k.set64(asm.R2, c.Right)
		k.compare(probe.Compare{Op: c.Op, Left: probe.Word{Size: 8}}, e.yes, e.no)
		k.leaf++
		return nil
	}
	k.fail("a condition of unknown kind %T", c)
	return nil
}

// several is And, where all, or Or: Kleene's. A slot remembers what was not decided before.
func (k *conditioner) several(list []probe.Condition, e ends, have known, all bool) []*block {
	if len(list) == 0 {
		if all {
			k.jump(e.yes)
		} else {
			k.jump(e.no)
		}
		return nil
	}
	if len(list) == 1 {
		return k.decide(list[0], e, have)
	}
	slot := k.alloc(8)
	k.set(asm.R1, 0)
	k.store(frame, slot, asm.R1)
	var first []*block
	for i, c := range list {
		next, null, unreadable := k.label(), k.label(), k.label()
		one := ends{yes: next, no: e.no, null: null, unreadable: unreadable}
		if !all {
			one.yes, one.no = e.yes, next
		}
		tried := k.decide(c, one, have)
		if i == 0 {
			first = tried
		}
		have = have.and(tried)
		k.undecided(slot, null, isNil, next)
		k.undecided(slot, unreadable, isUnreadable, next)
		k.place(next)
	}
	k.load(asm.R1, frame, slot)
	decided := e.yes
	order := []struct {
		bit int32
		to  label
	}{{isNil, e.null}, {isUnreadable, e.unreadable}}
	if !all {
		// Of an Or the part that could not be read may have been true; that of the nil was not.
		decided = e.no
		slices.Reverse(order)
	}
	for _, o := range order {
		k.if_(asm.JSet, asm.R1, o.bit, o.to)
	}
	k.jump(decided)
	return first
}

func (k *conditioner) undecided(slot int, from label, bit int32, next label) {
	k.place(from)
	k.load(asm.R1, frame, slot)
	k.add(asm.Or.Imm(asm.R1, bit))
	k.store(frame, slot, asm.R1)
	k.jump(next)
}

// prepare reads the blocks of a comparison, the shared ones first, and jumps where one can't be read.
func (k *conditioner) prepare(have known, e ends) (tried []*block) {
	mine := slices.Clone(k.of[k.leaf])
	slices.SortStableFunc(mine, func(a, b *block) int { return cmp.Compare(depthOf(a), depthOf(b)) })
	for _, b := range mine {
		if len(b.users) > 1 && !have[b] {
			k.readShared(b)
			tried = append(tried, b)
		}
	}
	for _, b := range mine {
		if len(b.users) > 1 {
			k.load(asm.R1, frame, b.status)
			k.if_(asm.JEq, asm.R1, isNil, e.null)
			k.if_(asm.JNE, asm.R1, 0, e.unreadable)
		}
	}
	for _, b := range mine {
		if len(b.users) == 1 {
			k.readBlock(b, e.fails())
		}
	}
	return tried
}

func depthOf(b *block) int {
	if b.parent == nil {
		return 0
	}
	return 1 + depthOf(b.parent.block)
}

// readBlock reads a block, whose pointer's block has been read.
func (k *conditioner) readBlock(b *block, f fails) {
	if b.parent == nil {
		k.base(b.base, scratch, f)
		k.notNil(b.base, f)
	} else {
		k.load(scratch, frame, b.parent.place())
		k.if_(asm.JEq, scratch, 0, f.null)
	}
	args := len(k.code)
	k.mov(asm.R3, scratch)
	k.plus(asm.R3, b.lo)
	k.addr(asm.R1, b.slot)
	k.set(asm.R2, int32(b.hi-b.lo))
	k.copyUser(args, f.unreadable)
}

func (n *node) place() int { return n.block.slot + int(n.off-n.block.lo) }

// readShared reads a block that others use too, and notes how that went.
func (k *conditioner) readShared(b *block) {
	f := fails{null: k.label(), unreadable: k.label()}
	f.absent = f.null
	if b.parent != nil {
		// A pointer's block that failed makes this one fail alike.
		k.load(asm.R1, frame, b.parent.block.status)
		k.if_(asm.JEq, asm.R1, isNil, f.null)
		k.if_(asm.JNE, asm.R1, 0, f.unreadable)
	}
	k.readBlock(b, f)
	k.set(asm.R1, 0)
	noted := k.label()
	k.jump(noted)
	k.place(f.null)
	k.set(asm.R1, isNil)
	k.jump(noted)
	k.place(f.unreadable)
	k.set(asm.R1, isUnreadable)
	k.place(noted)
	k.store(frame, b.status, asm.R1)
}

// value puts a word of the condition into a register, once its blocks are read.
func (k *conditioner) value(w probe.Word, to asm.Register, e ends) {
	w = k.inline(w)
	if !k.sized(w) {
		return
	}
	if w.InPlace {
		k.base(w.Path.Base, to, e.fails())
		if w.Shift > 0 {
			k.add(asm.RSh.Imm(to, int32(w.Shift)))
		}
	} else {
		n := k.note(w)
		k.loadSize(to, frame, n.place(), n.size)
	}
	k.extend(to, int(w.Size), w.Signed)
}

func (k *conditioner) decideCompare(c probe.Compare, e ends) {
	if c.Float && c.Left.Size != 4 && c.Left.Size != 8 {
		k.fail("a float of %d bytes", c.Left.Size)
		return
	}
	k.value(c.Left, asm.R1, e)
	if c.With != nil {
		k.value(*with(c), asm.R2, e)
	} else {
		k.set64(asm.R2, constant(c))
	}
	k.compare(c, e.yes, e.no)
}

// constant is the right side in the size and sign of the left.
func constant(c probe.Compare) uint64 {
	bits := 64 - 8*uint(c.Left.Size)
	if c.Left.Signed && !c.Float {
		return uint64(int64(c.Right<<bits) >> bits)
	}
	return c.Right << bits >> bits
}
