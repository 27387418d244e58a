package recorded

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ri/attach"
	"ri/record/format"
	"ri/record/seal"
)

// contents are what is put into the blocks of a file, whose checksums are right whatever they are.
type contents struct {
	memory, later, tokens, origins, process []byte
	looks                                   []Look
	low, high                               uint64      // what the index says of memory
	originsAt                               [][2]uint64 // of so many blocks more of them, what the index says
}

func (c contents) write(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, err := format.NewWriter(file, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []struct {
		name      string
		data      []byte
		low, high uint64
	}{
		{format.MemoryBlock(1), c.memory, c.low, c.high},
		{format.MemoryBlock(1), format.AppendMemory(nil, []format.Memory{{Addr: 1 << 40, Size: 4096, Kind: format.Denied}}),
			1 << 40, 1<<40 + 4096},
		{format.MemoryBlock(2), c.later, 0, 0},
		{format.TokenBlock, c.tokens, 1 << 45, 1<<45 + 64},
		{format.OriginsBlock, c.origins, 0, 0},
		{format.ProcessBlock, c.process, 0, 0},
	} {
		if err := w.Block(b.name, b.data, b.low, b.high); err != nil {
			t.Fatal(err)
		}
	}
	for i, look := range c.looks {
		text, err := json.Marshal(look)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Block(format.LookBlock(i+1), text, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range c.originsAt {
		if err := w.Block(format.OriginsBlock, c.origins, at[0], at[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(struct{}{}); err != nil {
		t.Fatal(err)
	}
	return path
}

// good is a recording of two looks: bytes, a token, and what was not kept.
func good(t testing.TB) contents {
	process, err := json.Marshal(Process{PID: 7, Executable: "x", Machine: 62, Mappings: []attach.Mapping{
		{Start: 0x1000, End: 0x4000, Read: true, Write: true}, {Start: 0x8000, End: 0x9000, Read: true}}})
	if err != nil {
		t.Fatal(err)
	}
	return contents{
		memory: format.AppendMemory(nil, []format.Memory{{Addr: 0x1000, Size: 16, Data: bytes.Repeat([]byte{1}, 16)},
			{Addr: 0x1010, Size: 16, Kind: format.Denied}, {Addr: 0x1100, Size: 8, Data: bytes.Repeat([]byte{2}, 8)}}),
		later: format.AppendMemory(nil, []format.Memory{{Addr: 0x1000, Size: 8, Data: bytes.Repeat([]byte{9}, 8)}}),
		tokens: format.AppendMemory(nil, []format.Memory{{Addr: 1 << 45, Size: 5, Kind: format.Tokens,
			Data: []byte("?????")}}),
		origins: binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 0x1008), 0x2222),
		process: process, low: 0x1000, high: 0x1108,
		looks: []Look{{Threads: []Thread{{ID: 8}}}, {Nanotime: 5}},
	}
}

// read asks a recording for all kinds of things; what it says of addresses must agree.
func read(t *testing.T, r *Recording, addrs ...uint64) {
	mapped, err := r.Mappings()
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range mapped {
		if m.Start >= m.End || i > 0 && m.Start < mapped[i-1].End {
			t.Fatalf("mapping %d is %#x to %#x", i, m.Start, m.End)
		}
		addrs = append(addrs, m.Start, m.End-1)
	}
	for look := range r.Looks() {
		v, err := r.View(context.Background(), attach.ViewOptions{Later: look})
		if err != nil {
			t.Fatal(err)
		}
		v.Threads()
		for _, addr := range addrs {
			b := make([]byte, 100)
			n, err := v.ReadMemory(b, addr)
			if (err == nil) != (n == len(b)) {
				t.Fatalf("%d bytes at %#x, and %v", n, addr, err)
			}
			if err == nil {
				if d := v.(attach.Director).Direct(addr, len(b)); d != nil && !bytes.Equal(d, b) {
					t.Fatalf("at %#x are %x, and %x", addr, b, d)
				}
			}
			v.(attach.Sparse).ReadHoles(b, addr)
			v.(*View).IsToken(addr)
		}
		v.Close()
	}
	r.Descriptors()
	r.Usage()
	r.Written()
}

// TestRecorded reads what is there, and is told why the rest isn't.
func TestRecorded(t *testing.T) {
	r, err := Open(good(t).write(t), seal.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read(t, r, 0x1000, 0x1010, 0x10ff, 1<<45, 1<<40)
	v, err := r.View(context.Background(), attach.ViewOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 0x200)
	if err := v.(attach.Sparse).ReadHoles(b, 0x1000); err != nil || b[0] != 1 || b[8] != 0x22 || b[0x10] != 0 ||
		b[0x100] != 2 {
		t.Errorf("with holes: %x, %v", b, err)
	}
	for addr, denied := range map[uint64]bool{0x1010: true, 0x1020: false, 0x1108: false, 1 << 40: true} {
		_, err := v.ReadMemory(b[:8], addr)
		var no *absent
		if !errors.As(err, &no) || no.denied != denied || !errors.Is(err, attach.ErrNotRecorded) {
			t.Errorf("at %#x: %v", addr, err)
		}
	}
	if _, err := r.View(context.Background(), attach.ViewOptions{Later: 2}); !errors.Is(err, attach.ErrNotRecorded) {
		t.Errorf("a third look: %v", err)
	}
}

// TestLies opens recordings that are whole, and say what can't be.
func TestLies(t *testing.T) {
	for name, lie := range map[string]func(*contents){
		"memory outside of the index": func(c *contents) { c.low = 0x1001 },
		"blocks that overlap":         func(c *contents) { c.high = 1<<40 + 1 },
		"no looks":                    func(c *contents) { c.looks = nil },
		"mappings that overlap": func(c *contents) {
			c.process = []byte(`{"machine": 62, "mappings": [{"Start": 1, "End": 9}, {"Start": 8, "End": 10}]}`)
		},
		"a mapping that ends before it begins": func(c *contents) {
			c.process = []byte(`{"machine": 62, "mappings": [{"Start": 18446744073709551615, "End": 9}]}`)
		},
		"origins that overlap": func(c *contents) { c.originsAt = [][2]uint64{{0x1000, 0x2000}, {0x1fff, 0x3000}} },
		"runs without end": func(c *contents) { // none has a byte of data
			c.memory = binary.LittleEndian.AppendUint32(nil, 1<<21)
			for i := range uint64(1 << 21) {
				c.memory = binary.LittleEndian.AppendUint64(c.memory, 0x1000+i)
				c.memory = binary.LittleEndian.AppendUint32(c.memory, 1)
				c.memory = binary.LittleEndian.AppendUint32(c.memory, uint32(format.Denied))
			}
			c.high = 0x1000 + 1<<21
		},
	} {
		c := good(t)
		lie(&c)
		r, err := Open(c.write(t), seal.Identities{})
		if err == nil {
			if _, err = r.ReadMemory(make([]byte, 8), 0x1002); err == nil {
				err = r.looks[0].ReadHoles(make([]byte, 8), 0x1000)
			}
			r.Close()
		}
		if !errors.Is(err, format.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRecorded opens recordings whose blocks have anything in them, under right checksums: nothing panics, nothing
// disagrees.
func FuzzRecorded(f *testing.F) {
	g := good(f)
	f.Add(g.memory, g.later, g.tokens, g.origins, g.process, g.low, g.high, uint64(0x1008))
	f.Fuzz(func(t *testing.T, memory, later, tokens, origins, process []byte, low, high, addr uint64) {
		at := [][2]uint64{{low, high}}
		r, err := Open(contents{memory, later, tokens, origins, process, g.looks, low, high, at}.write(t), seal.Identities{})
		if err != nil {
			return
		}
		defer r.Close()
		read(t, r, addr, low, high, addr+4096, ^uint64(0)-8, 0)
	})
}
