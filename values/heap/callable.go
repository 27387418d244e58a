package heap

import (
	"slices"

	"ri/values"
)

const (
	maxClosures = 64   // objects of one function literal or method value that are told
	maxMethods  = 1024 // of one interface type

	interfaceMethods = 64 // in a descriptor: how many methods the interface has
)

// Callable gives the code that somebody may call: that of the func values, and the methods of the interface values,
// that something alive leads to.
func (h *Heap) Callable() *values.Callable {
	c := &values.Callable{Leading: h.lead}
	untyped := h.untyped()
	closures := map[uint64]*values.CallableFunc{} // by code address
	byShape := map[uint32]*values.CallableFunc{}
	for pc, id := range h.closures {
		if id != 0 {
			closures[pc] = &values.CallableFunc{Entry: pc - h.s.Bias()}
			byShape[id] = closures[pc]
		}
	}
	h.eachLive(func(sp *span, object uint32) bool {
		if f := byShape[h.types[object]>>2]; f != nil {
			if f.Objects = append(f.Objects, sp.base(object)+sp.header()); len(f.Objects) > maxClosures {
				f.Objects, f.More = f.Objects[:maxClosures], true
			}
		}
		return true
	})
	for pc, found := range untyped.closures {
		if f := closures[pc]; f != nil {
			f.Objects, f.More = append(f.Objects, found.addrs...), f.More || found.more
		}
	}
	for addr := range h.staticFuncs {
		if pc, err := h.s.Uint64(addr); err == nil && closures[pc] == nil {
			if info, ok := h.s.PC(pc); ok && info.Entry+h.s.Bias() == pc {
				closures[pc] = &values.CallableFunc{Entry: pc - h.s.Bias()}
			}
		}
	}
	for _, f := range closures {
		c.Closures = append(c.Closures, *f)
	}
	for itab := range untyped.receivers {
		h.itabType(itab)
	}
	type method struct {
		entry    uint64
		receiver uint32
	}
	methods := map[method]*values.CallableMethod{}
	for itab, desc := range h.itabs {
		if desc == 0 {
			continue
		}
		receiver := h.dynamicOf(desc).slot.target
		for _, pc := range h.itabMethods(itab) {
			key := method{pc - h.s.Bias(), receiver}
			if methods[key] == nil {
				methods[key] = &values.CallableMethod{Entry: key.entry, Receiver: receiver}
			}
			if found := untyped.receivers[itab]; found != nil {
				m := methods[key]
				m.Objects, m.More = append(m.Objects, found.addrs...), m.More || found.more
			}
		}
	}
	for _, m := range methods {
		c.Methods = append(c.Methods, *m)
	}
	slices.SortFunc(c.Closures, func(a, b values.CallableFunc) int { return int(int64(a.Entry - b.Entry)) })
	slices.SortFunc(c.Methods, func(a, b values.CallableMethod) int { return int(int64(a.Entry - b.Entry)) })
	return c
}

// itabMethods gives the code of the methods in an itab (internal/abi.ITab: Inter, Type, Hash, Fun; Go 1.20 to 1.27),
// as many as the interface has (internal/abi.InterfaceType: PkgPath, Methods).
func (h *Heap) itabMethods(itab uint64) (out []uint64) {
	inter, err := h.s.Uint64(itab)
	if err != nil {
		return nil
	}
	n, err := h.s.Uint64(inter + interfaceMethods)
	if err != nil {
		return nil
	}
	for i := range min(n, maxMethods) {
		pc, err := h.s.Uint64(itab + 24 + 8*i)
		if err != nil {
			break
		}
		if info, ok := h.s.PC(pc); ok && info.Entry+h.s.Bias() == pc {
			out = append(out, pc)
		}
	}
	return out
}

// isShared tells of a root whether several things lead to what lies there, of which only the first was kept.
func (h *Heap) isShared(ref uint32) bool {
	for ref&rootFlag != 0 && ref != noParent {
		r := &h.roots[ref&^rootFlag]
		if r.kind != rootStatic {
			return false
		}
		if h.shared[r.addr] {
			return true
		}
		ref = r.parent
	}
	return false
}

// lead tells what leads to what lies at an address.
func (h *Heap) lead(addr uint64) (*values.Leading, error) {
	l := &values.Leading{Goroutines: map[int64]bool{}}
	if sp, _ := h.find(addr); sp == nil {
		for _, v := range h.s.File().AllVars() { // those without pointers, too, which h.vars lacks
			if at := addr - h.s.Bias(); at >= v.Addr && at-v.Addr < uint64(v.Type.Size) {
				l.Variables = append(l.Variables, [2]uint64{v.Addr, v.Addr + uint64(v.Type.Size)})
			}
		}
		// What the compiler placed in the data sections without a variable of its own ("var pool = &Pool{}") is led to by
		// pointers of which only the first was kept.
		l.All = len(l.Variables) == 0
		l.Object, l.Type = func(uint64) bool { return false }, func(uint32) bool { return false }
		return l, nil
	}
	seen, truncated, err := h.leading(addr, MaxUsers, func(ref uint32) uint32 {
		l.All = l.All || h.isShared(ref)
		r, via := h.origin(ref)
		if r == nil {
			return via
		}
		switch r.kind {
		case rootVar:
			v := &h.vars[r.index]
			l.Variables = append(l.Variables, [2]uint64{v.Addr - h.s.Bias(), v.Addr - h.s.Bias() + uint64(v.Type.Size)})
		case rootFrame, rootRegisters, rootGoroutine:
			l.Goroutines[r.goroutine] = true
		default:
			l.All = true
		}
		return noParent
	})
	if err != nil {
		return nil, err
	}
	l.All, l.Objects = l.All || truncated, len(seen)
	types := map[uint32]bool{}
	for object := range seen {
		types[h.types[object]>>2] = true
	}
	delete(types, 0)
	l.Type = func(id uint32) bool { return types[id] }
	l.Object = func(addr uint64) bool {
		sp, slot := h.find(addr)
		return sp != nil && seen[sp.first+slot]
	}
	return l, nil
}
