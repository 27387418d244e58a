package place

import (
	"bufio"
	"context"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ri/probe"
	"ri/probe/kernel"
	"ri/symbols"
	"ri/symbols/testprogram"
)

// places is the program of testdata/places.
type places struct {
	exe  string
	file *symbols.File
}

func build(t testing.TB, v testprogram.Variant) *places {
	t.Helper()
	dir, err := filepath.Abs("testdata/places")
	if err != nil {
		t.Fatal(err)
	}
	exe := testprogram.Build(t, dir, v)
	r, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	f, err := symbols.Open(r, exe)
	if err != nil {
		t.Fatal(err)
	}
	return &places{exe, f}
}

// run starts the program, and arms probes; work has it call its functions, and gives how often, by its own account.
func (p *places) run(t *testing.T, probes []probe.Probe) (armed *kernel.Armed, work func() map[string]uint64) {
	t.Helper()
	cmd := exec.Command(p.exe)
	in, out := testprogram.Ready(t, cmd)
	target := kernel.Target{PID: cmd.Process.Pid}
	e, err := elf.Open(p.exe)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, s := range e.Progs {
		if s.Type == elf.PT_LOAD && s.Flags&elf.PF_X != 0 {
			target.Segments = append(target.Segments, kernel.Segment{Addr: s.Vaddr, Size: s.Memsz, Offset: s.Off})
		}
	}
	armed, err = kernel.Arm(context.Background(), target, probes,
		kernel.Options{StackHi: 8, Budget: 100, Limit: 1 << 40, Counting: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { armed.Close() })
	return armed, func() map[string]uint64 { return worked(t, in, out) }
}

func worked(t *testing.T, in io.Writer, out *bufio.Reader) (calls map[string]uint64) {
	t.Helper()
	fmt.Fprintln(in)
	line, err := out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &calls)
	}
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// TestCounts arms the places of functions of all kinds, and compares how often they are passed with how often the
// functions were called; and so their returns.
func TestCounts(t *testing.T) {
	if able := kernel.Able(); able.Way != kernel.Multi {
		t.Skip(able.Why)
	}
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		p := build(t, v)
		var probes []probe.Probe
		bodies := map[string]int{} // sites that are not of inlined calls
		in, out := testprogram.Ready(t, exec.Command(p.exe))
		for name := range worked(t, in, out) {
			found, err := Find(p.file, name)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			entries := probe.Probe{Name: name, Count: true}
			returns := probe.Probe{Name: name + " returns", Count: true}
			for _, fn := range found.Functions {
				for _, r := range fn.Refused {
					t.Errorf("%s: %+v", name, r)
				}
				entries.Sites = append(entries.Sites, fn.Sites...)
				if fn.Entry != 0 {
					bodies[name]++
				}
				returns.Sites = append(returns.Sites, fn.Returns...)
				if fn.Entry != 0 && fn.NoReturns != "" {
					t.Errorf("%s: returns: %s", fn.Name, fn.NoReturns)
				}
			}
			probes = append(probes, entries)
			if len(returns.Sites) > 0 {
				probes = append(probes, returns)
			}
		}
		armed, work := p.run(t, probes)
		calls := work()
		if err := armed.Disarm(); err != nil {
			t.Fatal(err)
		}
		for _, m := range armed.Missed() {
			t.Errorf("the kernel refused %s: %v", probes[m.Probe].Name, m.Err)
		}
		for i, c := range armed.Counts() {
			name, returns := strings.CutSuffix(probes[i].Name, " returns")
			want := calls[name]
			if returns && name == "main.exits" {
				want /= 2 // the others end their goroutine
			}
			if c.Hits != want && !(returns && bodies[name] < len(probes[i-1].Sites)) {
				t.Errorf("%s: %d hits, %d calls", probes[i].Name, c.Hits, want)
			}
		}
	})
}
