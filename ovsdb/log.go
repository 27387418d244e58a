package ovsdb

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
)

// maxRecord bounds a record's length, in bytes. A damaged length must not ask for all memory.
const maxRecord = 1 << 30

// magic begins the header of each record of a standalone database: "OVSDB JSON LENGTH SHA1\n".
const magic = "OVSDB JSON "

// CorruptError says where a database file ceases to make sense. It unwraps to ErrCorrupt.
type CorruptError struct {
	Offset int64 // of the first record that can't be read
	Size   int64 // of the file
	Why    string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s at offset %d of %d", e.Why, e.Offset, e.Size)
}
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

// appendRecord appends a record: the header, then the JSON and a newline, both of which the length and the SHA-1 cover.
func appendRecord(dst, json []byte) []byte {
	body := append(bytes.Clone(json), '\n')
	sum := sha1.Sum(body)
	dst = fmt.Appendf(dst, "%s%d %x\n", magic, len(body), sum)
	return append(dst, body...)
}

// nextRecord takes the record at an offset of a file. end is the offset of the next; at the file's end, json and err
// are nil.
func nextRecord(file []byte, offset int64) (json []byte, end int64, err error) {
	rest := file[offset:]
	if len(rest) == 0 {
		return nil, offset, nil
	}
	corrupt := func(why string) ([]byte, int64, error) {
		return nil, offset, &CorruptError{offset, int64(len(file)), why}
	}
	header, _, found := bytes.Cut(rest[:min(len(rest), 128)], []byte("\n"))
	if !found || !bytes.HasPrefix(header, []byte(magic)) {
		return corrupt("no header of a record")
	}
	length, sum, found := bytes.Cut(header[len(magic):], []byte(" "))
	n, convErr := strconv.ParseUint(string(length), 10, 63)
	want, hexErr := hex.DecodeString(string(sum))
	if !found || convErr != nil || hexErr != nil || len(want) != sha1.Size || n > maxRecord {
		return corrupt("a damaged header of a record")
	}
	body := rest[len(header)+1:]
	if uint64(len(body)) < n {
		return corrupt("a record that was cut off")
	}
	body = body[:n]
	if got := sha1.Sum(body); !bytes.Equal(got[:], want) {
		return corrupt("a record that doesn't have the SHA-1 that its header says")
	}
	return body, offset + int64(len(header)) + 1 + int64(n), nil
}
