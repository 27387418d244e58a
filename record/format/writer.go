package format

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Writer writes a recording. It is not safe for concurrent use. After an error it writes nothing more.
type Writer struct {
	w      io.WriterAt
	stream io.Writer // in the place of w
	off    int64
	header int64 // bytes set aside for it
	blocks []Block
	coder  *zstd.Encoder
	buffer []byte
	err    error
}

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
	coder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
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
	switch {
	case len(data) > MaxBlock && name != indexName || len(data) > MaxIndex:
		return fmt.Errorf("block %s has %d bytes, the limit is %d", name, len(data), MaxBlock)
	case name == "" || len(name) > maxName:
		return fmt.Errorf("a block's name %q has %d bytes, the limit is %d", name, len(name), maxName)
	case len(x.blocks) >= maxBlocks:
		return fmt.Errorf("more than %d blocks", maxBlocks)
	}
	encoding, stored := encodingZstd, x.coder.EncodeAll(data, x.buffer[:0])
	x.buffer = stored
	if len(stored) >= len(data) {
		encoding, stored = encodingPlain, data
	}
	frame := appendFrame(nil, name, encoding, stored, len(data))
	if err := x.write(frame, x.off); err != nil {
		return err
	}
	if err := x.write(stored, x.off+int64(len(frame))); err != nil {
		return err
	}
	x.blocks = append(x.blocks, Block{name, x.off, int64(len(stored)), int64(len(data)), low, high})
	x.off += int64(len(frame) + len(stored))
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
