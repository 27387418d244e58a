package core

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"ri/arch"
	"ri/attach"
	"ri/attach/targettest"
)

// smallCore is a core by hand: two segments, one thread, NT_AUXV, NT_FILE.
func smallCore() []byte {
	var notes bytes.Buffer
	note := func(kind uint32, data []byte) {
		binary.Write(&notes, binary.LittleEndian, []uint32{5, uint32(len(data)), kind})
		notes.WriteString("CORE\x00\x00\x00\x00")
		notes.Write(data)
		for notes.Len()%4 != 0 {
			notes.WriteByte(0)
		}
	}
	status := make([]byte, 336)
	status[12] = 6
	binary.LittleEndian.PutUint32(status[32:], 4711)
	note(ntPrstatus, status)
	info := make([]byte, 136)
	binary.LittleEndian.PutUint32(info[24:], 4711)
	copy(info[40:], "small")
	note(ntPrpsinfo, info)
	var auxv bytes.Buffer
	binary.Write(&auxv, binary.LittleEndian, []uint64{AuxEntry, 0x401000, 0, 0})
	note(ntAuxv, auxv.Bytes())
	var files bytes.Buffer
	binary.Write(&files, binary.LittleEndian, []uint64{1, 4096, 0x400000, 0x402000, 0})
	files.WriteString("/bin/small\x00")
	note(ntFile, files.Bytes())

	var out bytes.Buffer
	header := make([]byte, 64)
	copy(header, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(header[16:], 4)
	binary.LittleEndian.PutUint16(header[18:], 62)
	binary.LittleEndian.PutUint64(header[32:], 64)
	binary.LittleEndian.PutUint16(header[54:], 56)
	binary.LittleEndian.PutUint16(header[56:], 3)
	out.Write(header)
	binary.Write(&out, binary.LittleEndian, []programHeader{
		{Type: 4, Offset: 64 + 3*56, FileSize: uint64(notes.Len())},
		{Type: 1, Flags: 5, Offset: 0x1000, Vaddr: 0x400000, FileSize: 0x100, MemSize: 0x2000},
		{Type: 1, Flags: 6, Offset: 0x1100, Vaddr: 0x500000, FileSize: 0x1000, MemSize: 0x1000},
	})
	out.Write(notes.Bytes())
	out.Write(make([]byte, 0x2100-out.Len()))
	return out.Bytes()
}

func FuzzCore(f *testing.F) {
	f.Add(smallCore(), uint64(0x500ff0), uint16(64))
	f.Add(smallCore()[:0x1180], uint64(0x500000), uint16(5000))
	f.Fuzz(func(t *testing.T, data []byte, addr uint64, n uint16) {
		r := bytes.NewReader(data)
		c, err := readCore(r, int64(len(data)))
		if err != nil {
			return
		}
		m := coreMemory{core: r, size: int64(len(data)), segments: c.segments, files: c.files, truncated: c.truncated}
		if segments, _, err := ReadExecutable(r); err == nil {
			m.addExecutable(r, segments, addr&^0xfff)
		}
		addrs := []uint64{addr, ^uint64(0) - addr&0xffff}
		for _, s := range c.segments {
			addrs = append(addrs, s.addr, s.addr+s.memSize-1, s.addr+s.fileSize)
		}
		for _, a := range addrs {
			p := make([]byte, n)
			k, err := m.ReadMemory(p, a)
			if k < 0 || k > len(p) || (k < len(p)) != (err != nil) {
				t.Fatalf("ReadMemory(%d bytes, %#x): %d, %v", n, a, k, err)
			}
			if err != nil && !errors.Is(err, attach.ErrNotMapped) {
				t.Fatalf("ReadMemory(%d bytes, %#x): %v", n, a, err)
			}
		}
		c.mappings()
		c.fileAt(addr)
	})
}

func TestSmallCore(t *testing.T) {
	data := smallCore()
	c, err := readCore(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if c.pid != 4711 || c.name != "small" || c.signal != 6 || c.entry != 0x401000 || len(c.threads) != 1 ||
		c.threads[0].ID != 4711 || len(c.segments) != 2 || c.fileAt(0x401fff).Path != "/bin/small" || c.truncated {
		t.Errorf("%+v", c)
	}
	m := coreMemory{core: bytes.NewReader(data), size: int64(len(data)), segments: c.segments, files: c.files}
	_, err = m.ReadMemory(make([]byte, 8), 0x400100)
	targettest.Refused(t, err, attach.ErrNotMapped, "leaves it out", "/bin/small")
}

// TestCoreHeaders has the number of segments where it is found if there are too many for the header.
func TestCoreHeaders(t *testing.T) {
	for _, count := range []int{3, 0xfffd, 0xfffe, 70_000} {
		var sections []*Section
		for i := range count {
			sections = append(sections,
				&Section{Mapping: attach.Mapping{Start: uint64(i+1) * attach.PageSize,
					End: uint64(i+2) * attach.PageSize, Read: true}})
		}
		notes := Notes(arch.AMD64, Who{PID: 7}, []ThreadNotes{{ID: 7}}, nil, nil, Moment{})
		head, size := Lay(arch.AMD64, notes, sections)
		file := make([]byte, size)
		copy(file, head.Bytes())
		content, err := readCore(bytes.NewReader(file), size)
		if err != nil || len(content.segments) != count || content.pid != 7 {
			t.Errorf("%d segments: %d, pid %d, %v", count, len(content.segments), content.pid, err)
		}
	}
}
