package heap

import "encoding/binary"

// This file finds what may be called in memory whose types aren't known: all that a stripped program has, nearly. A
// word there counts for whatever it may be: code where an object begins, which is then a closure; a func value of the
// executable's own; an itab, and behind it the receiver.

// untypedCode is what was found.
type untypedCode struct {
	h         *Heap
	closures  map[uint64]*objects // by code address
	receivers map[uint64]*objects // by itab
	itabs     map[uint64]bool     // whether a word leads to one
}

// objects are some, of which not all need be told.
type objects struct {
	addrs []uint64
	more  bool
}

func (o *objects) add(addr uint64) {
	if len(o.addrs) >= maxClosures {
		o.more = true
		return
	}
	o.addrs = append(o.addrs, addr)
}

func addTo(of map[uint64]*objects, key, addr uint64) {
	if of[key] == nil {
		of[key] = &objects{}
	}
	of[key].add(addr)
}

// untyped goes through objects without a type, and without debug information through package data and stacks, too.
func (h *Heap) untyped() *untypedCode {
	u := &untypedCode{h: h, closures: map[uint64]*objects{}, receivers: map[uint64]*objects{}, itabs: map[uint64]bool{}}
	if len(h.modules) == 0 {
		return u
	}
	h.eachLive(func(sp *span, object uint32) bool {
		id, strength := h.types[object]>>2, h.types[object]&3
		if sp.kind == spanNoPointers || strength >= strengthExact && id != 0 && !h.shape(id).partial {
			return true
		}
		skip := sp.header()
		if contents := sp.contents(sp.offset(object)); uint64(len(contents)) > skip {
			u.words(contents[skip:], sp.base(object)+skip)
		}
		return h.ctx.Err() == nil
	})
	if !h.s.File().RuntimeOnly() {
		return u
	}
	for i := range h.modules {
		m := &h.modules[i]
		if data, err := h.bytes(m.start, int(m.end-m.start)); err == nil {
			u.words(data, 0)
		}
	}
	for _, g := range h.goroutines {
		_, sp, _, err := g.Innermost()
		if err != nil {
			sp = g.StackLo
		}
		if sp = max(sp&^7, g.StackLo); sp < g.StackHi && g.StackHi-sp < 1<<31 {
			if data, err := h.bytes(sp, int(g.StackHi-sp)); err == nil {
				u.words(data, 0)
			}
		}
	}
	return u
}

// words goes through words, which are those of an object if it has an address.
func (u *untypedCode) words(data []byte, object uint64) {
	h := u.h
	for at := 0; at+8 <= len(data); at += 8 {
		word := binary.LittleEndian.Uint64(data[at:])
		if !u.inImage(word) {
			continue
		}
		if at == 0 && object != 0 && h.closureAt(object) != 0 {
			addTo(u.closures, word, object)
			continue
		}
		h.staticFunc(word)
		if at+16 <= len(data) && u.isItab(word) {
			addTo(u.receivers, word, binary.LittleEndian.Uint64(data[at+8:]))
		}
	}
}

// inImage tells whether a word leads into a module's code or its read-only data.
func (u *untypedCode) inImage(word uint64) bool {
	for i := range u.h.modules {
		if m := &u.h.modules[i]; word >= m.text && word < m.image {
			return true
		}
	}
	return false
}

// isItab tells whether a word leads to an itab (internal/abi.ITab: Inter, Type, Hash, Fun; Go 1.20 to 1.27), as far as
// that can be told: it has two descriptors, and a function's code.
func (u *untypedCode) isItab(word uint64) bool {
	if is, ok := u.itabs[word]; ok || word%8 != 0 {
		return is
	}
	h, is := u.h, false
	inter, err := h.s.Uint64(word)
	if err == nil && u.inImage(inter) {
		if desc, err := h.s.Uint64(word + 8); err == nil && u.inImage(desc) {
			if pc, err := h.s.Uint64(word + 24); err == nil && u.inImage(pc) {
				info, ok := h.s.PC(pc)
				is = ok && info.Entry+h.s.Bias() == pc
			}
		}
	}
	if len(u.itabs) < maxShapes {
		u.itabs[word] = is
	}
	return is
}
