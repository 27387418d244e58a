package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestIndexBomb: an index that lists millions of blocks which the file has no room for is refused before they take
// memory.
func TestIndexBomb(t *testing.T) {
	text := []byte("[" + strings.Repeat("null,", 16<<20) + "null]")
	coder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	file := []byte(opening + "2, \"size\": 64}")
	file = append(file, bytes.Repeat([]byte{' '}, 63-len(file))...)
	file = append(file, '\n')
	at, stored := len(file), coder.EncodeAll(text, nil)
	file = append(append(file, appendFrame(nil, indexName, encodingZstd, stored, len(text))...), stored...)
	end := append([]byte(nil), endMagic...)
	end = binary.LittleEndian.AppendUint64(end, uint64(at))
	end = binary.LittleEndian.AppendUint64(end, 1)
	end = binary.LittleEndian.AppendUint32(end, crc32.Checksum(end, castagnoli))
	file = append(append(file, end...), 0, 0, 0, 0)
	var before, after runtime.MemStats
	text = nil
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := Open(bytes.NewReader(file), int64(len(file)), "r"); !errors.Is(err, ErrMalformed) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 256<<20 {
		t.Errorf("%d MiB", grown>>20)
	}
}
