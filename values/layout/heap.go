package layout

import "ri/symbols"

// Constants of the allocator on 64-bit machines with Linux, the same in Go 1.20 to 1.27.
const (
	PageShift  = 13                            // runtime.pageShift
	ArenaShift = 26                            // runtime.logHeapArenaBytes
	ArenaPages = 1 << (ArenaShift - PageShift) // of an arena
)

// ArenaIndex is the number of the arena that an address lies in: runtime.arenaIndex. base is the processor's ArenaBase.
func ArenaIndex(addr, base uint64) uint64 { return (addr + base) >> ArenaShift }

// Heap is the allocator's and the collector's own structures: runtime/mheap.go, mfinal.go, symtab.go, panic.go.
type Heap struct {
	Group
	Heap     symbols.Var // runtime.mheap_
	AllSpans Field       // of it: []*runtime.mspan
	SweepGen Field
	Arenas   Field // *[...]*runtime.heapArena
	// Bitmap leads from a runtime.heapArena to its pointer bits, which lie in the spans since Go 1.22.
	Bitmap     Field
	Spans      Field // of it: [...]*runtime.mspan, by page
	Span       Span
	Special    Special
	Module     Module
	Finalizers FinalizerBlock
	// InlineMarks is the size of runtime.spanInlineMarkBits, 0 where spans have none.
	InlineMarks int64
	// Defer and Panic lead from a runtime.g to its deferred calls and panics; the rest is of a runtime._defer.
	Defer, Panic, DeferFunc, DeferLink Field
}

// Span is a run of pages.
type Span struct {
	Structure // runtime.mspan
	Start, Pages, Slots, Free, AllocBits, MarkBits,
	SweepGen, Class, State, SlotSize, Specials Field
	LargeType Field // the type of a large object
	Allocated Field // slots taken
}

// Special is what the allocator notes of single objects.
type Special struct {
	Structure                  // runtime.special
	Next, Object, Kind   Field // Object is the offset in the span
	TinyBlock, WeakTable Field // of runtime.mheap: whether the program has these kinds
	CleanupTable         Field

	FinalizerFunc, FinalizerType              Field // of runtime.specialfinalizer
	WeakHandle                                Field // of runtime.specialWeakHandle
	CleanupFunc, CleanupArgument, CleanupCall Field // of runtime.specialCleanup
}

// Module is what the linker tells the runtime of a module.
type Module struct {
	First     symbols.Var // runtime.firstmoduledata
	Structure             // runtime.moduledata
	Data, DataEnd, DataMask, DataWords,
	BSS, BSSEnd, BSSMask, BSSWords,
	ReadOnly, Text, End, Next Field
	// Types and TypesEnd are where its type descriptors lie, and what their names count from. PluginPath is a string:
	// which plugin it is.
	Types, TypesEnd, PluginPath Field
}

// FinalizerBlock is finalizers that are about to run.
type FinalizerBlock struct {
	All               symbols.Var // runtime.allfin: *runtime.finBlock
	Structure                     // runtime.finBlock
	Next, Count, List Field
	Entry             struct {
		Structure      // runtime.finalizer
		Func, Argument Field
	}
}

func (c *compiler) heap(queue *Queue) (l Heap) {
	l.Group = c.group("heap", &queue.Group)
	g := &l.Group
	l.Heap = c.variable(g, "runtime.mheap_")
	h := c.structure(g, "runtime.mheap")
	l.AllSpans, l.Arenas, l.SweepGen = h.required(always, "allspans"), h.required(always, "arenas"),
		h.required(always, "sweepgen")
	arena := c.structure(g, "runtime.heapArena")
	l.Bitmap, l.Spans = arena.optional(until(21), "bitmap"), arena.optional(always, "spans")
	l.Span = c.span(g)
	l.Special = c.special(g, h)
	l.Module = c.module(g)
	l.Finalizers = c.finalizers(g)
	if t, err := c.source.Type("runtime.spanInlineMarkBits"); err == nil {
		l.InlineMarks = t.Size
	}
	own := c.structure(g, "runtime.g")
	l.Defer, l.Panic = own.required(always, "_defer"), own.required(always, "_panic")
	d := c.structure(g, "runtime._defer")
	l.DeferFunc, l.DeferLink = d.required(always, "fn"), d.required(always, "link")
	return l
}

func (c *compiler) span(g *Group) (l Span) {
	s := c.structure(g, "runtime.mspan")
	l.Structure = s
	l.Start, l.Pages, l.SlotSize = s.required(always, "startAddr"), s.required(always, "npages"),
		s.required(always, "elemsize")
	l.Slots, l.Free = s.required(always, "nelems"), s.required(always, "freeIndexForScan", "freeindex")
	l.AllocBits, l.MarkBits = s.required(always, "allocBits"), s.required(always, "gcmarkBits")
	l.SweepGen, l.Class, l.State = s.required(always, "sweepgen"), s.required(always, "spanclass"),
		s.required(always, "state")
	l.Specials = s.required(always, "specials")
	l.LargeType = s.optional(since(22), "largeType")
	l.Allocated = s.optional(always, "allocCount")
	return l
}

func (c *compiler) special(g *Group, heap Structure) (l Special) {
	s := c.structure(g, "runtime.special")
	l.Structure = s
	l.Next, l.Object, l.Kind = s.required(always, "next"), s.required(always, "offset"), s.required(always, "kind")
	l.TinyBlock = heap.optional(since(25), "specialTinyBlockAlloc")
	l.WeakTable = heap.optional(since(23), "specialWeakHandleAlloc")
	l.CleanupTable = heap.optional(since(24), "specialCleanupAlloc")
	f := c.structure(g, "runtime.specialfinalizer")
	l.FinalizerFunc, l.FinalizerType = f.required(always, "fn"), f.required(always, "ot")
	l.WeakHandle = c.ifUsed(g, "runtime.specialWeakHandle").required(since(23), "handle")
	k := c.ifUsed(g, "runtime.specialCleanup")
	l.CleanupFunc = k.required(since(24), "cleanup.fn", "fn")
	l.CleanupArgument = k.optional(since(26), "cleanup.arg")
	l.CleanupCall = k.optional(since(26), "cleanup.call")
	return l
}

func (c *compiler) module(g *Group) (l Module) {
	l.First = c.variable(g, "runtime.firstmoduledata")
	m := c.structure(g, "runtime.moduledata")
	l.Structure = m
	l.Data, l.DataEnd = m.required(always, "data"), m.required(always, "edata")
	l.DataMask, l.DataWords = m.required(always, "gcdatamask.bytedata"), m.required(always, "gcdatamask.n")
	l.BSS, l.BSSEnd = m.required(always, "bss"), m.required(always, "ebss")
	l.BSSMask, l.BSSWords = m.required(always, "gcbssmask.bytedata"), m.required(always, "gcbssmask.n")
	l.ReadOnly, l.Text, l.End = m.required(always, "rodata"), m.required(always, "text"), m.required(always, "end")
	l.Next = m.required(always, "next")
	l.Types, l.TypesEnd = m.optional(always, "types"), m.optional(always, "etypes")
	l.PluginPath = m.optional(always, "pluginpath.str", "pluginpath")
	return l
}

func (c *compiler) finalizers(g *Group) (l FinalizerBlock) {
	l.All = c.variable(g, "runtime.allfin")
	b := c.behind(g, l.All, "runtime.finBlock", true)
	l.Structure = b
	l.Next, l.Count, l.List = b.required(always, "alllink"), b.required(always, "cnt"), b.required(always, "fin")
	f := c.structure(g, "runtime.finalizer")
	l.Entry.Structure = f
	l.Entry.Func, l.Entry.Argument = f.required(always, "fn"), f.required(always, "arg")
	return l
}
