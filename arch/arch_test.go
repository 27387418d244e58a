package arch

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
)

func TestOf(t *testing.T) {
	if a, ok := Of(elf.EM_X86_64); !ok || a != AMD64 {
		t.Error(a, ok)
	}
	if a, ok := Of(elf.EM_ARM); ok {
		t.Error(a)
	}
}

func TestRegisters(t *testing.T) {
	a := AMD64
	user := make([]byte, a.UserSize)
	for i := range a.UserSize / 8 {
		binary.LittleEndian.PutUint64(user[8*i:], uint64(100+i))
	}
	r := a.UserRegisters(user)
	// struct user_regs_struct: r15 is its first word, rax its 11th, rip its 17th, rsp its 20th, fs_base its 22nd.
	if r.PC() != 116 || r.SP() != 119 || r.TLS() != 121 || len(r.Pointers()) != 16 {
		t.Error(r.PC(), r.SP(), r.TLS(), r.Pointers())
	}
	for n, want := range map[uint64]uint64{0: 110, 15: 100, 7: 119, 16: 116} {
		if got, ok := r.Get(n); !ok || got != want {
			t.Errorf("register %d is %d, %v; want %d", n, got, ok, want)
		}
	}
	if got, ok := r.Get(17); ok {
		t.Errorf("register 17 is %d", got)
	}
	if again := a.UserRegisters(r.User()); again != r {
		t.Errorf("%v, and was %v", again, r)
	}
	// struct sigcontext_64 has r8 first, rip as its 17th word.
	frame := make([]byte, a.Signal.Size)
	for i := range (a.Signal.Size - 40) / 8 {
		binary.LittleEndian.PutUint64(frame[40+8*i:], uint64(200+i))
	}
	s := a.SignalRegisters(frame, 7)
	r8, _ := s.Get(8)
	if s.PC() != 216 || s.SP() != 215 || r8 != 200 || s.TLS() != 7 {
		t.Error(s)
	}
	var none Registers
	if _, ok := none.Get(0); ok || none.PC() != 0 || none.SP() != 0 || none.Pointers() != nil || none.User() != nil {
		t.Error("a thread without registers has some")
	}
}

func TestFrame(t *testing.T) {
	a := AMD64
	cfa := a.CFA(0x1000, 0x20)
	if cfa != 0x1028 || a.ReturnSlot(cfa) != 0x1020 || a.FrameBytes(0x20) != 0x28 || a.LocalsEnd(0x20) != -16 ||
		a.LocalsEnd(0) != -8 {
		t.Errorf("%#x %#x %#x %d %d", cfa, a.ReturnSlot(cfa), a.FrameBytes(0x20), a.LocalsEnd(0x20), a.LocalsEnd(0))
	}
}

func TestDecode(t *testing.T) {
	for code, want := range map[string]struct {
		Instruction
		text string
	}{
		"\x48\x8b\x40\x10": {Instruction{Length: 4, Access: "read", Base: "RAX", Offset: 16, Size: 8},
			"MOVQ 0x10(AX), AX"},
		"\x48\x89\x04\xcb": {Instruction{Length: 4, Access: "write", Base: "RBX", Index: "RCX", Size: 8},
			"MOVQ AX, 0(BX)(CX*8)"},
		"\x48\x39\x08": {Instruction{Length: 3, Access: "read", Base: "RAX", Size: 8},
			"CMPQ 0(AX), CX"},
		"\x48\x8d\x40\x10": {Instruction{Length: 4}, "LEAQ 0x10(AX), AX"},
		"\x48\x8b\x05\x10\x00\x00\x00": {Instruction{Length: 7, Access: "read", Base: "RIP", Offset: 16, Size: 8},
			"MOVQ 0x10(IP), AX"},
	} {
		got, err := AMD64.Decode([]byte(code))
		if err != nil || !reflect.DeepEqual(got, want.Instruction) || AMD64.Text([]byte(code), 0x1000) != want.text {
			t.Errorf("% x: %+v, %q, %v; want %+v", code, got, AMD64.Text([]byte(code), 0x1000), err, want)
		}
	}
	if _, err := AMD64.Decode([]byte{0x06}); !errors.Is(err, ErrInstruction) {
		t.Error(err)
	}
	target, length, ok := AMD64.Reference([]byte("\x48\x8b\x05\x10\x00\x00\x00"), 0x1000)
	if target != 0x1017 || length != 7 || !ok {
		t.Errorf("%#x %d %v", target, length, ok)
	}
	if target, ok := AMD64.CallTarget([]byte("\xe8\xf0\xff\xff\xff"), 0x1000); target != 0xff0 || !ok {
		t.Errorf("%#x %v", target, ok)
	}
	if _, ok := AMD64.CallTarget([]byte("\xe9\xf0\xff\xff\xff"), 0x1000); ok {
		t.Error("a jump is a call")
	}
}

// FuzzDecode: what is no code does no harm, and an instruction has a length.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x48\x8b\x05\x10\x00\x00\x00"))
	f.Add([]byte{0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66})
	f.Fuzz(func(t *testing.T, code []byte) {
		in, err := AMD64.Decode(code)
		_, length, ok := AMD64.Reference(code, 1<<40)
		if err == nil && in.Length != length || ok && err != nil || length > len(code) && len(code) > 0 {
			t.Errorf("% x: %+v, %v; %d, %v", code, in, err, length, ok)
		}
		_ = AMD64.Text(code, 1<<40)
		_, _ = AMD64.CallTarget(code, 1<<40)
	})
}
