package format

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Writer writes a recording. But for Encode it is not safe for concurrent use. After an error it writes nothing more.
type Writer struct {
	w      io.WriterAt
	stream io.Writer // in the place of w
	off    int64
	header int64 // bytes set aside for it
	blocks []Block
	coder  *zstd.Encoder
	rooms  sync.Pool // of *[]byte, for what is compressed
	err    error
}

// Encoded is a block as it will stand in the file, wherever that is.
type Encoded struct {
	frame, stored []byte
	block         Block // without an offset
}

// Loose is a block that goes into no file as it is, but through what takes encoded ones.
func Loose(name string, data []byte) Encoded {
	return Encoded{stored: bytes.Clone(data), block: Block{Name: name}}
}

// Loose gives back what Loose was made of.
func (e Encoded) Loose() (name string, data []byte) { return e.block.Name, e.stored }

// headerRoom is what a header may grow by until it is written for the last time, in bytes.
const headerRoom = 16 << 10

// NewWriter begins a file with its header, any JSON object; its members follow "format", "version" and "size", which
// are written by this package.
func NewWriter(w io.WriterAt, header any) (*Writer, error) {
	return newWriter(&Writer{w: w}, header)
}

// NewStream is NewWriter for what can only be written from its beginning to its end.
func NewStream(w io.Writer, header any) (*Writer, error) {
	return newWriter(&Writer{stream: w}, header)
}

func newWriter(x *Writer, header any) (*Writer, error) {
	// The frames of blocks have checksums of their own.
	coder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, fmt.Errorf("preparing zstd: %w", err)
	}
	x.coder = coder
	text, err := json.Marshal(header)
	if err != nil {
		return nil, fmt.Errorf("the recording's header: %w", err)
	}
	x.header = (int64(len(text)) + headerRoom + headerUnit - 1) / headerUnit * headerUnit
	if x.header > MaxHeader {
		return nil, fmt.Errorf("the recording's header has %d bytes, the limit is %d", len(text), MaxHeader-headerRoom)
	}
	x.off = x.header
	return x, x.writeHeader(header)
}

func (x *Writer) writeHeader(header any) error {
	text, err := json.MarshalIndent(header, "", "  ")
	if err != nil {
		return fmt.Errorf("the recording's header: %w", err)
	}
	if len(text) < 2 || text[0] != '{' {
		return errors.New("internal error: the recording's header is no object")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%d, \"size\": %d", opening, Version, x.header)
	if rest := bytes.TrimSpace(text[1:]); len(rest) > 1 {
		b.WriteString(",")
		b.Write(text[1:])
	} else {
		b.WriteString("}")
	}
	if int64(b.Len())+1 > x.header {
		return fmt.Errorf("the recording's header grew to %d bytes, room is for %d", b.Len(), x.header-1)
	}
	b.Write(bytes.Repeat([]byte{' '}, int(x.header)-1-b.Len()))
	b.WriteByte('\n')
	return x.write(b.Bytes(), 0)
}

func (x *Writer) write(b []byte, at int64) error {
	switch {
	case x.err != nil:
	case x.stream != nil:
		_, x.err = x.stream.Write(b)
	default:
		_, x.err = x.w.WriteAt(b, at)
	}
	return x.err
}

// Block writes a block. Low and high bound the addresses of one of memory; both are 0 of any other.
func (x *Writer) Block(name string, data []byte, low, high uint64) error {
	e, err := x.Encode(name, data, low, high)
	if err != nil {
		return err
	}
	return x.Put(e)
}

// Encode makes a block ready to be written: it compresses it. It is safe for concurrent use; of the data nothing is
// held. Low and high are Block's.
func (x *Writer) Encode(name string, data []byte, low, high uint64) (e Encoded, err error) {
	switch {
	case len(data) > MaxBlock && name != indexName || len(data) > MaxIndex:
		return e, fmt.Errorf("block %s has %d bytes, the limit is %d", name, len(data), MaxBlock)
	case name == "" || len(name) > maxName:
		return e, fmt.Errorf("a block's name %q has %d bytes, the limit is %d", name, len(name), maxName)
	}
	var room []byte
	if b, ok := x.rooms.Get().(*[]byte); ok {
		room = (*b)[:0]
	}
	encoding, stored := encodingZstd, x.coder.EncodeAll(data, room)
	if len(stored) >= len(data) {
		encoding, stored = encodingPlain, append(stored[:0], data...)
	}
	return Encoded{appendFrame(nil, name, encoding, stored, len(data)), stored,
		Block{name, 0, int64(len(stored)), int64(len(data)), low, high}}, nil
}

// Put writes a block that Encode made ready; it is Put once.
func (x *Writer) Put(e Encoded) error {
	if len(x.blocks) >= maxBlocks {
		return fmt.Errorf("more than %d blocks", maxBlocks)
	}
	if err := x.write(e.frame, x.off); err != nil {
		return err
	}
	if err := x.write(e.stored, x.off+int64(len(e.frame))); err != nil {
		return err
	}
	e.block.Offset = x.off
	x.blocks = append(x.blocks, e.block)
	x.off += int64(len(e.frame) + len(e.stored))
	x.rooms.Put(&e.stored)
	return nil
}

func appendFrame(b []byte, name string, encoding int, stored []byte, size int) []byte {
	b = append(b, frameMagic...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(encoding))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(stored)))
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(stored, castagnoli))
	sum := crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, []byte(name))
	b = binary.LittleEndian.AppendUint32(b, sum)
	return append(b, name...)
}

// Size is how many bytes were written so far.
func (x *Writer) Size() int64 { return x.off }

// Close writes the index, the header as it is now, and the end mark: the end mark last, so that whoever finds it finds
// all before it. It doesn't close the file.
func (x *Writer) Close(header any) error {
	if x.stream != nil {
		if err := x.headerBlock(header); err != nil {
			return err
		}
	}
	blocks := x.blocks
	text, err := json.Marshal(blocks)
	if err != nil {
		return fmt.Errorf("the recording's index: %w", err)
	}
	at := x.off
	if err := x.Block(indexName, text, 0, 0); err != nil {
		return err
	}
	if x.stream == nil {
		if err := x.writeHeader(header); err != nil {
			return err
		}
	}
	end := append([]byte(nil), endMagic...)
	end = binary.LittleEndian.AppendUint64(end, uint64(at))
	end = binary.LittleEndian.AppendUint64(end, uint64(len(blocks)))
	end = binary.LittleEndian.AppendUint32(end, crc32.Checksum(end, castagnoli))
	end = append(end, 0, 0, 0, 0)
	if err := x.write(end, x.off); err != nil {
		return err
	}
	x.err = errors.New("the recording was closed")
	return nil
}

// headerBlock writes the header as it is in the end, where the file's beginning can't be written again.
func (x *Writer) headerBlock(header any) error {
	text, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("the recording's header: %w", err)
	}
	if len(text) > MaxHeader {
		return fmt.Errorf("the recording's header has %d bytes, the limit is %d", len(text), MaxHeader)
	}
	return x.Block(headerName, text, 0, 0)
}
