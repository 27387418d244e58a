package format

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// file is a file in memory.
type file struct{ data []byte }

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(f.data) {
		f.data = append(f.data, make([]byte, end-len(f.data))...)
	}
	return copy(f.data[off:], p), nil
}

func (f *file) open() (*Reader, error) {
	return Open(bytes.NewReader(f.data), int64(len(f.data)), "test.rec")
}

type header struct {
	Program string
	Count   int
}

// sample has a plain block, one that compresses, two of one name, and an empty one.
func sample(t testing.TB) *file {
	f := &file{}
	w, err := NewWriter(f, header{"nats-server", 0})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []struct {
		name, data string
		low, high  uint64
	}{
		{"process", `{"pid":1}`, 0, 0},
		{"memory", strings.Repeat("abcdefgh", 10_000), 0x1000, 0x9000},
		{"memory", "12345678", 0xa000, 0xa008},
		{"nothing", "", 0, 0},
		{"small", strings.Repeat("ab", 80), 0, 0},
	} {
		if err := w.Block(b.name, []byte(b.data), b.low, b.high); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(header{"nats-server", 4}); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRoundTrip(t *testing.T) {
	f := sample(t)
	r, err := f.open()
	if err != nil {
		t.Fatal(err)
	}
	if r.CutShort() || len(r.Blocks()) != 5 || len(r.Verify()) > 0 {
		t.Errorf("cut short %v, %d blocks, problems %v", r.CutShort(), len(r.Blocks()), r.Verify())
	}
	var h struct {
		Format  string
		Version int
		Program string
		Count   int
	}
	if err := json.Unmarshal(r.Header(), &h); err != nil || h.Format != "ri recording" || h.Version != Version ||
		h.Count != 4 {
		t.Errorf("header %+v, %v", h, err)
	}
	opening := []byte(`{"format": "ri recording", "version": 2, "size": `)
	if first, _, _ := bytes.Cut(f.data, []byte("\n\n")); !bytes.HasPrefix(first, opening) {
		t.Errorf("the file begins with %.80q", f.data)
	}
	all, err := r.Named("memory")
	if err != nil || len(all) != 80_008 || !bytes.HasSuffix(all, []byte("12345678")) {
		t.Errorf("memory: %d bytes, %v", len(all), err)
	}
	if b := r.Blocks()[1]; b.Low != 0x1000 || b.High != 0x9000 || b.Stored >= b.Size {
		t.Errorf("block %+v", b)
	}
	if _, err := r.Named("symbols"); !errors.Is(err, ErrNoBlock) {
		t.Error(err)
	}
}

// TestStream writes what can only be written from its beginning to its end: the last header counts.
func TestStream(t *testing.T) {
	var b bytes.Buffer
	w, err := NewStream(&b, header{"nats-server", 0})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Block("process", []byte(`{"pid":1}`), 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(header{"nats-server", 4}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{b.Len(), b.Len() - 1} {
		r, err := (&file{b.Bytes()[:n]}).open()
		if err != nil {
			t.Fatal(err)
		}
		var h header
		if err := json.Unmarshal(r.Header(), &h); err != nil || h.Count != 4 || len(r.Blocks()) != 1 {
			t.Errorf("%d bytes: header %s, %d blocks, %v", n, r.Header(), len(r.Blocks()), err)
		}
	}
}

// TestCutShort cuts a file at each byte: what is there reads, and that something is missing is said.
func TestCutShort(t *testing.T) {
	f := sample(t)
	whole, _ := f.open()
	ends := map[int]int64{} // blocks that are whole in a file of so many bytes
	for n := range f.data {
		if int64(n) < whole.first && n%512 > 0 {
			continue
		}
		cut := file{f.data[:n]}
		r, err := cut.open()
		if err != nil {
			if int64(n) >= whole.first || !errors.Is(err, ErrNotRecording) && !errors.Is(err, ErrMalformed) &&
				!errors.Is(err, ErrCutShort) {
				t.Fatalf("cut at %d: %v", n, err)
			}
			continue
		}
		if !r.CutShort() || len(r.Verify()) != 1 {
			t.Fatalf("cut at %d: not noticed, or more than that: %v", n, r.Verify())
		}
		ends[len(r.Blocks())]++
	}
	for count := range 6 {
		if ends[count] == 0 {
			t.Errorf("no cut left %d blocks", count)
		}
	}
}

// TestFlipped flips a bit in each byte: it is noticed, or was in the padding of the header.
func TestFlipped(t *testing.T) {
	f := sample(t)
	whole, _ := f.open()
	for at := range f.data {
		if int64(at) < whole.first && at%512 > 0 { // the header has no checksum of its own
			continue
		}
		for _, bit := range []byte{1, 0x80} {
			data := bytes.Clone(f.data)
			data[at] ^= bit
			r, err := (&file{data}).open()
			if err != nil || len(r.Verify()) > 0 || int64(at) < whole.first || at >= len(data)-4 {
				continue
			}
			t.Fatalf("bit %#x of byte %d flipped: not noticed", bit, at)
		}
	}
}

func TestOtherFiles(t *testing.T) {
	f := sample(t)
	newer := bytes.Replace(bytes.Clone(f.data), []byte(`"version": 2`), []byte(`"version": 7`), 1)
	for _, x := range []struct {
		name string
		data []byte
		want error
	}{
		{"nothing", nil, ErrNotRecording},
		{"an ELF file", []byte("\x7fELF..................."), ErrNotRecording},
		{"a header's beginning", []byte(opening), ErrMalformed},
		{"a header without an end", []byte(opening + `1, "size": 9000`), ErrCutShort},
		{"a header of negative size", []byte(opening + `1, "size": -1}`), ErrMalformed},
		{"a newer version", newer, ErrVersion},
	} {
		if _, err := (&file{x.data}).open(); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.name, err, x.want)
		}
	}
}

// TestBomb sees that a block can't claim, or decompress to, more than its frame says and the limit allows.
func TestBomb(t *testing.T) {
	zeros := make([]byte, 60<<20)
	f := &file{}
	w, _ := NewWriter(f, header{})
	if err := w.Block("memory", zeros, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Block("memory", make([]byte, MaxBlock+1), 0, 0); err == nil {
		t.Error("a block over the limit was written")
	}
	stored := f.data[int64(len(f.data))-w.blocks[0].Stored:]
	for _, size := range []int{10, MaxBlock, MaxBlock + 1} {
		g := &file{}
		w, _ := NewWriter(g, header{})
		g.data = append(g.data[:w.off], appendFrame(nil, "memory", encodingZstd, stored, size)...)
		g.data = append(g.data, stored...)
		r, err := g.open()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range r.Blocks() {
			if _, err := r.Read(b); !errors.Is(err, ErrMalformed) {
				t.Errorf("a block that says %d: %v", size, err)
			}
		}
		if size > MaxBlock && len(r.Blocks()) > 0 {
			t.Errorf("a block of %d bytes is listed", size)
		}
	}
}

func TestHeaderGrows(t *testing.T) {
	f := &file{}
	w, _ := NewWriter(f, header{})
	if err := w.Close(header{Program: strings.Repeat("x", 2*headerRoom)}); err == nil {
		t.Error("a header that doesn't fit was written over the blocks")
	}
}

type failing struct{ after int }

func (f *failing) WriteAt(p []byte, _ int64) (int, error) {
	if f.after--; f.after < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestWriteFails(t *testing.T) {
	for after := range 8 {
		w, err := NewWriter(&failing{after}, header{})
		for i := 0; err == nil && i < 3; i++ {
			err = w.Block(fmt.Sprint("b", i), []byte("data"), 0, 0)
		}
		if err == nil {
			err = w.Close(header{})
		}
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("after %d writes: %v", after, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	s := sample(f)
	f.Add(s.data)
	f.Add(s.data[:len(s.data)-40])
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := (&file{data}).open()
		if err != nil {
			return
		}
		total := int64(0)
		for _, b := range r.Blocks() {
			if total += b.Size; total > 1<<28 {
				return
			}
			r.Read(b)
		}
	})
}

// FuzzIndex puts another index into a good file, with good checksums: an index that lies is found out.
func FuzzIndex(f *testing.F) {
	s := sample(f)
	r, _ := s.open()
	at := int64(binary.LittleEndian.Uint64(s.data[len(s.data)-endSize+8:]))
	text, _ := json.Marshal(r.Blocks())
	f.Add(text, uint64(5))
	f.Fuzz(func(t *testing.T, index []byte, count uint64) {
		g := &file{bytes.Clone(s.data[:at])}
		w := &Writer{w: g, off: at, coder: mustCoder(t)}
		if w.Block(indexName, index, 0, 0) != nil {
			return
		}
		end := append([]byte(nil), endMagic...)
		end = binary.LittleEndian.AppendUint64(end, uint64(at))
		end = binary.LittleEndian.AppendUint64(end, count)
		end = binary.LittleEndian.AppendUint32(end, sum(end))
		g.data = append(append(g.data, end...), 0, 0, 0, 0)
		r, err := g.open()
		if err != nil {
			return
		}
		for _, b := range r.Blocks() {
			r.Read(b)
		}
	})
}

func mustCoder(t testing.TB) *zstd.Encoder {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func TestMemory(t *testing.T) {
	runs := []Memory{{0x1000, 4, Data, []byte("abcd")}, {0x1004, 8, Denied, nil}, {0x2000, 2, Tokens, []byte("xy")}}
	block := AppendMemory(nil, runs)
	got, err := ReadMemory(block)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(runs) {
		t.Errorf("%v, %v", got, err)
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "cut": block[:len(block)-1], "more": append(bytes.Clone(block), 0),
		"overlap": AppendMemory(nil, []Memory{{0x1000, 4, Data, []byte("abcd")}, {0x1003, 1, Data, []byte("a")}}),
		"wraps":   AppendMemory(nil, []Memory{{1<<64 - 2, 4, Denied, nil}}),
		"kind":    AppendMemory(nil, []Memory{{0x1000, 4, lastKind, nil}}),
		"empty":   AppendMemory(nil, []Memory{{0x1000, 0, Data, nil}}),
		"many":    {0xff, 0xff, 0xff, 0xff},
	} {
		if _, err := ReadMemory(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadMemory(f *testing.F) {
	f.Add(AppendMemory(nil, []Memory{{0x1000, 4, Data, []byte("abcd")}, {0x1004, 8, Denied, nil}}))
	f.Fuzz(func(t *testing.T, block []byte) {
		runs, err := ReadMemory(block)
		if err == nil && !bytes.Equal(AppendMemory(nil, runs), block) {
			t.Errorf("%x reads as %v", block, runs)
		}
	})
}
