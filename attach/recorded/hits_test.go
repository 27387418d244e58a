package recorded

import (
	"errors"
	"testing"

	"ri/attach"
	"ri/record/format"
)

func hitsBlock() []byte {
	memory := func(addr uint64, kind format.MemoryKind, text string) []byte {
		m := format.Memory{Addr: addr, Size: len(text), Kind: kind}
		if kind != format.Denied {
			m.Data = []byte(text)
		}
		return format.AppendMemory(nil, []format.Memory{m})
	}
	var b []byte
	b = format.AppendPart(b, format.Constants, memory(0x1000, format.Data, "constant"))
	b = format.AppendPart(b, format.Replaced, memory(1<<45, format.Tokens, "token"))
	b = format.AppendPart(b, format.Hit, []byte(`{"func":"main.f","entry":[{"name":"a","type":"int","addr":8192}]}`))
	b = format.AppendPart(b, format.AtEntry, memory(0x2000, format.Data, "12345678"))
	b = format.AppendPart(b, format.KeptTexts, []byte(`[]`))
	b = format.AppendPart(b, format.AtReturn, memory(0x2000, format.Denied, "12345678"))
	return b
}

func TestReadHits(t *testing.T) {
	list, err := ReadHits(hitsBlock(), NewConstants())
	if err != nil || len(list) != 1 || list[0].AtReturn.Memory == nil {
		t.Fatal(list, err)
	}
	read := func(m *HitMemory, addr uint64, n int) (string, error) {
		b := make([]byte, n)
		n, err := m.ReadMemory(b, addr)
		return string(b[:n]), err
	}
	at := list[0].AtEntry.Memory
	for addr, want := range map[uint64]string{0x2000: "12345678", 0x1000: "constant", 1 << 45: "token"} {
		if got, err := read(at, addr, len(want)); got != want || err != nil {
			t.Errorf("%#x: %q, %v", addr, got, err)
		}
	}
	if got, err := read(at, 0x2004, 8); got != "5678" || !errors.Is(err, attach.ErrNotRecorded) ||
		errors.Is(err, attach.ErrNotKept) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := read(list[0].AtReturn.Memory, 0x2000, 8); !errors.Is(err, attach.ErrNotKept) {
		t.Error(err)
	}
	if !at.IsToken(1<<45) || at.IsToken(0x2000) || at.IsToken(0x1000) {
		t.Error("what is a token")
	}
}

// FuzzReadHits: whatever a block says, it is hits or an error.
func FuzzReadHits(f *testing.F) {
	f.Add(hitsBlock())
	f.Add(format.AppendPart(nil, format.KeptTexts, []byte("[]")))
	f.Add(format.AppendPart(nil, 77, nil))
	f.Add(append(hitsBlock(), 1, 0, 0, 0, 255, 255, 255, 255))
	f.Fuzz(func(t *testing.T, block []byte) {
		list, err := ReadHits(block, NewConstants())
		if err != nil {
			if !errors.Is(err, format.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		for _, h := range list {
			for _, s := range []*Side{&h.AtEntry, &h.AtReturn} {
				if s.Memory == nil {
					continue
				}
				for _, addr := range []uint64{0, 0x1000, 0x2000, 1 << 45, 1<<64 - 8} {
					var b [16]byte
					s.Memory.ReadMemory(b[:], addr)
					s.Memory.ReadHoles(b[:], addr)
					s.Memory.Direct(addr, 8)
					s.Memory.IsToken(addr)
				}
			}
		}
	})
}
