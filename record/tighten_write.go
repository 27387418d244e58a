package record

import (
	"encoding/binary"
	"slices"

	"ri/record/format"
)

func little(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

// typedHead is about what a type takes besides its addresses, in addresses.
const typedHead = 1 << 8

// writeTyped writes as what memory was looked at, as far as it is kept still. It is done once.
func (t *tightener) writeTyped() error {
	var list []Typed
	held := 0
	flush := func() error {
		defer func() { list, held = nil, 0 }()
		return t.json(typedBlock, list)
	}
	for _, one := range t.typed {
		if len(one.Fields) == 0 {
			continue
		}
		for at := range slices.Chunk(one.At, typedAddresses) {
			part := one
			part.At = slices.Clone(at)
			for i := len(part.At) - 1; i > 0; i-- {
				part.At[i] -= part.At[i-1]
			}
			list = append(list, part)
			if held += len(at) + typedHead; held >= typedAddresses {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	t.typed = nil
	if len(list) == 0 {
		return nil
	}
	return flush()
}

// writeKept writes which texts are still kept. It is done once.
func (t *tightener) writeKept() error {
	list := t.keptList()
	t.kept = nil
	return t.json(keptBlock, list)
}

func (t *tightener) keptList() []Kept {
	list := []Kept{}
	for _, k := range t.kept {
		if k.Constant {
			k.Places = t.left(k.Places)
			list = append(list, k)
		}
	}
	for _, field := range t.sortedFields() {
		if places := t.left(t.keptAs[field].rest()); len(places) > 0 {
			list = append(list, Kept{Field: field, Places: places})
		}
	}
	return list
}

// left leaves out the places of which something is denied at each look.
func (t *tightener) left(places [][2]uint64) [][2]uint64 {
	return slices.DeleteFunc(slices.Clone(places), func(place [2]uint64) bool {
		return !slices.ContainsFunc(t.edits, func(e edits) bool { return !overlaps(e.denied, place[0], place[0]+place[1]) })
	})
}

// overlaps tells whether one of the extents, which are sorted, has bytes from start to end.
func overlaps(list []extent, start, end uint64) bool {
	i, _ := slices.BinarySearchFunc(list, start, func(e extent, addr uint64) int {
		if e.end() <= addr {
			return -1
		}
		return 1
	})
	return i < len(list) && list[i].addr < end
}

// writeTokens leaves out the tokens that nothing leads to any more. The new ones come before those that were there.
func (t *tightener) writeTokens(data []byte, b format.Block) error {
	runs, err := format.ReadMemory(data)
	if err != nil {
		return err
	}
	if err := t.writeFresh(); err != nil {
		return err
	}
	return t.writeRuns(format.TokenBlock, t.stillUsed(runs))
}

// stillUsed leaves out the tokens that nothing leads to any more.
func (t *tightener) stillUsed(runs []format.Memory) (out []format.Memory) {
	for _, run := range runs {
		if run.Kind != format.Tokens {
			out = append(out, run)
			continue
		}
		for at := 0; at < run.Size; { // one run may be several tokens
			n := t.used[run.Addr+uint64(at)]
			if n = min(n, run.Size-at); n > 0 {
				out = append(out, format.Memory{Addr: run.Addr + uint64(at), Size: n, Kind: run.Kind, Data: run.Data[at : at+n]})
			}
			at += max(1, n)
		}
	}
	return out
}

// writeFresh writes the tokens that are new.
func (t *tightener) writeFresh() error {
	fresh := t.fresh
	t.fresh = nil
	size := 0
	var list []format.Memory
	for i, run := range fresh {
		list, size = append(list, run), size+run.Size+16
		if size > memoryBytes || i+1 == len(fresh) {
			if err := t.writeRuns(format.TokenBlock, list); err != nil {
				return err
			}
			list, size = nil, 0
		}
	}
	return nil
}

// writeRuns writes a block of memory, and counts.
func (t *tightener) writeRuns(name string, list []format.Memory) error {
	if len(list) == 0 {
		return nil
	}
	t.counted(name, list)
	last := list[len(list)-1]
	return t.writer.Block(name, format.AppendMemory(nil, list), list[0].Addr, last.Addr+uint64(last.Size))
}

// counted counts what is written.
func (t *tightener) counted(name string, list []format.Memory) {
	c := &t.header.Counts
	for _, run := range list {
		switch {
		case name == format.TokenBlock && run.Kind == format.Tokens:
			c.Tokens++
			c.Replaced += int64(run.Size)
		case name == format.TokenBlock:
		case run.Kind == format.Denied:
			c.Denied += int64(run.Size)
		default:
			c.Kept += int64(run.Size)
		}
	}
}

// writeMemory writes a block of memory as the edits of its look have it.
func (t *tightener) writeMemory(data []byte, b format.Block, look int) error {
	if err := t.writeFresh(); err != nil { // if there were no tokens at all
		return err
	}
	runs, err := format.ReadMemory(data)
	if err != nil || len(runs) == 0 || look > len(t.edits) {
		return err
	}
	e := &t.edits[look-1]
	var out []format.Memory
	for _, run := range runs {
		out = append(out, e.apply(run)...)
	}
	return t.writeRuns(format.MemoryBlock(look), joined(out))
}

// apply gives what becomes of a run.
func (e *edits) apply(run format.Memory) (out []format.Memory) {
	if run.Kind == format.Denied {
		return []format.Memory{run}
	}
	end := run.Addr + uint64(run.Size)
	i, _ := slices.BinarySearchFunc(e.set, run.Addr, func(m format.Memory, addr uint64) int {
		if m.Addr+maxInPlace <= addr { // none is longer
			return -1
		}
		return 1
	})
	if !overlaps(e.denied, run.Addr, end) && (i == len(e.set) || e.set[i].Addr >= end) {
		return []format.Memory{run}
	}
	kinds := slices.Repeat([]format.MemoryKind{run.Kind}, run.Size)
	data := slices.Clone(run.Data)
	for ; i < len(e.set) && e.set[i].Addr < end; i++ {
		for k, x := range e.set[i].Data {
			if at := e.set[i].Addr + uint64(k); at >= run.Addr && at < end {
				data[at-run.Addr], kinds[at-run.Addr] = x, e.set[i].Kind
			}
		}
	}
	i, _ = slices.BinarySearchFunc(e.denied, run.Addr, func(d extent, addr uint64) int {
		if d.end() <= addr {
			return -1
		}
		return 1
	})
	for ; i < len(e.denied) && e.denied[i].addr < end; i++ {
		for at := max(e.denied[i].addr, run.Addr); at < min(e.denied[i].end(), end); at++ {
			kinds[at-run.Addr] = format.Denied
		}
	}
	for from := 0; from < run.Size; {
		to := from + 1
		for to < run.Size && kinds[to] == kinds[from] {
			to++
		}
		m := format.Memory{Addr: run.Addr + uint64(from), Size: to - from, Kind: kinds[from]}
		if m.Kind != format.Denied {
			m.Data = data[from:to]
		}
		out, from = append(out, m), to
	}
	return out
}

// joined makes one of neighbours that are not kept.
func joined(list []format.Memory) []format.Memory {
	out := list[:0]
	for _, m := range list {
		if k := len(out) - 1; k >= 0 && m.Kind == format.Denied && out[k].Kind == m.Kind &&
			out[k].Addr+uint64(out[k].Size) == m.Addr && out[k].Size+m.Size < 1<<31 {
			out[k].Size += m.Size
			continue
		}
		out = append(out, m)
	}
	return out
}
