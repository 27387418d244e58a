package streams

import (
	"encoding/binary"
	"fmt"

	"ri/record/format"
)

// MaxData bounds the bytes of one event. What a system call moved beyond it is events of their own.
const MaxData = 1 << 20

// Fields of an event in the file: a byte that names the field, then a number (uvarint; signed ones as zigzag varint)
// or, of texts and bytes, their size as uvarint and themselves. An event is its size as uvarint, then its fields.
// These numbers are the format: they are never used again for something else.
const (
	fieldSeq byte = iota + 1
	fieldKind
	fieldMono
	fieldWall
	fieldGoroutine
	fieldThread
	fieldConn
	fieldFlags
	fieldNetwork
	fieldLocal
	fieldPeer
	fieldErrno
	fieldSize
	fieldData
	fieldDigest
	fieldWhy
)

const (
	flagTLS = 1 << iota
	flagInbound
	flagDialled
)

// appendEvent encodes an event behind b.
func appendEvent(b []byte, e *Event) []byte {
	f := make([]byte, 0, 64+len(e.Data)+len(e.Local)+len(e.Peer)+len(e.Why))
	number := func(field byte, v uint64) {
		if v != 0 {
			f = binary.AppendUvarint(append(f, field), v)
		}
	}
	signed := func(field byte, v int64) {
		if v != 0 {
			f = binary.AppendVarint(append(f, field), v)
		}
	}
	text := func(field byte, v string) {
		if v != "" {
			f = append(binary.AppendUvarint(append(f, field), uint64(len(v))), v...)
		}
	}
	var flags uint64
	for bit, set := range map[uint64]bool{flagTLS: e.TLS, flagInbound: e.Inbound, flagDialled: e.Dialled} {
		if set {
			flags |= bit
		}
	}
	number(fieldSeq, e.Seq)
	number(fieldKind, uint64(e.Kind))
	signed(fieldMono, e.Mono)
	signed(fieldWall, e.Wall)
	number(fieldGoroutine, e.Goroutine)
	number(fieldThread, uint64(e.Thread))
	number(fieldConn, uint64(e.Conn))
	number(fieldFlags, flags)
	text(fieldNetwork, e.Network)
	text(fieldLocal, e.Local)
	text(fieldPeer, e.Peer)
	signed(fieldErrno, int64(e.Errno))
	signed(fieldSize, e.Size)
	text(fieldData, string(e.Data))
	text(fieldDigest, string(e.Digest))
	text(fieldWhy, e.Why)
	return append(binary.AppendUvarint(b, uint64(len(f))), f...)
}

// cut takes a number, and what is behind it.
func cut(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, fmt.Errorf("an event: a number is cut short: %w", format.ErrMalformed)
	}
	return v, b[n:], nil
}

// cutEvent decodes the first event of a block and gives what is behind it. The event's bytes are the block's.
func cutEvent(block []byte) (e Event, rest []byte, err error) {
	size, rest, err := cut(block)
	if err == nil && size > uint64(len(rest)) {
		err = fmt.Errorf("an event of %d bytes, %d are left: %w", size, len(rest), format.ErrMalformed)
	}
	if err != nil {
		return e, nil, err
	}
	f, rest := rest[:size:size], rest[size:]
	for len(f) > 0 {
		field := f[0]
		var v uint64
		if v, f, err = cut(f[1:]); err != nil {
			return e, nil, err
		}
		var bytes []byte
		switch field {
		case fieldNetwork, fieldLocal, fieldPeer, fieldData, fieldDigest, fieldWhy:
			if v > uint64(len(f)) || v > MaxData {
				return e, nil, fmt.Errorf("an event: a text of %d bytes, %d are left: %w", v, len(f), format.ErrMalformed)
			}
			bytes, f = f[:v:v], f[v:]
		}
		if err = e.set(field, v, bytes); err != nil {
			return e, nil, err
		}
	}
	return e, rest, nil
}

// set sets a field to a number, or to bytes where it has bytes.
func (e *Event) set(field byte, v uint64, bytes []byte) error {
	zigzag := int64(v>>1) ^ -int64(v&1)
	switch field {
	case fieldSeq:
		e.Seq = v
	case fieldKind:
		e.Kind = Kind(v)
	case fieldMono:
		e.Mono = zigzag
	case fieldWall:
		e.Wall = zigzag
	case fieldGoroutine:
		e.Goroutine = v
	case fieldThread:
		e.Thread = uint32(v)
	case fieldConn:
		e.Conn = uint32(v)
	case fieldFlags:
		e.TLS, e.Inbound, e.Dialled = v&flagTLS != 0, v&flagInbound != 0, v&flagDialled != 0
	case fieldNetwork:
		e.Network = string(bytes)
	case fieldLocal:
		e.Local = string(bytes)
	case fieldPeer:
		e.Peer = string(bytes)
	case fieldErrno:
		e.Errno = int32(zigzag)
	case fieldSize:
		e.Size = zigzag
	case fieldData:
		e.Data = bytes
	case fieldDigest:
		e.Digest = bytes
	case fieldWhy:
		e.Why = string(bytes)
	default:
		return fmt.Errorf("an event: field %d isn't known: %w", field, format.ErrMalformed)
	}
	return nil
}
