package format

import (
	"encoding/binary"
	"fmt"
)

// Names of the blocks of a trace's hits.
const (
	TraceBlock = "trace" // JSON: what was traced; before the first hits
	HitsBlock  = "hits"  // parts, see Part; many, in the order of time
	EndedBlock = "ended" // JSON: how the trace ended, and what was counted; the last of them
)

// PartKind says what a part of a block of hits is.
type PartKind uint32

const (
	Constants  PartKind = iota + 1 // memory of the program's own that can't change: also of later blocks
	Replaced                       // memory of tokens, for the hits of this block
	Hit                            // JSON: a hit begins
	AtEntry                        // memory that the hit took along at the entry
	AtReturn                       // the same at the return
	KeptTexts                      // JSON: as block kept, of the memory before
	TypedBytes                     // JSON: as block typed, of the memory before
	lastPart
)

// Part is one part of a block of hits: kind (4 bytes), size (4), bytes.
type Part struct {
	Kind PartKind
	Data []byte
}

// AppendPart encodes a part.
func AppendPart(b []byte, kind PartKind, data []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(kind))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// ReadParts decodes a block of hits; the parts share its bytes. Errors: ErrMalformed.
func ReadParts(block []byte) (parts []Part, err error) {
	for len(block) > 0 {
		if len(block) < 8 {
			return nil, fmt.Errorf("a block of hits: %d bytes at its end: %w", len(block), ErrMalformed)
		}
		kind, size := PartKind(binary.LittleEndian.Uint32(block)), binary.LittleEndian.Uint32(block[4:])
		block = block[8:]
		if kind == 0 || kind >= lastPart || uint64(size) > uint64(len(block)) {
			return nil, fmt.Errorf("a block of hits: a part of kind %d with %d bytes, of %d: %w", kind, size, len(block),
				ErrMalformed)
		}
		parts = append(parts, Part{kind, block[:size:size]})
		block = block[size:]
	}
	return parts, nil
}
