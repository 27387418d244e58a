package format

import (
	"errors"
	"hash/crc32"
)

// Version is that of the files which this package writes. It reads all up to it.
//
// In version 1 what is known of the process, its looks and the executable came behind the memory, in one piece each.
const Version = 2

// Limits of a file, in bytes. What claims more is malformed.
const (
	MaxHeader = 1 << 20  // of the header
	MaxBlock  = 64 << 20 // of what a block decompresses to
	MaxIndex  = 1 << 28  // of what the index decompresses to
	maxName   = 256      // of a block's name
	maxBlocks = 1 << 22
)

// Errors that callers test for.
var (
	ErrNotRecording = errors.New("not a recording (ri record makes one; -c reads a core, ri replay one of calls)")
	ErrVersion      = errors.New("a recording of a version that this ri doesn't know")
	ErrMalformed    = errors.New("malformed recording")
	ErrNoBlock      = errors.New("no such block in the recording")
	ErrCutShort     = errors.New("the recording was cut short")
)

// A file begins with one JSON object, padded with spaces to a known size that ends in a line feed. It is written twice:
// when the file begins, and, with the counts, when it ends; into a stream the second time as a block headerName.
const (
	opening    = `{"format": "ri recording", "version": `
	headerUnit = 4096
)

// A block is a frame, a name, and what it stores:
//
//	"riB1"             4 bytes
//	size of the name   2 bytes
//	encoding           2 bytes: 0 as it is, 1 zstd
//	size stored        8 bytes
//	size              8 bytes, decompressed
//	checksum          4 bytes, CRC-32C of what is stored
//	checksum          4 bytes, CRC-32C of the frame before it and of the name
//
// Numbers are little-endian.
const (
	frameMagic = "riB1"
	frameSize  = 32

	encodingPlain = 0
	encodingZstd  = 1
)

// The end mark: endMagic, the index's offset (8 bytes), the number of blocks before the index (8 bytes), CRC-32C of
// these (4 bytes), 4 bytes of zero.
const (
	endMagic = "riEND1\r\n"
	endSize  = 32

	indexName  = "index"
	headerName = "header"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Block is what the index says of a block.
type Block struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"` // of its frame in the file
	Stored int64  `json:"stored"` // bytes
	Size   int64  `json:"size"`   // bytes, decompressed
	// Low and High bound the addresses of a block of memory: the first one, and the one past the last.
	Low  uint64 `json:"low,omitempty"`
	High uint64 `json:"high,omitempty"`
}
