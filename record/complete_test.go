package record

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"ri/attach/recorded"
	"ri/record/format"
	"ri/record/seal"
)

// exported is a line of an export.
type exported struct {
	Kept, Type, Variable, Address, Hex string
	Look                               int
	Text                               json.RawMessage
	Fields                             map[string]json.RawMessage
}

func (e exported) at(t *testing.T) uint64 {
	addr, err := strconv.ParseUint(e.Address, 0, 64)
	if err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	return addr
}

// told are the bytes that an export tells of, by address, for each look.
type told map[int]map[uint64]byte

func (x told) add(look int, addr uint64, b []byte) {
	if x[look] == nil {
		x[look] = map[uint64]byte{}
	}
	for i, c := range b {
		x[look][addr+uint64(i)] = c
	}
}

// bytesOf makes bytes of what an export says of a field again.
func bytesOf(t *testing.T, f *Field, said json.RawMessage) []byte {
	var list []json.RawMessage
	switch {
	case f.Kind == "bytes":
		return textOf(t, said)
	case json.Unmarshal(said, &list) != nil:
		list = []json.RawMessage{said}
	}
	k, number := kinds[f.Kind]
	var out []byte
	for _, one := range list {
		text := strings.Trim(string(one), `"`)
		switch {
		case f.Kind == "control" || !number && !strings.HasPrefix(text, "0x"):
			b, err := hex.DecodeString(text)
			if err != nil {
				t.Fatalf("%+v: %s: %v", f, said, err)
			}
			out = append(out, b...)
			continue
		case !number:
			k = reflect.Uintptr
		}
		var word [16]byte
		size := kindSizes[k]
		switch k {
		case reflect.Bool:
			if text == "true" {
				word[0] = 1
			}
		case reflect.Float32:
			x, _ := strconv.ParseFloat(text, 32)
			binary.LittleEndian.PutUint32(word[:], math.Float32bits(float32(x)))
		case reflect.Float64:
			x, _ := strconv.ParseFloat(text, 64)
			binary.LittleEndian.PutUint64(word[:], math.Float64bits(x))
		case reflect.Complex64, reflect.Complex128:
			t.Skip("complex numbers are told as texts")
		default:
			n, err := strconv.ParseUint(text, 0, 64)
			if i, err2 := strconv.ParseInt(text, 0, 64); err != nil && err2 == nil {
				n, err = uint64(i), nil
			}
			if err != nil {
				t.Fatalf("%+v: %s: %v", f, said, err)
			}
			binary.LittleEndian.PutUint64(word[:], n)
		}
		out = append(out, word[:size]...)
	}
	return out
}

func textOf(t *testing.T, said json.RawMessage) []byte {
	var text string
	if json.Unmarshal(said, &text) == nil {
		return []byte(text)
	}
	var x struct{ Hex string }
	if err := json.Unmarshal(said, &x); err != nil {
		t.Fatalf("%s: %v", said, err)
	}
	b, err := hex.DecodeString(x.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestExportComplete makes memory of what an export says, and compares it with the file's: every byte that is kept, and
// isn't zero, is told, and is what is told.
func TestExportComplete(t *testing.T) {
	pid := program(t)
	for _, opt := range []Options{{}, {Heap: true}} {
		t.Run(fmt.Sprint("heap=", opt.Heap), func(t *testing.T) { exportComplete(t, recordScript(t, pid, opt)) })
	}
	t.Run("version 1", func(t *testing.T) { exportComplete(t, "testdata/version1.rec") })
}

func exportComplete(t *testing.T, path string) {
	r, err := recorded.OpenFile(path, seal.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	typed, err := readTyped(r.File())
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]*Typed{}
	name := func(typ, variable string, look int, addr uint64) string {
		return fmt.Sprint(typ, " ", variable, look, addr)
	}
	for i := range typed {
		distinct(typed[i].Fields, 0)
		for _, addr := range typed[i].At {
			types[name(typed[i].Type, typed[i].Variable, typed[i].Look, addr)] = &typed[i]
		}
	}
	var out bytes.Buffer
	if err := Export(r.File(), r, &out); err != nil {
		t.Fatal(err)
	}
	all := told{}
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, 1<<30)
	for lines.Scan() {
		var e exported
		switch err := json.Unmarshal(lines.Bytes(), &e); {
		case err != nil && !strings.Contains(err.Error(), "cannot unmarshal"):
			t.Fatalf("%.200s: %v", lines.Text(), err)
		case e.Kept == "text":
			all.add(e.Look, e.at(t), textOf(t, e.Text))
			for look := e.Look + 1; r.Memory(look) != nil; look++ { // the same unless another one is told
				all.add(look, e.at(t), textOf(t, e.Text))
			}
		case e.Kept == "bytes":
			b, err := hex.DecodeString(e.Hex)
			if err != nil {
				t.Fatal(err)
			}
			all.add(e.Look, e.at(t), b)
		case e.Kept == "values":
			one := types[name(e.Type, e.Variable, e.Look, e.at(t))]
			if one == nil {
				t.Fatalf("the file has no %s at %s", e.Type, e.Address)
			}
			one.each(e.at(t), func(f *Field, field string, at uint64) {
				if said, ok := e.Fields[field]; ok {
					all.add(e.Look, at, bytesOf(t, f, said))
				}
			})
		}
	}
	compareTold(t, r.File(), all)
}

func compareTold(t *testing.T, file *format.Reader, all told) {
	kept, missing, wrong := 0, 0, 0
	for _, b := range file.Blocks() {
		var look int
		if !scanLook(b.Name, &look) {
			continue
		}
		list, err := readRuns(file, b)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range list {
			for i, c := range run.Data {
				if c == 0 || run.Kind != format.Data {
					continue
				}
				kept++
				switch said, ok := all[look][run.Addr+uint64(i)]; {
				case !ok:
					if missing++; missing < 5 {
						t.Errorf("look %d: %#x at %#x isn't told", look, c, run.Addr+uint64(i))
					}
				case said != c:
					if wrong++; wrong < 5 {
						t.Errorf("look %d: at %#x lies %#x, and %#x is told", look, run.Addr+uint64(i), c, said)
					}
				}
			}
		}
	}
	if kept < 1000 || missing+wrong > 0 {
		t.Errorf("of %d bytes %d aren't told, %d otherwise", kept, missing, wrong)
	}
}
