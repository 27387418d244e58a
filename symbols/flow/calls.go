package flow

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// This file tells which functions a function calls or makes func values of, without following what it does: so
// cheaply that a whole program may be gone through.

// Call is one that a function makes, or the making of a func value, which somebody may call; or a use of static data.
type Call struct {
	Target uint64 // entry, or the data's address
	At     uint64
}

// callsOf are a function's calls, the static data that it refers to, and where its blocks go on.
type callsOf struct {
	calls, refs []Call
	next        map[uint64][]uint64
}

// CallsAt gives what the function around a link-time pc may still call behind pc, and the addresses of static data
// that it may still use; what is at pc itself only if next. Nil where its code can't be read.
func (p *Program) CallsAt(pc uint64, next bool) (calls, refs []Call) {
	info, ok := p.file.PC(pc)
	if !ok {
		return nil, nil
	}
	c := p.callsOf(info.Entry)
	if c == nil {
		return nil, nil
	}
	if pc == info.Entry {
		return c.calls, c.refs
	}
	ahead := reachable(c.next, pc, next)
	behind := func(list []Call) (out []Call) {
		for _, call := range list {
			if ahead(call.At) {
				out = append(out, call)
			}
		}
		return out
	}
	return behind(c.calls), behind(c.refs)
}

func (p *Program) callsOf(entry uint64) *callsOf {
	if c, ok := p.outgoing[entry]; ok {
		return c
	}
	p.outgoing[entry] = nil
	code, at := p.code(entry)
	info, ok := p.file.PC(entry)
	if code == nil || !ok || at != entry {
		return nil
	}
	r := &run{p: p, f: &Function{info: info, code: code}}
	leaders, ok := r.leaders()
	if !ok {
		return nil
	}
	c := &callsOf{next: r.edges(leaders)}
	for off := 0; off < len(code); {
		inst, err := decode(code[off:])
		if err != nil {
			break
		}
		pc := entry + uint64(off)
		off += inst.Len
		next := entry + uint64(off)
		if rel, direct := inst.Args[0].(x86asm.Rel); direct {
			to := next + uint64(int64(rel))
			if inst.Op == x86asm.CALL || inst.Op == x86asm.JMP && (to < entry || to >= info.End) {
				c.calls = append(c.calls, Call{to, pc})
			}
			continue
		}
		for _, arg := range inst.Args {
			m, ok := arg.(x86asm.Mem)
			if !ok || m.Base != x86asm.RIP {
				continue
			}
			at := next + uint64(m.Disp)
			if target, is := p.functionAt(at); is {
				c.calls = append(c.calls, Call{target, pc})
			} else {
				c.refs = append(c.refs, Call{at, pc})
			}
		}
	}
	p.outgoing[entry] = c
	return c
}

// UseOf tells what a function does that is one of those that use a channel or WaitGroup, or the func that a method
// value of one is ("wg.Done"); ok is false of others.
func (p *Program) UseOf(entry uint64) (kind UseKind, ok bool) {
	info, ok := p.file.PC(entry)
	if !ok || info.Entry != entry {
		return 0, false
	}
	kind, ok = p.useOf[strings.TrimSuffix(info.Func, "-fm")]
	return kind, ok
}

// reachable tells of places in a function whether a way leads there from pc, next says whether from pc itself on.
func reachable(next map[uint64][]uint64, pc uint64, itself bool) func(at uint64) bool {
	block := func(pc uint64) (begin uint64) {
		for at := range next {
			if at <= pc && at > begin {
				begin = at
			}
		}
		return begin
	}
	here := block(pc)
	reached, work := map[uint64]bool{}, slices.Clone(next[here])
	for len(work) > 0 {
		at := work[len(work)-1]
		work = work[:len(work)-1]
		if !reached[at] {
			reached[at] = true
			work = append(work, next[at]...)
		}
	}
	return func(at uint64) bool {
		in := block(at)
		return reached[in] || in == here && (at > pc || itself && at == pc)
	}
}

// Around tells of places in the function around a link-time pc whether a way leads there from pc on which none of the
// calls at some places comes first; a call at pc itself counts if next. All are reached where the code can't be read.
func (p *Program) Around(pc uint64, next bool, calls []uint64) func(at uint64) bool {
	info, ok := p.file.PC(pc)
	var c *callsOf
	if ok {
		c = p.callsOf(info.Entry)
	}
	if c == nil {
		return func(uint64) bool { return true }
	}
	blocks := slices.Sorted(maps.Keys(c.next))
	block := func(pc uint64) (begin, end uint64) {
		i := blockAt(blocks, pc)
		if end = info.End; i+1 < len(blocks) {
			end = blocks[i+1]
		}
		return blocks[i], end
	}
	// first is the first of the calls in the block of a place, from there on.
	first := func(pc uint64, itself bool) (at uint64, ok bool) {
		_, end := block(pc)
		for _, call := range calls {
			if (call > pc || itself && call == pc) && call < end && (!ok || call < at) {
				at, ok = call, true
			}
		}
		return at, ok
	}
	until := map[uint64]uint64{} // of each block that is reached
	var work []uint64
	here, end := block(pc)
	if stop, ok := first(pc, next); ok {
		end = stop + 1
	} else {
		work = append(work, c.next[here]...)
	}
	for len(work) > 0 {
		at := work[len(work)-1]
		work = work[:len(work)-1]
		if until[at] != 0 {
			continue
		}
		if stop, ok := first(at, true); ok {
			until[at] = stop + 1
		} else {
			_, until[at] = block(at)
			work = append(work, c.next[at]...)
		}
	}
	return func(at uint64) bool {
		in, _ := block(at)
		return at < until[in] || in == here && (at > pc || next && at == pc) && at < end
	}
}
