package values

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"ri/attach"
	"ri/symbols"
	"ri/values/layout"
)

// StackGroup is the goroutines that are in the same state with the same stack.
type StackGroup struct {
	Status, WaitReason string
	Count              int
	IDs                []int64
	Wait               time.Duration     // the longest, see Goroutine
	Frames             []Frame           // without CFA and variables: they are nobody's
	Broken             error             // where unwinding broke off, of the first of them
	Labels             map[string]string // pprof labels, if they were asked for
	CreatedBy          symbols.Line      // the go statement of the first of them

	Addrs []uint64 // of the runtime.g of each of IDs
}

const (
	// Below fewGoroutines their stacks' pages are copied like any other.
	fewGoroutines = 1000
	// firstPiece is how much of a stack is read at first: most parked goroutines' frames fit, in bytes.
	firstPiece = 512
	// stackBatch is how many goroutines' stacks are read in one go.
	stackBatch = 4096
	// memoryLasts is for how long an unchanged goroutine is believed not to have run: see StackMemo.
	memoryLasts = 10 * time.Second
)

// StackMemo remembers the stacks of parked goroutines from one look to the next, so that a snapshot need not copy them.
//
// The runtime counts in g.trackingSeq how often a goroutine has stopped running (runtime.casgstatus, Go 1.17 to 1.27).
// One that waited before and waits now, and whose count, saved PC and depth are the same, has not run in between, so
// the return addresses that were read in between are those that are there now. The count has 8 bits: a goroutine is
// only believed if it didn't run at all while the stacks were first read, and not for long ([Space.KeepStacks] has it
// believed for longer); all others' stacks are copied in the stop.
type StackMemo struct {
	limit  int
	seen   time.Time // when it was last seen that no goroutine which is remembered has run
	nodes  []stackNode
	next   map[stackStep]int32
	parked []parked // by index in runtime.allgs
	known  bool     // parked was filled
	stackReads
}

// stackNode is a function on a stack, under those that called it: stacks are paths in a tree, which is as small as the
// program's ways to wait are few.
type stackNode struct {
	pc     uint64
	parent int32 // -1: it is innermost
	depth  int32
	exact  bool  // pc is where it was interrupted, not a return address
	size   int64 // from SP to the end of its return address; 0: not known
	top    bool  // a stack ends here
	signal bool  // what is below it was interrupted
}

type stackStep struct {
	from int32 // -1 and -2: none, with a return address and with an exact PC
	pc   uint64
}

type parked struct {
	addr, pc, depth uint64
	id              int64
	leaf            int32
	seq             uint8
}

// gFields are a goroutine's as far as grouping needs them.
type gFields struct {
	parked
	index  int
	sp, hi uint64
	wait   time.Duration
	labels uint64 // address
	status uint32
	reason uint8
}

// stackKey tells groups apart.
type stackKey struct {
	status uint32
	reason uint8
	leaf   int32
	broken bool
	labels int32 // index in grouping.labels
}

// StackOptions says what Stacks looks at.
type StackOptions struct {
	System bool          // the runtime's own goroutines too
	Limit  int           // functions of each stack, 0: 256
	Labels bool          // tell goroutines with different pprof labels apart
	Wait   time.Duration // only those that are known to wait for at least so long
	Check  func()
}

// grouping is one run of Stacks.
type grouping struct {
	s      *Space
	l      *goroutineLayout
	opt    StackOptions
	memo   *StackMemo
	groups map[stackKey]*StackGroup
	list   []*StackGroup
	starts map[uint64]startKind // by the PC where goroutines start
	labels labelSets

	direct  attach.RangeReader // live memory, not through the cache; nil: everything goes through it
	waiting []gFields          // whose stacks are to be read directly
	buffer  []byte
	ranges  []attach.Range
}

// Stacks groups all goroutines by state and stack. A hundred thousand are ordinary: nothing is made for a single one of
// them.
func (s *Space) Stacks(opt StackOptions, memo *StackMemo) ([]*StackGroup, error) {
	l, _, n, err := s.allGoroutines()
	if err != nil {
		return nil, err
	}
	if opt.Labels && !l.Labels.Known() {
		return nil, s.noLabels()
	}
	if opt.Limit <= 0 {
		opt.Limit = 256
	}
	g := &grouping{s: s, l: l, opt: opt, memo: memo, groups: map[stackKey]*StackGroup{}, starts: map[uint64]startKind{}}
	if memo.next == nil || memo.limit != opt.Limit || s.moment().Sub(memo.seen) > memoryLasts {
		*memo = StackMemo{limit: opt.Limit, seen: time.Now(), next: map[stackStep]int32{}}
	}
	view, live := s.mem.Beneath().(attach.View)
	if reader, ok := view.(attach.RangeReader); ok && live && view.Kind() == attach.Live && !memo.known &&
		n > fewGoroutines && l.Switches.Known() {
		g.direct = reader
		memo.parked = make([]parked, n)
	}
	for raw, err := range s.Raws(opt.Check) {
		if err == nil {
			err = g.goroutine(&raw)
		}
		if err != nil {
			return g.list, err
		}
	}
	if err := g.flush(); err != nil {
		return g.list, err
	}
	if g.direct != nil {
		memo.known = true
		if err := g.forgetTheBusy(); err != nil {
			return g.list, err
		}
	}
	s.remembered = memo
	return g.list, nil
}

// goroutine puts one goroutine into its group, or among those whose stacks are read together.
func (g *grouping) goroutine(raw *Raw) error {
	if !g.opt.System && g.isSystem(raw) {
		return nil
	}
	g.s.values++
	f := g.fields(raw)
	if f.wait < g.opt.Wait {
		return nil
	}
	parks := f.status == statusWaiting && f.sp >= g.l.Lo.Uint(raw.Bytes) && f.sp < f.hi
	switch {
	case parks && g.direct != nil:
		if g.waiting = append(g.waiting, f); len(g.waiting) == stackBatch {
			return g.flush()
		}
	case parks && g.remembered(&f):
		g.add(&f, f.leaf, nil)
	case parks:
		leaf, err := g.unwind(&f, -1, f.pc, f.sp, g.s.Uint64)
		g.add(&f, leaf, err)
	default:
		g.running(raw, &f)
	}
	return nil
}

// isSystem tells whether a goroutine is the runtime's own.
func (g *grouping) isSystem(raw *Raw) bool {
	at := g.l.StartPC.Uint(raw.Bytes)
	start, ok := g.starts[at]
	if !ok {
		info, found := g.s.PC(at)
		start = startKind{found && isSystem(info.Func), found && callsBack(info.Func)}
		g.starts[at] = start
	}
	if start.callsBack {
		return g.s.goroutine(raw).System
	}
	return start.system
}

// startKind is what a goroutine is by where it starts.
type startKind struct{ system, callsBack bool }

// fields are those of a goroutine that grouping needs.
func (g *grouping) fields(raw *Raw) gFields {
	l, b := g.l, raw.Bytes
	f := gFields{index: raw.index, status: raw.status}
	f.addr, f.id = raw.Addr, int64(l.ID.Uint(b))
	f.sp, f.hi = l.SP.Uint(b), l.Hi.Uint(b)
	f.pc, f.depth = l.PC.Uint(b), f.hi-f.sp
	f.seq = uint8(l.Switches.Uint(b))
	f.wait = raw.wait(g.s.now)
	if f.status == statusWaiting {
		f.reason = uint8(l.WaitReason.Uint(b))
	}
	if g.opt.Labels {
		f.labels = l.Labels.Uint(b)
	}
	return f
}

// remembered tells whether a goroutine has not run since its stack was read.
func (g *grouping) remembered(f *gFields) bool {
	if f.index >= len(g.memo.parked) {
		return false
	}
	p := &g.memo.parked[f.index]
	f.leaf = p.leaf
	return f.parked == *p
}

// running adds a goroutine that isn't parked on its own stack.
func (g *grouping) running(raw *Raw, f *gFields) {
	one := g.s.goroutine(raw)
	g.s.values--
	pc, sp, regs, err := one.Innermost()
	leaf, root := int32(-1), int32(-1)
	if regs != nil {
		root = -2
	}
	if err == nil {
		leaf, err = g.unwind(f, root, pc, sp, g.s.Uint64)
	}
	g.add(f, leaf, err)
}

// flush reads and unwinds the stacks of those that wait for it.
func (g *grouping) flush() error {
	if len(g.waiting) == 0 {
		return nil
	}
	if g.buffer == nil {
		g.buffer = make([]byte, stackBatch*firstPiece)
	}
	g.ranges = g.ranges[:0]
	for i := range g.waiting {
		f := &g.waiting[i]
		g.ranges = append(g.ranges, attach.Range{Addr: f.sp, Data: g.buffer[i*firstPiece:][:min(f.depth, firstPiece)]})
	}
	if err := g.direct.ReadRanges(g.ranges); err != nil {
		return err
	}
	var more [4096]byte
	for i := range g.waiting {
		f, piece := &g.waiting[i], g.ranges[i].Data[:g.ranges[i].N]
		base := f.sp
		leaf, err := g.unwind(f, -1, f.pc, f.sp, func(addr uint64) (uint64, error) {
			if off := addr - base; off >= uint64(len(piece)) || uint64(len(piece))-off < 8 {
				n, err := g.direct.ReadMemory(more[:min(f.hi-addr, uint64(len(more)))], addr)
				if n < 8 {
					return 0, err
				}
				base, piece = addr, more[:n]
			}
			return binary.LittleEndian.Uint64(piece[addr-base:]), nil
		})
		if err == nil {
			f.leaf = leaf
			g.memo.parked[f.index] = f.parked
		}
		g.add(f, leaf, err)
	}
	g.waiting = g.waiting[:0]
	return nil
}

// forgetTheBusy looks at the remembered goroutines again, and goes through the stacks of those that ran meanwhile by
// way of the cache, so that a snapshot has their pages.
func (g *grouping) forgetTheBusy() error {
	l := g.l
	low := min(l.Status.Offset, l.Switches.Offset)
	size := max(l.Status.Offset+l.Status.Size, l.Switches.Offset+l.Switches.Size) - low
	status, switches := layout.Field{Offset: l.Status.Offset - low, Size: l.Status.Size},
		layout.Field{Offset: l.Switches.Offset - low, Size: l.Switches.Size}
	var indexes []int
	buffer := make([]byte, stackBatch*size)
	check := func() error {
		if err := g.direct.ReadRanges(g.ranges); err != nil {
			return err
		}
		for k, i := range indexes {
			p, r := &g.memo.parked[i], &g.ranges[k]
			if r.N == len(r.Data) && uint8(switches.Uint(r.Data)) == p.seq &&
				uint32(status.Uint(r.Data))&^statusScan == statusWaiting {
				continue
			}
			if b, err := g.s.Structure(p.addr, &l.Structure); err == nil {
				f := gFields{sp: l.SP.Uint(b), hi: l.Hi.Uint(b)}
				f.depth = f.hi - f.sp
				g.unwind(&f, -1, l.PC.Uint(b), f.sp, g.s.Uint64)
			}
			*p = parked{}
		}
		indexes, g.ranges = indexes[:0], g.ranges[:0]
		return nil
	}
	g.ranges = g.ranges[:0]
	for i := range g.memo.parked {
		p := &g.memo.parked[i]
		if p.addr == 0 {
			continue
		}
		g.ranges = append(g.ranges, attach.Range{Addr: p.addr + uint64(low), Data: buffer[len(indexes)*int(size):][:size]})
		if indexes = append(indexes, i); len(indexes) == stackBatch {
			if err := check(); err != nil {
				return err
			}
		}
	}
	return check()
}

var errNoFrame = errors.New("no frame")

// unwind finds the path of a stack, innermost function first, and gives its last node.
func (g *grouping) unwind(f *gFields, from int32, pc, sp uint64, word func(uint64) (uint64, error)) (int32, error) {
	for n, slot := 0, uint64(0); ; n++ {
		at, err := g.step(from, pc)
		if errors.Is(err, symbols.ErrNotRecorded) {
			return max(from, -1), fmt.Errorf("goroutine %d, %d functions up its stack: %w", f.id, n, err)
		}
		if err != nil {
			return max(from, -1),
				fmt.Errorf("goroutine %d: %#x, %d functions up its stack, %w", f.id, pc, n, g.s.notGo(pc))
		}
		g.s.returns(slot)
		node := &g.memo.nodes[at]
		if node.size <= 0 || sp > f.hi || uint64(node.size) > f.hi-sp {
			return max(from, -1),
				fmt.Errorf("goroutine %d: a frame at %#x lies outside its stack, which ends at %#x: %w", f.id, sp, f.hi, ErrCorrupt)
		}
		if node.top || int(node.depth)+1 >= g.opt.Limit {
			return at, nil
		}
		sp += uint64(node.size)
		slot = g.s.arch.ReturnSlot(sp)
		if pc, err = word(slot); err != nil {
			return at, fmt.Errorf("goroutine %d: a return address: %w", f.id, err)
		}
		from = at
	}
}

// step goes to a caller in the tree of stacks.
func (g *grouping) step(from int32, pc uint64) (int32, error) {
	m := g.memo
	if at, ok := m.next[stackStep{from, pc}]; ok {
		return at, nil
	}
	info, ok := g.s.PC(pc)
	if !ok {
		return 0, errNoFrame
	}
	if info.Err != nil {
		return 0, info.Err
	}
	node := stackNode{pc: pc, parent: max(from, -1), exact: from == -2, size: g.s.arch.FrameBytes(info.FrameSize),
		top:    info.TopFrame || info.Func == "runtime.goexit",
		signal: EntersBySignal(info.Func)}
	if info.FrameSize < 0 {
		node.size = 0
	}
	if from >= 0 {
		node.depth, node.exact = m.nodes[from].depth+1, m.nodes[from].signal
	}
	at := int32(len(m.nodes))
	m.nodes = append(m.nodes, node)
	m.next[stackStep{from, pc}] = at
	return at, nil
}

// add counts a goroutine in its group.
func (g *grouping) add(f *gFields, leaf int32, broken error) {
	labels := g.labels.index(g.s, f.labels)
	key := stackKey{f.status, f.reason, leaf, broken != nil, labels}
	group := g.groups[key]
	if group == nil {
		group = &StackGroup{Status: statusName(f.status), Frames: g.frames(leaf), Broken: broken, Labels: g.labels.at(labels)}
		if f.status == statusWaiting && g.l.WaitReason.Known() {
			group.WaitReason = g.l.reason(f.reason)
			if group.WaitReason == semacquire && g.l.sparing {
				group.WaitReason = semaphoreReason(group.Frames[:min(len(group.Frames), maxSemaphore)])
			}
		}
		if g.l.GoPC.Known() && f.id != mainID {
			group.CreatedBy = g.s.createdBy(f.addr)
		}
		g.groups[key] = group
		g.list = append(g.list, group)
	}
	group.Count++
	group.IDs = append(group.IDs, f.id)
	group.Addrs = append(group.Addrs, f.addr)
	group.Wait = max(group.Wait, f.wait)
}

// createdBy gives the go statement of the goroutine whose runtime.g is at an address.
func (s *Space) createdBy(g uint64) (by symbols.Line) {
	if pc, err := s.Field(g, s.gs.GoPC); err == nil && pc != 0 {
		if info, ok := s.PC(pc - 1); ok {
			by = info.Lines[0]
		}
	}
	return by
}

// frames are those of a path.
func (g *grouping) frames(leaf int32) []Frame {
	var path []*stackNode
	for ; leaf >= 0; leaf = g.memo.nodes[leaf].parent {
		path = append(path, &g.memo.nodes[leaf])
	}
	var frames []Frame
	for i := len(path) - 1; i >= 0; i-- {
		frames = append(frames, g.s.FramesAt(path[i].pc, path[i].exact)...)
	}
	return withoutWrappers(frames)
}
