package values

import (
	"encoding/binary"

	"ri/symbols"
)

// Part is where a part of a variable lies in a frame that isn't there: by its code alone.
type Part struct {
	Kind     PartKind
	Register int    // of PartRegister: DWARF's number
	Offset   int64  // of PartStack: from the CFA
	Data     []byte // of PartValue: Size bytes
	Size     int64
}

// PartKind says where a part lies.
type PartKind uint8

const (
	PartGone     PartKind = iota // nowhere, or where memory or registers would have to tell
	PartRegister                 // in a register
	PartStack                    // in the frame
	PartValue                    // nowhere: its bytes are known
)

// Locate evaluates the location expression of a variable of so many bytes as far as it needs no process. Errors: those
// of a malformed expression.
func Locate(file *symbols.File, program []byte, size int64) ([]Part, error) {
	s := &Space{file: file, arch: file.Arch()}
	pieces, err := s.locate(program, size, placeCFA, nil)
	if err != nil {
		return nil, err
	}
	parts := make([]Part, len(pieces))
	for i, p := range pieces {
		part := Part{Size: p.size}
		switch off := int64(p.word) - placeCFA; {
		case p.kind == pieceRegister && p.word < 128:
			part.Kind, part.Register = PartRegister, int(p.word)
		case p.kind == pieceMemory && off > -1<<31 && off < 1<<31:
			part.Kind, part.Offset = PartStack, off
		case p.kind == pieceValue && p.data != nil && int64(len(p.data)) >= p.size:
			part.Kind, part.Data = PartValue, p.data[:p.size]
		case p.kind == pieceValue && p.data == nil && p.size <= 8:
			part.Kind, part.Data = PartValue, binary.LittleEndian.AppendUint64(nil, p.word)[:p.size]
		}
		parts[i] = part
	}
	return parts, nil
}
