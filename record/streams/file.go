package streams

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"ri/record/format"
)

// Blocks of the container.
const (
	EventsBlock = "events" // events, one behind the other, in order; many blocks
	filePrefix  = "file/"  // FileBlock's
)

// FileBlock is the name of the blocks with a file's content, by its place in Process.Files.
func FileBlock(n int) string { return fmt.Sprintf("%s%d", filePrefix, n) }

// HeaderKind is Header.Kind of a recording of streams.
const HeaderKind = "streams"

// ErrNotStreams tells that a file is a recording, but of something else.
var ErrNotStreams = errors.New("not a recording of streams (ri record streams makes one)")

// blockSize is what a block of events grows to, in bytes, before it is written.
const blockSize = 1 << 20

// Writer writes a recording. It is not safe for concurrent use.
type Writer struct {
	file *format.Writer
	open []byte // events of the block that is being filled
}

// NewWriter begins a recording. What w is written to has to be sought by its owner if the header is to be counted
// (format.NewWriter); by a stream (format.NewStream) works, too.
func NewWriter(file *format.Writer) *Writer { return &Writer{file: file} }

// Write adds an event. Its Data is at most MaxData bytes.
func (x *Writer) Write(e *Event) error {
	if len(e.Data) > MaxData {
		return fmt.Errorf("internal error: an event with %d bytes, the limit is %d", len(e.Data), MaxData)
	}
	if x.open = appendEvent(x.open, e); len(x.open) < blockSize {
		return nil
	}
	return x.Flush()
}

// Flush writes the events so far as a block, so that they read if the recording is cut short.
func (x *Writer) Flush() error {
	if len(x.open) == 0 {
		return nil
	}
	err := x.file.Block(EventsBlock, x.open, 0, 0)
	x.open = x.open[:0]
	return err
}

// File adds a piece of the content of file n, in order.
func (x *Writer) File(n int, piece []byte) error { return x.file.Block(FileBlock(n), piece, 0, 0) }

// Close writes what is left, the header as it is now, and the end mark.
func (x *Writer) Close(h *Header) error {
	if err := x.Flush(); err != nil {
		return err
	}
	return x.file.Close(h)
}

// Reader reads a recording that anybody may have made. It is safe for concurrent use.
type Reader struct {
	Header Header
	file   *format.Reader
}

// NewReader reads the header. Errors: ErrNotStreams, format.ErrMalformed.
func NewReader(file *format.Reader) (*Reader, error) {
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := format.Unmarshal(file.Header(), &kind); err != nil {
		return nil, err
	}
	if kind.Kind != HeaderKind {
		return nil, ErrNotStreams
	}
	x := &Reader{file: file}
	d := json.NewDecoder(bytes.NewReader(file.Header()))
	if err := d.Decode(&x.Header); err != nil {
		return nil, fmt.Errorf("the recording's header: %w: %w", err, format.ErrMalformed)
	}
	return x, nil
}

// CutShort tells that the end is missing: what is there reads.
func (x *Reader) CutShort() bool { return x.file.CutShort() }

// Events goes through the events in order, once. An error ends it: format.ErrMalformed, errors of the file. An event's
// bytes are the caller's to keep.
func (x *Reader) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		last := uint64(0)
		for _, b := range x.file.Blocks() {
			if b.Name != EventsBlock {
				continue
			}
			block, err := x.file.Read(b)
			for err == nil && len(block) > 0 {
				var e Event
				if e, block, err = cutEvent(block); err != nil {
					break
				}
				if e.Seq <= last {
					err = fmt.Errorf("event %d comes after event %d: %w", e.Seq, last, format.ErrMalformed)
					break
				}
				last = e.Seq
				if !yield(e, nil) {
					return
				}
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

// Content gives the content of file n of Header.Process.Files. Errors: format.ErrNoBlock, format.ErrMalformed.
func (x *Reader) Content(n int, w io.Writer) error {
	name, found := FileBlock(n), false
	for _, b := range x.file.Blocks() {
		if b.Name != name {
			continue
		}
		found = true
		piece, err := x.file.Read(b)
		if err != nil {
			return err
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s: %w", name, format.ErrNoBlock)
	}
	return nil
}
