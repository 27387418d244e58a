package symbols

import "encoding/binary"

// StackMap says which words of a function's frame hold live pointers at a PC, as the collector has it. The function
// table has that in PCDATA_StackMapIndex, FUNCDATA_ArgsPointerMaps, _LocalsPointerMaps and _StackObjects
// (internal/abi/symtab.go, runtime/stkframe.go; the same in Go 1.20 to 1.27).
type StackMap struct {
	Locals     []byte // one bit a word; bit 0 is the word LocalWords words below the end of the locals
	LocalWords int
	Args       []byte // one bit a word, from the first argument on
	ArgWords   int
	ArgBytes   int64 // size of arguments and results; -1 if the table doesn't know it
	Objects    []StackObject
}

// StackObject is a local variable whose address was taken: it is alive only while something points to it.
type StackObject struct {
	Offset   int32 // from the end of the locals if negative, else from the first argument
	Size     int32
	PtrBytes int32  // its pointers lie in so many bytes; negative: what Mask leads to is a program
	Mask     uint32 // offset of its pointer mask, from the module's read-only data
}

// Live gives the words that hold live pointers, as offsets from the frame's CFA; localsEnd is where its locals end.
// Variables that had their address taken are not among them.
func (m *StackMap) Live(localsEnd int32) (offsets []int32) {
	words := func(mask []byte, n, from int32) {
		for i := range n {
			if mask[i/8]>>(i%8)&1 != 0 {
				offsets = append(offsets, from+8*i)
			}
		}
	}
	words(m.Locals, int32(m.LocalWords), localsEnd-int32(8*m.LocalWords))
	words(m.Args, int32(m.ArgWords), 0)
	return offsets
}

// From is where an object begins, as an offset from the frame's CFA.
func (o *StackObject) From(localsEnd int32) int32 {
	if o.Offset < 0 {
		return o.Offset + localsEnd
	}
	return o.Offset
}

const (
	pcdataStackMap   = 1
	funcArgsMap      = 0
	funcLocalsMap    = 1
	funcStackObjects = 2
	argsUnknown      = -1 << 31

	maxStackWords   = 1 << 20 // of one frame
	maxStackObjects = 1 << 12
	maxStackMaps    = 1 << 20 // of one function
)

// StackMap gives the pointers of the frame of the function at a link-time pc. That is a return address less one, or the
// next instruction of a function that was stopped at a safe point. ok is false outside Go code, and for functions
// without maps (assembly).
func (f *File) StackMap(pc uint64) (m *StackMap, ok bool) {
	t := f.pcln
	if t == nil || f.goFunc == 0 {
		return nil, false
	}
	i, ok := t.find(pc)
	if !ok {
		return nil, false
	}
	fn, ok := t.head(i)
	if !ok {
		return nil, false
	}
	entry := t.entry(i)
	track(f.uses, usedStackMaps, entry)
	index := int32(-1)
	if table, ok := fn.pcdata(pcdataStackMap); ok && pc != entry {
		index = t.value(table, entry, pc)
	}
	if index < 0 {
		index = 0 // the prologue: the entry's map holds
	}
	return f.stackMap(fn, index)
}

// stackMap reads a function's index-th map.
func (f *File) stackMap(fn goFunc, index int32) (m *StackMap, ok bool) {
	m = &StackMap{ArgBytes: -1}
	if args := int32(fn.word(2)); args != argsUnknown {
		m.ArgBytes = int64(args)
	}
	locals, ok := fn.funcdata(funcLocalsMap)
	if !ok {
		return nil, false
	}
	if m.Locals, m.LocalWords, ok = f.bitmap(locals, index); !ok {
		return nil, false
	}
	if args, ok := fn.funcdata(funcArgsMap); ok && m.ArgBytes > 0 {
		if m.Args, m.ArgWords, ok = f.bitmap(args, index); !ok {
			return nil, false
		}
	}
	if objects, ok := fn.funcdata(funcStackObjects); ok {
		m.Objects = f.stackObjects(objects)
	}
	return m, true
}

// bitmap reads the index-th map of a runtime.stackmap {n, nbit int32; bytes}.
func (f *File) bitmap(funcdata uint32, index int32) (bits []byte, n int, ok bool) {
	var head [8]byte
	at := f.goFunc + uint64(funcdata)
	if !f.image.copy(head[:], at) {
		return nil, 0, false
	}
	count, nbit := int32(binary.LittleEndian.Uint32(head[:])), int32(binary.LittleEndian.Uint32(head[4:]))
	if nbit == 0 {
		return nil, 0, true
	}
	if count <= index || count > maxStackMaps || nbit < 0 || nbit > maxStackWords {
		return nil, 0, false
	}
	bits = make([]byte, (nbit+7)/8)
	if !f.image.copy(bits, at+8+uint64(index)*uint64(len(bits))) {
		return nil, 0, false
	}
	return bits, int(nbit), true
}

// stackObjects reads the runtime.stackObjectRecords: their number in a word, then four 32-bit integers for each.
func (f *File) stackObjects(funcdata uint32) []StackObject {
	at := f.goFunc + uint64(funcdata)
	var head [8]byte
	if !f.image.copy(head[:], at) {
		return nil
	}
	n := binary.LittleEndian.Uint64(head[:])
	if n > maxStackObjects {
		return nil
	}
	data := make([]byte, 16*n)
	if !f.image.copy(data, at+8) {
		return nil
	}
	out := make([]StackObject, n)
	for i := range out {
		b := data[16*i:]
		out[i] = StackObject{Offset: int32(binary.LittleEndian.Uint32(b)),
			Size:     int32(binary.LittleEndian.Uint32(b[4:])),
			PtrBytes: int32(binary.LittleEndian.Uint32(b[8:])), Mask: binary.LittleEndian.Uint32(b[12:])}
	}
	return out
}
