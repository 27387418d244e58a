package flow

import (
	"os"
	"testing"
	"time"

	"ri/symbols"
)

// FuzzCode has any bytes followed as a function's code: it must end, soon, and not panic.
func FuzzCode(f *testing.F) {
	exe, err := os.Executable()
	if err != nil {
		f.Fatal(err)
	}
	file, err := os.Open(exe)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { file.Close() })
	program, err := symbols.Open(file, exe)
	if err != nil {
		f.Fatal(err)
	}
	_, entry, err := program.Func("ri/symbols/flow.FuzzCode")
	if err != nil {
		f.Fatal(err)
	}
	code, _ := program.Code(entry)
	f.Add(code)
	f.Add([]byte{0xf0, 0x0f, 0xb1, 0x72, 0x08, 0x75, 0xfe, 0xeb, 0xfe})
	f.Add([]byte{0xff, 0x24, 0xc5, 0, 0, 0, 0, 0xc3, 0xe8, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) > 1<<14 {
			return
		}
		info, _ := program.PC(entry)
		changed := *info
		changed.End = changed.Entry + uint64(len(code))
		p := newProgram(program, 16).Uses(func(string) bool { return false })
		fn := newFunction(&changed, code, 0)
		began := time.Now()
		(&run{p: p, f: fn}).all()
		p.functions[entry] = fn
		for pc := changed.Entry; pc < changed.End; pc += 7 {
			p.stateAt(fn, pc)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Fatalf("%d bytes took %v", len(code), took)
		}
	})
}
