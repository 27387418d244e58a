package format

import (
	"encoding/binary"
	"fmt"
)

// HeapBlock has what was asked of the heap in a look, 1 being the first, and what was answered.
func HeapBlock(look int) string { return fmt.Sprintf("heap/%d", look) }

// MemoryBlock is the name of the blocks of memory of a look, of which 1 is the first. They are in order of address.
func MemoryBlock(look int) string { return fmt.Sprintf("memory/%d", look) }

// LookBlock is the name of the block of what is known of a look besides memory.
func LookBlock(look int) string { return fmt.Sprintf("look/%d", look) }

// Names of other blocks.
const (
	TokenBlock   = "tokens"
	ProcessBlock = "process"
	// OriginsBlock says where headers led whose texts are tokens now: pairs of the header's address and the pointer
	// that was there, 8 bytes each, in order of address. The heap is walked by them.
	OriginsBlock = "origins"
)

// Memory is a run of bytes of the target.
type Memory struct {
	Addr uint64
	Size int
	Kind MemoryKind
	Data []byte // Size bytes; nil of what is Denied
}

// MemoryKind says what the bytes of a run are.
type MemoryKind uint32

const (
	Data   MemoryKind = iota // as they were
	Tokens                   // of contents that aren't kept
	Denied                   // nothing: they were looked at, and are not kept
	lastKind
)

// A block of memory is the number of its runs (4 bytes); of each run address (8), size (4) and kind (4); then the bytes
// of all runs that have any, one after the other. Numbers are little-endian. Runs are in order of address and don't
// overlap.
const (
	runSize = 16
	maxRuns = 1 << 20
)

// AppendMemory encodes runs as a block.
func AppendMemory(b []byte, runs []Memory) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(runs)))
	for _, r := range runs {
		b = AppendRun(b, r.Addr, r.Size, r.Kind)
	}
	for _, r := range runs {
		b = append(b, r.Data...)
	}
	return b
}

// AppendRun encodes what is said of a run before the bytes.
func AppendRun(b []byte, addr uint64, size int, kind MemoryKind) []byte {
	b = binary.LittleEndian.AppendUint64(b, addr)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	return binary.LittleEndian.AppendUint32(b, uint32(kind))
}

// ReadMemory decodes a block of memory; the runs share its bytes. Errors: ErrMalformed.
func ReadMemory(block []byte) ([]Memory, error) {
	bad := func(format string, args ...any) ([]Memory, error) {
		return nil, fmt.Errorf("a block of memory: %s: %w", fmt.Sprintf(format, args...), ErrMalformed)
	}
	if len(block) < 4 {
		return bad("%d bytes", len(block))
	}
	n := int(binary.LittleEndian.Uint32(block))
	if n > maxRuns || n > (len(block)-4)/runSize {
		return bad("%d runs in %d bytes", n, len(block))
	}
	head, data := block[4:4+n*runSize], block[4+n*runSize:]
	runs := make([]Memory, n)
	end := uint64(0)
	for i := range runs {
		h := head[i*runSize:]
		r := Memory{Addr: binary.LittleEndian.Uint64(h), Size: int(binary.LittleEndian.Uint32(h[8:])),
			Kind: MemoryKind(binary.LittleEndian.Uint32(h[12:]))}
		if r.Addr < end || r.Addr+uint64(r.Size) < r.Addr || r.Size == 0 || r.Kind >= lastKind {
			return bad("run %d: address %#x, %d bytes, kind %d", i, r.Addr, r.Size, r.Kind)
		}
		end = r.Addr + uint64(r.Size)
		if r.Kind != Denied {
			if r.Size > len(data) {
				return bad("run %d has %d bytes, the block %d more", i, r.Size, len(data))
			}
			r.Data, data = data[:r.Size:r.Size], data[r.Size:]
		}
		runs[i] = r
	}
	if len(data) > 0 {
		return bad("%d bytes belong to no run", len(data))
	}
	return runs, nil
}
