package record

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"ri/record/format"
	"ri/record/redact"
	"ri/symbols"
	"ri/symbols/testprogram"
)

// memory is one of a few mappings.
type fakeMemory map[uint64][]byte

func (m fakeMemory) read(addr uint64, n int) ([]byte, bool) {
	for at, b := range m {
		if addr >= at && addr+uint64(n) <= at+uint64(len(b)) {
			return b[addr-at:][:n], true
		}
	}
	return nil, false
}

// collected has what is written.
type collected struct {
	mu     sync.Mutex
	blocks [][]byte
}

func (c *collected) Encode(_ string, data []byte, _, _ uint64) (e format.Encoded, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocks = append(c.blocks, slices.Clone(data))
	return e, nil
}

func (c *collected) Put(format.Encoded) error { return nil }

// TestNowhere: of what was taken for a thing and lies nowhere not even the address is told, and a pointer that leads
// nowhere is none.
func TestNowhere(t *testing.T) {
	const here, text = 0x10000, "\x00secret"
	nowhere := binary.LittleEndian.Uint64([]byte("secret\x00\x00"))
	memory := fakeMemory{here: make([]byte, 4096)}
	binary.LittleEndian.PutUint64(memory[here][16:], nowhere)
	binary.LittleEndian.PutUint64(memory[here][32:], here+8)
	s := NewSight()
	for _, kind := range []reflect.Kind{reflect.UnsafePointer, reflect.Int64} {
		typ := &symbols.Type{Kind: kind, Size: 8}
		for _, at := range []uint64{nowhere, here + 16, here + 32} {
			if kind == reflect.UnsafePointer || at == nowhere {
				s.Typed(at, typ)
			}
			s.Touched(at, 8)
		}
	}
	kept := false
	for _, b := range painted(t, memory, s) {
		if strings.Contains(string(b), text[1:]) {
			t.Errorf("a block has the text: %q", b)
		}
		kept = kept || strings.Contains(string(b), string(binary.LittleEndian.AppendUint64(nil, here+8)))
	}
	if !kept {
		t.Error("a pointer that leads somewhere isn't there")
	}
}

// image is where fakeMemory has what is the executable's own.
const image, imageSize = 0x20000, 4096

// painted is what is written of what was looked at.
func painted(t *testing.T, m fakeMemory, s *Sight) [][]byte {
	t.Helper()
	written := &collected{}
	own := func(addr uint64) bool { return addr >= image && addr < image+imageSize }
	p := newPainter(Memory{Read: m.read, Tokens: 1 << 40,
		Own:      own,
		Code:     func(addr uint64) bool { return own(addr) && addr < image+imageSize/2 },
		Constant: func(addr uint64, _ int) bool { return own(addr) },
		Mapped: func(addr, n uint64) bool {
			_, ok := m.read(addr, int(n))
			return ok || own(addr)
		},
		Variable: func(uint64) string { return "" },
	}, &redact.Policy{}, redact.NewTokens(redact.NewKey()), newOutput(written))
	if err := p.paint(s, 1, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	return written.blocks
}

// TestNeighbours: what is right is kept, whatever a wrong guess says of it, and whatever word stands before.
func TestNeighbours(t *testing.T) {
	const here, number, pc, typ = 0x10000, 0x400f, image + 64, image + imageSize/2 + 64
	memory := fakeMemory{here: make([]byte, 4096)}
	for i, word := range []uint64{number, pc, typ} {
		binary.LittleEndian.PutUint64(memory[here][8*i:], word)
	}
	s := NewSight()
	s.Typed(here, &symbols.Type{Kind: reflect.Int64, Size: 8})
	pointer := &symbols.Type{Kind: reflect.UnsafePointer, Size: 8}
	for i := range uint64(3) { // the number is no pointer
		s.Typed(here+8*i, pointer)
	}
	s.Touched(here, 24)
	all := slices.Concat(painted(t, memory, s)...)
	if want := memory[here][:24]; !bytes.Contains(all, want) {
		t.Errorf("%x isn't kept: %x", want, all)
	}
}

// TestReturnAddress: where a dead variable of a frame was, a slice is guessed whose capacity is the return address of
// the next one: that stays as it is, and the unwinder goes on.
func TestReturnAddress(t *testing.T) {
	exe := testprogram.Build(t, filepath.Join("testdata", "secrets"), testprogram.Variant{Name: "local"})
	r, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	file, err := symbols.Open(r, exe)
	if err != nil {
		t.Fatal(err)
	}
	slice, err := file.Type("[]uint8")
	if err != nil {
		t.Fatal(err)
	}
	const here, text, pc = 0x10000, 0x100000, image + 64
	memory := fakeMemory{here: make([]byte, 4096), text: bytes.Repeat([]byte("secret"), pc)}
	for i, word := range []uint64{text, 1000, pc} {
		binary.LittleEndian.PutUint64(memory[here][8*i:], word)
	}
	s := NewSight()
	s.Typed(here, slice)
	s.Touched(here, 24)
	s.Touched(text, 1000)
	all := slices.Concat(painted(t, memory, s)...)
	want := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 1000), pc)
	if !bytes.Contains(all, want) {
		t.Error("the return address isn't there")
	}
	if bytes.Contains(all, []byte("secretsecret")) {
		t.Error("the text is")
	}
}

// TestBoxedLetters: a byte or a rune in an interface is a pointer into the runtime's table of bytes, which tells it.
func TestBoxedLetters(t *testing.T) {
	file, err := elf.Open(testprogram.Build(t, filepath.Join("testdata", "secrets"), testprogram.Variant{Name: "local"}))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	list, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(s elf.Symbol) bool { return s.Name == "runtime.staticuint64s" })
	if i < 0 || file.Type != elf.ET_EXEC {
		t.Skip("the table isn't where the executable says")
	}
	raw, err := os.ReadFile(recordScript(t, program(t), Options{Heap: true}))
	if err != nil {
		t.Fatal(err)
	}
	letters := 0
	_, blocks := piecesOfFile(t, raw)
	for _, b := range blocks {
		if b.Name != format.MemoryBlock(1) && b.Name != format.OriginsBlock {
			continue
		}
		for k := 0; k+8 <= len(b.data); k++ {
			if n := word(b.data, k) - list[i].Value; n%8 == 0 && n/8 >= 'a' && n/8 <= 'z' {
				letters++
			}
		}
	}
	if letters > 2 { // numbers of 8 bytes may be as large
		t.Errorf("%d pointers tell a letter", letters)
	}
}
