//go:build amd64

package sample

import (
	"encoding/binary"
	"slices"
	"testing"

	"ri/attach"
)

// record is a PERF_RECORD_SAMPLE as the kernel writes it.
func record(ip uint64, chain []uint64, sp uint64, stack []byte) []byte {
	b := binary.NativeEndian.AppendUint64(nil, ip)
	b = binary.NativeEndian.AppendUint64(b, uint64(len(chain)))
	for _, pc := range chain {
		b = binary.NativeEndian.AppendUint64(b, pc)
	}
	b = binary.NativeEndian.AppendUint64(b, 2) // PERF_SAMPLE_REGS_ABI_64
	b = binary.NativeEndian.AppendUint64(b, sp)
	b = binary.NativeEndian.AppendUint64(b, uint64(len(stack)))
	b = append(b, stack...)
	return binary.NativeEndian.AppendUint64(b, uint64(len(stack)))
}

func TestParseSample(t *testing.T) {
	stack := binary.NativeEndian.AppendUint64(nil, 0x500)
	s := parseSample(record(0x400, []uint64{contextUser, 0x400, 0x600}, 0xc000, stack))
	if !slices.Equal(s.pcs, []uint64{0x400, 0x600}) || s.kernel || s.sp != 0xc000 || len(s.stack) != 8 {
		t.Errorf("got %+v", s)
	}
	s = parseSample(record(0xffffffff81000000, []uint64{contextKernel, 0xffffffff81000000, contextUser, 0x400}, 0, nil))
	if !slices.Equal(s.pcs, []uint64{0x400}) || !s.kernel {
		t.Errorf("in the kernel: got %+v", s)
	}
}

// TestFrameless: the caller of a function that has set up no frame comes from its table.
func TestFrameless(t *testing.T) {
	s := &sampler{byStack: map[string]*attach.CPUStack{}}
	s.opt.FrameEnd = func(pc uint64) (int64, bool) { return 0, pc >= 0x400 && pc < 0x1000 }
	stack := binary.NativeEndian.AppendUint64(nil, 0x500)
	s.add(parseSample(record(0x400, []uint64{contextUser, 0x400, 0x600}, 0xc000, stack)))
	s.add(parseSample(record(0x400, []uint64{contextUser, 0x400, 0x500, 0x600}, 0xc000, stack)))
	if len(s.byStack) != 1 {
		t.Fatalf("%d stacks, want one", len(s.byStack))
	}
	for _, got := range s.byStack {
		if !slices.Equal(got.PCs, []uint64{0x400, 0x500, 0x600}) || got.Count != 2 {
			t.Errorf("got %+v", got)
		}
	}
}

func FuzzParseSample(f *testing.F) {
	f.Add(record(0x400, []uint64{contextUser, 0x400}, 1, []byte("12345678")))
	f.Fuzz(func(t *testing.T, b []byte) { parseSample(b) })
}
