package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ri/attach"
	"ri/attach/recorded"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/record/format"
	"ri/record/seal"
)

// piece is a block of a recording, decompressed, with what the index says of it.
type piece struct {
	format.Block
	data []byte
}

// piecesOf takes a recording apart.
func piecesOf(t testing.TB, path string) (header json.RawMessage, list []piece) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return piecesOfFile(t, data)
}

func piecesOfFile(t testing.TB, data []byte) (header json.RawMessage, list []piece) {
	t.Helper()
	r, err := format.Open(bytes.NewReader(data), int64(len(data)), "r")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range r.Blocks() {
		data, err := r.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, piece{b, data})
	}
	return r.Header(), list
}

// assemble makes a file of pieces, with checksums that are right.
func assemble(t testing.TB, path string, header json.RawMessage, list []piece) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var members map[string]any
	if json.Unmarshal(header, &members) != nil {
		members = map[string]any{}
	}
	for _, written := range []string{"format", "version", "size"} {
		delete(members, written)
	}
	w, err := format.NewWriter(file, members)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if len(p.data) > format.MaxBlock {
			p.data = p.data[:format.MaxBlock]
		}
		if err := w.Block(p.Name, p.data, p.Low, p.High); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(members); err != nil {
		t.Fatal(err)
	}
}

// hostileTexts are what a recording may say where a text is.
var hostileTexts = []string{"\x1b]0;owned\a", "\x1b[2J", "../../../../etc/passwd", "/proc/self/mem",
	"$(touch /tmp/owned)", "%s%n%d",
	strings.Repeat("A", 1<<16), "\x00", "\xff\xfe", "\u202e", "<script>", "a\nb\r", "", "-rf"}

// lieAbout changes what a block says.
func lieAbout(random *rand.Rand, list []piece) []piece {
	list = slices.Clone(list)
	i := random.IntN(len(list))
	p := &list[i]
	p.data = bytes.Clone(p.data)
	numbers := []uint64{0, 1, 7, 8, 1<<31 - 1, 1 << 32, 1<<47 - 8, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 8, 1<<64 - 1}
	number := func() uint64 { return numbers[random.IntN(len(numbers))] }
	at := func(size int) int { return random.IntN(max(1, len(p.data)-size+1)) }
	switch kind := random.IntN(12); {
	case kind == 0:
		return slices.Delete(list, i, i+1)
	case kind == 1:
		return append(list, list[i], list[random.IntN(len(list))])
	case kind == 2:
		p.data = p.data[:random.IntN(len(p.data)+1)]
	case kind == 3:
		p.Low, p.High = number(), number()
		p.High = max(p.Low, p.High)
	case kind == 4:
		other := random.IntN(len(list))
		p.data, list[other].data = list[other].data, p.data
	case kind == 5:
		from, n := at(64), 1<<random.IntN(16)
		part := p.data[from:min(len(p.data), from+64)]
		p.data = slices.Concat(p.data[:from], bytes.Repeat(part, n), p.data[from:])
	case kind == 6:
		p.data = make([]byte, 1<<random.IntN(26))
	case json.Valid(p.data) && len(p.data) > 0:
		var v any
		decoder := json.NewDecoder(bytes.NewReader(p.data))
		decoder.UseNumber()
		if decoder.Decode(&v) != nil {
			break
		}
		left := 1 + random.IntN(3)
		for left > 0 {
			v = lieInJSON(random, v, &left, number)
		}
		if text, err := json.Marshal(v); err == nil {
			p.data = text
		}
	default:
		for range 1 + random.IntN(8) {
			switch random.IntN(3) {
			case 0:
				if len(p.data) > 0 {
					p.data[random.IntN(len(p.data))] ^= 1 << random.IntN(8)
				}
			case 1:
				if k := at(8); k+8 <= len(p.data) {
					binary.LittleEndian.PutUint64(p.data[k:], number())
				}
			case 2: // words of the block itself: what leads to itself
				if from, to := at(8)&^7, at(8)&^7; from+8 <= len(p.data) && to+8 <= len(p.data) {
					copy(p.data[to:to+8], p.data[from:from+8])
				}
			}
		}
	}
	return list
}

// lieInJSON changes a value somewhere inside.
func lieInJSON(random *rand.Rand, v any, left *int, number func() uint64) any {
	if random.IntN(200) == 0 && *left > 0 {
		*left--
		return []any{nil, true, json.Number(fmt.Sprint(number())), json.Number("-1"), json.Number("1e300"),
			hostileTexts[random.IntN(len(hostileTexts))], []any{}, map[string]any{}}[random.IntN(8)]
	}
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = lieInJSON(random, x[k], left, number)
		}
	case []any:
		for i := range x {
			x[i] = lieInJSON(random, x[i], left, number)
		}
		if random.IntN(300) == 0 && len(x) > 0 && *left > 0 {
			*left--
			for range 1 << random.IntN(18) {
				x = append(x, x[random.IntN(len(x))])
			}
			return x
		}
	case json.Number:
		if random.IntN(30) == 0 && *left > 0 {
			*left--
			return json.Number(fmt.Sprint(number()))
		}
	case string:
		if random.IntN(30) == 0 && *left > 0 {
			*left--
			return hostileTexts[random.IntN(len(hostileTexts))]
		}
	}
	if random.IntN(5000) == 0 {
		*left--
	}
	return v
}

// lookAt asks a recording all that can be asked without a terminal. What it can't answer is an error.
func lookAt(t *testing.T, path string, catalogue *recipes.Catalogue, recipe string, check bool) (opened bool) {
	r, err := recorded.OpenFile(path, seal.Identities{})
	if err != nil {
		known(t, err)
		return false
	}
	r.File().Verify()
	Export(r.File(), r, io.Discard)
	if check { // its patterns take long
		Check(r.File(), r, []string{"word"}, true)
	}
	core, err := os.Create(filepath.Join(t.TempDir(), "core"))
	if err != nil {
		t.Fatal(err)
	}
	Core(r.File(), r, core)
	core.Close()
	os.Remove(core.Name())
	r.Close()
	s, err := looks.OpenSession(looks.TargetChoice{Recording: path})
	if err != nil {
		known(t, err)
		return false
	}
	defer s.Close()
	opt := looks.Options{MaxTime: 20 * time.Second}
	plan, err := looks.Prepare(catalogue, recipe, nil, opt)
	if err != nil {
		t.Fatal(err)
	}
	s.Run(context.Background(), plan, nil)
	plan, err = looks.PrepareLua(&recipes.Catalogue{}, "", everything, nil, opt)
	if err != nil {
		t.Fatal(err)
	}
	s.Run(context.Background(), plan, nil)
	return true
}

// known sees that an error is one that callers can tell.
func known(t *testing.T, err error) {
	if err != nil && strings.Contains(err.Error(), "internal error") {
		t.Errorf("%v", err)
	}
}

// TestHostile opens recordings that are whole, and lie: nothing panics, and nothing lasts. RI_HOSTILE=N tries so many,
// from RI_HOSTILE_FIRST on.
func TestHostile(t *testing.T) {
	catalogue, _, err := recipes.OpenCatalogue(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	header, list := piecesOf(t, recordScript(t, program(t), Options{Heap: true}))
	tries, _ := strconv.Atoi(os.Getenv("RI_HOSTILE"))
	first, _ := strconv.Atoi(os.Getenv("RI_HOSTILE_FIRST"))
	path := filepath.Join(t.TempDir(), "r")
	names := []string{"goroutines", "channels", "locks", "check", "heap", "memory", "settings"}
	opened := 0
	for seed := range max(tries, 20) {
		random := rand.New(rand.NewPCG(uint64(seed+first), 3))
		lies := list
		for range 1 + random.IntN(2) {
			lies = lieAbout(random, lies)
		}
		assemble(t, path, header, lies)
		if lookAt(t, path, catalogue, names[random.IntN(len(names))], seed%8 == 0) {
			opened++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed+first)
		}
	}
	if opened == 0 {
		t.Error("none was a target: the test proves little")
	}
}

// FuzzExport has blocks say anything of what memory is, under right checksums.
func FuzzExport(f *testing.F) {
	memory := format.AppendMemory(nil, []format.Memory{{Addr: 0x1000, Size: 64, Data: bytes.Repeat([]byte{1}, 64)}})
	process, err := json.Marshal(recorded.Process{PID: 7, Executable: "x", Machine: 62, Mappings: []attach.Mapping{
		{Start: 0x1000, End: 0x4000, Read: true, Write: true}}})
	if err != nil {
		f.Fatal(err)
	}
	look, err := json.Marshal(recorded.Look{Threads: []recorded.Thread{{ID: 8}}})
	if err != nil {
		f.Fatal(err)
	}
	typed := `[{"type":"T","look":1,"size":32,"fields":[{"name":"a","offset":0,"size":8,"kind":"int"},` +
		`{"name":"s","offset":8,"size":16,"kind":"string"}],"at":[4096,32]}]`
	deep := `[{"type":"T","look":1,"size":32,"fields":[{"offset":0,"size":1,"kind":"array","count":4194304,` +
		`"fields":[{"offset":0,"size":1,"kind":"array","count":4194304,"fields":[{"size":1,"kind":"int"}]}]}],"at":[4096]}]`
	kept := `[{"field":"T.s","constant":false,"places":[[4096,16]]}]`
	f.Add(memory, process, look, []byte(typed), []byte(kept), []byte(nil))
	f.Add(memory, process, look, []byte(deep), []byte(`[{"places":[[18446744073709551615,16777216]]}]`), memory)
	f.Fuzz(func(t *testing.T, memory, process, look, typed, kept, tokens []byte) {
		block := func(name string, data []byte, low, high uint64) piece {
			return piece{format.Block{Name: name, Low: low, High: high}, data}
		}
		path := filepath.Join(t.TempDir(), "r")
		assemble(t, path, json.RawMessage("{}"), []piece{block(format.ProcessBlock, process, 0, 0),
			block(format.LookBlock(1), look, 0, 0), block(format.TokenBlock, tokens, 0, 0),
			block(format.MemoryBlock(1), memory, 0, 0), block(typedBlock, typed, 0, 0), block(keptBlock, kept, 0, 0)})
		r, err := recorded.OpenFile(path, seal.Identities{})
		if err != nil {
			return
		}
		defer r.Close()
		Export(r.File(), r, io.Discard)
		Check(r.File(), r, nil, true)
		core, err := os.Create(path + ".core")
		if err != nil {
			t.Fatal(err)
		}
		defer core.Close()
		Core(r.File(), r, core)
	})
}
