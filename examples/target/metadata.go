package main

import (
	"hash/crc32"
	"sort"
	"strconv"
	"time"
)

// Metadata is what is known of an object besides its contents.
//
// Whoever changes a record raises its version, computes its checksum anew and
// sets dirty; the persister finds dirty records, writes them out and clears
// the flag. Records are guarded by Store.mu.
type Metadata struct {
	fid      Fid
	version  uint64
	checksum uint32 // of the record; see sum
	dirty    bool   // changed since it was written out
	owner    string
	size     int64
	mtime    time.Time
	attrs    map[string]string // nil if there are none
}

// sum computes the checksum of the record: the crc32 (IEEE) of its canonical
// text.
func (m *Metadata) sum() uint32 {
	return crc32.ChecksumIEEE(m.canonical())
}

// canonical is the text that the checksum is of: fid, version, owner, size and
// the time of modification in nanoseconds since 1970, then key=value for each
// attribute in the order of the keys, all separated by single spaces:
//
//	<7000000000000001:2a> 3 alice 1024 1577836800000000000 color=blue
func (m *Metadata) canonical() []byte {
	text := make([]byte, 0, 128)
	text = append(text, m.fid.String()...)
	text = append(text, ' ')
	text = strconv.AppendUint(text, m.version, 10)
	text = append(text, ' ')
	text = append(text, m.owner...)
	text = append(text, ' ')
	text = strconv.AppendInt(text, m.size, 10)
	text = append(text, ' ')
	text = strconv.AppendInt(text, m.mtime.UnixNano(), 10)
	if len(m.attrs) > 0 {
		keys := make([]string, 0, len(m.attrs))
		for key := range m.attrs {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for _, key := range keys {
			text = append(text, ' ')
			text = append(text, key...)
			text = append(text, '=')
			text = append(text, m.attrs[key]...)
		}
	}
	return text
}

// touch completes a change of the record.
func (m *Metadata) touch() {
	m.version++
	m.checksum = m.sum()
	m.dirty = true
}
