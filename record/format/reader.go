package format

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Reader reads a recording. It is safe for concurrent use.
type Reader struct {
	r        io.ReaderAt
	size     int64
	name     string
	header   []byte
	version  int
	first    int64 // where the blocks begin
	blocks   []Block
	cutShort bool
}

// decoder is made once: it is costly, and one serves all.
var decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(MaxIndex),
		zstd.WithDecodeAllCapLimit(true)) // no more than the frame says
})

// Open reads the header and the index; name is for messages. Of a file that was cut short it goes through the blocks
// instead.
//
// Errors: ErrNotRecording, ErrVersion, ErrMalformed, errors of the file.
func Open(r io.ReaderAt, size int64, name string) (*Reader, error) {
	x := &Reader{r: r, size: size, name: name}
	if err := x.readHeader(); err != nil {
		return nil, err
	}
	found, err := x.readIndex()
	switch {
	case err != nil:
		return nil, err
	case !found:
		x.cutShort = true
		if err := x.scan(); err != nil {
			return nil, err
		}
	}
	return x, x.lastHeader()
}

// lastHeader takes the header that a stream has at its end.
func (x *Reader) lastHeader() error {
	if n := len(x.blocks); n > 0 && x.blocks[n-1].Name == headerName {
		last := x.blocks[n-1]
		text, err := x.read(last, MaxHeader)
		if err != nil {
			return err
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(text, &object) != nil {
			return x.malformed("its last header is no JSON object")
		}
		x.header, x.blocks = text, x.blocks[:n-1]
	}
	return nil
}

// Header is the header's JSON.
func (x *Reader) Header() []byte { return x.header }

// Version is the file's.
func (x *Reader) Version() int { return x.version }

// CutShort tells that the file has no end mark: it wasn't written to its end, or lost it.
func (x *Reader) CutShort() bool { return x.cutShort }

// Blocks lists the blocks, in the order of the file, without the index.
func (x *Reader) Blocks() []Block { return x.blocks }

func (x *Reader) malformed(format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", x.name, fmt.Sprintf(format, args...), ErrMalformed)
}

func (x *Reader) readHeader() error {
	head := make([]byte, min(x.size, MaxHeader))
	if n, err := x.r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading %s: %w", x.name, err)
	} else {
		head = head[:n]
	}
	if !bytes.HasPrefix(head, []byte(opening)) {
		return fmt.Errorf("%s: %w", x.name, ErrNotRecording)
	}
	numbers := string(head[len(opening):min(len(head), len(opening)+64)])
	if _, err := fmt.Sscanf(numbers, "%d, \"size\": %d", &x.version, &x.first); err != nil {
		return x.malformed("its header begins with neither version nor size")
	}
	if x.version < 1 || x.version > Version {
		return fmt.Errorf("%s has version %d, this ri reads up to %d: %w", x.name, x.version, Version, ErrVersion)
	}
	if x.first < int64(len(opening)) || x.first > MaxHeader {
		return x.malformed("a header of %d bytes", x.first)
	}
	x.header = bytes.TrimRight(head[:min(x.first, int64(len(head)))], " \n")
	if x.first > x.size && !json.Valid(x.header) {
		return fmt.Errorf("%s has %d bytes, and ends inside of its header: %w", x.name, x.size, ErrCutShort)
	}
	if !json.Valid(x.header) {
		return x.malformed("its header is no JSON")
	}
	return nil
}

// readIndex finds the end mark, and by it the index.
func (x *Reader) readIndex() (found bool, err error) {
	if x.size < x.first+endSize {
		return false, nil
	}
	end := make([]byte, endSize)
	if n, err := x.r.ReadAt(end, x.size-endSize); n < endSize {
		return false, fmt.Errorf("reading %s: %w", x.name, err)
	}
	if !bytes.HasPrefix(end, []byte(endMagic)) ||
		crc32.Checksum(end[:24], castagnoli) != binary.LittleEndian.Uint32(end[24:]) {
		return false, nil
	}
	at, count := binary.LittleEndian.Uint64(end[8:]), binary.LittleEndian.Uint64(end[16:])
	if at < uint64(x.first) || at > uint64(x.size-endSize) || count > maxBlocks {
		return false, x.malformed("the end mark leads to %d, the file has %d bytes", at, x.size)
	}
	b, next, err := x.frame(int64(at))
	if err != nil {
		return false, err
	}
	if b.Name != indexName || next != x.size-endSize {
		return false, x.malformed("the end mark leads to no index")
	}
	text, err := x.read(b, MaxIndex)
	if err != nil {
		return false, err
	}
	if err := bounded(text, membersOfBlock*(int(count)+1)); err != nil {
		return false, x.malformed("its index: %v", err)
	}
	if err := json.Unmarshal(text, &x.blocks); err != nil {
		return false, x.malformed("its index: %v", err)
	}
	if uint64(len(x.blocks)) != count {
		return false, x.malformed("its index has %d blocks, the end mark says %d", len(x.blocks), count)
	}
	return true, x.checkIndex(int64(at))
}

// membersOfBlock is how many values the index has of a block, and one more.
const membersOfBlock = 7

// checkIndex refuses an index whose blocks don't follow one another, from the header to the index itself.
func (x *Reader) checkIndex(end int64) error {
	at := x.first
	for _, b := range x.blocks {
		if b.Offset != at || b.Stored < 0 || b.Size < 0 || b.Size > MaxBlock || b.Stored > end-at || b.High < b.Low ||
			b.Name == "" || len(b.Name) > maxName {
			return x.malformed("its index says of block %q what can't be", b.Name)
		}
		at += frameSize + int64(len(b.Name)) + b.Stored
	}
	if at != end {
		return x.malformed("its index ends at %d, the blocks at %d", at, end)
	}
	return nil
}

// scan goes through the blocks of a file without an index; it ends at what is no whole block.
func (x *Reader) scan() error {
	for at := x.first; at < x.size && len(x.blocks) < maxBlocks; {
		b, next, err := x.frame(at)
		switch {
		case errors.Is(err, ErrMalformed), err == nil && (next > x.size || b.Name == indexName):
			return nil
		case err != nil:
			return err
		}
		x.blocks = append(x.blocks, b)
		at = next
	}
	return nil
}

// frame reads the frame at an offset, and says where the block ends.
func (x *Reader) frame(at int64) (b Block, next int64, err error) {
	head := make([]byte, frameSize+maxName)
	n, err := x.r.ReadAt(head, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return b, 0, fmt.Errorf("reading %s: %w", x.name, err)
	}
	if head = head[:n]; n < frameSize || string(head[:4]) != frameMagic {
		return b, 0, x.malformed("no block at %d", at)
	}
	size := int(binary.LittleEndian.Uint16(head[4:]))
	if size == 0 || size > maxName || frameSize+size > n {
		return b, 0, x.malformed("the block at %d has a name of %d bytes", at, size)
	}
	name := head[frameSize : frameSize+size]
	sum := crc32.Update(crc32.Checksum(head[:28], castagnoli), castagnoli, name)
	if sum != binary.LittleEndian.Uint32(head[28:]) {
		return b, 0, x.malformed("the frame of the block at %d is damaged", at)
	}
	stored, whole := binary.LittleEndian.Uint64(head[8:]), binary.LittleEndian.Uint64(head[16:])
	limit := uint64(MaxBlock)
	if string(name) == indexName {
		limit = MaxIndex
	}
	if whole > limit || stored > uint64(x.size) {
		return b, 0, x.malformed("the block at %d has %d bytes, %d stored", at, whole, stored)
	}
	b = Block{Name: string(name), Offset: at, Stored: int64(stored), Size: int64(whole)}
	return b, at + frameSize + int64(size) + int64(stored), nil
}

// Read gives what a block holds, decompressed. Errors: ErrMalformed, errors of the file.
func (x *Reader) Read(b Block) ([]byte, error) { return x.read(b, MaxBlock) }

func (x *Reader) read(b Block, limit int64) ([]byte, error) {
	found, next, err := x.frame(b.Offset)
	if err != nil {
		return nil, err
	}
	if found.Name != b.Name || found.Stored != b.Stored || found.Size != b.Size || b.Size > limit || next > x.size {
		return nil, x.malformed("block %s at %d isn't what the index says", b.Name, b.Offset)
	}
	var head [frameSize]byte
	if n, err := x.r.ReadAt(head[:], b.Offset); n < len(head) {
		return nil, fmt.Errorf("reading %s: %w", x.name, err)
	}
	stored := make([]byte, b.Stored)
	if n, err := x.r.ReadAt(stored, next-b.Stored); n < len(stored) {
		return nil, fmt.Errorf("reading %s: %w", x.name, err)
	}
	if crc32.Checksum(stored, castagnoli) != binary.LittleEndian.Uint32(head[24:]) {
		return nil, x.malformed("block %s at %d is damaged", b.Name, b.Offset)
	}
	switch binary.LittleEndian.Uint16(head[6:]) {
	case encodingPlain:
		if b.Stored != b.Size {
			return nil, x.malformed("block %s at %d has %d bytes, its frame says %d", b.Name, b.Offset, b.Stored, b.Size)
		}
		return stored, nil
	case encodingZstd:
		return x.inflate(b, stored)
	}
	return nil, x.malformed("block %s at %d is encoded in a way that isn't known", b.Name, b.Offset)
}

// inflate takes no more memory than the frame says, which is bounded.
func (x *Reader) inflate(b Block, stored []byte) ([]byte, error) {
	zstd, err := decoder()
	if err != nil {
		return nil, fmt.Errorf("preparing zstd: %w", err)
	}
	data, err := zstd.DecodeAll(stored, make([]byte, 0, b.Size))
	if err != nil || int64(len(data)) != b.Size {
		return nil, x.malformed("block %s at %d doesn't decompress (%v)", b.Name, b.Offset, err)
	}
	return data, nil
}

// Named reads all blocks of a name, one after the other. Errors: ErrNoBlock, and those of Read.
func (x *Reader) Named(name string) ([]byte, error) {
	var all []byte
	found := false
	for _, b := range x.blocks {
		if b.Name != name {
			continue
		}
		data, err := x.Read(b)
		if err != nil {
			return nil, err
		}
		if int64(len(all)+len(data)) > MaxIndex {
			return nil, x.malformed("block %s has more than %d bytes", name, MaxIndex)
		}
		found, all = true, append(all, data...)
	}
	if !found {
		if x.cutShort {
			return nil, fmt.Errorf("what is there of %s has no block %s: %w (%w)", x.name, name, ErrCutShort, ErrNoBlock)
		}
		return nil, fmt.Errorf("%s has no block %s: %w", x.name, name, ErrNoBlock)
	}
	return all, nil
}

// Has tells whether there is a block of this name.
func (x *Reader) Has(name string) bool {
	return slices.ContainsFunc(x.blocks, func(b Block) bool { return b.Name == name })
}

// whole is how many bytes from the beginning of the file on are whole blocks.
func (x *Reader) whole() int64 {
	if n := len(x.blocks); n > 0 {
		b := x.blocks[n-1]
		return b.Offset + frameSize + int64(len(b.Name)) + b.Stored
	}
	return min(x.first, x.size)
}

// Verify reads every block and says what is wrong, nil if nothing is: damage, and an end that is missing.
func (x *Reader) Verify() (problems []error) {
	for _, b := range x.blocks {
		if _, err := x.Read(b); err != nil {
			problems = append(problems, err)
		}
	}
	if x.cutShort {
		problems = append(problems, fmt.Errorf("%s has no end mark; what is whole of it is %d blocks, %d bytes of %d: %w",
			x.name, len(x.blocks), x.whole(), x.size, ErrCutShort))
	}
	return problems
}
