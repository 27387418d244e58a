package record

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ri/attach"
	"ri/attach/recorded"
	"ri/record/format"
	"ri/record/redact"
	"ri/record/seal"
)

// small is a recording of a few things of each kind, in which lies are soon found.
func small(t testing.TB, path string) (json.RawMessage, []piece) {
	t.Helper()
	word := func(b []byte, n ...uint64) []byte {
		for _, x := range n {
			b = binary.LittleEndian.AppendUint64(b, x)
		}
		return b
	}
	const token = 1 << 40
	memory := word(nil, token, 5, 0x2000, 7, 0x1010, 3, 4, 5)
	second := append(word(nil, 0x1000, 2), "a text that is kept...."...)
	process := recorded.Process{PID: 7, Executable: "x", Machine: 62, Entry: 0x1000, Mappings: []attach.Mapping{
		{Start: 0x1000, End: 0x3000, Read: true, Write: true}, {Start: 0x3000, End: 0x4000, Read: true}}}
	field := func(name string, off, size int64, kind string) Field {
		return Field{Name: name, Offset: off, Size: size, Kind: kind}
	}
	inner := []Field{field("a", 0, 4, "int32"), field("b", 4, 4, "uint32")}
	typed := []Typed{
		{Type: "main.T", Look: 1, Size: 32, At: []uint64{0x1000, 32}, Fields: []Field{field("s", 0, 16, "string"),
			field("p", 16, 8, "ptr"), field("n", 24, 8, "int")}},
		{Type: "main.U", Variable: "main.u", Look: 1, Size: 16, At: []uint64{0x1020},
			Fields: []Field{{Name: "list", Size: 8, Count: 2, Kind: "array", Fields: inner}}},
		{Type: "main.V", Look: 2, Size: 24, At: []uint64{0x2000}, Fields: []Field{field("x", 0, 24, "slice")}}}
	look := recorded.Look{Threads: []recorded.Thread{{ID: 8}, {ID: 9, InnerID: 3}}}
	data := func(v any) []byte {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	runs := func(list ...format.Memory) []byte { return format.AppendMemory(nil, list) }
	block := func(name string, b []byte, low, high uint64) piece {
		return piece{format.Block{Name: name, Low: low, High: high}, b}
	}
	list := []piece{block(format.ProcessBlock, data(process), 0, 0), block(typedBlock, data(typed), 0, 0),
		block(keptBlock, data([]Kept{{Field: "main.T.s", Places: [][2]uint64{{0x2010, 16}}}}), 0, 0),
		block(format.LookBlock(1), data(look), 0, 0),
		block(format.TokenBlock, runs(format.Memory{Addr: token, Size: 8, Kind: format.Tokens, Data: []byte("tokens!!")}),
			token, token+8),
		block(format.OriginsBlock, word(nil, 0x1000, 0x2020), 0x1000, 0x1008),
		block(format.MemoryBlock(1), runs(format.Memory{Addr: 0x1000, Size: len(memory), Data: memory},
			format.Memory{Addr: 0x1800, Size: 64, Kind: format.Denied},
			format.Memory{Addr: 0x2000, Size: len(second), Data: second}), 0x1000, 0x2000+uint64(len(second))),
		block(format.LookBlock(2), data(look), 0, 0),
		block(format.MemoryBlock(2), runs(format.Memory{Addr: 0x2000, Size: len(second), Data: second}), 0x2000,
			0x2000+uint64(len(second))),
		block(format.HeapBlock(1), []byte(`{"types":{"said":[1,2]}}`), 0, 0)}
	header := data(Header{Looks: 2, Complete: true, Program: Program{PID: 7}})
	assemble(t, path, header, list)
	return header, list
}

// askAll has everything read a recording that needs no symbols of it; what can't be read is an error that callers know.
func askAll(t *testing.T, path string, key [redact.KeySize]byte, check bool) (opened bool) {
	t.Helper()
	r, err := recorded.OpenFile(path, seal.Identities{})
	if err != nil {
		known(t, err)
		return false
	}
	defer r.Close()
	r.File().Verify()
	known(t, Export(r.File(), r, io.Discard))
	if check { // its patterns take long
		_, err = Check(r.File(), r, []string{"word"}, true)
		known(t, err)
	}
	out, err := os.Create(path + ".out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	_, err = Core(r.File(), r, out)
	known(t, err)
	if err := out.Truncate(0); err != nil {
		t.Fatal(err)
	}
	_, err = Tighten(r, Options{Policy: &redact.Policy{DenyNumbers: true}, Key: key}, out)
	known(t, err)
	return true
}

// lieAboutFile changes bytes of the file itself: it cuts, flips, repeats, or has a frame or the end mark say something
// else under a checksum that is right.
func lieAboutFile(random *rand.Rand, file []byte, blocks []format.Block) []byte {
	file = slices.Clone(file)
	numbers := []uint64{0, 1, 31, 1 << 16, 64<<20 + 1, 1 << 31, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	number := func() uint64 { return numbers[random.IntN(len(numbers))] }
	table := crc32.MakeTable(crc32.Castagnoli)
	b := blocks[random.IntN(len(blocks))]
	switch random.IntN(5) {
	case 0: // at a block's boundary, or beside it
		return file[:min(len(file), max(0, int(b.Offset)+random.IntN(5)-2))]
	case 1:
		for range 1 + random.IntN(4) {
			file[random.IntN(len(file))] ^= 1 << random.IntN(8)
		}
	case 2:
		frame := file[b.Offset:]
		binary.LittleEndian.PutUint64(frame[8+8*random.IntN(2):], number())
		if random.IntN(4) == 0 {
			binary.LittleEndian.PutUint16(frame[6:], uint16(random.IntN(3)))
		}
		sum := crc32.Update(crc32.Checksum(frame[:28], table), table, []byte(b.Name))
		binary.LittleEndian.PutUint32(frame[28:], sum)
		if random.IntN(2) == 0 { // and no index that says otherwise
			file = file[:len(file)-32]
		}
	case 3:
		end := file[len(file)-32:]
		binary.LittleEndian.PutUint64(end[8+8*random.IntN(2):], number())
		binary.LittleEndian.PutUint32(end[24:], crc32.Checksum(end[:24], table))
	case 4:
		from, to := random.IntN(len(file)), random.IntN(len(file))
		copy(file[from:], file[to:min(len(file), to+1+random.IntN(400))])
	}
	return file
}

// TestLies reads more than a thousand recordings that lie, in their blocks under right checksums, and in the file:
// nothing panics, and what can't be is said to be malformed.
func TestLies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r")
	header, list := small(t, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := format.Open(bytes.NewReader(whole), int64(len(whole)), "r")
	if err != nil {
		t.Fatal(err)
	}
	key, opened := redact.NewKey(), 0
	if !askAll(t, path, key, true) {
		t.Fatal("the one that tells the truth isn't read")
	}
	const inBlocks, inFiles = 700, 500
	for seed := range uint64(inBlocks + inFiles) {
		random := rand.New(rand.NewPCG(seed, 5))
		if seed < inBlocks {
			lies := list
			for range 1 + random.IntN(2) {
				lies = lieAbout(random, lies)
			}
			if slices.ContainsFunc(lies, func(p piece) bool { return len(p.data) > 1<<20 }) {
				continue // those take memory, and TestBombs looks at that
			}
			assemble(t, path, header, lies)
		} else if err := os.WriteFile(path, lieAboutFile(random, whole, r.Blocks()), 0o600); err != nil {
			t.Fatal(err)
		}
		if askAll(t, path, key, seed%4 == 0) {
			opened++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if opened < 100 {
		t.Errorf("only %d were opened: the test proves little", opened)
	}
}

// TestBombs reads blocks that are small in the file, and claim much: memory for them is bounded.
func TestBombs(t *testing.T) {
	const size, most = 24 << 20, 700 << 20
	key := redact.NewKey()
	fill := func(before, part, after string) []byte {
		return []byte(before + strings.Repeat(part+",", (size-len(before))/(len(part)+1)) + part + after)
	}
	for _, x := range []struct {
		name string
		data []byte
	}{
		{format.ProcessBlock, fill(`{"mappings":[`, "{}", "]}")}, {format.ProcessBlock, fill(`{"files":[`, "null", "]}")},
		{format.LookBlock(1), fill(`{"threads":[`, "0", "]}")}, {typedBlock, fill("[", "{}", "]")},
		{typedBlock, fill(`[{"fields":[`, "null", "]}]")}, {typedBlock, fill(`[{"at":[`, "1", "]}]")},
		{keptBlock, fill("[", "null", "]")}, {keptBlock, fill(`[{"places":[`, "[]", "]}]")},
		{format.HeapBlock(1), fill("[", "[]", "]")}, {format.TokenBlock, make([]byte, size/8)},
		{format.MemoryBlock(1), bytes.Repeat([]byte{0xff}, size/8)}, {format.OriginsBlock, make([]byte, size/8)},
	} {
		path := filepath.Join(t.TempDir(), "r")
		header, list := small(t, path)
		for i := range list {
			if list[i].Name == x.name {
				list[i].data = x.data
			}
		}
		assemble(t, path, header, list)
		clear(list)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		askAll(t, path, key, false)
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > most { // the most that there ever was
			t.Errorf("%s of %.20s...: %d MiB", x.name, x.data, grown>>20)
		}
		t.Logf("%s %.20s: %d MiB", x.name, x.data, (int64(after.HeapSys)-int64(before.HeapSys))>>20)
	}
}
